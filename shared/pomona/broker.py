"""AMQP as every service uses it: confirmed publishing in windows, consuming in order."""

import ssl
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import amqp
from amqp import abstract_channel, serialization
from amqp.exceptions import AMQPError
from amqp.spec import Basic

from pomona import frames
from pomona.broker_access import IN_ORDER, exchange_of, inbox_of
from pomona.envelope import Envelope
from pomona.failpoints import reach
from pomona.metrics import amqp_connected, certificate_expires, outbox_published, outbox_unroutable

HEARTBEAT = 8  # a dead peer is noticed after two, and a look: within 20 seconds
CONNECT_TIMEOUT = 5.0
WAIT_TIMEOUT = 20.0
READ_AHEAD = 64 * 1024
CONFIRM_TIMEOUT = 20.0
AT_ONCE = 20  # events to one write
NOT_FOUND, PRECONDITION_FAILED, INTERNAL_ERROR = 404, 406, 541
LARGEST_MESSAGE = 2 * 1024 * 1024  # what the broker lets through
# Without connection.blocked: with it, py-amqp reads before each publish, so that the next message
# is handled in the middle of answering the last one, by whoever answers.
CAPABILITIES = {"consumer_cancel_notify": True, "authentication_failure_close": True}

ConnectionLost = (amqp.exceptions.AMQPError, OSError)


_read_properties = serialization.PROPERTY_CLASSES[Basic.CLASS_ID]
_read_arguments = serialization.loads


def _readable_properties(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
    """Read a message's properties; where that fails it has none, and is refused for it.

    By itself py-amqp raises out of the connection, and again after each redelivery.
    """
    try:
        properties: tuple[dict[str, Any], int] = _read_properties(buffer, offset)
    except (ValueError, OverflowError, LookupError, RecursionError, struct.error, AMQPError):
        return {}, offset
    return properties


def _readable_arguments(form: str, buffer: bytes, offset: int) -> tuple[list[Any], int]:
    """Read a method's arguments; a routing key, which comes last, may hold any bytes."""
    try:
        arguments: tuple[list[Any], int] = _read_arguments(form, buffer, offset)
    except UnicodeDecodeError:
        values, start = _read_arguments(form[:-1], buffer, offset)
        end = start + 1 + buffer[start]
        return [*values, bytes(buffer[start + 1 : end]).decode("utf-8", "replace")], end
    return arguments


serialization.PROPERTY_CLASSES[Basic.CLASS_ID] = _readable_properties
abstract_channel.loads = _readable_arguments


def connect(uri: str, timeout: float = CONNECT_TIMEOUT) -> amqp.Connection:
    """Open a connection; waits are bounded, a dead peer is noticed by heartbeats.

    With `amqps:` the broker must show a certificate of that host, by an authority in the file that
    the URI's `cacertfile` names, or else by one that this machine trusts.
    """
    parts = urlsplit(uri)
    tls = _tls(parts) if parts.scheme == "amqps" else None
    connection = amqp.Connection(
        host=f"{parts.hostname}:{parts.port or (5671 if tls else 5672)}",
        ssl=tls,
        userid=user_of(uri),
        password=unquote(parts.password or ""),
        virtual_host=unquote(parts.path[1:]) or "/",
        heartbeat=HEARTBEAT,
        connect_timeout=min(CONNECT_TIMEOUT, timeout),
    )
    connection.negotiate_capabilities = CAPABILITIES
    with closed_on_failure(connection):
        connection.connect()
        transport = connection.transport
        if isinstance(transport.sock, ssl.SSLSocket):
            shown = transport.sock.getpeercert() or {}
            certificate_expires.labels("broker").set(
                ssl.cert_time_to_seconds(str(shown["notAfter"]))
            )
        transport._quick_recv = _ReadAhead(transport._quick_recv)  # noqa: SLF001 - no other way in
        # py-amqp's own read and write timeouts are socket options, which eventlet does not heed
        transport.sock.settimeout(WAIT_TIMEOUT)
    return connection


def user_of(uri: str) -> str:
    """Return the account that a URI logs in with."""
    return unquote(urlsplit(uri).username or "")


class _ReadAhead:
    """Reads what the broker has sent in one go; py-amqp asks the socket nine times a message."""

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._ahead = b""
        self._at = 0

    def __call__(self, size: int) -> bytes:
        if self._at == len(self._ahead):
            self._ahead, self._at = self._receive(READ_AHEAD), 0
        start = self._at
        piece = self._ahead[start : start + size]
        self._at = start + len(piece)
        return piece


def _tls(parts: SplitResult) -> dict[str, Any]:
    options = {
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": parts.hostname,  # its certificate must be for this name
        "tls_minimum_version": ssl.TLSVersion.TLSv1_2,
    }
    given = dict(parse_qsl(parts.query))
    return options | {"ca_certs": given["cacertfile"]} if "cacertfile" in given else options


@contextmanager
def closed_on_failure(connection: amqp.Connection) -> Iterator[None]:
    """Leave no socket behind where opening or declaring something fails half-way."""
    try:
        yield
    except BaseException:
        connection.collect()
        raise


def open_channel(connection: amqp.Connection) -> amqp.Channel:
    """Open a channel that leaves bodies as bytes, whatever encoding a message claims."""
    channel = connection.channel()
    channel.auto_decode = False
    return channel


def declare_event_exchange(channel: amqp.Channel, service: str) -> str:
    """Declare the exchange that a service's events go to, and return its name."""
    exchange = exchange_of(service)
    channel.exchange_declare(exchange, "topic", durable=True, auto_delete=False)
    return exchange


class Publisher:
    """Publishes events and returns when the broker has taken responsibility for every one."""

    def __init__(self, uri: str, service: str) -> None:
        # the broker checks it: nobody can publish in our name
        self._user = user_of(uri)
        self._connection = connect(uri)
        with closed_on_failure(self._connection):
            self._channel = self._connection.channel()
            self._exchange = declare_event_exchange(self._channel, service)
            self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)
        self._channel.events["basic_return"].add(self._returned)
        self._last_tag = 0
        self._first_open = 1
        self._unconfirmed: set[int] = set()
        self._refused = 0
        amqp_connected.labels("relay").set(1)

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Publish a window of events. Raises one of `ConnectionLost` unless all are confirmed."""
        self.send(envelopes)
        self.confirm()

    def send(self, envelopes: Sequence[Envelope]) -> None:
        """Hand a window of events to the broker, which may not have taken them yet."""
        for start in range(0, len(envelopes), AT_ONCE):
            some = envelopes[start : start + AT_ONCE]
            self._connection.transport.write(
                b"".join(
                    frames.publish(
                        self._channel.channel_id,
                        self._exchange,
                        each.routing_key,
                        frames.event_properties(f"{each.source}-{each.position}", self._user),
                        each.raw,
                        mandatory=True,
                    )
                    for each in some
                )
            )
            self._connection.bytes_sent += len(some)  # so that no heartbeat is owed
            self._unconfirmed.update(range(self._last_tag + 1, self._last_tag + len(some) + 1))
            self._last_tag += len(some)
            reach("relay.publishing")
        reach("relay.published")

    def confirm(self) -> None:
        """Wait until the broker has taken all that was sent. Raises one of `ConnectionLost`."""
        deadline = time.monotonic() + CONFIRM_TIMEOUT
        waiting = len(self._unconfirmed)
        while self._unconfirmed:
            self._connection.drain_events(timeout=max(0.01, deadline - time.monotonic()))
        if self._refused:
            raise amqp.exceptions.MessageNacked
        outbox_published.labels("confirmed").inc(waiting)

    def keep_alive(self) -> None:
        """Answer the broker's heartbeats while there is nothing to publish."""
        pump(self._connection, 0.001)

    def close(self) -> None:
        amqp_connected.labels("relay").set(0)
        close(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _acked(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple)

    def _nacked(self, tag: int, multiple: bool, _requeue: bool = False) -> None:
        self._refused += 1
        outbox_published.labels("refused").inc()
        self._settle(tag, multiple)

    def _settle(self, tag: int, multiple: bool) -> None:
        # quorum queues confirm out of order: the set of open tags counts, not the highest one
        if multiple:
            self._unconfirmed.difference_update(range(self._first_open, tag + 1))
            self._first_open = tag + 1
        else:
            self._unconfirmed.discard(tag)

    def _returned(self, *_details: Any) -> None:
        # nobody is bound yet: a consumer that joins later reads the log, so nothing is lost
        outbox_unroutable.inc()


class Consumer:
    """Takes the events of one source, in order, for one consuming service.

    The queue has a single active consumer, so replicas stand by and order is kept. `afresh` makes
    the queue anew.
    """

    def __init__(
        self, uri: str, service: str, source: str, window: int, *, afresh: bool = False
    ) -> None:
        self._window = window
        self._arrived: list[tuple[int, amqp.Message]] = []
        self.cancelled = False
        self._connection = connect(uri)
        with closed_on_failure(self._connection):
            self._channel = open_channel(self._connection)
            self._channel.basic_qos(0, 2 * window, a_global=False)
            if afresh:
                self._channel.queue_delete(inbox_of(service, source))
            self._consume(inbox_of(service, source), source)

    def _consume(self, queue: str, source: str) -> None:
        # our own queue, which an operator may have deleted; the source's exchange is not ours
        self._channel.queue_declare(queue, durable=True, auto_delete=False, arguments=IN_ORDER)
        self._channel.queue_bind(queue, exchange_of(source), "#")
        self._channel.basic_consume(queue, callback=self._take, on_cancel=self._cancel)

    def collect(self, patience: float, linger: float) -> list[tuple[int, amqp.Message]]:
        """Wait up to `patience` seconds for a first message and `linger` for a full window."""
        deadline = time.monotonic() + patience
        while not self._arrived and time.monotonic() < deadline and not self.cancelled:
            pump(self._connection, min(1.0, deadline - time.monotonic()))
        deadline = time.monotonic() + linger
        while self._arrived and len(self._arrived) < self._window:
            left = deadline - time.monotonic()
            if left <= 0 or not pump(self._connection, left):
                break
        if self.cancelled:
            raise amqp.exceptions.ConsumerCancelled
        window, self._arrived = self._arrived[: self._window], self._arrived[self._window :]
        return window

    def done(self, last_tag: int) -> None:
        """Acknowledge every message up to this one."""
        self._channel.basic_ack(last_tag, multiple=True)

    def close(self) -> None:
        close(self._connection)

    def _take(self, message: amqp.Message) -> None:
        self._arrived.append((message.delivery_tag, message))

    def _cancel(self, _tag: str) -> None:
        # the queue was deleted: connect again, which declares it
        self.cancelled = True


def pump(
    connection: amqp.Connection,
    timeout: float,
    writing: AbstractContextManager[Any] = nullcontext(),  # noqa: B008 - holds no state
) -> bool:
    """Handle what the broker sent within `timeout` seconds; say whether anything came.

    Where others write to the connection too, `writing` keeps heartbeats out of their frames.
    """
    try:
        connection.drain_events(timeout=max(0.001, timeout))
    except TimeoutError:
        with writing:
            connection.heartbeat_tick()
        return False
    return True


def close(connection: amqp.Connection) -> None:
    """Close without waiting for a broker that may be gone."""
    try:
        if connection.connected:  # the broker may have closed it
            connection.transport.sock.settimeout(1)
        connection.close()
    except (*ConnectionLost, AttributeError):
        connection.collect()


def body_of(message: amqp.Message) -> bytes:
    body = message.body
    return body.encode() if isinstance(body, str) else bytes(body)


def fits(message: amqp.Message, content_types: Sequence[str]) -> str | None:
    """Return why a message must not even be decoded, or None where it may be."""
    headers = message.properties.get("application_headers") or {}
    if message.properties.get("content_type") not in content_types:
        return "content_type"
    if message.properties.get("content_encoding") not in (None, "utf-8", "binary"):
        return "content_encoding"
    if "compression" in headers:
        return "compression"
    if len(message.body) > LARGEST_MESSAGE:
        return "too_large"
    return None


def is_of_the_queue(error: BaseException) -> bool:
    """Say whether the broker has lost a queue, or what is in it, while it stands in its books."""
    return getattr(error, "reply_code", None) in (NOT_FOUND, INTERNAL_ERROR)


def is_fatal(error: BaseException) -> bool:
    """Say whether trying again cannot help, such as a queue declared with another type."""
    return getattr(error, "reply_code", None) == PRECONDITION_FAILED
