"""One call on its way through a door: who asks, for what, and carried out once."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError
from marshmallow import ValidationError

from pomona import errors, metrics, trace
from pomona.append import DatabaseLost
from pomona.application import Application, Command, Question, now
from pomona.contracts import Request, SchemaClass, loader_of
from pomona.failpoints import reach
from pomona.fields import Id, Moment, RequestSchema
from pomona.identity import SKEW, STORE_ROLES, Actor

if TYPE_CHECKING:
    from pomona.host import Spine

LONGEST_CALL_SECONDS = 30.0
CONFLICTS = 20
PAUSE_SECONDS = 0.2


class CommandSchema(RequestSchema):
    """What every command carries besides its own request."""

    command_id = Id(required=True)
    expires_at = Moment(required=True)


class Call:
    """One call on its way through the door."""

    def __init__(
        self,
        *,
        contract: Request,
        spine: "Spine",
        headers: dict[str, Any],
        kwargs: dict[str, Any],
        broker_user: str = "",
    ) -> None:
        self.contract = contract
        self.at: datetime = now()
        self.spine = spine
        self._kwargs = kwargs
        self._headers = headers
        self.broker_user = broker_user
        self.actor: Actor | None = None
        self.store_id: UUID | None = None
        self.traceparent = trace.follow(
            printable(headers.get("nameko.traceparent") or headers.get("traceparent"))
        )
        self._deadline = time.monotonic() + _seconds_waited(headers)
        self.correlation_id = printable(headers.get("nameko.correlation_id"))

    @property
    def seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def question(self) -> Question:
        """Check the caller and the request. Raises a `Refusal`."""
        trace.enter(self.traceparent)
        self._must_be_awaited()
        actor = self._actor()
        request = self._load(self.contract.schema, self._kwargs)
        return Question(
            request=request,
            actor=actor,
            store_id=self._store(actor, request),
            at=self.at,
            correlation_id=self.correlation_id,
        )

    def exactly_once(self, decide: Callable[[Command], dict[str, Any]]) -> dict[str, Any]:
        """Carry out a command, or answer as before if it was carried out already.

        Whatever goes wrong, the command's id is looked up before anything is tried again: the
        commit may have happened although its answer was lost.
        """
        trace.enter(self.traceparent)
        application = self.spine.application
        if application is None:
            raise errors.Internal
        c = self._command(application)
        reach("command.before_load")
        afresh = False
        conflicts = 0
        while True:
            with application.attempt(afresh=afresh) as attempt:
                try:
                    self._must_be_in_time()
                    return decide(c)
                except errors.Refusal:
                    # a repeat may be refused because of its own first effect, or come too late
                    answer = application.answer_to(c)
                    if answer is None and (afresh or not attempt.seen):
                        raise
                    # or because of what another replica has changed since we last looked
                    afresh = True
                    given_up: type[errors.Refusal] = errors.Conflict
                except IntegrityError:
                    metrics.append_conflicts.inc()
                    conflicts += 1
                    given_up = errors.Conflict
                    afresh = True
                    answer = application.answer_to(c)
                except DatabaseLost:
                    metrics.ambiguous_commits.inc()
                    given_up = errors.Unavailable
                    answer = self._after_reconnecting(application, c)
            if answer is not None:
                metrics.command_replays.inc()
                return answer
            # what the database refuses again and again is more than somebody else's change
            if time.monotonic() > self._deadline or conflicts == CONFLICTS:
                raise given_up
            if given_up is errors.Unavailable:
                time.sleep(PAUSE_SECONDS)

    def _after_reconnecting(self, application: Application, c: Command) -> dict[str, Any] | None:
        while True:
            try:
                return application.answer_to(c)
            except DatabaseLost:
                if time.monotonic() > self._deadline:
                    raise errors.Unavailable from None
                time.sleep(PAUSE_SECONDS)

    def _command(self, application: Application) -> Command:
        actor = self._actor()
        kwargs = dict(self._kwargs)
        own: dict[str, Any] = {
            key: kwargs.pop(key) for key in ("command_id", "expires_at") if key in kwargs
        }
        head = self._load(CommandSchema, own)
        request = self._load(self.contract.schema, kwargs)
        store_id = self._store(actor, request)
        # no hash may keep what is found by trying all there is, such as the digits of a PIN
        asked = {name: kwargs[name] for name in kwargs if name not in self.contract.secrets}
        command_id: UUID = head["command_id"]
        self._expires_at: datetime = head["expires_at"]
        return Command(
            id=command_id,
            method=self.contract.method,
            request=request,
            actor=actor,
            store_id=store_id,
            at=self.at,
            correlation_id=self.correlation_id,
            request_hash=application.hash_of(self.contract.method, asked),
            traceparent=self.traceparent,
        )

    def _must_be_in_time(self) -> None:
        if self._expires_at + SKEW < self.at:
            metrics.commands_expired.inc()
            raise errors.Expired
        self._must_be_awaited()

    def _must_be_awaited(self) -> None:
        if time.monotonic() > self._deadline:
            raise errors.Expired(field="timeout")

    def _actor(self) -> Actor:
        try:
            actor = self.spine.identities.caller(
                self.broker_user, self._headers.get("nameko.token"), self.contract.roles
            )
        except errors.Unauthenticated:
            metrics.authz_denied.labels("unauthenticated").inc()
            raise
        self.actor = actor
        if actor.role not in self.contract.roles:
            metrics.authz_denied.labels("role").inc()
            raise errors.Forbidden
        return actor

    def _load(self, schema: SchemaClass, values: dict[str, Any]) -> dict[str, Any]:
        try:
            loaded: dict[str, Any] = loader_of(schema)(values)
        except ValidationError as error:
            field, problem = first_problem(error.messages)
            metrics.invalid_messages.labels("schema").inc()
            raise errors.InvalidRequest(field=field, problem=problem) from None
        return loaded

    def _store(self, actor: Actor, request: dict[str, Any]) -> UUID | None:
        asked: UUID | None = request.get("store_id")
        if actor.role not in STORE_ROLES:
            self.store_id = asked
            return asked
        self.store_id = actor.store_id
        if asked is not None and asked != actor.store_id:
            metrics.authz_denied.labels("foreign_store").inc()
            raise errors.ForeignStore
        return actor.store_id

    @property
    def ids(self) -> dict[str, str]:
        """What a log line says of this call: who, where, which, following from what."""
        actor = self.actor
        named = {
            "actor": actor and actor.id,
            "terminal_id": actor and actor.terminal_id,
            "store_id": self.store_id,
            "command_id": printable(self._kwargs.get("command_id")),
            "correlation_id": self.correlation_id,
            "causation_id": printable(self._headers.get("nameko.causation_id")),
            "trace_id": trace.trace_id(self.traceparent),
        }
        return {name: str(value) for name, value in named.items() if value}


def first_problem(messages: Any, path: str = "") -> tuple[str, str]:
    """Return the path of the first wrong field and what is wrong with it."""
    if isinstance(messages, dict):
        key, inner = next(iter(messages.items()))
        part = "" if key == "_schema" else str(key)[:60]
        return first_problem(inner, ".".join(filter(None, (path, part))))
    if isinstance(messages, list) and messages:
        return first_problem(messages[0], path)
    return path, str(messages)


def _seconds_waited(headers: dict[str, Any]) -> float:
    """Return how long a caller waits, which no clock but ours has a say in."""
    try:
        timeout = float(headers["nameko.timeout"])
    except (KeyError, TypeError, ValueError):
        return LONGEST_CALL_SECONDS
    return min(LONGEST_CALL_SECONDS, timeout)


def printable(value: object) -> str:
    """Return what can be logged, stored and sent back of what a caller put beside a request."""
    text = value[:64] if isinstance(value, str) else ""
    if text.isprintable():
        return text
    return "".join(character for character in text if character.isprintable())
