"""What somebody can do who has taken a till apart and speaks AMQP with its account: nothing."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import amqp
import pytest
from amqp.exceptions import AccessRefused, AMQPError, NotAllowed, PreconditionFailed
from tests.integration.raw_caller import eventually, metric, unharmed

from pomona.broker import connect, open_channel
from pomona.broker_access import (
    DEAD_LETTERS,
    RPC_EXCHANGE,
    TERMINAL_LIMITS,
    terminal_access,
    terminal_user,
)
from pomona.errors import Refused
from pomona.identity import Actor, issue
from pomona.signing import keys_in, signer_of
from pomona.terminal import DIRECT_REPLY, Terminal
from pomona_console.broker_definitions import contracts_of_all, methods_of, password_hash
from pomona_console.broker_management import Management
from pomona_console.layout import SERVICES
from pomona_console.stack import Stack, terminal_for

from .test_messages import ODD_BUT_SOUND, PUT_ASIDE, UNREADABLE

pytestmark = [pytest.mark.integration, pytest.mark.feature("SYS-06")]

ATTACKED = ("orders", "inventory")
CALL = b'{"args": [], "kwargs": {}}'
Do = Callable[[amqp.Channel], object]


class Till:
    """An enrolled terminal: its account at the broker, its store, and a cashier signed in."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.id, self.store = uuid4(), uuid4()
        self.user, self.password = terminal_user(self.id), uuid4().hex
        self.uri = self._enrolled()
        self.token = self._token()

    def _enrolled(self) -> str:
        parts = urlsplit(self.stack.amqp_uri)
        access = terminal_access("store", methods_of(contracts_of_all(SERVICES)))
        here = {"user": self.user, "vhost": parts.path[1:]}
        account = {
            "name": self.user,
            "password_hash": password_hash(self.password),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": [],
            "limits": TERMINAL_LIMITS,
        }
        management = Management(self.stack.rabbitmq_api)
        # the key permission first: without one, a user may use every key
        management.define(
            {"users": [account], "topic_permissions": [here | access.topic_permission()]}
        )
        management.define({"permissions": [here | access.permission()]})
        login = f"{self.user}:{self.password}@{parts.netloc.rpartition('@')[2]}"
        return urlunsplit(parts._replace(netloc=login))

    def _token(self) -> str:
        key = signer_of(keys_in(self.stack.layout.signing_keys), datetime.now(UTC))
        cashier = Actor(f"cashier-{self.id}", "cashier", self.store, self.id)
        return issue(key, cashier, timedelta(hours=1), via=self.user)

    def terminal(self, token: str | None = None) -> Terminal:
        return Terminal(self.uri, self.token if token is None else token)

    def connection(self) -> amqp.Connection | None:
        """Connect, unless the broker still counts too many that were closed before."""
        try:
            return connect(self.uri)
        except NotAllowed:
            return None

    @contextlib.contextmanager
    def channel(self) -> Iterator[amqp.Channel]:
        connection = eventually(self.connection)
        try:
            yield open_channel(connection)
        finally:
            connection.collect()

    def may(self, do: Do) -> bool:
        """Say whether the broker lets this terminal do something."""
        with self.channel() as channel:
            try:
                do(channel)
                channel.connection.drain_events(timeout=0.2)
            except (AccessRefused, PreconditionFailed):
                return False
            except TimeoutError:
                return True
        return True

    def flood(self, messages: list[dict[str, Any]]) -> None:
        """Send messages of any make; nothing of what comes back is read."""
        with self.channel() as channel:
            for message in messages:
                channel.basic_publish(self.message(**message), RPC_EXCHANGE, "orders.list_prices")

    def message(self, body: bytes = CALL, headers: Any = None, **properties: Any) -> amqp.Message:
        given = {
            "content_type": "application/json",
            "reply_to": str(uuid4()),
            "correlation_id": str(uuid4()),
            "user_id": self.user,
            "application_headers": {"nameko.token": self.token, **(headers or {})},
            **properties,
        }
        return amqp.Message(body, **{name: value for name, value in given.items() if value})


@pytest.fixture(scope="module")
def till(stack: Stack) -> Till:
    return opened(Till(stack))


@pytest.fixture(scope="module")
def victim(stack: Stack) -> Till:
    return opened(Till(stack))


def opened(till: Till) -> Till:
    code = till.store.hex[:8].upper()
    own = {"store_id": str(till.store), "code": code}
    with terminal_for(till.stack, role="head_office", person="office") as office:
        zone = {"zone": "Asia/Shanghai", "cut_off": "04:00"}
        office.command("orders", "open_store", {**own, "name": "一店", **zone}, patience=30)
        office.command("orders", "register_terminal", {**own, "terminal_id": str(till.id)})
    return till


@pytest.fixture(autouse=True)
def nobody_else_notices(stack: Stack, victim: Till) -> Iterator[None]:
    """Whatever is tried: the services live on, no larger, and another till is served."""
    with contextlib.ExitStack() as attacked:
        for service in ATTACKED:
            attacked.enter_context(unharmed(stack, service))
        yield
        with victim.terminal() as other:
            assert "prices" in other.ask("orders", "list_prices", patience=10)


def shift(**changes: Any) -> dict[str, Any]:
    opening = {"terminal_time": datetime.now(UTC).isoformat(), "float_fen": 0}
    return {"shift_id": str(uuid4()), **opening, **changes}


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        ask()
    return refusal.value.code


EAVESDROPPING: dict[str, Do] = {
    "consume calls": lambda channel: channel.basic_consume("rpc-orders"),
    "get a call": lambda channel: channel.basic_get("rpc-orders"),
    "get a dead letter": lambda channel: channel.basic_get(DEAD_LETTERS),
    "consume events": lambda channel: channel.basic_consume("inventory.from.orders"),
    "a queue of one's own": lambda channel: channel.queue_declare("", exclusive=True),
    "bind calls": lambda channel: channel.queue_bind("rpc-orders", RPC_EXCHANGE, "#"),
    "bind answers": lambda channel: channel.queue_bind(DEAD_LETTERS, RPC_EXCHANGE, "*"),
    "bind exchanges": lambda channel: channel.exchange_bind(DEAD_LETTERS, RPC_EXCHANGE, "#"),
    "delete a queue": lambda channel: channel.queue_delete("rpc-orders"),
    "purge a queue": lambda channel: channel.queue_purge("rpc-orders"),
    "delete the exchange": lambda channel: channel.exchange_delete(RPC_EXCHANGE),
}


@pytest.mark.parametrize("do", EAVESDROPPING.values(), ids=EAVESDROPPING.keys())
def test_nothing_can_be_overheard_or_taken_away(till, do):
    assert not till.may(do)


def test_answers_to_others_do_not_come_to_us(till, victim):
    overheard: list[Any] = []
    with till.channel() as channel, victim.terminal() as other:
        channel.basic_consume(DIRECT_REPLY, no_ack=True, callback=overheard.append)
        other.ask("orders", "list_prices", patience=10)
        with contextlib.suppress(TimeoutError):
            channel.connection.drain_events(timeout=0.5)

    assert overheard == []


INJECTIONS = {
    "an event": ("orders.events", "order_paid.v1", {}),
    "into a queue of calls": ("", "rpc-orders", {}),
    "into a queue of events": ("", "inventory.from.orders", {}),
    "a dead letter": (DEAD_LETTERS, "", {}),
    "an answer to a stock client": (RPC_EXCHANGE, str(uuid4()), {}),
    "an answer to a terminal": ("", f"{DIRECT_REPLY}.g1h2AA.x", {}),
    "a method of head office": (RPC_EXCHANGE, "orders.open_store", {}),
    "a method of services": (RPC_EXCHANGE, "orders.events_after", {}),
    "somebody else's machine": (RPC_EXCHANGE, "orders.list_prices", {"user_id": "service-crm"}),
    "the operator's machine": (RPC_EXCHANGE, "orders.list_prices", {"user_id": "pomona"}),
}


@pytest.mark.parametrize(
    ("exchange", "key", "properties"), INJECTIONS.values(), ids=INJECTIONS.keys()
)
def test_nothing_can_be_published_but_ones_own_calls(till, exchange, key, properties):
    message = till.message(**properties)

    assert not till.may(lambda channel: channel.basic_publish(message, exchange, key))


def test_the_broker_lets_a_call_of_ones_own_pass(till):
    message = till.message()

    assert till.may(
        lambda channel: channel.basic_publish(message, RPC_EXCHANGE, "orders.list_prices")
    )


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_a_copy_of_a_call_reaches_no_method_that_is_shut_to_us(stack, till, header):
    """RabbitMQ checks the routing key and not the copies: the services have to."""
    counted = {"name": "pomona_messages_dead_lettered_total", "reason": "routing_key"}
    before = metric(stack, "inventory", **counted)
    copies = {header: ["inventory.register_supplier"]}

    till.flood([{"headers": copies}])

    eventually(lambda: metric(stack, "inventory", **counted) == before + 1)


def test_nobody_is_believed_to_be_somebody_else(till, victim):
    foreign = {"store_id": str(victim.store)}

    for token in ("", "nobody", victim.token):
        with till.terminal(token) as terminal:
            assert refused(lambda t=terminal: t.ask("orders", "list_prices")) == "unauthenticated"
    with till.terminal() as terminal:
        assert refused(lambda: terminal.ask("orders", "list_prices", foreign)) == "forbidden"
    with till.terminal() as terminal:
        assert refused(lambda: terminal.call("orders", "set_prices", {})) == "forbidden"


def test_no_message_ends_or_swells_a_service(till):
    poisons = [{"body": content} for content in UNREADABLE.values()]
    poisons += [
        message for message, _ in PUT_ASIDE.values() if not {"key", "exchange"} & {*message}
    ]
    poisons += list(ODD_BUT_SOUND.values())
    poisons += [{"headers": {"x": "x" * 100_000}}, {"body": bytes(2**20)}]

    for _ in range(5):
        for poison in poisons:
            with contextlib.suppress(AMQPError, OSError):
                till.flood([poison])


def test_a_body_of_60_mb_gets_no_further_than_the_broker(till):
    with contextlib.suppress(AMQPError, OSError):
        till.flood([{"body": bytes(60 * 2**20)}])


def test_connections_and_channels_are_few(till):
    held: list[amqp.Connection] = []
    try:
        for _ in range(TERMINAL_LIMITS["max-connections"]):
            held.append(eventually(till.connection))  # noqa: PERF401 - what was opened is closed below
        assert till.connection() is None
        for _ in range(TERMINAL_LIMITS["max-channels"]):
            held[0].channel()
        with pytest.raises((AMQPError, OSError)):
            held[0].channel()
    finally:
        for connection in held:
            connection.collect()


def test_a_flood_of_calls_is_refused_and_other_tills_are_served_meanwhile(stack, till, victim):
    refused_before = metric(
        stack, "orders", "pomona_invalid_messages_total", reason="too_many_requests"
    )
    with victim.terminal() as other:
        for _ in range(20):
            till.flood([{}] * 200)
            other.ask("orders", "list_prices", timeout=5)

    def too_many() -> float:
        return metric(stack, "orders", "pomona_invalid_messages_total", reason="too_many_requests")

    assert too_many() > refused_before
    # the bucket fills again: a till is slowed down, not shut out
    with till.terminal() as terminal:
        eventually(lambda: not throttled(terminal))


def throttled(terminal: Terminal) -> bool:
    try:
        terminal.ask("orders", "list_prices", timeout=5)
    except Refused as refusal:
        if refusal.code != "too_many_requests":
            raise
        return True
    return False


def test_a_call_that_is_played_again_does_nothing_new(till, victim):
    command_id, request = uuid4(), shift()
    with victim.terminal() as terminal:
        first = terminal.command("orders", "open_shift", request, command_id=command_id)
        again = terminal.command("orders", "open_shift", request, command_id=command_id)
    assert again == first

    with till.terminal() as terminal:

        def send(command_id: UUID, request: dict[str, Any], expires_at: str) -> Any:
            own = {"command_id": str(command_id), "expires_at": expires_at}
            return terminal.call("orders", "open_shift", {**request, **own})

        soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
        assert refused(lambda: send(command_id, request, soon)) == "command_id_reused"
        assert refused(lambda: send(command_id, shift(), soon)) == "command_id_reused"
        late = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        assert refused(lambda: send(uuid4(), shift(), late)) == "expired"
