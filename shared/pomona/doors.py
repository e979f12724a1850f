"""The doors of a service: a call comes in, is checked, handed over once, and answered."""

import json
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

import amqp
from eventsourcing.persistence import IntegrityError, PersistenceError
from marshmallow import Schema, ValidationError
from nameko.extensions import Entrypoint, ProviderCollector, SharedExtension, register_entrypoint

from pomona import errors, metrics, wire
from pomona.application import Application, Command, Question, now, request_hash
from pomona.broker import (
    DEAD_LETTERS,
    LARGEST_MESSAGE,
    ConnectionLost,
    body_of,
    close,
    connect,
    declare_dead_letters,
    fits,
    is_fatal,
    open_channel,
    pump,
)
from pomona.contracts import Request
from pomona.fields import Id, Moment, RequestSchema
from pomona.identity import STORE_ROLES, Actor
from pomona.inbox import DatabaseLost
from pomona.journal import logger
from pomona.terminal import RPC_EXCHANGE

if TYPE_CHECKING:
    from pomona.host import Spine

log = logger(__name__)
REPLY_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TRIES = 20
LONGEST_CALL_SECONDS = 30.0
RETRY_SECONDS = 1.0
TOO_MUCH = "答复过大，请缩小查询范围。|The answer is larger than a message may be: ask for less."


class CommandSchema(RequestSchema):
    """What every command carries besides its own request."""

    command_id = Id(required=True)
    expires_at = Moment(required=True)


class Door(Entrypoint):  # type: ignore[misc]
    """One method that others may call; its contract stands in the service's REQUESTS."""

    server: Any = None  # set below: RpcServer is shared by all doors of a service

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(expected_exceptions=(Exception,), **kwargs)

    def setup(self) -> None:
        self.server.register_provider(self)

    def stop(self) -> None:
        self.server.take_no_more()
        self.server.unregister_provider(self)


def command(method: Callable[..., Any]) -> Callable[..., Any]:
    """Open a method to commands: it is given a `Command` and its answer is stored with it."""

    @wraps(method)
    def once(service: Any, call: "Call") -> dict[str, Any]:
        return call.exactly_once(lambda c: method(service, c))

    register_entrypoint(once, Door())
    return once


def question(method: Callable[..., Any]) -> Callable[..., Any]:
    """Open a method to questions: it is given a `Question` and changes nothing."""

    @wraps(method)
    def answer(service: Any, call: "Call") -> dict[str, Any]:
        result: dict[str, Any] = method(service, call.question())
        return result

    register_entrypoint(answer, Door())
    return answer


def shared_question(name: str) -> Callable[..., Any]:
    """Open a method that the chassis answers for every service."""

    def answer(_service: Any, call: "Call") -> dict[str, Any]:
        result: dict[str, Any] = getattr(call.spine, name)(call.question())
        return result

    register_entrypoint(answer, Door())
    return answer


class Call:
    """One call on its way through the door."""

    def __init__(
        self,
        *,
        contract: Request,
        schema: Schema,
        spine: "Spine",
        headers: dict[str, Any],
        kwargs: dict[str, Any],
    ) -> None:
        self.contract = contract
        self.at: datetime = now()
        self._schema = schema
        self.spine = spine
        self._kwargs = kwargs
        self._headers = headers
        self.caller = ""
        self._deadline = time.monotonic() + _seconds_left(headers)
        self.correlation_id = _printable(headers.get("nameko.correlation_id"))

    def question(self) -> Question:
        """Check the caller and the request. Raises a `Refusal`."""
        actor = self._actor()
        request = self._load(self._schema, self._kwargs)
        return Question(
            request=request,
            actor=actor,
            store_id=self._store(actor, request),
            at=self.at,
            correlation_id=self.correlation_id,
        )

    def exactly_once(self, attempt: Callable[[Command], dict[str, Any]]) -> dict[str, Any]:
        """Carry out a command, or answer as before if it was carried out already.

        Whatever goes wrong, the command's id is looked up before anything is tried again: the
        commit may have happened although its answer was lost.
        """
        application = self.spine.application
        if application is None:
            raise errors.Internal
        c = self._command()
        for _ in range(TRIES):
            try:
                return attempt(c)
            except errors.Refusal:
                # a repeat may be refused because of its own first effect
                answer = application.answer_to(c)
                if answer is None:
                    raise
            except IntegrityError:
                metrics.append_conflicts.inc()
                answer = application.answer_to(c)
            except DatabaseLost:
                metrics.ambiguous_commits.inc()
                answer = self._after_reconnecting(application, c)
            if answer is not None:
                metrics.command_replays.inc()
                return answer
            if time.monotonic() > self._deadline:
                break
        raise errors.Conflict

    def _after_reconnecting(self, application: Application, c: Command) -> dict[str, Any] | None:
        while True:
            try:
                return application.answer_to(c)
            except DatabaseLost:
                if time.monotonic() > self._deadline:
                    raise errors.Unavailable from None
                time.sleep(0.2)

    def _command(self) -> Command:
        actor = self._actor()
        kwargs = dict(self._kwargs)
        own: dict[str, Any] = {
            key: kwargs.pop(key) for key in ("command_id", "expires_at") if key in kwargs
        }
        head = self._load(CommandSchema(), own)
        request = self._load(self._schema, kwargs)
        store_id = self._store(actor, request)
        command_id: UUID = head["command_id"]
        c = Command(
            id=command_id,
            method=self.contract.method,
            request=request,
            actor=actor,
            store_id=store_id,
            at=self.at,
            correlation_id=self.correlation_id,
            request_hash=request_hash(self.contract.method, kwargs),
            traceparent=_printable(self._headers.get("nameko.traceparent")),
        )
        if head["expires_at"] < self.at:
            metrics.commands_expired.inc()
            raise errors.Expired
        return c

    def _actor(self) -> Actor:
        if time.monotonic() > self._deadline:
            raise errors.Expired(field="deadline")
        try:
            actor = self.spine.identities.actor(self._headers.get("nameko.token"))
        except errors.Unauthenticated:
            metrics.authz_denied.labels("unauthenticated").inc()
            raise
        self.caller = actor.id
        if actor.role not in self.contract.roles:
            metrics.authz_denied.labels("role").inc()
            raise errors.Forbidden
        return actor

    def _load(self, schema: Schema, values: dict[str, Any]) -> dict[str, Any]:
        try:
            loaded: dict[str, Any] = schema.load(values)
        except ValidationError as error:
            field, problem = first_problem(error.messages)
            metrics.invalid_messages.labels("schema").inc()
            raise errors.InvalidRequest(field=field, problem=problem) from None
        return loaded

    def _store(self, actor: Actor, request: dict[str, Any]) -> UUID | None:
        asked: UUID | None = request.get("store_id")
        if actor.role not in STORE_ROLES:
            return asked
        if asked is not None and asked != actor.store_id:
            metrics.authz_denied.labels("foreign_store").inc()
            raise errors.ForeignStore
        return actor.store_id


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
            declare_dead_letters(channel)
            channel.exchange_declare(RPC_EXCHANGE, "topic", durable=True, auto_delete=False)
            queue = f"rpc-{self.spine.service}"
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
        properties = message.properties
        reply_to = properties.get("reply_to")
        reason = fits(message, (wire.CONTENT_TYPE,))
        if reason is None and not (isinstance(reply_to, str) and REPLY_KEY.fullmatch(reply_to)):
            reason = "reply_to"
        if reason is None:
            body = _body(body_of(message))
            if isinstance(body, dict) and isinstance(body.get("kwargs"), dict):
                self._spawn(message, body)
                return
            # the envelope is sound, so the caller can be told
            metrics.invalid_messages.labels("body").inc()
            problem = '需要 {"args": [], "kwargs": {...}}。|Send {"args": [], "kwargs": {...}}.'
            refusal = errors.InvalidRequest(field="body", problem=problem)
            self._answer(message, self._channel, None, refusal)
            return
        self._bury(message, reason)

    def _spawn(self, message: amqp.Message, body: dict[str, Any]) -> None:
        method = _printable(message.delivery_info["routing_key"].partition(".")[2])
        channel = self._channel
        refusal: errors.Refusal
        contract = self.spine.requests.get(method)
        if contract is None:
            refusal = errors.UnknownMethod(field="method", method=method)
            self._answer(message, channel, None, refusal)
            return
        if body.get("args"):
            refusal = errors.InvalidRequest(
                field="args", problem="只接受命名参数。|Name every field."
            )
            self._answer(message, channel, None, refusal)
            return
        if len(message.body) > wire.MAX_BYTES:
            self._answer(message, channel, None, too_large(body["kwargs"]))
            return
        call = Call(
            contract=contract,
            schema=self._schemas[method],
            spine=self.spine,
            headers=message.properties.get("application_headers") or {},
            kwargs=body["kwargs"],
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
                caller=call.caller,
                outcome=outcome if refusal is None else refusal.code,
                command_id=_printable(body["kwargs"].get("command_id")),
                correlation_id=call.correlation_id,
                milliseconds=round(seconds * 1000, 1),
                **_defect(exc_info, refusal),
            )
            self._answer(message, channel, result, refusal)
            self._in_hand -= 1
            return None, None

        self.container.spawn_worker(self._doors[method], (call,), {}, handle_result=handle_result)

    def _answer(
        self, message: amqp.Message, channel: Any, result: Any, refusal: errors.Refusal | None
    ) -> None:
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
                channel.basic_publish(answer, RPC_EXCHANGE, message.properties["reply_to"])
                channel.basic_ack(message.delivery_tag)
        except (*ConnectionLost, AttributeError):
            # the broker will deliver the call again; a command answers as before
            log.warning("reply_lost")

    def _bury(self, message: amqp.Message, reason: str) -> None:
        """Put a message that cannot be answered where operators find it; its body is not logged."""
        metrics.messages_dead_lettered.labels(reason).inc()
        log.warning("message_unreadable", reason=reason)
        letter = amqp.Message(
            message.body[: wire.MAX_BYTES],
            delivery_mode=2,
            application_headers={"reason": reason, "queue": f"rpc-{self.spine.service}"},
        )
        with self._writing:
            self._channel.basic_publish(letter, DEAD_LETTERS, "")
            self._channel.basic_ack(message.delivery_tag)


Door.server = RpcServer()


def first_problem(messages: Any, path: str = "") -> tuple[str, str]:
    """Return the path of the first wrong field and what is wrong with it."""
    if isinstance(messages, dict):
        key, inner = next(iter(messages.items()))
        part = "" if key == "_schema" else str(key)[:60]
        return first_problem(inner, ".".join(filter(None, (path, part))))
    if isinstance(messages, list) and messages:
        return first_problem(messages[0], path)
    return path, str(messages)


def _seconds_left(headers: dict[str, Any]) -> float:
    try:
        left = float(headers["nameko.deadline"]) - time.time()
    except (KeyError, TypeError, ValueError):
        return LONGEST_CALL_SECONDS
    return min(LONGEST_CALL_SECONDS, left)


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
            "correlation_id": _printable(correlation_id),
        },
    }


def _printable(value: object) -> str:
    """Return what can be logged, stored and sent back of what a caller put beside a request."""
    text = value if isinstance(value, str) else ""
    return "".join(character for character in text[:64] if character.isprintable())
