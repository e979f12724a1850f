"""P5: the sales views catch up with a log of paid orders."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.rows import dict_row

from analytics import contracts, projections, views
from analytics.service import AnalyticsService
from benchmarks.arena import Arena
from benchmarks.book import library_environment
from benchmarks.report import Goal, Outcome
from benchmarks.rounds import Figures, require
from benchmarks.trade import OPENED, orders_paid
from pomona import ledger
from pomona.envelope import Envelope, seal, unseal
from pomona.eventstore import Cursor
from pomona.inbox import REFILL, Inbox
from pomona.ledger import Ledger, Settlement

TYPE = "pomona.orders.order_paid.v1"
CAUSE = {"actor": "p-1", "correlationid": "0f36c1ee-31a9-4a60-9ad8-f7c0d5f4ab11"}
LOG = "CREATE TABLE IF NOT EXISTS log (position bigint PRIMARY KEY, envelope bytea NOT NULL)"
READ = {consumed.type: consumed for consumed in contracts.CONSUMED}


def envelopes(first: int, count: int) -> Iterator[Envelope]:
    """Return paid orders as the till's relay publishes them, positions from `first`."""
    for position, data in enumerate(orders_paid(first, count), start=first):
        yield seal(
            service="orders",
            type=TYPE,
            subject=data["order_id"],
            time=OPENED,
            position=position,
            previous=position - 1,
            data=data,
            cause=CAUSE,
        )


class Log:
    """The log of the tills, read from a table in pages."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self._connection = connection

    def after(self, position: int, limit: int) -> tuple[list[Envelope], int]:
        found = self._connection.execute(
            "SELECT envelope FROM log WHERE position > %s ORDER BY position LIMIT %s",
            (position, limit),
            binary=True,
        )
        return [unseal(row["envelope"]) for row in found], 0


def opened(dsn: str) -> psycopg.Connection[dict[str, Any]]:
    return psycopg.connect(dsn, autocommit=True, row_factory=dict_row)


def lengthen(connection: psycopg.Connection[dict[str, Any]], first: int, count: int) -> Envelope:
    """Write the next events into the log and return the last one."""
    with connection.cursor() as cursor, cursor.copy("COPY log FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "bytea"])
        for envelope in envelopes(first, count):
            copy.write_row((envelope.position, envelope.raw))
    connection.execute("ANALYZE log")
    return envelope


@contextmanager
def pomona(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Catch up through the inbox of analytics: archive and views, with the position they reach."""
    with opened(place["dsn"]) as log, opened(place["dsn"]) as own:
        log.execute(LOG)
        own.execute(ledger.SCHEMA.encode())
        own.execute(views.SCHEMA.encode())

        @contextmanager
        def reading() -> Iterator[Cursor]:
            with own.cursor() as cursor:
                yield cursor

        def apply(events: Sequence[Envelope], settlement: Settlement) -> None:
            with reading() as cursor, own.transaction():
                settlement.settle(cursor)
                projections.remember(events, cursor)

        inbox = Inbox(
            service="analytics",
            source="orders",
            amqp_uri="",
            ledger=Ledger("orders", reading),
            apply=apply,
            log_of_source=Log(log),
            window=AnalyticsService.views.batch,
        )

        def turn(events: int) -> Figures:
            inbox.load()
            last = lengthen(log, inbox.position + 1, events)
            started = time.perf_counter()
            inbox.receive([last])
            elapsed = time.perf_counter() - started
            require(inbox.position == last.position, "the inbox did not reach the end of the log")
            compare(own)
            return {"per_second": events / elapsed}

        yield turn


@contextmanager
def reading(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Read the same log in the same pages and decode each event into its fact, nothing more."""
    with opened(place["dsn"]) as connection:
        connection.execute(LOG)
        log, reached = Log(connection), 0

        def turn(events: int) -> Figures:
            nonlocal reached
            last = lengthen(connection, reached + 1, events)
            decoded = 0
            started = time.perf_counter()
            while reached < last.position:
                page, _ = log.after(reached, REFILL)
                decoded += len([READ[each.type].read(each.data) for each in page])
                reached = page[-1].position
            elapsed = time.perf_counter() - started
            require(decoded == events, f"decoded {decoded} of {events}")
            return {"per_second": events / elapsed}

        yield turn


class Receipt(Aggregate):
    class Paid(Aggregate.Created):
        data: dict[str, Any]

    @event(Paid)
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data


class Tills(Application[UUID]):
    name = "tills"


class SalesViews(PostgresTrackingRecorder):
    """The same views, written by the library's way: one event and its tracking at a time."""

    def add(self, envelope: Envelope, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            projections.project([envelope], cursor)


class Sales(Projection[SalesViews]):
    topics = ("benchmarks.catch_up:Receipt.Paid",)

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        if isinstance(domain_event, Receipt.Paid):
            data = domain_event.data
            self.view.add(
                Envelope(
                    source="orders",
                    type=TYPE,
                    subject=data["order_id"],
                    time=data["sold_at"],
                    position=tracking.notification_id,
                    previous=tracking.notification_id - 1,
                    data=data,
                    cause={},
                    raw=b"",
                ),
                tracking,
            )


@contextmanager
def runner(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Let the library's ProjectionRunner catch up with the same orders in the library's log."""
    with opened(place["dsn"]) as connection:
        connection.execute(views.SCHEMA.encode())
        env = library_environment(place["dsn"])
        tills = Tills(env)
        reached = 0

        def turn(events: int) -> Figures:
            nonlocal reached
            tills.save(*(Receipt(data) for data in orders_paid(reached + 1, events)))
            reached += events
            started = time.perf_counter()
            with ProjectionRunner(
                application_class=Tills, projection_class=Sales, view_class=SalesViews, env=env
            ) as running:
                running.wait(reached, timeout=600)
                elapsed = time.perf_counter() - started
            row = connection.execute("SELECT sum(receipts) AS n FROM receipts").fetchone()
            require(row is not None and row["n"] == reached, f"{row} of {reached} receipts")
            return {"per_second": events / elapsed}

        yield turn
        tills.close()


def compare(connection: psycopg.Connection[dict[str, Any]]) -> None:
    """Require that the views add up to what stands in the log, as SQL reads it there."""
    row = connection.execute(
        "WITH told AS (SELECT convert_from(envelope, 'UTF8')::jsonb -> 'data' AS data FROM log)"
        " SELECT (SELECT sum((data->>'total_fen')::bigint) FROM told) AS told_fen,"
        " (SELECT sum(sold_fen) FROM sales) AS sold_fen,"
        " (SELECT sum(jsonb_array_length(data->'lines')) FROM told) AS told_lines,"
        " (SELECT sum(lines) FROM sales) AS sold_lines,"
        " (SELECT count(*) FROM sale_line) AS kept_lines,"
        " (SELECT count(*) FROM log) AS told_events,"
        " (SELECT count(*) FROM archive) AS archived,"
        " (SELECT sum(receipts) FROM receipts) AS receipts"
    ).fetchone()
    require(row is not None, "the views cannot be compared")
    if row is not None:
        require(row["told_fen"] == row["sold_fen"], f"takings differ: {row}")
        require(row["told_lines"] == row["sold_lines"] == row["kept_lines"], f"lines: {row}")
        require(row["told_events"] == row["archived"] == row["receipts"], f"events: {row}")


def p5(arena: Arena) -> Outcome:
    """Catch-up projection."""
    outcome = Outcome(
        what="the sales views catch up with paid orders of 1 to 12 lines, events per second",
        goals=(Goal("read and decode", least=0.6), Goal("ProjectionRunner", least=20)),
    )
    work = {
        "pomona": arena.scale.projected,
        "reading": arena.scale.projected,
        "runner": arena.scale.projected_singly,
    }
    with ExitStack() as opened_:
        turns = {}
        for name, events in work.items():
            place = {"dsn": opened_.enter_context(arena.database())}
            turn = opened_.enter_context(arena.contender(f"benchmarks.catch_up:{name}", place))
            turns[name] = partial(turn, events=events)
        played = arena.play(turns)
    against = {"reading": "read and decode", "runner": "ProjectionRunner"}
    outcome.add("catch up", played, "pomona", against)
    return outcome
