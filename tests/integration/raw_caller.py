"""A caller that sends any bytes and properties to a service, well-formed or not."""

import contextlib
import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Self
from uuid import UUID, uuid4

import amqp
import psutil

from pomona.broker import connect
from pomona.broker_access import DEAD_LETTERS, RPC_EXCHANGE
from pomona.contracts import Role
from pomona.identity import Actor
from pomona_console.stack import Stack, token_for

PATIENCE = 20.0


class RawCaller:
    """Publishes to the RPC exchange as a hostile or broken client would."""

    def __init__(self, stack: Stack) -> None:
        self.token = token(stack)
        self._connection = connect(stack.amqp_uri)
        self._channel = self._connection.channel()
        self._reply_to = str(uuid4())
        self._answers: list[dict[str, Any]] = []
        queue = f"rpc.reply-{self._reply_to}"
        self._channel.queue_declare(queue, exclusive=True)
        self._channel.queue_bind(queue, RPC_EXCHANGE, self._reply_to)
        self._channel.basic_consume(queue, no_ack=True, callback=self._answered)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(
        self,
        body: bytes = b'{"args": [], "kwargs": {}}',
        *,
        key: str | bytes = "orders.list_stores",
        exchange: str = RPC_EXCHANGE,
        headers: dict[str, Any] | None = None,
        **properties: Any,
    ) -> None:
        """Send a message that is sound but for what is given; a property of None is left out."""
        given = {
            "content_type": "application/json",
            "reply_to": self._reply_to,
            "correlation_id": str(uuid4()),
            "user_id": "pomona",
            "application_headers": {"nameko.token": self.token, **(headers or {})},
            **properties,
        }
        message = amqp.Message(body, **{name: value for name, value in given.items() if value})
        self._channel.basic_publish(message, exchange, key)

    def answer(self) -> dict[str, Any]:
        """Return the next answer. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while not self._answers:
            self._connection.drain_events(timeout=max(0.01, deadline - time.monotonic()))
        return self._answers.pop(0)

    def code(self) -> str:
        """Return what the next answer says: a code, or ok."""
        error = self.answer()["error"]
        return "ok" if error is None else error["detail"]["code"]

    def dead_letter(self) -> amqp.Message:
        """Take the next message from the place where unreadable messages go."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            letter = self._channel.basic_get(DEAD_LETTERS, no_ack=True)
            if letter is not None:
                return letter
            time.sleep(0.02)
        raise TimeoutError

    def forget_dead_letters(self) -> None:
        while self._channel.basic_get(DEAD_LETTERS, no_ack=True) is not None:
            pass

    def _answered(self, message: amqp.Message) -> None:
        self._answers.append(json.loads(message.body))


def token(
    stack: Stack, role: Role = "head_office", store: UUID | None = None, hours: float = 1
) -> str:
    actor = Actor("tester", role, store)
    return token_for(stack, actor, timedelta(hours=hours))


def metric(stack: Stack, service: str, name: str, **labels: str) -> float:
    """Return a metric of a service as it stands now, 0 where there is none."""
    port = stack.service(service)["http_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        text = page.read().decode()
    wanted = "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
    for line in text.splitlines():
        series, _, value = line.rpartition(" ")
        if series == name + (wanted if labels else ""):
            return float(value)
    return 0.0


@contextlib.contextmanager
def unharmed(stack: Stack, service: str, *, grown_by: int = 20 * 1024 * 1024) -> Iterator[None]:
    """Check that the process lives through the block, and that it does not swell."""
    before = stack.refreshed().service(service)
    process = psutil.Process(before["pid"])
    size = process.memory_info().rss
    yield
    after = stack.refreshed().service(service)
    assert (after["pid"], after["restarts"]) == (before["pid"], before["restarts"])
    assert process.memory_info().rss - size < grown_by


def eventually(holds: Any, seconds: float = 30.0) -> Any:
    """Return the first true value of `holds()`. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = holds()
        if value:
            return value
        time.sleep(0.05)
    raise TimeoutError(f"not within {seconds} s")
