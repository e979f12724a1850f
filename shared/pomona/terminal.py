"""The client of a store terminal, a service or a script: calls with a deadline and a command id."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import amqp

from pomona import frames, trace, wire
from pomona.broker import (
    ConnectionLost,
    body_of,
    close,
    connect,
    open_channel,
    pump,
    user_of,
)
from pomona.broker_access import RPC_EXCHANGE
from pomona.envelope import Envelope, unseal
from pomona.errors import Forbidden, Refused, SourceForgot, Unauthenticated, Unavailable

DIRECT_REPLY = "amq.rabbitmq.reply-to"
TIMEOUT = 10.0
PAUSE_SECONDS = 0.5
IDLE_SECONDS = 1.0

Token = str | Callable[[], str]


class Outstanding:
    """A call that was sent and is not answered yet."""

    __slots__ = ("body", "deadline", "id", "lost", "sent_at")

    def __init__(self, timeout: float) -> None:
        self.id = str(uuid4())
        self.sent_at = time.monotonic()
        self.deadline = self.sent_at + timeout
        self.body: bytes | None = None
        self.lost = False


class Terminal:
    """Calls services: the broker says from which machine, the token says which person.

    Answers come back on the connection itself (direct reply-to), so nothing is declared, bound or
    read, and nobody else can listen. Use one per thread. Not connected until the first call;
    connects again by itself after a failure. Nothing waits longer than its call's deadline.
    """

    def __init__(self, amqp_uri: str, token: Token = "", *, locale: str = "en") -> None:
        self._uri = amqp_uri
        self._user = user_of(amqp_uri)
        self._token = token
        self._locale = locale
        self._connection: amqp.Connection | None = None
        self._channel: amqp.Channel | None = None
        self._used_at = 0.0
        self._heard_at = 0.0
        self._outstanding: dict[str, Outstanding] = {}

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
        again with the same `command_id` is safe. What the caller gave up on is dropped at the
        broker after its timeout, and begun nowhere later than a minute after `expires_at`: so
        far apart may the clocks of terminals and services be.
        """
        expires_at = datetime.now(UTC) + timedelta(seconds=patience + timeout)
        sent = {
            **request,
            "command_id": str(command_id or uuid4()),
            "expires_at": expires_at.isoformat(),
        }
        until = time.monotonic() + patience
        while True:
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
        return self.answer(self.send(service, method, request, timeout=timeout))

    def send(
        self,
        service: str,
        method: str,
        request: Mapping[str, Any],
        *,
        timeout: float = TIMEOUT,
    ) -> Outstanding:
        """Send a call without waiting, so that several can be on their way at once.

        Raises `Refused` where the broker does not let us in, or `Unavailable`.
        """
        call = Outstanding(timeout)
        try:
            channel = self._open(timeout)
            self._outstanding[call.id] = call
            self._publish(channel, f"{service}.{method}", request, call, timeout)
        except (*ConnectionLost, TimeoutError) as error:
            self._outstanding.pop(call.id, None)
            raise self._failed(error) from None
        return call

    def answer(self, call: Outstanding) -> dict[str, Any]:
        """Wait for the answer to a call. Raises `Refused` or `Unavailable`."""
        try:
            while call.body is None and not call.lost:
                self._hear(call.deadline)
        except (*ConnectionLost, TimeoutError) as error:
            # one late answer is the service's; a connection that brings none at all is dead
            if isinstance(error, TimeoutError) and self._heard_at > call.sent_at:
                raise Unavailable from None
            raise self._failed(error) from None
        finally:
            self._used_at = time.monotonic()
            self._outstanding.pop(call.id, None)
        if call.body is None:
            raise Unavailable
        return _result(wire.decode(call.body, limit=64 * wire.MAX_BYTES), call.id)

    def close(self) -> None:
        connection = self._connection
        self._forget()
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

    def _hear(self, until: float) -> None:
        """Take what the broker sends next. Raises TimeoutError or one of `ConnectionLost`."""
        left = until - time.monotonic()
        if left <= 0 or self._connection is None:
            raise TimeoutError
        self._connection.drain_events(timeout=left)

    def _failed(self, error: BaseException) -> Refused | Unavailable:
        """Leave a connection that failed, at once: a broker that is stuck answers no farewell."""
        connection = self._connection
        self._forget()
        if connection is not None:
            connection.collect()
        if isinstance(error, amqp.exceptions.AccessRefused):
            # before there is a connection our password is refused, later the method we named
            refusal = Unauthenticated() if connection is None else Forbidden()
            return Refused(refusal.code, refusal.sentence(self._locale))
        return Unavailable()

    def _forget(self) -> None:
        self._connection = self._channel = None
        for call in self._outstanding.values():
            call.lost = True
        self._outstanding.clear()

    def _open(self, timeout: float) -> amqp.Channel:
        if self._channel is not None and not self._hung_up():
            return self._channel
        self.close()
        connection = connect(self._uri, timeout)
        # from here on it is closed with us, whatever fails
        self._connection = connection
        with connection.transport.having_timeout(timeout):
            channel = open_channel(connection)
            channel.basic_consume(DIRECT_REPLY, no_ack=True, callback=self._replied)
        channel.events["basic_return"].add(self._returned)
        self._channel = channel
        return channel

    def _hung_up(self) -> bool:
        """Say whether the broker has gone, or dropped us, while we had nothing to ask."""
        if self._outstanding or time.monotonic() - self._used_at < IDLE_SECONDS:
            return False
        try:
            pump(self._connection, 0.001)
        except ConnectionLost:
            return True
        return False

    def _publish(
        self,
        channel: amqp.Channel,
        key: str,
        request: Mapping[str, Any],
        call: Outstanding,
        timeout: float,
    ) -> None:
        headers = {
            "nameko.locale": self._locale,
            "nameko.correlation_id": call.id,
            "nameko.traceparent": trace.outgoing(),
            "nameko.timeout": f"{timeout:.3f}",
        }
        token = self._token if isinstance(self._token, str) else self._token()
        if token:
            headers["nameko.token"] = token
        properties = frames.call_properties(
            headers,
            correlation_id=call.id,
            reply_to=DIRECT_REPLY,
            # a call that nobody took before its deadline is not carried out later
            expiration=str(int(timeout * 1000)),
            # the broker checks it: nobody can call from somebody else's machine
            user_id=self._user,
        )
        body = wire.encode({"args": [], "kwargs": dict(request)})
        message = frames.publish(
            channel.channel_id, RPC_EXCHANGE, key, properties, body, mandatory=True
        )
        transport = channel.connection.transport
        with transport.having_timeout(timeout):
            transport.write(message)

    def _replied(self, message: amqp.Message) -> None:
        self._heard_at = time.monotonic()
        call = self._outstanding.get(message.properties.get("correlation_id"))
        if call is not None:
            call.body = body_of(message)

    def _returned(self, *details: Any) -> None:
        # no queue is bound: the service has never run here
        call = self._outstanding.get(details[-1].properties.get("correlation_id"))
        if call is not None:
            call.lost = True


class LogOf:
    """The log of another service, asked over RPC."""

    def __init__(self, terminal: Terminal, service: str) -> None:
        self._terminal = terminal
        self._service = service

    def after(self, position: int, limit: int) -> tuple[list[Envelope], int]:
        """Return up to `limit` events after a position, and how many there are in all.

        Raises TimeoutError where the service does not answer, and `SourceForgot` where it has no
        event at that position any more.
        """
        try:
            answer = self._terminal.ask(
                self._service, "events_after", {"position": position, "limit": limit}
            )
        except Unavailable:
            raise TimeoutError(self._service) from None
        if not answer["known"]:
            raise SourceForgot(position)
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
