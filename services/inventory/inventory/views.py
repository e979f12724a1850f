"""What inventory remembers for looking up: the tables, and the questions that they answer."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from inventory.domain.allocation import ArrivingLot
from inventory.domain.stock import Stock
from pomona.eventstore import Cursor
from pomona.values import Unit

SCHEMA = """
CREATE TABLE IF NOT EXISTS stores (
    store_id    uuid PRIMARY KEY,
    name        text NOT NULL
);
CREATE TABLE IF NOT EXISTS products (
    product_id  uuid PRIMARY KEY,
    name        text NOT NULL,
    unit        text NOT NULL
);
CREATE TABLE IF NOT EXISTS suppliers (
    supplier_id uuid PRIMARY KEY,
    code        text NOT NULL UNIQUE,
    name        text NOT NULL
);
CREATE TABLE IF NOT EXISTS lots (
    lot_id         uuid PRIMARY KEY,
    store_id       uuid NOT NULL,
    product_id     uuid NOT NULL,
    supplier_id    uuid NOT NULL,
    unit           text NOT NULL,
    quantity       bigint NOT NULL,
    goods_cost_fen bigint NOT NULL,
    freight_fen    bigint NOT NULL,
    origin         text NOT NULL,
    harvest_date   date,
    best_before    date,
    received_at    timestamptz NOT NULL,
    claims         integer NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS stock (
    stock_id      uuid PRIMARY KEY,
    store_id      uuid NOT NULL,
    product_id    uuid NOT NULL,
    unit          text NOT NULL,
    shortfall     bigint NOT NULL DEFAULT 0,
    incoming      bigint NOT NULL DEFAULT 0,
    reorder_point bigint,
    low           boolean NOT NULL DEFAULT false,
    UNIQUE (store_id, product_id)
);
CREATE TABLE IF NOT EXISTS stock_lots (
    stock_id    uuid NOT NULL,
    lot_id      uuid NOT NULL,
    on_hand     bigint NOT NULL,
    PRIMARY KEY (stock_id, lot_id)
);
CREATE INDEX IF NOT EXISTS stock_lots_by_lot ON stock_lots (lot_id);
CREATE TABLE IF NOT EXISTS sold_lines (
    order_id    uuid NOT NULL,
    line_no     integer NOT NULL,
    store_id    uuid NOT NULL,
    product_id  uuid NOT NULL,
    unit        text NOT NULL,
    shortfall   bigint NOT NULL,
    lots        jsonb NOT NULL,
    PRIMARY KEY (order_id, line_no)
);
CREATE TABLE IF NOT EXISTS shrinkages (
    shrinkage_id uuid PRIMARY KEY
);
"""


@dataclass(frozen=True)
class Product:
    name: str
    unit: Unit


_STOCK = """
SELECT s.stock_id, s.store_id, s.product_id, p.name AS product, s.unit, s.shortfall, s.incoming,
       s.reorder_point, s.low, COALESCE(sum(l.on_hand), 0)::bigint AS on_hand,
       COALESCE(jsonb_agg(jsonb_build_object(
           'lot_id', l.lot_id, 'on_hand', l.on_hand, 'supplier_id', lots.supplier_id,
           'origin', lots.origin, 'best_before', lots.best_before)
           ORDER BY lots.best_before NULLS LAST, lots.received_at, l.lot_id)
           FILTER (WHERE l.lot_id IS NOT NULL), '[]') AS lots
FROM stock s
LEFT JOIN products p USING (product_id)
LEFT JOIN stock_lots l USING (stock_id)
LEFT JOIN lots USING (lot_id)
"""


def store_exists(cursor: Cursor, store_id: UUID) -> bool:
    cursor.execute("SELECT 1 FROM stores WHERE store_id = %s", (store_id,))
    return cursor.fetchone() is not None


def product(cursor: Cursor, product_id: UUID) -> Product | None:
    cursor.execute("SELECT name, unit FROM products WHERE product_id = %s", (product_id,))
    row = cursor.fetchone()
    return Product(**row) if row else None


def supplier_with_code(cursor: Cursor, code: str) -> bool:
    cursor.execute("SELECT 1 FROM suppliers WHERE code = %s", (code,))
    return cursor.fetchone() is not None


def shrinkage_recorded(cursor: Cursor, shrinkage_id: UUID) -> bool:
    cursor.execute("SELECT 1 FROM shrinkages WHERE shrinkage_id = %s", (shrinkage_id,))
    return cursor.fetchone() is not None


def sold_lines(cursor: Cursor, order_id: UUID) -> list[dict[str, Any]]:
    """Return what an order took, line by line: whose stock, which lots, and the shortfall."""
    cursor.execute(
        "SELECT line_no, store_id, product_id, unit, shortfall, lots FROM sold_lines"
        " WHERE order_id = %s ORDER BY line_no",
        (order_id,),
    )
    return cursor.fetchall()


def arriving(cursor: Cursor, quantities: dict[str, int]) -> list[ArrivingLot]:
    """Return quantities of known lots with what a shelf must know about them."""
    cursor.execute(
        "SELECT lot_id, supplier_id, best_before, received_at FROM lots WHERE lot_id = ANY(%s)",
        ([UUID(lot) for lot in quantities],),
    )
    known = {str(row["lot_id"]): row for row in cursor.fetchall()}
    return [
        {
            "lot_id": lot,
            "quantity": quantity,
            "supplier_id": str(known[lot]["supplier_id"]),
            "best_before": known[lot]["best_before"],
            "received_at": known[lot]["received_at"],
        }
        for lot, quantity in quantities.items()
    ]


def stock_of(cursor: Cursor, store_id: UUID, product_id: UUID) -> dict[str, Any] | None:
    cursor.execute(
        _STOCK + "WHERE s.store_id = %s AND s.product_id = %s GROUP BY s.stock_id, p.name",
        (store_id, product_id),
    )
    row = cursor.fetchone()
    return _plain(row) if row else None


def nothing_of(store_id: UUID, product_id: UUID, product: Product) -> dict[str, Any]:
    """Return what a store has of a product that it never saw."""
    return {
        "stock_id": str(Stock.create_id(store_id, product_id)),
        "store_id": str(store_id),
        "product_id": str(product_id),
        "product": product.name,
        "unit": product.unit,
        "shortfall": 0,
        "incoming": 0,
        "reorder_point": None,
        "low": False,
        "on_hand": 0,
        "lots": [],
    }


def list_stock(cursor: Cursor, store_id: UUID) -> list[dict[str, Any]]:
    cursor.execute(
        _STOCK + "WHERE s.store_id = %s GROUP BY s.stock_id, p.name ORDER BY p.name, s.stock_id",
        (store_id,),
    )
    return [_plain(row) for row in cursor.fetchall()]


def lot(cursor: Cursor, lot_id: UUID) -> dict[str, Any] | None:
    cursor.execute(
        "SELECT lots.*, goods_cost_fen + freight_fen AS cost_fen, suppliers.name AS supplier"
        " FROM lots JOIN suppliers USING (supplier_id) WHERE lot_id = %s",
        (lot_id,),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute(
        "SELECT store_id, on_hand FROM stock_lots JOIN stock USING (stock_id)"
        " WHERE lot_id = %s ORDER BY store_id",
        (lot_id,),
    )
    return {**_plain(row), "lies_in": [_plain(place) for place in cursor.fetchall()]}


def suppliers(cursor: Cursor) -> list[dict[str, Any]]:
    cursor.execute("SELECT supplier_id, code, name FROM suppliers ORDER BY code")
    return [_plain(row) for row in cursor.fetchall()]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.isoformat()
        if isinstance(value, date)
        else str(value)
        if isinstance(value, UUID)
        else value
        for key, value in row.items()
    }
