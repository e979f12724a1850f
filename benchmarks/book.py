"""What the cells append to: one small aggregate, kept by Pomona and kept by the library."""

import hashlib
from typing import Any, ClassVar
from uuid import UUID, uuid4

import eventsourcing.application
import psycopg
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict

import pomona.application
from pomona import eventstore, ledger, timelines
from pomona.application import Command, now
from pomona.contracts import Contracts, Published
from pomona.eventlog import EventLog
from pomona.eventstore import environment
from pomona.fields import Count, EventSchema, Fen, Id
from pomona.identity import Actor

CASHIER = Actor(id="p-1", role="head_office")


class Page(Aggregate):
    """A page of the book: each entry is one event of a usual size."""

    class Opened(Aggregate.Created):
        pass

    class Entered(Aggregate.Event):
        product_id: UUID
        quantity: int
        total_fen: int

    @event(Opened)
    def __init__(self) -> None:
        self.quantity = 0

    @event(Entered)
    def enter(self, product_id: UUID, quantity: int, total_fen: int) -> None:  # noqa: ARG002 - kept in the event
        self.quantity += quantity


class Book(pomona.application.Application):
    name = "book"
    aggregates: ClassVar = {"Page": Page}
    snapshotting_intervals: ClassVar = {Page: 100}


PRODUCT = uuid4()


def write(page: Page) -> None:
    page.enter(PRODUCT, 1, 1290)


def command() -> Command:
    """Return a command as a till's call would make it."""
    command_id = uuid4()
    return Command(
        id=command_id,
        method="enter",
        request={},
        actor=CASHIER,
        store_id=None,
        at=now(),
        correlation_id=str(command_id),
        request_hash=hashlib.sha256(command_id.bytes).digest(),
    )


def make_tables(dsn: str) -> None:
    """Make what `pomona.migrate` makes, for a service that is no package."""
    Book(environment(dsn, pool_size=1) | {"CREATE_TABLE": "y"}).close()
    with psycopg.connect(dsn) as connection:
        connection.execute(eventstore.SCHEMA)
        connection.execute(ledger.SCHEMA)
        connection.execute("ALTER TABLE book_events ADD COLUMN IF NOT EXISTS cause jsonb")
        timelines.watch(connection, "book_events")


def library_environment(dsn: str) -> dict[str, str]:
    """Return the settings that the library needs, and none that it does not ask for."""
    parts = conninfo_to_dict(dsn)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts.get("port") or 5432),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts.get("password") or ""),
    }


def open_book(dsn: str) -> Book:
    return Book(environment(dsn))


def open_library(dsn: str) -> eventsourcing.application.Application[UUID]:
    """Return the library's own application with its own recorder and defaults."""
    return eventsourcing.application.Application(library_environment(dsn))


class EnteredV1(EventSchema):
    page_id = Id(required=True)
    product_id = Id(required=True)
    quantity = Count(required=True)
    total_fen = Fen(required=True)


def entered(happened: Page.Entered) -> dict[str, Any]:
    return {
        "page_id": happened.originator_id,
        "product_id": happened.product_id,
        "quantity": happened.quantity,
        "total_fen": happened.total_fen,
    }


CONTRACTS = Contracts(
    service="book",
    published=(
        Published("page_entered", 1, Page.Entered, EnteredV1, "page_id", "Entered.", entered),
    ),
    consumed=(),
    requests=(),
)


def log_of(book: Book) -> EventLog:
    return EventLog(CONTRACTS, "book_events", book.mapper)
