"""The smallest service there is - lots that are received and sold - on the real event store."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

import amqp
import psycopg
from eventsourcing.domain import Aggregate, event
from psycopg.rows import dict_row

from pomona import eventstore, ledger, operations, timelines
from pomona.application import Application
from pomona.broker import connect, declare_event_exchange, user_of
from pomona.contracts import Contracts, Published
from pomona.envelope import Envelope, unseal
from pomona.errors import SourceForgot
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor, environment
from pomona.fields import Count, EventSchema, Id
from pomona.inbox import Inbox
from pomona.ledger import Ledger, Settlement


class Lot(Aggregate):
    class Received(Aggregate.Created):
        grams: int

    class Sold(Aggregate.Event):
        grams: int

    class Counted(Aggregate.Event):
        pass

    @event(Received)
    def __init__(self, grams: int) -> None:
        self.grams = grams

    @event(Sold)
    def sell(self, grams: int) -> None:
        self.grams -= grams

    @event(Counted)
    def count(self) -> None:
        """Nobody else's business: this event stays private."""


class GramsV1(EventSchema):
    lot_id = Id(required=True)
    grams = Count(required=True)


def grams_of(event: Any) -> Mapping[str, Any]:
    return {"lot_id": event.originator_id, "grams": event.grams}


class Shop(Application):
    name = "shop"
    aggregates: ClassVar = {"Lot": Lot}


CONTRACTS = Contracts(
    service="shop",
    published=(
        Published("lot_received", 1, Lot.Received, GramsV1, "lot_id", "Came.", grams_of),
        Published("lot_sold", 1, Lot.Sold, GramsV1, "lot_id", "Went.", grams_of),
    ),
    consumed=(),
    requests=(),
)


class Because:
    """A cause that keeps a row in `commands`, so that it is settled once."""

    def __init__(self, command_id: UUID | None = None) -> None:
        self.id = command_id or uuid4()

    def stamp(self) -> dict[str, Any]:
        return {"actor": "p-1", "correlationid": "c-1", "causationid": str(self.id)}

    def row(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "command_id": self.id,
            "method": "m",
            "caller": "p-1",
            "request_hash": "",
            "answer": answer,
            "recorded_at": datetime.now(UTC),
        }

    within = None


def remember(happening: Any, cursor: Cursor) -> None:
    """Keep a view: what each lot weighs."""
    match happening:
        case Lot.Received():
            statement = "INSERT INTO stock (lot_id, grams) VALUES (%(lot)s, %(grams)s)"
        case Lot.Sold():
            statement = "UPDATE stock SET grams = grams - %(grams)s WHERE lot_id = %(lot)s"
        case _:
            return
    cursor.execute(statement, {"lot": happening.originator_id, "grams": happening.grams})


def make_tables(dsn: str) -> None:
    """Make what `pomona.migrate` makes, for a service that is no package."""
    Shop(environment(dsn, pool_size=1) | {"CREATE_TABLE": "y"}).close()
    with psycopg.connect(dsn) as connection:
        connection.execute(eventstore.SCHEMA)
        connection.execute(ledger.SCHEMA)
        connection.execute(operations.SCHEMA)
        connection.execute("ALTER TABLE shop_events ADD COLUMN cause jsonb")
        timelines.watch(connection, "shop_events")
        connection.execute(
            "CREATE TABLE stock (lot_id uuid PRIMARY KEY, grams int CHECK (grams >= 0))"
        )
        connection.execute("CREATE TABLE effects (nth serial, subject text, position bigint)")


def open_shop(dsn: str, **more: Any) -> Shop:
    return Shop(environment(dsn), remember=remember, **more)


def log_of(shop: Shop) -> EventLog:
    return EventLog(CONTRACTS, "shop_events", shop.mapper)


def rows(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


class LogInReach:
    """The log of the shop, asked directly instead of over RPC."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._log = log_of(shop)

    def after(self, position: int, limit: int) -> tuple[list[Envelope], int]:
        with self._shop.reading() as cursor:
            found = self._log.after(cursor, position, limit) if limit else []
            if not self._log.knows(cursor, position):
                raise SourceForgot(position)
            return found, self._log.count_after(cursor, position)


class Kitchen:
    """A service that reads the shop's events and writes down each as its effect."""

    def __init__(self, amqp_uri: str, dsn: str, shop: Shop) -> None:
        self._dsn = dsn
        self.name = f"kitchen{uuid4().hex[:8]}"
        self.broken: set[str] = set()
        self.inbox = Inbox(
            service=self.name,
            source="shop",
            amqp_uri=amqp_uri,
            ledger=Ledger("shop", self.reading),
            apply=self.apply,
            log_of_source=LogInReach(shop),
        )

    @property
    def queue(self) -> str:
        return f"{self.name}.from.shop"

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        with (
            psycopg.connect(self._dsn, autocommit=True, row_factory=dict_row) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    def apply(self, envelopes: Sequence[Envelope], settlement: Settlement) -> None:
        with self.reading() as cursor, cursor.connection.transaction():
            settlement.settle(cursor)
            for envelope in envelopes:
                cursor.execute(
                    "INSERT INTO effects (subject, position) VALUES (%s, %s)",
                    (envelope.subject, envelope.position),
                )
                if envelope.subject in self.broken:
                    raise ValueError("cannot be handled")

    def effects(self) -> list[int]:
        return [row[0] for row in rows(self._dsn, "SELECT position FROM effects ORDER BY nth")]

    def parked(self) -> int:
        return int(rows(self._dsn, "SELECT count(*) FROM parked")[0][0])


@contextmanager
def running(*loops: Any) -> Iterator[list[threading.Thread]]:
    """Run relays and inboxes, each in a thread, until the block ends."""
    threads = [threading.Thread(target=_run, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for loop in loops:
            loop.stop()
        for thread in threads:
            thread.join(30)


def _run(loop: Any) -> None:
    try:
        loop.run()
    except Exception as error:  # noqa: BLE001 - told to the test
        loop.ended_with = error


class Listener:
    """A queue bound to the shop's exchange, read by the test."""

    def __init__(self, amqp_uri: str) -> None:
        self._connection = connect(amqp_uri)
        self._channel = self._connection.channel()
        declare_event_exchange(self._channel, "shop")
        self.queue = f"listener-{uuid4().hex}"
        self._channel.queue_declare(self.queue, durable=True, auto_delete=False)
        self._channel.queue_bind(self.queue, "shop.events", "#")

    def heard(self, upto: int, seconds: float = 30.0) -> list[Envelope]:
        """Return what came, until the event at a position is among it."""
        heard: list[Envelope] = []
        deadline = time.monotonic() + seconds
        while not heard or heard[-1].position != upto:
            message = self._channel.basic_get(self.queue, no_ack=True)
            if message is not None:
                heard.append(unseal(bytes(message.body)))
            elif time.monotonic() > deadline:
                raise TimeoutError(f"heard up to {heard[-1:]}, not {upto}")
            else:
                time.sleep(0.02)
        return heard

    def close(self) -> None:
        self._channel.queue_delete(self.queue)
        self._connection.close()


def publish(
    amqp_uri: str, exchange: str, key: str, envelopes: Sequence[Envelope], **properties: Any
) -> None:
    """Publish envelopes as somebody other than the relay."""
    sent = {"content_type": "application/cloudevents+json", "user_id": user_of(amqp_uri)}
    connection = connect(amqp_uri)
    channel = connection.channel()
    channel.confirm_select()
    for envelope in envelopes:
        message = amqp.Message(envelope.raw, **sent | properties)
        channel.basic_publish_confirm(message, exchange, key)
    connection.close()


def eventually(holds: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Return the first true value of `holds()`. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = holds()
        if value:
            return value
        time.sleep(0.05)
    raise TimeoutError(f"not within {seconds} s")
