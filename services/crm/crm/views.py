"""The crm read side: its tables and the questions they answer."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from crm.domain.customer import PERSONAL
from crm.domain.errors import CustomerUnknown, NobodyHasThisPhone
from crm.domain.phone import masked_phone
from pomona.application import Question
from pomona.eventstore import Cursor
from pomona.personal import People

SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    customer_id    uuid PRIMARY KEY,
    store_id       uuid,
    registered_at  timestamptz NOT NULL,
    erased_at      timestamptz,
    sealed         jsonb NOT NULL
);
-- Keyed hashes of phone numbers; their key lies with the keys of the customers.
CREATE TABLE IF NOT EXISTS phone_index (
    digest         bytea PRIMARY KEY,
    customer_id    uuid NOT NULL UNIQUE
);
-- Who looked at whose data. Rows are added and never changed; each migration drops the oldest.
CREATE TABLE IF NOT EXISTS customer_reads (
    at             timestamptz NOT NULL,
    customer_id    uuid,
    method         text NOT NULL,
    actor          text NOT NULL,
    role           text NOT NULL,
    store_id       uuid,
    terminal_id    uuid,
    correlation_id text NOT NULL
);
CREATE INDEX IF NOT EXISTS customer_reads_of ON customer_reads (customer_id, at);
DELETE FROM customer_reads WHERE at < now() - interval '3 years';
CREATE TABLE IF NOT EXISTS points_ledger (
    customer_id    uuid NOT NULL,
    entry_no       integer NOT NULL,
    order_id       uuid NOT NULL,
    business_date  date NOT NULL,
    available_on   date NOT NULL,
    points         bigint NOT NULL,
    reason         text NOT NULL,
    PRIMARY KEY (customer_id, entry_no)
);
"""


def index_phone(cursor: Cursor, customer_id: UUID, digest: bytes) -> None:
    """Let a customer be found by phone; the number itself is not kept."""
    cursor.execute(
        "INSERT INTO phone_index (digest, customer_id) VALUES (%s, %s)"
        " ON CONFLICT (customer_id) DO UPDATE SET digest = excluded.digest",
        (digest, customer_id),
    )


def customer_with(cursor: Cursor, digest: bytes) -> UUID | None:
    """Return the customer who has a phone number."""
    cursor.execute("SELECT customer_id FROM phone_index WHERE digest = %s", (digest,))
    row = cursor.fetchone()
    return row["customer_id"] if row else None


def not_erased(cursor: Cursor, customer_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of the customers whom we still know."""
    cursor.execute(
        "SELECT customer_id FROM customers WHERE customer_id = ANY(%s) AND erased_at IS NULL",
        (list(customer_ids),),
    )
    return [row["customer_id"] for row in cursor.fetchall()]


def note_reading(cursor: Cursor, q: Question, method: str, customer_id: UUID | None) -> None:
    """Write down who looks at whom, before anything is shown; nobody is who has no such phone."""
    cursor.execute(
        "INSERT INTO customer_reads"
        " (at, customer_id, method, actor, role, store_id, terminal_id, correlation_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            q.at,
            customer_id,
            method,
            q.actor.id,
            q.actor.role,
            q.actor.store_id,
            q.actor.terminal_id,
            q.correlation_id,
        ),
    )


def readings_of(cursor: Cursor, customer_id: UUID, limit: int) -> list[dict[str, Any]]:
    """List who looked at a customer, the latest first."""
    cursor.execute(
        "SELECT at, method, actor, role, store_id, terminal_id, correlation_id"
        " FROM customer_reads WHERE customer_id = %s ORDER BY at DESC LIMIT %s",
        (customer_id, limit),
    )
    return [
        {
            **row,
            "at": row["at"].isoformat(),
            "store_id": row["store_id"] and str(row["store_id"]),
            "terminal_id": row["terminal_id"] and str(row["terminal_id"]),
        }
        for row in cursor.fetchall()
    ]


def customer(cursor: Cursor, people: People, customer_id: UUID) -> dict[str, Any]:
    """Show a customer in full; of an erased one, only that and when."""
    cursor.execute("SELECT * FROM customers WHERE customer_id = %s", (customer_id,))
    row = cursor.fetchone()
    if row is None:
        raise CustomerUnknown
    # between the key's end and the event that tells of it, the person is erased already
    erased = row["erased_at"] is not None or people.has_erased(customer_id)
    told = {} if erased else people.must_know(customer_id).open(row["sealed"])
    return {
        "customer_id": str(customer_id),
        "store_id": row["store_id"] and str(row["store_id"]),
        "registered_at": row["registered_at"].isoformat(),
        "erased": erased,
        "erased_at": row["erased_at"] and row["erased_at"].isoformat(),
        **dict.fromkeys(PERSONAL),
        **told,
    }


def sealed_of(cursor: Cursor, customer_id: UUID) -> dict[str, str | None]:
    """Return what a customer told us, as it is stored."""
    cursor.execute("SELECT sealed FROM customers WHERE customer_id = %s", (customer_id,))
    row = cursor.fetchone()
    sealed: dict[str, str | None] = row["sealed"] if row else {}
    return sealed


def customer_by_phone(
    cursor: Cursor, people: People, customer_id: UUID | None, phone: str
) -> dict[str, Any]:
    """Show a customer at the counter no more than is needed to greet them."""
    if customer_id is None:
        raise NobodyHasThisPhone
    found = customer(cursor, people, customer_id)
    return {
        "customer_id": found["customer_id"],
        "name": found["name"],
        "phone": masked_phone(phone),
    }


def points(cursor: Cursor, customer_id: UUID, as_of: date) -> dict[str, Any]:
    """Sum what had been earned and taken back by the end of a day."""
    cursor.execute(
        "SELECT coalesce(sum(points) FILTER (WHERE available_on > %(day)s), 0) AS pending,"
        " coalesce(sum(points) FILTER (WHERE available_on <= %(day)s), 0) AS available"
        " FROM points_ledger WHERE customer_id = %(customer_id)s AND business_date <= %(day)s",
        {"customer_id": customer_id, "day": as_of},
    )
    row = cursor.fetchone() or {"pending": 0, "available": 0}
    return {
        "customer_id": str(customer_id),
        "as_of": as_of.isoformat(),
        "pending": int(row["pending"]),
        "available": int(row["available"]),
    }
