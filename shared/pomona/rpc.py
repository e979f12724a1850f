"""The RPC server of a service: takes calls from its queue, hands them over, answers them."""

import json
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import amqp
import eventlet
from eventlet.queue import LightQueue
from eventsourcing.persistence import PersistenceError
from nameko.extensions import DependencyProvider, ProviderCollector, SharedExtension

from pomona import errors, frames, metrics, wire
from pomona.answers import Answers
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
from pomona.journal import logger
from pomona.rates import Rates

if TYPE_CHECKING:
    from pomona.host import Spine

log = logger(__name__)
# Where an answer may go, and nowhere else: to a queue of a stock nameko client, bound by its UUID,
# or to the connection that asked, by an address that the broker made and nobody can guess.
REPLY_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REPLY_DIRECT = re.compile(r"amq\.rabbitmq\.reply-to\.[\w+/=-]{1,160}\.[\w+/=-]{1,80}", re.ASCII)
RETRY_SECONDS = 1.0
TOO_MUCH = "答复过大，请缩小查询范围。|The answer is larger than a message may be: ask for less."


class OutOfTime(Exception):  # noqa: N818 - no error of ours
    """Raised wherever a call stands when its deadline passes.

    An ordinary exception, since a pool gives up a waiting client's place only on one of those: a
    place that is not given up swallows a connection later, for ever.
    """


class Taken:
    """A message in hand: where its answer goes, and what it was delivered as."""

    __slots__ = ("answers", "correlation_id", "exchange", "headers", "key", "locale", "tag")

    def __init__(self, message: amqp.Message, answers: Answers, address: tuple[str, str]) -> None:
        properties = message.properties
        self.answers = answers
        self.exchange, self.key = address
        self.tag: int = message.delivery_info["delivery_tag"]
        self.headers: dict[str, Any] = properties.get("application_headers") or {}
        self.correlation_id: str = properties.get("correlation_id") or ""
        self.locale = str(self.headers.get("nameko.locale") or "en")

    def answer(self, result: Any, refusal: errors.Refusal | None) -> None:
        error = refusal and _wire_error(refusal, self.locale, self.correlation_id)
        body = wire.encode({"result": result, "error": error})
        if len(body) > LARGEST_MESSAGE:
            # the broker would close the channel over it
            self.answer(None, errors.InvalidRequest("body", problem=TOO_MUCH))
            return
        properties = frames.answer_properties(self.correlation_id)
        self.answers.add(self.tag, self.exchange, self.key, properties, body)


class RpcServer(SharedExtension, ProviderCollector):  # type: ignore[misc]
    """Takes the calls of a service from its queue and answers them on one channel.

    Its workers live as long as the service and share one instance of it: making a greenlet, a
    context and an instance for each call costs more than most calls do.
    """

    spine: "Spine"
    connected = False

    def setup(self) -> None:
        self._writing = threading.Lock()
        self._stopping = False
        self._in_hand = 0
        self._idle = threading.Event()
        self._waiting: Any = LightQueue()
        self._rates = Rates()

    def start(self) -> None:
        doors = {provider.method_name for provider in self._providers}
        for method in doors ^ set(self.spine.requests):
            raise TypeError(f"{self.spine.service}.{method} has no contract, or no method")
        service = self._service()
        self._methods = {method: getattr(service, method) for method in doors}
        for method in doors:
            metrics.rpc_requests.labels(method, "ok")
        spawn = self.container.spawn_managed_thread
        for number in range(self.container.max_workers):
            spawn(self._work, identifier=f"worker.{number}")
        spawn(self._run, identifier="rpc")

    def take_no_more(self) -> None:
        """Leave new calls to others, and return when those in hand are answered."""
        self._stopping = True
        self._idle.wait()

    def _service(self) -> Any:
        service = self.container.service_cls()
        for dependency in self.container.dependencies:
            for hook in ("worker_setup", "worker_result", "worker_teardown"):
                if getattr(type(dependency), hook) is not getattr(DependencyProvider, hook):
                    raise TypeError(f"{dependency.attr_name}: {hook} is never called here")
            setattr(service, dependency.attr_name, dependency.get_dependency(None))
        return service

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._serve_once()
        finally:
            self._idle.set()

    def _serve_once(self) -> None:
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
            # as many again wait here: no worker idles while the broker is asked for more
            channel.basic_qos(0, 2 * self.container.max_workers, a_global=False)
            answers = Answers(connection, channel, self._writing)

            def arrived(message: amqp.Message) -> None:
                self._arrived(message, channel, answers)

            channel.basic_consume(queue, consumer_tag="rpc", callback=arrived)
            sending = eventlet.spawn(answers.send)
            try:
                self._take_until_stopped(connection, channel)
            finally:
                answers.finish()
                sending.wait()
        finally:
            close(connection)

    def _take_until_stopped(self, connection: amqp.Connection, channel: amqp.Channel) -> None:
        self.connected = True
        metrics.amqp_connected.labels("rpc").set(1)
        while not self._stopping:
            pump(connection, 0.5, self._writing)
        with self._writing:
            channel.basic_cancel("rpc", nowait=True)
        while self._in_hand:
            pump(connection, 0.1, self._writing)

    def _arrived(self, message: amqp.Message, channel: amqp.Channel, answers: Answers) -> None:
        reason: str | None
        try:
            reason = self._take_in(message, answers)
        except ConnectionLost:
            raise
        except Exception as error:  # noqa: BLE001 - no message may end the process that reads it
            log.warning("message_undigested", defect=type(error).__name__)
            reason = "defect"
        if reason is not None:
            self._bury(channel, reason)
            answers.acknowledge(message.delivery_info["delivery_tag"])

    def _take_in(self, message: amqp.Message, answers: Answers) -> str | None:
        """Put a call where a worker finds it, or refuse it; return why it cannot be answered."""
        address = reply_address(message)
        reason = fits(message, (wire.CONTENT_TYPE,)) or self._misdirected(message)
        if reason is not None or address is None:
            return reason or "reply_to"
        taken = Taken(message, answers, address)
        user = message.properties.get("user_id") or ""
        # before anything is decoded: a flood must cost us less than its maker
        if not self._rates.allows(user):
            metrics.invalid_messages.labels("too_many_requests").inc()
            _refuse(taken, errors.TooManyRequests())
            return None
        body = _body(body_of(message))
        if not isinstance(body, dict) or not isinstance(body.get("kwargs"), dict):
            # the envelope is sound, so the caller can be told
            metrics.invalid_messages.labels("body").inc()
            problem = '需要 {"args": [], "kwargs": {...}}。|Send {"args": [], "kwargs": {...}}.'
            _refuse(taken, errors.InvalidRequest(field="body", problem=problem))
            return None
        method = printable(message.delivery_info["routing_key"].partition(".")[2])
        contract = self.spine.requests.get(method)
        if contract is None:
            _refuse(taken, errors.UnknownMethod(field="method", method=method))
        elif body.get("args"):
            problem = "只接受命名参数。|Name every field."
            _refuse(taken, errors.InvalidRequest(field="args", problem=problem))
        elif len(message.body) > wire.MAX_BYTES:
            metrics.invalid_messages.labels("too_large").inc()
            _refuse(taken, too_large(body["kwargs"]))
        else:
            call = Call(
                contract=contract,
                spine=self.spine,
                headers=taken.headers,
                kwargs=body["kwargs"],
                broker_user=user,
            )
            self._in_hand += 1
            metrics.rpc_in_progress.inc()
            self._waiting.put((call, taken, time.perf_counter()))
        return None

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
        return "copies" if "CC" in headers or "BCC" in headers else None

    def _work(self) -> None:
        while True:
            call, taken, started = self._waiting.get()
            try:
                self._carry_out(call, taken, started)
            finally:
                metrics.rpc_in_progress.dec()
                self._in_hand -= 1

    def _carry_out(self, call: Call, taken: Taken, started: float) -> None:
        method = call.contract.method
        result: Any = None
        refusal: errors.Refusal | None = None
        defect: dict[str, str] = {}
        try:
            # whoever asked has gone by then, and the worker is wanted by others
            with eventlet.Timeout(call.seconds_left, OutOfTime):
                result = self._methods[method](call)
        except OutOfTime:
            refusal = errors.TookTooLong()
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is answered
            refusal = _refusal(error)
            if isinstance(refusal, errors.Internal):
                defect = _defect(error)
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
            **defect,
        )
        taken.answer(result, refusal)

    def _bury(self, channel: amqp.Channel, reason: str) -> None:
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
            channel.basic_publish(letter, DEAD_LETTERS, "")


def _refuse(taken: Taken, refusal: errors.Refusal) -> None:
    """Refuse a call before it is one; what the caller named is no label of ours."""
    metrics.rpc_requests.labels("unknown", _outcome(refusal)).inc()
    taken.answer(None, refusal)


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
    if isinstance(refusal, errors.TookTooLong):
        return "timeout"
    return {
        "unauthenticated": "denied",
        "forbidden": "denied",
        "too_many_requests": "denied",
        "conflict": "conflict",
        "unavailable": "unavailable",
        "internal": "error",
        "expired": "timeout",
    }.get(refusal.code, "invalid")


def _defect(error: BaseException) -> dict[str, str]:
    """Return where an unexpected error came from; its words may hold personal data."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    defect = {"defect": type(error).__name__}
    if frame is not None:
        code = frame.tb_frame.f_code
        defect["where"] = f"{code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}"
    if isinstance(error, PersistenceError):
        defect["cause"] = type(error.__cause__).__name__
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
