"""What our own events make us remember, in the transaction that stores them."""

from datetime import date
from functools import singledispatch
from uuid import UUID

from orders.domain.catalogue import PriceList, Product
from orders.domain.order import Order
from orders.domain.store import Store
from orders.domain.till_return import TillReturn
from pomona.eventstore import Cursor


@singledispatch
def remember(happening: object, cursor: Cursor) -> None:
    """Write what a view must know of a happening."""
    del happening, cursor


@remember.register
def _(happening: Store.Opened, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO stores (store_id, code, name, zone, cut_off) VALUES (%s, %s, %s, %s, %s)",
        (
            happening.originator_id,
            happening.code,
            happening.label,
            happening.zone,
            happening.cut_off,
        ),
    )


@remember.register
def _(happening: Product.Listed, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO products (product_id, code, name, category, unit) VALUES (%s, %s, %s, %s, %s)",
        (
            happening.originator_id,
            happening.code,
            happening.label,
            happening.category,
            happening.unit,
        ),
    )


@remember.register
def _(happening: PriceList.PricesSet, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO prices (store_id, product_id, price_fen)"
        " SELECT %s, * FROM unnest(%s::uuid[], %s::bigint[])"
        " ON CONFLICT (store_id, product_id) DO UPDATE SET price_fen = excluded.price_fen",
        (
            happening.store_id,
            [price["product_id"] for price in happening.prices],
            [price["price_fen"] for price in happening.prices],
        ),
    )


@remember.register
def _(happening: Order.Paid, cursor: Cursor) -> None:
    _add(
        cursor,
        happening.store_id,
        happening.business_date,
        orders=1,
        sales_fen=happening.total_fen,
        rounding_fen=happening.rounding_fen,
    )


@remember.register
def _(happening: Order.Cancelled, cursor: Cursor) -> None:
    _add(
        cursor,
        happening.store_id,
        happening.business_date,
        cancelled=1,
        cancelled_fen=happening.total_fen,
    )


@remember.register
def _(happening: Order.RefundApproved, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO refunds (refund_id, order_id) VALUES (%s, %s)",
        (happening.refund_id, happening.originator_id),
    )


@remember.register
def _(happening: Order.RefundPaid, cursor: Cursor) -> None:
    _add(cursor, happening.store_id, happening.business_date, refunds_fen=happening.amount_fen)


@remember.register
def _(happening: TillReturn.Taken, cursor: Cursor) -> None:
    _add(cursor, happening.store_id, happening.business_date, returns_fen=happening.refund_fen)


def _add(
    cursor: Cursor,
    store_id: UUID,
    day: date,
    *,
    orders: int = 0,
    sales_fen: int = 0,
    cancelled: int = 0,
    cancelled_fen: int = 0,
    rounding_fen: int = 0,
    returns_fen: int = 0,
    refunds_fen: int = 0,
) -> None:
    cursor.execute(
        "INSERT INTO business_days AS d (store_id, business_date, orders, sales_fen, cancelled,"
        " cancelled_fen, rounding_fen, returns_fen, refunds_fen)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (store_id, business_date) DO UPDATE SET"
        " orders = d.orders + excluded.orders,"
        " sales_fen = d.sales_fen + excluded.sales_fen,"
        " cancelled = d.cancelled + excluded.cancelled,"
        " cancelled_fen = d.cancelled_fen + excluded.cancelled_fen,"
        " rounding_fen = d.rounding_fen + excluded.rounding_fen,"
        " returns_fen = d.returns_fen + excluded.returns_fen,"
        " refunds_fen = d.refunds_fen + excluded.refunds_fen",
        (
            store_id,
            day,
            orders,
            sales_fen,
            cancelled,
            cancelled_fen,
            rounding_fen,
            returns_fen,
            refunds_fen,
        ),
    )
