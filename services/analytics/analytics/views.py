"""The tables, and the questions they answer."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from psycopg import Cursor

from analytics import reporting, tables
from analytics.paging import Key, Row, day, page, plain
from pomona.errors import NotFound

SCHEMA = tables.ARCHIVE + tables.SCHEMA + reporting.SCHEMA

STORE_ID, BUSINESS_DATE = Key("store_id", UUID), Key("business_date", day)
HOUR, CHANNEL, UNIT = Key("hour", int), Key("channel", str), Key("unit", str)
PRODUCT_ID, LOT_ID = Key("product_id", UUID), Key("lot_id", UUID)

# what a figure can be told apart by: the columns to group by, and the key among them
SALES_BY = {
    "store": ("store_id", STORE_ID),
    "day": ("business_date", BUSINESS_DATE),
    "hour": ("hour", HOUR),
    "channel": ("channel", CHANNEL),
    "product": ("product_id, product", PRODUCT_ID),
}
NOBODY = "00000000-0000-0000-0000-000000000000"
CLAIMS_BY = {
    "store": ("store_id", STORE_ID),
    "reason": ("reason", Key("reason", str)),
    "kind": ("kind", Key("kind", str)),
    "product": ("product_id, product", PRODUCT_ID),
    "supplier": ("supplier_id, supplier", Key("supplier_id", UUID, empty=NOBODY)),
}


class LotUnknown(NotFound):
    field = "lot_id"
    zh = "没有这个批次的记录。请核对批次编号；刚收的货请稍后再查。"
    en = "Nothing is known of this lot. Check its id; for goods just received, ask again shortly."


class LineUnknown(NotFound):
    field = "line_no"
    zh = "没有这张小票上这一行的记录。请核对订单和行号；刚收款的请稍后再查。"
    en = "Nothing is known of this line. Check order and line; if just paid, ask again shortly."


def sales(cursor: Cursor[Row], asked: Mapping[str, Any], store_id: UUID | None) -> Row:
    """Return quantities and takings by any of store, business day, hour, channel and product."""
    by = [SALES_BY[word] for word in SALES_BY if word in asked["by"]]
    columns = ", ".join([columns for columns, _ in by] + ["unit"])
    conditions = {
        "store_id = %(store_id)s": store_id,
        "business_date >= %(from_day)s": asked["from_day"],
        "business_date <= %(to_day)s": asked["to_day"],
        "product_id = %(product_id)s": asked["product_id"],
        "channel = %(channel)s": asked["channel"],
        "unit = %(unit)s": asked["unit"],
    }
    select = (
        f"SELECT {columns}, sum(lines)::bigint AS lines, sum(quantity)::bigint AS quantity,"  # noqa: S608 - words of this module only
        " sum(returned)::bigint AS returned, sum(takings_fen)::bigint AS takings_fen"
        f" FROM reporting.sales_by_hour {where(conditions)} GROUP BY {columns}"
    )
    return answered(cursor, select, asked, store_id, [*(key for _, key in by), UNIT])


def sales_by_hour(cursor: Cursor[Row], asked: Mapping[str, Any], store_id: UUID | None) -> Row:
    """Return receipts and takings by store, business day and hour."""
    conditions = {
        "store_id = %(store_id)s": store_id,
        "business_date >= %(from_day)s": asked["from_day"],
        "business_date <= %(to_day)s": asked["to_day"],
    }
    select = f"SELECT * FROM reporting.trade_by_hour {where(conditions)}"  # noqa: S608 - as above
    return answered(cursor, select, asked, store_id, [STORE_ID, BUSINESS_DATE, HOUR])


def claims_by(cursor: Cursor[Row], asked: Mapping[str, Any], store_id: UUID | None) -> Row:
    """Return claims and refunds by any of store, reason, kind, product and supplier."""
    by = [CLAIMS_BY[word] for word in CLAIMS_BY if word in asked["by"]]
    columns = ", ".join([columns for columns, _ in by] + ["unit"])
    conditions = {
        "store_id = %(store_id)s": store_id,
        "opened_on >= %(from_day)s": asked["from_day"],
        "opened_on <= %(to_day)s": asked["to_day"],
    }
    select = (
        f"SELECT {columns}, count(DISTINCT claim_id) AS claims,"  # noqa: S608 - as above
        " sum(quantity)::bigint AS quantity, sum(claimed_fen)::bigint AS claimed_fen,"
        " sum(approved_fen)::bigint AS approved_fen"
        f" FROM reporting.claim_lots {where(conditions)} GROUP BY {columns}"
    )
    return answered(cursor, select, asked, store_id, [*(key for _, key in by), UNIT])


def stock_position(cursor: Cursor[Row], asked: Mapping[str, Any], store_id: UUID | None) -> Row:
    """Return stock on hand, its cost, what was sold without stock, and what runs low."""
    conditions = {
        "store_id = %(store_id)s": store_id,
        "product_id = %(product_id)s": asked["product_id"],
        "coalesce(low, false) = %(low)s": asked["low"],
    }
    select = f"SELECT * FROM reporting.stock_position {where(conditions)}"  # noqa: S608 - as above
    return answered(cursor, select, asked, store_id, [STORE_ID, PRODUCT_ID, UNIT])


def lot_balance(cursor: Cursor[Row], asked: Mapping[str, Any], store_id: UUID | None) -> Row:
    """Return what came in and went out of each lot in each store, and what nothing explains."""
    conditions = {
        "store_id = %(store_id)s": store_id,
        "lot_id = %(lot_id)s": asked["lot_id"],
        "product_id = %(product_id)s": asked["product_id"],
        "(unexplained <> 0) = %(unexplained)s": asked["unexplained"] or None,
    }
    select = f"SELECT * FROM reporting.lot_balance {where(conditions)}"  # noqa: S608 - as above
    return answered(cursor, select, asked, store_id, [STORE_ID, LOT_ID, PRODUCT_ID, UNIT])


def lot_margin(cursor: Cursor[Row], asked: Mapping[str, Any], store_id: UUID | None) -> Row:
    """Return takings, refunds, cost, shrinkage and margin of each lot in each store."""
    conditions = {
        "b.store_id = %(store_id)s": store_id,
        "b.lot_id = %(lot_id)s": asked["lot_id"],
        "b.product_id = %(product_id)s": asked["product_id"],
        "l.business_date >= %(from_day)s": asked["from_day"],
        "l.business_date <= %(to_day)s": asked["to_day"],
    }
    # The margin of a lot is summed up from its receipts: first choose the lots of this page.
    select = (
        "SELECT b.store_id, b.lot_id FROM lot_stock b LEFT JOIN lot l USING (lot_id)"  # noqa: S608 - as above
        f" {where(conditions)}"
    )
    answer = answered(cursor, select, asked, store_id, [LOT_ID, STORE_ID])
    cursor.execute(
        "SELECT * FROM reporting.lot_margin WHERE lot_id = ANY(%s::uuid[])",
        [[row["lot_id"] for row in answer["rows"]]],
    )
    margins = {(row["lot_id"], row["store_id"]): row for row in map(plain, cursor.fetchall())}
    answer["rows"] = [margins[row["lot_id"], row["store_id"]] for row in answer["rows"]]
    return answer


def trace_lot(cursor: Cursor[Row], asked: Mapping[str, Any], store_id: UUID | None) -> Row:
    """Follow one lot to its supplier, the stores it went to, its receipts and its claims."""
    conditions = {
        "b.lot_id = %(lot_id)s": asked["lot_id"],
        "b.store_id = %(store_id)s": store_id,
    }
    given = {**asked, "store_id": store_id}
    balance = f"SELECT b.* FROM reporting.lot_balance b {where(conditions)} ORDER BY b.store_id"  # noqa: S608 - as above
    stores = rows(cursor, balance, given)
    if not stores:
        raise LotUnknown
    lot = rows(cursor, "SELECT * FROM reporting.lots WHERE lot_id = %(lot_id)s", given)
    in_transit = rows(
        cursor,
        "SELECT sum(moved_out - moved_in)::bigint AS quantity FROM lot_stock"
        " WHERE lot_id = %(lot_id)s",
        given,
    )
    moves = rows(
        cursor,
        "SELECT m.store_id, m.kind, m.cause_id AS transfer_id, m.business_date, m.quantity"  # noqa: S608 - as above
        f" FROM lot_stock b JOIN lot_movement m USING (store_id, lot_id) {where(conditions)}"
        " AND m.kind IN ('moved_in', 'moved_out') ORDER BY m.position, m.part",
        given,
    )
    claims = rows(
        cursor,
        "SELECT k.quantity AS of_this_lot, c.* FROM lot_claim k"
        " JOIN reporting.claims c USING (claim_id) WHERE k.lot_id = %(lot_id)s"
        " AND (%(store_id)s::uuid IS NULL OR c.store_id = %(store_id)s) ORDER BY c.opened_at",
        given,
    )
    certainty = rows(
        cursor,
        "SELECT m.reason AS certainty, sum(m.quantity)::bigint AS quantity"  # noqa: S608 - as above
        f" FROM lot_stock b JOIN lot_movement m USING (store_id, lot_id) {where(conditions)}"
        " AND m.kind = 'sold' GROUP BY m.reason ORDER BY m.reason",
        given,
    )
    select = (
        "SELECT x.*, s.receipt_no, s.sold_at, s.customer_id"  # noqa: S608 - as above
        " FROM lot_stock b JOIN reporting.lot_sales x USING (store_id, lot_id)"
        f" LEFT JOIN sale s ON s.store_id = x.store_id AND s.order_id = x.order_id"
        f" {where(conditions)}"
    )
    order = [BUSINESS_DATE, STORE_ID, Key("order_id", UUID), Key("line_no", int)]
    answer = answered(cursor, select, asked, store_id, order)
    return {
        "lot": lot[0] if lot else None,
        "stores": stores,
        "in_transit": in_transit[0]["quantity"],
        "transfers": moves,
        "claims": claims,
        "sold_by_certainty": {row["certainty"]: row["quantity"] for row in certainty},
        "sales": answer.pop("rows"),
        **answer,
    }


def trace_line(cursor: Cursor[Row], asked: Mapping[str, Any], store_id: UUID | None) -> Row:
    """Follow one line of a receipt back to the lots and suppliers it came from."""
    given = {**asked, "store_id": store_id}
    line = rows(
        cursor,
        "SELECT l.*, s.receipt_no, s.business_date, s.sold_at, s.channel, s.customer_id"
        " FROM reporting.receipt_lines l JOIN sale s USING (store_id, order_id)"
        " WHERE l.store_id IN (SELECT store_id FROM store"
        "   WHERE %(store_id)s::uuid IS NULL OR store_id = %(store_id)s)"
        " AND l.order_id = %(order_id)s AND l.line_no = %(line_no)s",
        given,
    )
    if not line:
        raise LineUnknown
    lots = rows(
        cursor,
        "SELECT x.lot_id, x.quantity, x.certainty, x.takings_fen, x.refunded_fen, l.store_id AS"
        " received_in, l.supplier_id, l.supplier, l.origin, l.harvest_date, l.received_at"
        " FROM reporting.lot_sales x LEFT JOIN reporting.lots l USING (lot_id)"
        " WHERE x.order_id = %(order_id)s AND x.line_no = %(line_no)s ORDER BY x.lot_id",
        given,
    )
    claims = rows(
        cursor,
        "SELECT * FROM reporting.claims"
        " WHERE order_id = %(order_id)s AND line_no = %(line_no)s ORDER BY opened_at",
        given,
    )
    return {
        "line": line[0],
        "lots": lots,
        "without_lot": line[0]["quantity"] - sum(lot["quantity"] for lot in lots),
        "claims": claims,
        "as_known_at": as_known_at(cursor),
    }


def archive_status(cursor: Cursor[Row]) -> Row:
    """Return how many events of each source are archived, up to which position and time."""
    sources = rows(cursor, "SELECT * FROM reporting.as_known_at ORDER BY source")
    return {"sources": {row.pop("source"): row for row in sources}}


def as_known_at(cursor: Cursor[Row]) -> dict[str, int]:
    """Return the position of each source that an answer knows of."""
    return {source: told["position"] for source, told in archive_status(cursor)["sources"].items()}


def where(conditions: Mapping[str, Any]) -> str:
    """Keep the conditions whose value was asked for."""
    asked_for = [condition for condition, value in conditions.items() if value is not None]
    return f"WHERE {' AND '.join(asked_for)}" if asked_for else ""


def rows(cursor: Cursor[Row], select: str, given: Mapping[str, Any] | None = None) -> list[Row]:
    cursor.execute(select, given)
    return [plain(row) for row in cursor.fetchall()]


def answered(
    cursor: Cursor[Row],
    select: str,
    asked: Mapping[str, Any],
    store_id: UUID | None,
    keys: Iterable[Key],
) -> Row:
    """Return one page with its place in the whole, and how far the figures know the events."""
    known = as_known_at(cursor)
    given = {**asked, "store_id": store_id}
    found, following = page(
        cursor, select, given, list(keys), limit=asked["limit"], after=asked["after"]
    )
    return {"rows": [plain(row) for row in found], "next": following, "as_known_at": known}
