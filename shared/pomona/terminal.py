"""The client of a store terminal, a service or a script: calls with a deadline and a command id."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import amqp

from pomona import trace, wire
from pomona.broker import ConnectionLost, close, connect, pump
from pomona.envelope import Envelope, unseal
from pomona.errors import Refused, Unavailable

RPC_EXCHANGE = "nameko-rpc"
TIMEOUT = 10.0
COMMAND_LIFETIME = timedelta(minutes=5)
PAUSE_SECONDS = 0.5
IDLE_SECONDS = 1.0


class Terminal:
    """Calls services as whoever the token names. Use one per thread.

    Not connected until the first call; connects again by itself after a failure.
    """

    def __init__(self, amqp_uri: str, token: str, *, locale: str = "en") -> None:
        self._uri = amqp_uri
        self._token = token
        self._locale = locale
        self._connection: amqp.Connection | None = None
        self._channel: amqp.Channel | None = None
        self._reply_to = ""
        self._used_at = 0.0
        self._replies: dict[str, bytes | None] = {}

    def command(
        self,
        service: str,
        method: str,
        request: Mapping[str, Any],
        *,
        command_id: UUID | None = None,
        timeout: float = TIMEOUT,
        patience: float = 0.0,
    ) -> dict[str, Any]:
        """Send a command that is applied once, and return its answer.

        While the service cannot be reached, or answers that it is unavailable or busy, the same
        command is sent again for up to `patience` seconds. Raises `Refused`, or `Unavailable`
        where nobody answered: then it is unknown whether the command was applied, and sending it
        again with the same `command_id` is safe.
        """
        command_id = command_id or uuid4()
        until = time.monotonic() + patience
        while True:
            expires_at = datetime.now(UTC) + COMMAND_LIFETIME
            sent = {**request, "command_id": str(command_id), "expires_at": expires_at.isoformat()}
            try:
                return self.call(service, method, sent, timeout=timeout)
            except Unavailable:
                if time.monotonic() >= until:
                    raise
            except Refused as refused:
                if refused.code not in ("unavailable", "conflict") or time.monotonic() >= until:
                    raise
            time.sleep(PAUSE_SECONDS)

    def ask(
        self,
        service: str,
        method: str,
        request: Mapping[str, Any] | None = None,
        *,
        timeout: float = TIMEOUT,
        patience: float = 0.0,
    ) -> dict[str, Any]:
        """Ask a question. Raises `Refused`, or `Unavailable` where nobody answered in time."""
        until = time.monotonic() + patience
        while True:
            try:
                return self.call(service, method, request or {}, timeout=timeout)
            except Unavailable:
                if time.monotonic() >= until:
                    raise
            time.sleep(PAUSE_SECONDS)

    def call(
        self,
        service: str,
        method: str,
        request: Mapping[str, Any],
        *,
        timeout: float = TIMEOUT,
    ) -> dict[str, Any]:
        """Make one call exactly as given. Raises `Refused` or `Unavailable`."""
        call_id = str(uuid4())
        deadline = time.monotonic() + timeout
        try:
            channel = self._open()
            self._replies[call_id] = None
            self._publish(channel, service, method, request, call_id, timeout)
            body = self._answer(call_id, deadline)
        except (*ConnectionLost, TimeoutError):
            self.close()
            raise Unavailable from None
        finally:
            self._used_at = time.monotonic()
            self._replies.pop(call_id, None)
        if body is None:
            raise Unavailable
        return _result(wire.decode(body, limit=64 * wire.MAX_BYTES), call_id)

    def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            close(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> amqp.Channel:
        if self._channel is not None and not self._hung_up():
            return self._channel
        self.close()
        connection = connect(self._uri)
        # from here on it is closed with us, whatever fails
        self._connection = connection
        channel = connection.channel()
        self._reply_to = str(uuid4())
        queue = f"rpc.reply-{self._reply_to}"
        channel.exchange_declare(RPC_EXCHANGE, "topic", durable=True, auto_delete=False)
        channel.queue_declare(queue, exclusive=True, auto_delete=True)
        channel.queue_bind(queue, RPC_EXCHANGE, self._reply_to)
        channel.basic_consume(queue, no_ack=True, callback=self._replied)
        channel.events["basic_return"].add(self._returned)
        self._channel = channel
        return channel

    def _hung_up(self) -> bool:
        """Say whether the broker has gone, or dropped us, while we had nothing to ask."""
        if time.monotonic() - self._used_at < IDLE_SECONDS:
            return False
        try:
            pump(self._connection, 0.001)
        except ConnectionLost:
            return True
        return False

    def _publish(
        self,
        channel: amqp.Channel,
        service: str,
        method: str,
        request: Mapping[str, Any],
        call_id: str,
        timeout: float,
    ) -> None:
        message = amqp.Message(
            wire.encode({"args": [], "kwargs": dict(request)}),
            content_type=wire.CONTENT_TYPE,
            content_encoding="utf-8",
            reply_to=self._reply_to,
            correlation_id=call_id,
            delivery_mode=1,
            # a call that nobody took before its deadline is not carried out later
            expiration=str(int(timeout * 1000)),
            application_headers={
                "nameko.token": self._token,
                "nameko.locale": self._locale,
                "nameko.correlation_id": call_id,
                "nameko.traceparent": trace.outgoing(),
                "nameko.deadline": f"{time.time() + timeout:.3f}",
            },
        )
        channel.basic_publish(message, RPC_EXCHANGE, f"{service}.{method}", mandatory=True)

    def _answer(self, call_id: str, deadline: float) -> bytes | None:
        connection = self._connection
        while connection is not None and self._replies.get(call_id) is None:
            if call_id not in self._replies:
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.drain_events(timeout=left)
        return self._replies.get(call_id)

    def _replied(self, message: amqp.Message) -> None:
        call_id = message.properties.get("correlation_id")
        if call_id in self._replies:
            body = message.body
            self._replies[call_id] = body.encode() if isinstance(body, str) else bytes(body)

    def _returned(self, *details: Any) -> None:
        # no queue is bound: the service has never run here
        self._replies.pop(details[-1].properties.get("correlation_id"), None)


class LogOf:
    """The log of another service, asked over RPC."""

    def __init__(self, terminal: Terminal, service: str) -> None:
        self._terminal = terminal
        self._service = service

    def after(self, position: int, limit: int) -> tuple[list[Envelope], int]:
        """Return up to `limit` events after a position, and how many there are in all.

        Raises TimeoutError where the service does not answer.
        """
        try:
            answer = self._terminal.ask(
                self._service, "events_after", {"position": position, "limit": limit}
            )
        except Unavailable:
            raise TimeoutError(self._service) from None
        return [unseal(wire.encode(event)) for event in answer["events"]], answer["pending"]


def _result(reply: Any, call_id: str) -> dict[str, Any]:
    error = reply.get("error")
    if error is None:
        result: dict[str, Any] = reply["result"]
        return result
    detail = error.get("detail") or {}
    raise Refused(
        code=detail.get("code", error.get("exc_type", "internal")),
        message=str(error.get("value", "")),
        field=detail.get("field"),
        correlation_id=detail.get("correlation_id", call_id),
    )
