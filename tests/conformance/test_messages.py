"""Whatever is sent to a service is answered or put aside; the process lives through it."""

import bz2
import json
import lzma
import sys
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import amqp
import jwt
import pytest
from amqp.exceptions import AMQPError
from tests.integration.raw_caller import RawCaller, metric, token, unharmed

from orders.contracts import REQUESTS
from pomona_console.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.feature("SYS-03")]

DEEP = 60_000
NOTHINGNESS = bytes(50 * 2**20)


@pytest.fixture
def caller(stack: Stack) -> Iterator[RawCaller]:
    with RawCaller(stack) as caller:
        yield caller


@pytest.fixture(autouse=True)
def the_next_call_is_answered(stack: Stack, caller: RawCaller) -> Iterator[None]:
    """After each test the same process answers the next sound call."""
    caller.forget_dead_letters()
    with unharmed(stack, "orders"):
        yield
        caller.send()
        assert caller.code() == "ok"


def body(**kwargs: object) -> bytes:
    return json.dumps({"args": [], "kwargs": kwargs}).encode()


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


UNREADABLE = {
    "truncated": b'{"args": [], "kwargs": {',
    "not UTF-8": b'{"args": [], "kwargs": {"a": "\xff"}}',
    "a surrogate": b'{"args": [], "kwargs": {"a": "\\ud800"}}',
    "deep brackets": b"[" * DEEP,
    "deep objects": b'{"a":' * (DEEP // 5),
    "200,000 levels": b"[" * 200_000,
    "a pickle": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00K\x01.",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "without kwargs": b'{"args": []}',
    "kwargs as a list": b'{"args": [], "kwargs": []}',
    "empty": b" ",
}


@pytest.mark.feature("SYS-04")
@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_body_that_is_no_request_is_refused_and_the_caller_is_told(caller, content):
    caller.send(content)

    error = caller.answer()["error"]
    assert error["detail"]["code"] == "invalid_request"
    assert error["detail"]["field"] == "body"
    assert "{" in error["detail"]["zh"]


@pytest.mark.feature("SYS-04")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_none_is_refused_by_the_name_of_its_field(caller, number):
    caller.send(
        b'{"args": [], "kwargs": {"position": %s}}' % number.encode(), key="orders.events_after"
    )

    error = caller.answer()["error"]
    assert error["detail"]["code"] == "invalid_request"
    assert error["detail"]["field"] == "position"


NOT_FOR_US = {
    "an unknown method": ("orders.sell_everything", body(), "unknown_method"),
    "a dunder method": ("orders.__init__", body(), "unknown_method"),
    "a private method": ("orders._command", body(), "unknown_method"),
    "no method": ("orders.", body(), "unknown_method"),
    "a method of the application": ("orders.commit", body(), "unknown_method"),
    "positional arguments": (
        "orders.list_stores",
        b'{"args": [1], "kwargs": {}}',
        "invalid_request",
    ),
    "args that are no list": (
        "orders.list_stores",
        b'{"args": "x", "kwargs": {}}',
        "invalid_request",
    ),
    "a field too many": ("orders.list_stores", body(verbose=True), "invalid_request"),
    "a note of 1 MB": ("orders.list_stores", body(note="x" * 2**20), "invalid_request"),
    "a deep field": ("orders.list_stores", body(note=nested(900)), "invalid_request"),
    "a deep and large field": (
        "orders.list_stores",
        body(deep=nested(900), note="x" * 300_000),
        "invalid_request",
    ),
    "a command without an id": ("orders.open_store", body(), "invalid_request"),
    "a command that is a question": ("orders.get_order", body(command_id="x"), "invalid_request"),
    "a field with a revived type": (
        "orders.get_order",
        body(order_id={"__type__": "uuid", "__value__": "x"}),
        "invalid_request",
    ),
}


@pytest.mark.parametrize(("key", "content", "code"), NOT_FOR_US.values(), ids=NOT_FOR_US.keys())
def test_a_request_that_no_method_takes_is_refused(caller, key, content, code):
    caller.send(content, key=key)

    assert caller.code() == code


@pytest.mark.feature("SYS-04")
def test_a_field_that_is_too_large_is_named(caller):
    caller.send(body(reason="x" * 2**20, order_id=str(uuid4())), key="orders.cancel_order")

    assert caller.answer()["error"]["detail"]["field"] == "reason"


def bomb(kind: str, body: bytes) -> dict[str, object]:
    return {"headers": {"compression": f"application/{kind}"}, "body": body}


PUT_ASIDE = {
    "no reply_to": ({"reply_to": None}, "reply_to"),
    "a reply_to into a service": ({"reply_to": "orders.place_order"}, "reply_to"),
    "a reply_to with a wildcard": ({"reply_to": "#"}, "reply_to"),
    "a direct reply to somebody made up": (
        {"reply_to": "amq.rabbitmq.reply-to.rpc-orders"},
        "reply_to",
    ),
    "a copy of another call": ({"headers": {"CC": ["orders.set_prices"]}}, "copies"),
    "a call of another service, copied to us": (
        {"key": "nobody.list_stores", "headers": {"BCC": ["orders.list_stores"]}},
        "routing_key",
    ),
    "not by the exchange for calls": ({"exchange": "", "key": "rpc-orders"}, "routing_key"),
    "no content type": ({"content_type": None}, "content_type"),
    "a pickle": ({"content_type": "application/x-python-serialize"}, "content_type"),
    "YAML": ({"content_type": "application/x-yaml"}, "content_type"),
    "msgpack": ({"content_type": "application/x-msgpack"}, "content_type"),
    "text": ({"content_type": "text/plain"}, "content_type"),
    "another encoding": ({"content_encoding": "utf-16"}, "content_encoding"),
    "an encoding that unpacks": ({"content_encoding": "zlib"}, "content_encoding"),
    "compressed": ({"headers": {"compression": "application/x-gzip"}}, "compression"),
    "a zlib bomb": (bomb("x-gzip", zlib.compress(NOTHINGNESS, 9)), "compression"),
    "a bz2 bomb": (bomb("x-bz2", bz2.compress(NOTHINGNESS, 9)), "compression"),
    "an lzma bomb": (bomb("x-lzma", lzma.compress(NOTHINGNESS)), "compression"),
    "properties that are no text": ({"correlation_id": b"\xff\xfe"}, "content_type"),
    "a type that is no text": ({"type": b"\xff"}, "content_type"),
    "a time that never comes": (
        {"headers": {"when": datetime(9999, 12, 31, tzinfo=UTC)}, "correlation_id": b"\xff"},
        "content_type",
    ),
}


@pytest.mark.parametrize(("message", "reason"), PUT_ASIDE.values(), ids=PUT_ASIDE.keys())
def test_a_message_that_cannot_be_answered_is_put_aside_with_its_reason(
    stack, caller, message, reason
):
    counted = {"name": "pomona_messages_dead_lettered_total", "reason": reason}
    before = metric(stack, "orders", **counted)

    caller.send(**message)

    assert about(caller.dead_letter()) == {"reason": reason, "queue": "rpc-orders"}
    assert metric(stack, "orders", **counted) == before + 1


def about(letter: amqp.Message) -> dict[str, str]:
    headers = letter.properties["application_headers"]
    return {name: headers[name] for name in ("reason", "queue")}


def test_headers_too_deep_to_be_read_are_put_aside(caller):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # ours, to write what they cannot read
    try:
        caller.send(headers={"deep": nested(4000)})
    finally:
        sys.setrecursionlimit(limit)

    assert about(caller.dead_letter())["reason"] == "content_type"


ODD_BUT_SOUND = {
    "the header that ends a stock service": {"headers": {"nameko.call_id_stack": 5}},
    "10,000 headers": {"headers": {f"h{n}": n for n in range(5000)}},
    "headers of every kind": {
        "headers": {"a": None, "b": b"\xff", "c": [1, [2]], "d": {"e": {}}, "f": 1.5, "g": True}
    },
    "a timeout that is no number": {"headers": {"nameko.timeout": "soon"}},
    "a timeout that never comes": {"headers": {"nameko.timeout": "nan"}},
    "a locale that is no word": {"headers": {"nameko.locale": [1]}},
    "no correlation id": {"correlation_id": None},
    "a correlation id that cannot be written as JSON": {"correlation_id": b"\xed\xa0\x80"},
    "a correlation id that cannot be logged": {"headers": {"nameko.correlation_id": "\ud800"}},
    "a long correlation id": {"headers": {"nameko.correlation_id": "x" * 10_000}},
    "priority and type": {"priority": 9, "type": "x", "app_id": "y"},
}


@pytest.mark.parametrize("message", ODD_BUT_SOUND.values(), ids=ODD_BUT_SOUND.keys())
def test_what_a_service_has_no_use_for_does_it_no_harm(caller, message):
    caller.send(**message)

    assert caller.code() == "ok"


@pytest.mark.parametrize("key", [b"orders.\xff", b"orders.\xed\xa0\x80", b"orders." + b"x" * 240])
def test_a_method_name_of_any_bytes_does_no_harm(caller, key):
    caller.send(key=key)

    assert caller.code() == "unknown_method"


def test_a_refusal_reaches_a_caller_whose_correlation_id_cannot_be_written_as_json(caller):
    caller.send(body(verbose=True), correlation_id=b"\xed\xa0\x80")

    assert caller.code() == "invalid_request"


def test_nobody_gets_in_without_a_good_token(stack, caller):
    head, claims, signature = caller.token.split(".")
    lifted = jwt.decode(caller.token, options={"verify_signature": False}) | {"role": "service"}
    forged = urlsafe_b64encode(json.dumps(lifted).encode()).rstrip(b"=").decode()
    tokens = [
        None,
        "",
        "nobody",
        7,
        caller.token.encode() + b"\xff",
        f"{head}.{claims}.{'A' * len(signature)}",
        f"{head}.{forged}.{signature}",
        jwt.encode(lifted, None, algorithm="none"),
        token(stack, hours=-1),
        urlsafe_b64encode(b"[" * 40_000).decode() + ".e30.x",
    ]

    for bad in tokens:
        caller.send(headers={"nameko.token": bad})
        assert caller.code() == "unauthenticated", bad


def test_a_call_that_nobody_waits_for_is_not_carried_out(caller):
    caller.send(headers={"nameko.timeout": "-1"})

    assert caller.code() == "expired"


def test_a_flood_of_everything_leaves_the_service_as_large_as_it_was(stack, caller):
    with unharmed(stack, "orders"):
        for _ in range(20):
            for content in UNREADABLE.values():
                caller.send(content)
            for message, _ in PUT_ASIDE.values():
                caller.send(**message)
            for key, content, _ in NOT_FOR_US.values():
                caller.send(content, key=key)
        answered = [caller.code() for _ in range(20 * (len(UNREADABLE) + len(NOT_FOR_US)))]
    assert set(answered) == {"invalid_request", "unknown_method"}


@pytest.mark.feature("SYS-04")
def test_of_a_thousand_errors_none_says_anything_of_the_inside(stack, caller):
    keys = [f"orders.{request.method}" for request in REQUESTS]
    names = sorted({name for request in REQUESTS for name in request.schema().fields})
    wrong = (None, "x\0", -1, 10**30, "' OR 1=1 --", [[]], {"__type__": "date"}, "../../etc/passwd")
    told: list[dict[str, object]] = []

    for number in range(1000):
        key, field = keys[number % len(keys)], names[number % len(names)]
        caller.send(body(**{field: wrong[number % len(wrong)]}), key=key)
        answer = caller.answer()
        assert set(answer["error"]["detail"]) == {"code", "field", "zh", "en", "correlation_id"}
        told.append(answer)

    assert len(told) == 1000
    said = json.dumps(told, ensure_ascii=False).lower()
    secrets = [dsn.partition("//")[2][:30].lower() for dsn in stack.databases.values()]
    for word in (*INSIDE, *secrets):
        assert word not in said, word


INSIDE = (
    "traceback",
    ".py",
    "psycopg",
    "sqlstate",
    "insert into",
    "postgres",
    "amqp://",
    "/pomona",
)


@pytest.mark.feature("SYS-04")
def test_of_what_cannot_be_read_no_word_is_in_a_log_or_kept(stack, caller):
    canary = uuid4().hex
    poisons = [
        {"content": json.dumps({"args": [], "kwargs": {"note": canary}})[:-1].encode()},
        {"content": canary.encode() + b"\xff"},
        {"content": canary.encode(), "content_type": "text/plain"},
        {"content": canary.encode(), "reply_to": "orders.place_order"},
        {"content": canary.encode(), "headers": {"compression": canary}},
        {"content": body(**{canary: canary})},
    ]
    for poison in poisons:
        caller.send(poison.pop("content"), **poison)
    assert [caller.code() for _ in range(3)] == ["invalid_request"] * 3

    letters = [caller.dead_letter() for _ in range(3)]

    assert not any(letter.body for letter in letters)
    assert canary not in json.dumps([about(letter) for letter in letters])
    assert canary not in stack.layout.log("orders").read_text("utf-8")


def test_a_body_of_60_mb_ends_at_the_broker(stack):
    def send_and_wait(giant: RawCaller) -> None:
        giant.send(bytes(60 * 2**20))
        giant.answer()

    with pytest.raises((AMQPError, OSError)), RawCaller(stack) as giant:
        send_and_wait(giant)
