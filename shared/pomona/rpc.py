"""The RPC server of a service: takes calls from its queue, hands them over, answers them."""

import json
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import amqp
from eventsourcing.persistence import PersistenceError
from nameko.extensions import ProviderCollector, SharedExtension

from pomona import errors, metrics, wire
from pomona.append import DatabaseLost
from pomona.broker import (
    LARGEST_MESSAGE,
    ConnectionLost,
    body_of,
    close,
    connect,
    fits,
    is_fatal,
    open_channel,
    pump,
)
from pomona.broker_access import DEAD_LETTERS, RPC_EXCHANGE, calls_of
from pomona.call import Call, printable
from pomona.failpoints import reach
from pomona.journal import logger

if TYPE_CHECKING:
    from pomona.host import Spine

log = logger(__name__)
# Where an answer may go, and nowhere else: to a queue of a stock nameko client, bound by its UUID,
# or to the connection that asked, by an address that the broker made and nobody can guess.
REPLY_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REPLY_DIRECT = re.compile(r"amq\.rabbitmq\.reply-to\.[\w+/=-]{1,160}\.[\w+/=-]{1,80}", re.ASCII)
RETRY_SECONDS = 1.0
TOO_MUCH = "答复过大，请缩小查询范围。|The answer is larger than a message may be: ask for less."


class RpcServer(SharedExtension, ProviderCollector):  # type: ignore[misc]
    """Takes the calls of a service from its queue and answers them on one cached channel."""

    spine: "Spine"
    connected = False

    def setup(self) -> None:
        self._channel: Any = None
        self._writing = threading.Lock()
        self._stopping = False
        self._in_hand = 0

    def start(self) -> None:
        self._schemas = {name: request.schema() for name, request in self.spine.requests.items()}
        self._doors = {provider.method_name: provider for provider in self._providers}
        for method in set(self._doors) ^ set(self.spine.requests):
            raise TypeError(f"{self.spine.service}.{method} has no contract, or no method")
        for method in self._doors:
            metrics.rpc_requests.labels(method, "ok")
        self.container.spawn_managed_thread(self._run, identifier="rpc")

    def take_no_more(self) -> None:
        """Leave new calls to others; those in hand are still answered."""
        self._stopping = True

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._serve()
            except ConnectionLost as error:
                if is_fatal(error):
                    raise
                log.warning("rpc_interrupted", error=type(error).__name__)
            finally:
                self.connected = False
                metrics.amqp_connected.labels("rpc").set(0)
            if not self._stopping:
                time.sleep(RETRY_SECONDS)

    def _serve(self) -> None:
        connection = connect(self.spine.settings.amqp)
        try:
            channel = open_channel(connection)
            queue = calls_of(self.spine.service)
            channel.queue_declare(queue, durable=True, auto_delete=False)
            channel.queue_bind(queue, RPC_EXCHANGE, f"{self.spine.service}.*")
            channel.basic_qos(0, self.container.max_workers, a_global=False)
            channel.basic_consume(queue, consumer_tag="rpc", callback=self._arrived)
            self._channel = channel
            self.connected = True
            metrics.amqp_connected.labels("rpc").set(1)
            while not self._stopping:
                pump(connection, 0.5, self._writing)
            with self._writing:
                channel.basic_cancel("rpc", nowait=True)
            while self._in_hand:
                pump(connection, 0.1, self._writing)
        finally:
            close(connection)

    def _arrived(self, message: amqp.Message) -> None:
        try:
            self._take_in(message)
        except ConnectionLost:
            raise
        except Exception as error:  # noqa: BLE001 - no message may end the process that reads it
            log.warning("message_undigested", defect=type(error).__name__)
            self._bury(message, "defect")

    def _take_in(self, message: amqp.Message) -> None:
        reason = fits(message, (wire.CONTENT_TYPE,)) or self._misdirected(message)
        if reason is None:
            body = _body(body_of(message))
            if isinstance(body, dict) and isinstance(body.get("kwargs"), dict):
                self._spawn(message, body)
                return
            # the envelope is sound, so the caller can be told
            metrics.invalid_messages.labels("body").inc()
            problem = '需要 {"args": [], "kwargs": {...}}。|Send {"args": [], "kwargs": {...}}.'
            self._refuse(message, errors.InvalidRequest(field="body", problem=problem))
            return
        self._bury(message, reason)

    def _misdirected(self, message: amqp.Message) -> str | None:
        """Return why a message did not come the way calls come, or None where it did.

        Permissions look at the routing key alone, so what came by another way - a copy, another
        exchange, the default one - may be from somebody who must not call us.
        """
        way = message.delivery_info
        service, _, _ = way["routing_key"].partition(".")
        if service != self.spine.service or way["exchange"] != RPC_EXCHANGE:
            return "routing_key"
        headers = message.properties.get("application_headers") or {}
        if "CC" in headers or "BCC" in headers:
            return "copies"
        return None if reply_address(message) is not None else "reply_to"

    def _spawn(self, message: amqp.Message, body: dict[str, Any]) -> None:
        method = printable(message.delivery_info["routing_key"].partition(".")[2])
        channel = self._channel
        contract = self.spine.requests.get(method)
        if contract is None:
            self._refuse(message, errors.UnknownMethod(field="method", method=method))
            return
        if body.get("args"):
            problem = "只接受命名参数。|Name every field."
            self._refuse(message, errors.InvalidRequest(field="args", problem=problem))
            return
        if len(message.body) > wire.MAX_BYTES:
            metrics.invalid_messages.labels("too_large").inc()
            self._refuse(message, too_large(body["kwargs"]))
            return
        call = Call(
            contract=contract,
            schema=self._schemas[method],
            spine=self.spine,
            headers=message.properties.get("application_headers") or {},
            kwargs=body["kwargs"],
            broker_user=message.properties.get("user_id") or "",
        )
        started = time.perf_counter()
        self._in_hand += 1
        metrics.rpc_in_progress.inc()

        def handle_result(_context: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
            metrics.rpc_in_progress.dec()
            refusal = None if exc_info is None else _refusal(exc_info[1])
            outcome = "ok" if refusal is None else _outcome(refusal)
            seconds = time.perf_counter() - started
            metrics.rpc_requests.labels(method, outcome).inc()
            metrics.rpc_duration.labels(method).observe(seconds)
            log.info(
                "call",
                method=method,
                outcome=outcome if refusal is None else refusal.code,
                **call.ids,
                milliseconds=round(seconds * 1000, 1),
                **_defect(exc_info, refusal),
            )
            self._answer(message, channel, result, refusal)
            self._in_hand -= 1
            return None, None

        self.container.spawn_worker(self._doors[method], (call,), {}, handle_result=handle_result)

    def _refuse(self, message: amqp.Message, refusal: errors.Refusal) -> None:
        """Refuse a call before it is one; what the caller named is no label of ours."""
        metrics.rpc_requests.labels("unknown", _outcome(refusal)).inc()
        self._answer(message, self._channel, None, refusal)

    def _answer(
        self, message: amqp.Message, channel: Any, result: Any, refusal: errors.Refusal | None
    ) -> None:
        address = reply_address(message)
        if address is None:
            return
        headers = message.properties.get("application_headers") or {}
        correlation_id = message.properties.get("correlation_id") or ""
        locale = str(headers.get("nameko.locale") or "en")
        body = wire.encode(
            {"result": result, "error": refusal and _wire_error(refusal, locale, correlation_id)}
        )
        if len(body) > LARGEST_MESSAGE:
            # the broker would close the channel over it
            self._answer(message, channel, None, errors.InvalidRequest("body", problem=TOO_MUCH))
            return
        answer = amqp.Message(
            body,
            content_type=wire.CONTENT_TYPE,
            content_encoding="utf-8",
            correlation_id=correlation_id,
            delivery_mode=1,
        )
        try:
            with self._writing:
                channel.basic_publish(answer, *address)
                reach("reply.before_ack")
                channel.basic_ack(message.delivery_tag)
        except (*ConnectionLost, AttributeError):
            # the broker will deliver the call again; a command answers as before
            log.warning("reply_lost")

    def _bury(self, message: amqp.Message, reason: str) -> None:
        """Leave word of a message that cannot be answered where operators find it.

        Its body is neither logged nor kept: it may be about a person, and what a broker has once
        written to its disk nobody can erase.
        """
        metrics.messages_dead_lettered.labels(reason).inc()
        log.warning("message_unreadable", reason=reason)
        letter = amqp.Message(
            b"",
            delivery_mode=2,
            application_headers={"reason": reason, "queue": calls_of(self.spine.service)},
        )
        with self._writing:
            self._channel.basic_publish(letter, DEAD_LETTERS, "")
            self._channel.basic_ack(message.delivery_tag)


def reply_address(message: amqp.Message) -> tuple[str, str] | None:
    """Return exchange and routing key for the answer, or None where it must not be answered."""
    reply_to = message.properties.get("reply_to")
    if not isinstance(reply_to, str):
        return None
    if REPLY_DIRECT.fullmatch(reply_to):
        return "", reply_to
    return (RPC_EXCHANGE, reply_to) if REPLY_KEY.fullmatch(reply_to) else None


def _refusal(error: BaseException) -> errors.Refusal:
    if isinstance(error, errors.Refusal):
        return error
    if isinstance(error, DatabaseLost):
        return errors.Unavailable()
    return errors.Internal()


def _body(raw: bytes) -> Any:
    """Decode a request; NaN and Infinity stay in it, for the schema to name their field."""
    try:
        return wire.decode(raw, limit=LARGEST_MESSAGE)
    except wire.Undecodable:
        if len(raw) > wire.MAX_BYTES:
            return None
        try:
            body = json.loads(raw)
            wire.encode(body)  # what cannot be written again, such as a surrogate, goes no further
        except (ValueError, TypeError, RecursionError):
            return None
        return body


def too_large(kwargs: dict[str, Any]) -> errors.Refusal:
    """Name the field that makes a request larger than a message may be."""
    largest = max(kwargs, key=lambda field: _size(kwargs[field]), default="body")
    problem = f"请求不得超过 {wire.MAX_BYTES} 字节。|A request has at most {wire.MAX_BYTES} bytes."
    return errors.InvalidRequest(field=str(largest)[:60], problem=problem)


def _size(value: Any) -> int:
    try:
        return len(wire.encode(value))
    except TypeError:  # nested deeper than can be written
        return wire.MAX_BYTES


def _outcome(refusal: errors.Refusal) -> str:
    return {
        "unauthenticated": "denied",
        "forbidden": "denied",
        "conflict": "conflict",
        "unavailable": "unavailable",
        "internal": "error",
        "expired": "timeout",
    }.get(refusal.code, "invalid")


def _defect(exc_info: Any, refusal: errors.Refusal | None) -> dict[str, Any]:
    """Return where an unexpected error came from; its words may hold personal data."""
    if not isinstance(refusal, errors.Internal):
        return {}
    frame = exc_info[2]
    while frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}"
    defect = {"defect": type(exc_info[1]).__name__, "where": where}
    if isinstance(exc_info[1], PersistenceError):
        defect["cause"] = type(exc_info[1].__cause__).__name__
    return defect


def _wire_error(refusal: errors.Refusal, locale: str, correlation_id: str) -> dict[str, Any]:
    sentence = refusal.sentence(locale)
    return {
        "exc_type": refusal.code,
        "exc_path": f"pomona.{refusal.code}",
        "exc_args": [sentence],
        "value": sentence,
        "detail": {
            "code": refusal.code,
            "field": refusal.field,
            "zh": refusal.sentence("zh"),
            "en": refusal.sentence("en"),
            "correlation_id": printable(correlation_id),
        },
    }
