"""What we write down: facts of others that we look up, and our own events as tables."""

from collections.abc import Iterable, Mapping
from functools import singledispatch
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from inventory.contracts import ProductListed, StoreOpened
from inventory.domain.lot import Lot
from inventory.domain.stock import Stock
from inventory.domain.supplier import Supplier
from pomona.eventstore import Cursor


@singledispatch
def remember(_happening: object, _cursor: Cursor) -> None:
    """Most happenings leave no trace in the views."""


@remember.register
def know_the_store(fact: StoreOpened, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO stores (store_id, name) VALUES (%s, %s)"
        " ON CONFLICT (store_id) DO UPDATE SET name = EXCLUDED.name",
        (fact.store_id, fact.name),
    )


@remember.register
def know_the_product(fact: ProductListed, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO products (product_id, name, unit) VALUES (%s, %s, %s)"
        " ON CONFLICT (product_id) DO UPDATE SET name = EXCLUDED.name, unit = EXCLUDED.unit",
        (fact.product_id, fact.name, fact.unit),
    )


@remember.register
def know_the_supplier(event: Supplier.Registered, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO suppliers (supplier_id, code, name) VALUES (%s, %s, %s)",
        (event.originator_id, event.code, event.name),
    )


@remember.register
def know_the_lot(event: Lot.Received, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO lots (lot_id, store_id, product_id, supplier_id, unit, quantity,"
        " goods_cost_fen, freight_fen, origin, harvest_date, best_before, received_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            event.originator_id,
            event.store_id,
            event.product_id,
            event.supplier_id,
            event.unit,
            event.quantity,
            event.goods_cost_fen,
            event.freight_fen,
            event.origin,
            event.harvest_date,
            event.best_before,
            event.received_at,
        ),
    )


@remember.register
def count_the_claim(event: Lot.Claimed, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE lots SET claims = %s WHERE lot_id = %s", (event.claims, event.originator_id)
    )


@remember.register
def open_the_stock(event: Stock.Opened, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO stock (stock_id, store_id, product_id, unit) VALUES (%s, %s, %s, %s)",
        (event.originator_id, event.store_id, event.product_id, event.unit),
    )


@remember.register(Stock.Stocked)
@remember.register(Stock.Sent)
def balance(event: Any, cursor: Cursor) -> None:
    _balance(cursor, event.originator_id, event.lots)


@remember.register
def note_the_loss(event: Stock.Shrunk, cursor: Cursor) -> None:
    _balance(cursor, event.originator_id, event.lots)
    cursor.execute("INSERT INTO shrinkages (shrinkage_id) VALUES (%s)", (event.shrinkage_id,))


@remember.register
def note_what_was_sold(event: Stock.Sold, cursor: Cursor) -> None:
    for line in event.lines:
        _balance(cursor, event.originator_id, line["lots"])
        cursor.execute(
            "INSERT INTO sold_lines (order_id, line_no, store_id, product_id, unit, shortfall,"
            " lots) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                event.order_id,
                line["line_no"],
                event.store_id,
                event.product_id,
                event.unit,
                line["shortfall"],
                Jsonb({part["lot_id"]: part["quantity"] for part in line["lots"]}),
            ),
        )
    _add(cursor, event.originator_id, shortfall=sum(line["shortfall"] for line in event.lines))


@remember.register
def note_what_was_put_back(event: Stock.PutBack, cursor: Cursor) -> None:
    _balance(cursor, event.originator_id, event.lots)
    _add(cursor, event.originator_id, shortfall=-event.shortfall)


@remember.register
def note_what_is_expected(event: Stock.Expected, cursor: Cursor) -> None:
    _add(cursor, event.originator_id, incoming=event.quantity)


@remember.register
def note_what_arrived(event: Stock.Arrived, cursor: Cursor) -> None:
    _balance(cursor, event.originator_id, event.lots)
    _add(cursor, event.originator_id, incoming=-sum(lot["quantity"] for lot in event.lots))


@remember.register
def note_the_reorder_point(event: Stock.ReorderPointSet, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE stock SET reorder_point = %s WHERE stock_id = %s",
        (event.reorder_point, event.originator_id),
    )


@remember.register(Stock.FellLow)
@remember.register(Stock.Recovered)
def note_the_level(event: Any, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE stock SET low = %s WHERE stock_id = %s",
        (isinstance(event, Stock.FellLow), event.originator_id),
    )


def _balance(cursor: Cursor, stock_id: UUID, parts: Iterable[Mapping[str, Any]]) -> None:
    """Write what is left of each lot; a lot with nothing left leaves the table."""
    for part in parts:
        if part["on_hand"]:
            cursor.execute(
                "INSERT INTO stock_lots (stock_id, lot_id, on_hand) VALUES (%s, %s, %s)"
                " ON CONFLICT (stock_id, lot_id) DO UPDATE SET on_hand = EXCLUDED.on_hand",
                (stock_id, UUID(part["lot_id"]), part["on_hand"]),
            )
        else:
            cursor.execute(
                "DELETE FROM stock_lots WHERE stock_id = %s AND lot_id = %s",
                (stock_id, UUID(part["lot_id"])),
            )


def _add(cursor: Cursor, stock_id: UUID, *, shortfall: int = 0, incoming: int = 0) -> None:
    cursor.execute(
        "UPDATE stock SET shortfall = shortfall + %s, incoming = incoming + %s WHERE stock_id = %s",
        (shortfall, incoming, stock_id),
    )
