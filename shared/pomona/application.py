"""What an application method stands on: one call in, one commit out."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, TypeVar
from uuid import UUID

import eventsourcing.application
import orjson
from eventsourcing.application import project_aggregate
from eventsourcing.domain import Aggregate, AggregateEvent, Snapshot
from eventsourcing.persistence import IntegrityError, JSONTranscoder, StoredEvent
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.utils import register_topic
from psycopg.sql import SQL, Identifier

from pomona import metrics
from pomona.append import Cursor, Entry
from pomona.errors import CommandIdReused
from pomona.eventstore import DateAsText, Recorder
from pomona.failpoints import reach
from pomona.identity import Actor
from pomona.memory import Memory
from pomona.personal import People
from pomona.turns import Turn, Turns

A = TypeVar("A", bound=Aggregate)


class Cause(Protocol):
    """Why something is committed."""

    def stamp(self) -> dict[str, Any]:
        """Return what is stored beside each event: who, and following from what."""

    def row(self, answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the row of `commands` that makes the effect happen once, if it is a command."""

    @property
    def within(self) -> Callable[[Cursor], None] | None:
        """What else belongs into the transaction of the effect."""


@dataclass(frozen=True)
class Question:
    """A call that changes nothing. `store_id` is the store that the caller may speak of."""

    request: dict[str, Any]
    actor: Actor
    store_id: UUID | None
    at: datetime
    correlation_id: str


@dataclass(frozen=True)
class Command:
    """A call that changes something, once, however often it is sent."""

    id: UUID
    method: str
    request: dict[str, Any]
    actor: Actor
    store_id: UUID | None
    at: datetime
    correlation_id: str
    request_hash: bytes
    traceparent: str = ""

    @property
    def caller(self) -> str:
        """Who sent it: the same command from somebody else is another command."""
        return f"{self.actor.id}|{self.actor.terminal_id or ''}"

    def stamp(self) -> dict[str, Any]:
        return {
            "actor": self.actor.id,
            "correlationid": self.correlation_id,
            "causationid": str(self.id),
            "traceparent": self.traceparent,
        }

    def row(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "command_id": self.id,
            "method": self.method,
            "caller": self.caller,
            "request_hash": self.request_hash.hex(),
            "answer": answer,
            "recorded_at": self.at,
        }

    @property
    def within(self) -> None:
        return None


def request_hash(
    method: str,
    request: Mapping[str, Any],
    digest: Callable[[bytes], bytes] = lambda asked: hashlib.sha256(asked).digest(),
) -> bytes:
    """Hash what was asked, without when it expires, since a repeat may expire later."""
    asked = {key: value for key, value in request.items() if key != "expires_at"}
    canonical = orjson.dumps([method, asked], option=orjson.OPT_SORT_KEYS)
    return digest(canonical)


class Application(eventsourcing.application.Application[UUID]):
    """The library's application, committing events together with their cause and own views.

    A service's application sets `aggregates` (name to class; the names are stored, so they never
    change) and writes one method per use case.
    """

    aggregates: ClassVar[Mapping[str, type[Aggregate]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, aggregate in cls.aggregates.items():
            _name_topics(f"{cls.name}.{name}", aggregate)

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        *,
        remember: Callable[[Any, Cursor], None] | None = None,
        committed: Callable[[], None] = lambda: None,
        people: People | None = None,
    ) -> None:
        super().__init__(dict(env or {}))
        self._people = people
        self._remember = remember
        self._committed = committed
        self._memory = Memory()
        self._turns = Turns()
        self._attempt: ContextVar[Attempt | None] = ContextVar("attempt", default=None)

    def register_transcodings(self, transcoder: JSONTranscoder) -> None:
        super().register_transcodings(transcoder)
        transcoder.register(DateAsText())

    @property
    def people(self) -> People:
        """The keys of the people whom this service knows by name."""
        if self._people is None:
            raise LookupError(f"{self.name} has no keys of people: see keys_database in its config")
        return self._people

    def close(self) -> None:
        super().close()
        if self._people is not None:
            self._people.close()

    def catch_up(self) -> None:
        """Finish what a crash or a restore left half done; called before the doors open."""

    def hash_of(self, method: str, request: Mapping[str, Any]) -> bytes:
        """Hash a request; where it may hold personal data, so that no guess can be checked."""
        if self._people is None:
            return request_hash(method, request)
        people = self._people
        return request_hash(method, request, lambda asked: people.digest("requests", asked))

    @contextmanager
    def attempt(self, *, afresh: bool = False) -> Iterator["Attempt"]:
        """Remember what one command, or one batch of events, looks at until it commits.

        Within it every aggregate is loaded once, from this process's memory where it is known:
        the commit checks that nobody has changed any of them. `afresh` looks into the store too.
        """
        attempt = Attempt(afresh=afresh)
        token = self._attempt.set(attempt)
        try:
            yield attempt
        finally:
            self._attempt.reset(token)
            for turn in attempt.turns:
                turn.release()

    def get(self, cls: type[A], aggregate_id: UUID) -> A | None:
        """Return the aggregate as it stands, or None where there is none of that class."""
        attempt = self._attempt.get()
        if attempt is None:
            found = self._load(cls, aggregate_id, afresh=True)
        elif aggregate_id in attempt.loaded:
            found = attempt.loaded[aggregate_id]
        else:
            turn = self._turns.take(aggregate_id)
            if turn is not None:
                attempt.turns.append(turn)
            found = self._load(cls, aggregate_id, afresh=attempt.afresh)
            attempt.hold(aggregate_id, found)
        return found if isinstance(found, cls) else None

    def is_free(self, aggregate_id: UUID) -> bool:
        """Say whether nothing has this id yet.

        Almost always nothing has, so a first try takes it for granted: the commit refuses it
        otherwise, and the next try looks.
        """
        attempt = self._attempt.get()
        if attempt is None or attempt.afresh or aggregate_id in attempt.loaded:
            return self.get(Aggregate, aggregate_id) is None
        if self._memory.recall(aggregate_id) is not None:
            return False
        attempt.hold(aggregate_id, None)
        return True

    @property
    def looks_afresh(self) -> bool:
        """Whether what this process remembers must not be relied on now."""
        attempt = self._attempt.get()
        return attempt is None or attempt.afresh

    def stand_on(self, aggregate_id: UUID, version: int) -> None:
        """Rely on something remembered that follows from an aggregate in a version.

        The commit refuses what stands on a version that is not the last any more.
        """
        attempt = self._attempt.get()
        if attempt is not None:
            attempt.seen.setdefault(aggregate_id, version)

    def commit(
        self, cause: Cause, *aggregates: Aggregate, answer: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Store what the aggregates decided, its cause and our views in one transaction.

        Raises IntegrityError where somebody else changed what was looked at, or the cause was
        settled before; then nothing is stored.
        """
        answer = dict(answer or {})
        step = Step(cause.stamp(), aggregates, cause.within)
        self.commit_steps([step], cause.row(answer))
        return answer

    def commit_steps(
        self, steps: Sequence["Step"], command: Mapping[str, Any] | None = None
    ) -> None:
        """Store several decisions in one transaction, each event with its own cause."""
        attempt = self._attempt.get() or Attempt(afresh=True)
        changed = {each.id: each for step in steps for each in step.aggregates}
        stored = [self.mapper.to_stored_event(event) for step in steps for event in step.events]
        written = Counter(event.originator_id for step in steps for event in step.events)
        snapshots = self._snapshots_of(changed.values(), written)

        def committed() -> None:
            for aggregate_id in changed.keys() & attempt.loaded.keys():
                self._memory.keep(changed[aggregate_id])
            if stored:
                self._committed()

        entry = Entry(
            events=stored,
            causes=[cause for step in steps for cause in step.causes],
            command=command,
            seen={each: version for each, version in attempt.seen.items() if each not in written},
            within=self._within(steps, snapshots),
            committed=committed,
        )
        try:
            reach("commit.before")
            self._recorder.append(entry)
            reach("commit.after")
        except BaseException as error:
            for aggregate_id, version in attempt.seen.items():
                self._memory.forget(aggregate_id, version)
            if isinstance(error, IntegrityError):
                self._turns.fight(attempt.seen.keys() & written.keys())
            raise

    def _within(
        self, steps: Sequence["Step"], snapshots: Sequence[StoredEvent]
    ) -> Callable[[Cursor], None] | None:
        """Return what writes all that goes with the events, or None where there is nothing."""
        remember = self._remember

        def write(cursor: Cursor) -> None:
            for step in steps:
                if step.within is not None:
                    step.within(cursor)
                if remember is not None:
                    for event in step.events:
                        remember(event, cursor)
            for snapshot in snapshots:
                self._replace_snapshot(snapshot, cursor)

        steps_write = any(step.within or (remember and step.events) for step in steps)
        return write if snapshots or steps_write else None

    def _load(self, cls: type[Aggregate], aggregate_id: UUID, *, afresh: bool) -> Any:
        """Return an aggregate from memory, and from the store what is newer or not known."""
        known = self._memory.recall(aggregate_id)
        metrics.aggregate_loads.labels("store" if known is None else "memory").inc()
        if known is not None and not afresh:
            return known
        found = known
        if found is None and self.snapshots is not None and cls in self.snapshotting_intervals:
            snapshot = self.snapshots.get(aggregate_id, desc=True, limit=1)
            found = project_aggregate(found, snapshot)
        since = found.version if found is not None else None
        found = project_aggregate(found, self.events.get(aggregate_id, gt=since))
        if found is not None and (known is None or found.version != since):
            self._memory.keep(found)
        return found

    def _snapshots_of(
        self, changed: Iterable[Aggregate], events: Mapping[UUID, int]
    ) -> list[StoredEvent]:
        """Return the snapshots that are due, so that no load has to read a long stream."""
        snapshots = []
        for each in changed:
            interval = self.snapshotting_intervals.get(type(each))
            before = each.version - events[each.id]
            if interval and each.version // interval > before // interval:
                snapshots.append(self.mapper.to_stored_event(each.Snapshot.take(each)))
        return snapshots

    def _replace_snapshot(self, snapshot: StoredEvent, cursor: Cursor) -> None:
        table = Identifier(f"{self.name}_snapshots")
        cursor.execute(
            SQL(
                "INSERT INTO {} (originator_id, originator_version, topic, state)"
                " VALUES (%s, %s, %s, %s)"
            ).format(table),
            (
                snapshot.originator_id,
                snapshot.originator_version,
                snapshot.topic,
                snapshot.state,
            ),
        )
        cursor.execute(
            SQL("DELETE FROM {} WHERE originator_id = %s AND originator_version < %s").format(
                table
            ),
            (snapshot.originator_id, snapshot.originator_version),
        )

    def answer_to(self, command: Command) -> dict[str, Any] | None:
        """Return the stored answer of a command that was applied before.

        Raises CommandIdReused where the id belongs to another command or another caller.
        """
        with self.reading() as cursor:
            cursor.execute(
                "SELECT method, caller, request_hash, answer FROM commands WHERE command_id = %s",
                (command.id,),
            )
            row = cursor.fetchone()
        if row is None:
            return None
        same = (row["method"], row["caller"], bytes(row["request_hash"])) == (
            command.method,
            command.caller,
            command.request_hash,
        )
        if not same:
            metrics.command_key_conflicts.inc()
            raise CommandIdReused
        answer: dict[str, Any] = row["answer"]
        return answer

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        """Give a cursor on our own views."""
        with self.datastore.get_connection() as connection, connection.cursor() as cursor:
            yield cursor

    @property
    def _recorder(self) -> Recorder:
        recorder: Any = self.recorder
        return recorder  # type: ignore[no-any-return]

    @property
    def datastore(self) -> PostgresDatastore:
        """The pool of connections that the event store uses."""
        factory: Any = self.factory
        datastore: PostgresDatastore = factory.datastore
        return datastore


class Attempt:
    """What one try of a command has looked at: each aggregate once, in the version it had."""

    def __init__(self, *, afresh: bool) -> None:
        self.afresh = afresh
        self.loaded: dict[UUID, Any] = {}
        self.seen: dict[UUID, int] = {}
        self.turns: list[Turn] = []

    def hold(self, aggregate_id: UUID, aggregate: Aggregate | None) -> None:
        """Note an aggregate before it is changed; 0 is the version of one that is not there."""
        self.loaded[aggregate_id] = aggregate
        self.seen[aggregate_id] = aggregate.version if aggregate is not None else 0


class Step:
    """One decision on its way to the store: the events of some aggregates, and their cause."""

    def __init__(
        self,
        stamp: Mapping[str, Any],
        aggregates: Iterable[Aggregate],
        within: Callable[[Cursor], None] | None,
    ) -> None:
        self.aggregates = tuple(aggregates)
        self.within = within
        self.events = [each for aggregate in self.aggregates for each in aggregate.collect_events()]
        self.causes = [stamp] * len(self.events)


def now() -> datetime:
    """Return the server's time; the doors read it once per call and pass it on."""
    return datetime.now(UTC)


def _name_topics(prefix: str, aggregate: type[Aggregate]) -> None:
    """Give the aggregate and its events stored names that outlive the modules they stand in."""
    named: dict[str, type[Any]] = {prefix: aggregate}
    for name in dir(aggregate):
        nested = getattr(aggregate, name)
        own = getattr(nested, "__qualname__", "").startswith(f"{aggregate.__qualname__}.")
        if own and isinstance(nested, type) and issubclass(nested, AggregateEvent | Snapshot):
            named[f"{prefix}.{name}"] = nested
    for topic, cls in named.items():
        cls.TOPIC = topic
        register_topic(topic, cls)
