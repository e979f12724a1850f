"""The crm read side: its tables and the questions they answer."""

from datetime import date
from typing import Any
from uuid import UUID

from crm import keys
from crm.domain.customer import PERSONAL
from crm.domain.errors import CustomerUnknown, NobodyHasThisPhone
from crm.domain.phone import masked_phone
from pomona.eventstore import Cursor

SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    customer_id    uuid PRIMARY KEY,
    store_id       uuid,
    registered_at  timestamptz NOT NULL,
    erased_at      timestamptz,
    sealed         jsonb NOT NULL
);
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


def customer(cursor: Cursor, customer_id: UUID) -> dict[str, Any]:
    """Show a customer in full; of an erased one, only that and when."""
    cursor.execute("SELECT * FROM customers WHERE customer_id = %s", (customer_id,))
    row = cursor.fetchone()
    if row is None:
        raise CustomerUnknown
    key = keys.key_of(cursor, customer_id)
    told = dict.fromkeys(PERSONAL) | (key.open(row["sealed"]) if key else {})
    return {
        "customer_id": str(customer_id),
        "store_id": row["store_id"] and str(row["store_id"]),
        "registered_at": row["registered_at"].isoformat(),
        "erased": row["erased_at"] is not None,
        "erased_at": row["erased_at"] and row["erased_at"].isoformat(),
        **told,
    }


def customer_by_phone(cursor: Cursor, phone: str) -> dict[str, Any]:
    """Find a customer at the counter, showing no more than is needed to greet them."""
    customer_id = keys.customer_with(cursor, phone)
    if customer_id is None:
        raise NobodyHasThisPhone
    found = customer(cursor, customer_id)
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
