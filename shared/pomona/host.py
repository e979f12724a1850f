"""What hosts an application inside a nameko service: event store, relay, inboxes, health."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from eventsourcing.domain import Aggregate
from nameko.extensions import DependencyProvider
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from pomona import health, trace, wire
from pomona.application import Application, Question, Step
from pomona.broker import LARGEST_MESSAGE
from pomona.config import Settings
from pomona.contracts import Contracts, contracts_of
from pomona.envelope import Envelope
from pomona.errors import NotYet, Refusal
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor, environment
from pomona.everywhere import asked_everywhere
from pomona.failpoints import reach
from pomona.inbox import Apply, Inbox
from pomona.journal import logger
from pomona.ledger import Ledger, Reading, Settlement
from pomona.personal import people_of
from pomona.relay import Relay
from pomona.rpc import RpcServer
from pomona.signing import public_keys_of
from pomona.terminal import LogOf, Terminal
from pomona.trust import Trust

log = logger(__name__)

React = Callable[[Any, Any], Iterable[Aggregate]]
Remember = Callable[[Any, Cursor], None]
RememberBatch = Callable[[Sequence[Envelope], Cursor], None]

BATCH = 50  # events of another service in one transaction


class Spine:
    """What every service has besides its own code, and answers for it."""

    def __init__(
        self,
        settings: Settings,
        contracts: Contracts,
        reading: Reading,
        *,
        application: Application | None = None,
        log: EventLog | None = None,
    ) -> None:
        shared = asked_everywhere(publishes=log is not None)
        self.settings = settings
        self.service = contracts.service
        self.requests = {request.method: request for request in (*contracts.requests, *shared)}
        self.application = application
        pinned = public_keys_of(settings.identity_public_key.read_text("ascii"))
        self.trust = Trust(pinned, reading, Terminal(settings.amqp))
        self.identities = self.trust.identities
        self.relay = Relay(settings.amqp, settings.database, log) if log is not None else None
        self.inboxes: list[Inbox] = []
        self._log = log
        self._reading = reading
        self._contracts = contracts

    def listen(self, apply: Apply, *, window: int = 1, linger: float = 0.0) -> None:
        """Read every source that the contracts consume."""
        reads = {consumed.type for consumed in self._contracts.consumed}
        for source in self._contracts.sources:
            inbox = Inbox(
                service=self.service,
                source=source,
                amqp_uri=self.settings.amqp,
                ledger=Ledger(source, self._reading),
                apply=apply,
                reads=reads,
                log_of_source=LogOf(Terminal(self.settings.amqp), source),
                window=window,
                linger=linger,
            )
            self.inboxes.append(inbox)

    def start(self, container: Any, server: RpcServer) -> None:
        def checks() -> dict[str, bool]:
            return {**self._checks(), "rpc": server.connected}

        spawn = container.spawn_managed_thread
        health.measure_authority(self.settings.database)
        spawn(health.watch_hub, identifier="hub")
        spawn(partial(health.watch_database, self._reading), identifier="database")
        spawn(lambda: health.serve(self.settings.http_port, checks), identifier="health")
        for inbox in self.inboxes:
            spawn(inbox.run, identifier=f"inbox.{inbox.source}")
        spawn(self.trust.run, identifier="trust")
        if self.relay is not None:
            spawn(self.relay.run, identifier="relay")

    def stop(self) -> None:
        self.trust.stop()
        for inbox in self.inboxes:
            inbox.stop()
        if self.relay is not None:
            self.relay.stop()

    def events_after(self, q: Question) -> dict[str, Any]:
        """Answer from our log, with at most as many events as a message can hold."""
        if self._log is None:
            return {"events": [], "pending": 0, "head": 0, "known": True}
        position, limit = q.request["position"], q.request["limit"]
        with self._reading() as cursor:
            known = self._log.knows(cursor, position)
            found = self._log.after(cursor, position, limit) if limit else []
            pending = self._log.count_after(cursor, position)
            head = self._log.head(cursor)
        events: list[dict[str, Any]] = []
        size = last = 0
        for envelope in found:
            size += len(envelope.raw)
            # the versions of one event stay together
            if events and size > LARGEST_MESSAGE // 2 and envelope.position != last:
                break
            last = envelope.position
            events.append(wire.decode(envelope.raw, limit=len(envelope.raw)))
        return {"events": events, "pending": pending, "head": head, "known": known}

    def positions(self, _q: Question) -> dict[str, Any]:
        with self._reading() as cursor:
            cursor.execute("SELECT source, position FROM inbox ORDER BY source")
            inbox = {row["source"]: row["position"] for row in cursor.fetchall()}
            cursor.execute("SELECT count(*) AS parked FROM parked")
            row = cursor.fetchone()
            head = self._log.head(cursor) if self._log else 0
        return {"head": head, "inbox": inbox, "parked": row["parked"] if row else 0}

    def _checks(self) -> dict[str, bool]:
        try:
            with self._reading() as cursor:
                cursor.execute("SELECT 1")
            database = True
        except Exception:  # noqa: BLE001 - any failure means: not ready
            database = False
        return {"database": database} | {
            f"inbox.{inbox.source}": inbox.connected or inbox.estranged for inbox in self.inboxes
        }


class Host(DependencyProvider):  # type: ignore[misc]
    """Hosts an event-sourced application and injects it into the service.

    `react` turns a fact into the aggregates it changed; `remember` writes views for facts and for
    our own events; both happen in the commit that moves the inbox.
    """

    server = RpcServer()

    def __init__(
        self,
        application: type[Application],
        *,
        contracts: ModuleType,
        schema: str,
        react: React = lambda _fact, _application: (),
        remember: Remember = lambda _happening, _cursor: None,
        append_only: tuple[str, ...] = (),
    ) -> None:
        self.application_class = application
        self.contracts = contracts
        self.schema = schema
        self.react = react
        self.remember = remember
        self.append_only = append_only

    def setup(self) -> None:
        settings: Settings = self.container.config["pomona"]
        self.application = self.application_class(
            environment(settings.database),
            remember=self.remember,
            committed=self._committed,
            people=people_of(settings.personal) if settings.personal else None,
        )
        contracts = contracts_of(settings.name, self.contracts)
        self._consumed = {consumed.type: consumed for consumed in contracts.consumed}
        self.spine = Spine(
            settings,
            contracts,
            self.application.reading,
            application=self.application,
            log=EventLog(contracts, f"{settings.name}_events", self.application.mapper),
        )
        self.spine.listen(self.apply, window=BATCH)
        self.server.spine = self.spine
        self.application.catch_up()

    def start(self) -> None:
        self.spine.start(self.container, self.server)

    def stop(self) -> None:
        self.spine.stop()

    def get_dependency(self, worker_ctx: Any) -> Application:
        del worker_ctx
        return self.application

    def apply(self, envelopes: Sequence[Envelope], settlement: Settlement) -> None:
        """Apply events of another service, and move the inbox, in one transaction."""
        try:
            self._apply(envelopes, settlement, afresh=False)
        except (Refusal, NotYet):
            if len(envelopes) > 1:
                raise
            # perhaps refused because of what another replica has changed since we last looked
            self._apply(envelopes, settlement, afresh=True)

    def _apply(
        self, envelopes: Sequence[Envelope], settlement: Settlement, *, afresh: bool
    ) -> None:
        steps = [Step({}, (), settlement.settle)]
        with self.application.attempt(afresh=afresh) as attempt:
            for envelope in envelopes:
                consumed = self._consumed.get(envelope.type)
                if consumed is None:
                    continue
                fact = consumed.read(envelope.data)
                changed = tuple(self.react(fact, self.application))
                steps.append(Step(_cause(envelope), changed, partial(self.remember, fact)))
                # what follows in this batch stands on it
                attempt.loaded.update((each.id, each) for each in changed)
            self.application.commit_steps(steps)
        for envelope in envelopes:
            log.info(
                "event_applied",
                type=envelope.type,
                position=envelope.position,
                correlation_id=envelope.cause["correlationid"],
                trace_id=trace.trace_id(envelope.cause["traceparent"]),
            )

    def _committed(self) -> None:
        if self.spine.relay is not None:
            self.spine.relay.wake()


class Reader(DependencyProvider):  # type: ignore[misc]
    """Hosts projections of other services' events, many events to a transaction.

    `remember` is given contiguous events of one source, in order. Injects itself: `reading()`
    gives a cursor.
    """

    server = RpcServer()

    def __init__(
        self,
        *,
        contracts: ModuleType,
        schema: str,
        remember: RememberBatch,
        batch: int,
        delay: float,
        append_only: tuple[str, ...] = (),
    ) -> None:
        self.contracts = contracts
        self.schema = schema
        self.remember = remember
        self.batch = batch
        self.delay = delay
        self.append_only = append_only

    def setup(self) -> None:
        settings: Settings = self.container.config["pomona"]
        self._pool: ConnectionPool[Any] = ConnectionPool(
            settings.database,
            kwargs={"autocommit": True, "row_factory": dict_row},
            min_size=2,
            max_size=10,
            timeout=3,
            open=True,
        )
        self.spine = Spine(settings, contracts_of(settings.name, self.contracts), self.reading)
        self.spine.listen(self.apply, window=self.batch, linger=self.delay)
        self.server.spine = self.spine

    def start(self) -> None:
        self.spine.start(self.container, self.server)

    def stop(self) -> None:
        self.spine.stop()

    def get_dependency(self, worker_ctx: Any) -> "Reader":
        del worker_ctx
        return self

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        """Give a cursor on the views."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            yield cursor

    def apply(self, envelopes: Sequence[Envelope], settlement: Settlement) -> None:
        """Apply a batch and move the inbox in one transaction."""
        with self.reading() as cursor, cursor.connection.transaction():
            settlement.settle(cursor)
            self.remember(envelopes, cursor)
            reach("batch.before_commit")


def _cause(envelope: Envelope) -> dict[str, str]:
    """Return why we react: what caused the event, as the next span of the same trace."""
    return {**envelope.cause, "traceparent": trace.follow(envelope.cause["traceparent"])}
