"""What an application method stands on: one call in, one commit out."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, TypeVar
from uuid import UUID

import eventsourcing.application
import orjson
from eventsourcing.application import AggregateNotFoundError, ProcessingEvent
from eventsourcing.domain import Aggregate, AggregateEvent, Snapshot
from eventsourcing.persistence import JSONTranscoder, PersistenceError
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.utils import register_topic
from psycopg.types.json import Jsonb

from pomona import metrics
from pomona.errors import CommandIdReused
from pomona.eventstore import Cursor, DateAsText
from pomona.failpoints import reach
from pomona.identity import Actor
from pomona.journal import logger

log = logger(__name__)
A = TypeVar("A", bound=Aggregate)


class Cause(Protocol):
    """Why something is committed."""

    def stamp(self) -> dict[str, Any]:
        """Return what is stored beside each event: who, and following from what."""

    def settle(self, cursor: Cursor, answer: Mapping[str, Any]) -> None:
        """Write the row that makes the effect happen once, in the transaction of the effect."""


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

    def settle(self, cursor: Cursor, answer: Mapping[str, Any]) -> None:
        cursor.execute(
            "INSERT INTO commands (command_id, method, caller, request_hash, answer, recorded_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (self.id, self.method, self.caller, self.request_hash, Jsonb(answer), self.at),
        )


def request_hash(method: str, request: Mapping[str, Any]) -> bytes:
    """Hash what was asked, without when it expires, since a repeat may expire later."""
    asked = {key: value for key, value in request.items() if key != "expires_at"}
    canonical = orjson.dumps([method, asked], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).digest()


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
        remember: Callable[[Any, Cursor], None] = lambda _happening, _cursor: None,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(dict(env or {}))
        self._remember = remember
        self._committed = committed

    def register_transcodings(self, transcoder: JSONTranscoder) -> None:
        super().register_transcodings(transcoder)
        transcoder.register(DateAsText())

    def get(self, cls: type[A], aggregate_id: UUID) -> A | None:
        """Return the aggregate as it stands, or None where there is none of that class."""
        try:
            found: Any = self.repository.get(aggregate_id)
        except AggregateNotFoundError:
            return None
        return found if isinstance(found, cls) else None

    def commit(
        self, cause: Cause, *aggregates: Aggregate, answer: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Store what the aggregates decided, its cause and our views in one transaction.

        Raises IntegrityError on a version conflict or a cause that was settled before.
        """
        answer = dict(answer or {})
        changes: ProcessingEvent[UUID] = ProcessingEvent()
        changes.collect_events(*aggregates)

        def within(cursor: Cursor) -> None:
            cause.settle(cursor, answer)
            for event in changes.events:
                self._remember(event, cursor)

        reach("commit.before")
        self.events.put(changes.events, cause=cause.stamp(), within=within)
        reach("commit.after")
        if changes.events:
            self._committed()
            self._take_snapshots(changes)
        return answer

    def _take_snapshots(self, processing_event: ProcessingEvent[UUID]) -> None:
        # the events are committed: a snapshot that fails only makes a later load slower
        try:
            super()._take_snapshots(processing_event)
        except PersistenceError as error:
            log.info("snapshot_skipped", error=type(error).__name__)

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
    def datastore(self) -> PostgresDatastore:
        """The pool of connections that the event store uses."""
        factory: Any = self.factory
        datastore: PostgresDatastore = factory.datastore
        return datastore


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
