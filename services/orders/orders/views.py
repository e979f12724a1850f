"""Our own read side: SQL tables and the questions they answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from pomona.eventstore import Cursor

SCHEMA = """
CREATE TABLE IF NOT EXISTS stores (
    store_id  uuid PRIMARY KEY,
    code      text NOT NULL,
    name      text NOT NULL,
    zone      text NOT NULL,
    cut_off   text NOT NULL
);
CREATE TABLE IF NOT EXISTS products (
    product_id  uuid PRIMARY KEY,
    code        text NOT NULL,
    name        text NOT NULL,
    category    text NOT NULL,
    unit        text NOT NULL
);
CREATE TABLE IF NOT EXISTS prices (
    store_id    uuid NOT NULL,
    product_id  uuid NOT NULL,
    price_fen   bigint NOT NULL,
    PRIMARY KEY (store_id, product_id)
);
CREATE TABLE IF NOT EXISTS refunds (
    refund_id  uuid PRIMARY KEY,
    order_id   uuid NOT NULL
);
CREATE TABLE IF NOT EXISTS business_days (
    store_id        uuid NOT NULL,
    business_date   date NOT NULL,
    orders          bigint NOT NULL,
    sales_fen       bigint NOT NULL,
    cancelled       bigint NOT NULL,
    cancelled_fen   bigint NOT NULL,
    rounding_fen    bigint NOT NULL,
    returns_fen     bigint NOT NULL,
    refunds_fen     bigint NOT NULL,
    PRIMARY KEY (store_id, business_date)
);
"""


@dataclass(frozen=True)
class Offers:
    """Name, unit and price (None where there is none) of each product in a store.

    They follow from the store's price list in a `version`; a product is listed once and for all.
    """

    version: int
    by_product: Mapping[UUID, Mapping[str, Any]]


def offers(cursor: Cursor, store_id: UUID, price_list_id: UUID) -> Offers:
    """Return what a store sells at which price."""
    # the version first: prices that are newer than it are refused at the commit, never older ones
    cursor.execute(
        "SELECT coalesce(max(originator_version), 0) AS version FROM orders_events"
        " WHERE originator_id = %s",
        (price_list_id,),
    )
    (row,) = cursor.fetchall()
    cursor.execute(
        "SELECT p.product_id, p.name, p.unit, s.price_fen FROM products p"
        " LEFT JOIN prices s ON s.product_id = p.product_id AND s.store_id = %s",
        (store_id,),
    )
    return Offers(row["version"], {each["product_id"]: each for each in cursor.fetchall()})


def known_products(cursor: Cursor, product_ids: list[UUID | int]) -> set[UUID]:
    cursor.execute("SELECT product_id FROM products WHERE product_id = ANY(%s)", (product_ids,))
    return {row["product_id"] for row in cursor.fetchall()}


def order_of_refund(cursor: Cursor, refund_id: UUID) -> UUID | None:
    cursor.execute("SELECT order_id FROM refunds WHERE refund_id = %s", (refund_id,))
    row = cursor.fetchone()
    return row["order_id"] if row else None


def stores(cursor: Cursor) -> list[dict[str, Any]]:
    cursor.execute("SELECT store_id::text, code, name, zone, cut_off FROM stores ORDER BY code")
    return cursor.fetchall()


def prices(cursor: Cursor, store_id: UUID) -> list[dict[str, Any]]:
    cursor.execute(
        "SELECT p.product_id::text, p.code, p.name, p.category, p.unit, s.price_fen"
        " FROM prices s JOIN products p USING (product_id) WHERE s.store_id = %s ORDER BY p.code",
        (store_id,),
    )
    return cursor.fetchall()


def business_day(cursor: Cursor, store_id: UUID, day: date) -> dict[str, Any]:
    """Return the day's ledger (ORD-27): counts, and fen before and after what was taken back."""
    cursor.execute(
        "SELECT coalesce(sum(orders), 0)::bigint AS orders,"
        " coalesce(sum(sales_fen), 0)::bigint AS sales_fen,"
        " coalesce(sum(cancelled), 0)::bigint AS cancelled,"
        " coalesce(sum(cancelled_fen), 0)::bigint AS cancelled_fen,"
        " coalesce(sum(rounding_fen), 0)::bigint AS rounding_fen,"
        " coalesce(sum(returns_fen), 0)::bigint AS returns_fen,"
        " coalesce(sum(refunds_fen), 0)::bigint AS refunds_fen"
        " FROM business_days WHERE store_id = %s AND business_date = %s",
        (store_id, day),
    )
    (row,) = cursor.fetchall()
    return row
