"""The tables of analytics, declared once: projections fill them, a rebuild fills them again.

Every row of a table comes from the events of one source only, and the order of one source is
fixed. So the tables depend on which events have arrived, never on how the sources took turns;
what spans sources is joined when a question is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class Table:
    """One table: `facts` hold what the latest event said, `sums` what all of them add up to."""

    name: str
    key: Mapping[str, str]
    facts: Mapping[str, str] = field(default_factory=dict)
    sums: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()

    @property
    def columns(self) -> dict[str, str]:
        """Return each column with its type; a type that ends in `?` may be null."""
        return {**self.key, **self.facts, **dict.fromkeys(self.sums, "bigint")}

    @property
    def ddl(self) -> str:
        columns = ",\n".join(
            f"  {name} {kind.rstrip('?')}{'' if kind.endswith('?') else ' NOT NULL'}"
            for name, kind in self.columns.items()
        )
        indexes = "".join(
            f"CREATE INDEX IF NOT EXISTS {self.name}_{columns.replace(', ', '_')}"
            f" ON {self.name} ({columns});\n"
            for columns in self.indexes
        )
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} (\n{columns},\n"
            f"  PRIMARY KEY ({', '.join(self.key)})\n);\n{indexes}"
        )

    @property
    def upsert(self) -> str:
        """Return the statement that takes one array per column and writes all rows at once."""
        columns = self.columns
        arrays = ", ".join(f"%s::{kind.rstrip('?')}[]" for kind in columns.values())
        changes = ", ".join(
            [f"{name} = excluded.{name}" for name in self.facts]
            + [f"{name} = {self.name}.{name} + excluded.{name}" for name in self.sums]
        )
        return (
            f"INSERT INTO {self.name} ({', '.join(columns)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - names from this module only
            f" ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {changes}"
        )


# --- what has been received -------------------------------------------------------------------
ARCHIVE = """
CREATE TABLE IF NOT EXISTS archive (
  source text NOT NULL,
  position bigint NOT NULL,
  previous bigint NOT NULL,
  type text NOT NULL,
  envelope bytea NOT NULL,
  PRIMARY KEY (source, position)
) PARTITION BY LIST (source);
CREATE TABLE IF NOT EXISTS archive_orders PARTITION OF archive FOR VALUES IN ('orders');
CREATE TABLE IF NOT EXISTS archive_inventory PARTITION OF archive FOR VALUES IN ('inventory');
CREATE TABLE IF NOT EXISTS archive_aftersales PARTITION OF archive FOR VALUES IN ('aftersales');
CREATE TABLE IF NOT EXISTS archive_crm PARTITION OF archive FOR VALUES IN ('crm');
CREATE TABLE IF NOT EXISTS archive_others PARTITION OF archive DEFAULT;
"""
ARCHIVED = Table(
    "archived",
    key={"source": "text", "type": "text"},
    facts={"position": "bigint", "time": "text"},
    sums=("events",),
)
UNREADABLE = Table(
    "unreadable",
    key={"source": "text", "position": "bigint"},
    facts={"type": "text", "subject": "text"},
)

# --- from orders ------------------------------------------------------------------------------
STORE = Table(
    "store",
    key={"store_id": "uuid"},
    facts={"code": "text", "name": "text", "zone": "text", "cut_off": "text"},
)
PRODUCT = Table(
    "product",
    key={"product_id": "uuid"},
    facts={"code": "text", "name": "text", "category": "text", "unit": "text"},
)
SHIFT = Table(
    "shift",
    key={"store_id": "uuid", "shift_id": "uuid"},
    facts={
        "business_date": "date",
        "terminal_id": "uuid",
        "opened_at": "timestamptz",
        "float_fen": "bigint",
    },
)
SHIFT_CLOSE = Table(
    "shift_close",
    key={"store_id": "uuid", "shift_id": "uuid"},
    facts={
        "closed_at": "timestamptz",
        "expected_cash_fen": "bigint",
        "counted_cash_fen": "bigint",
        "difference_fen": "bigint",
        "card_fen": "bigint",
    },
)
SHIFT_TAKINGS = Table(
    "shift_takings",
    key={"store_id": "uuid", "shift_id": "uuid"},
    sums=(
        "receipts",
        "cash_fen",
        "card_fen",
        "rounding_fen",
        "refunded_cash_fen",
        "refunded_card_fen",
    ),
)
SALE = Table(
    "sale",
    key={"store_id": "uuid", "order_id": "uuid"},
    facts={
        "business_date": "date",
        "hour": "smallint",
        "channel": "text",
        "receipt_no": "text",
        "shift_id": "uuid",
        "customer_id": "uuid?",
        "sold_at": "timestamptz",
        "total_fen": "bigint",
        "rounding_fen": "bigint",
        "cash_fen": "bigint",
        "card_fen": "bigint",
    },
)
SALE_LINE = Table(
    "sale_line",
    key={"store_id": "uuid", "order_id": "uuid", "line_no": "integer"},
    facts={
        "product_id": "uuid",
        "unit": "text",
        "quantity": "bigint",
        "price_fen": "bigint",
        "total_fen": "bigint",
        "net_fen": "bigint",
    },
)
SALE_CANCELLED = Table(
    "sale_cancelled",
    key={"store_id": "uuid", "order_id": "uuid"},
    facts={"cancelled_at": "timestamptz", "reason": "text"},
)
SALES = Table(
    "sales",
    key={
        "store_id": "uuid",
        "business_date": "date",
        "hour": "smallint",
        "channel": "text",
        "product_id": "uuid",
        "unit": "text",
    },
    sums=("lines", "quantity", "returned", "sold_fen", "refunded_fen"),
)
RECEIPTS = Table(
    "receipts",
    key={"store_id": "uuid", "business_date": "date", "hour": "smallint", "channel": "text"},
    sums=("receipts", "cancelled", "total_fen"),
)
TILL_RETURN = Table(
    "till_return",
    key={"store_id": "uuid", "return_id": "uuid", "line_no": "integer"},
    facts={
        "business_date": "date",
        "product_id": "uuid",
        "unit": "text",
        "quantity": "bigint",
        "refund_fen": "bigint",
        "reason": "text",
        "returned_at": "timestamptz",
    },
)
REFUND = Table(
    "refund",
    key={"store_id": "uuid", "refund_id": "uuid"},
    facts={
        "business_date": "date",
        "claim_id": "uuid",
        "order_id": "uuid",
        "line_no": "integer",
        "amount_fen": "bigint",
        "cash_fen": "bigint",
        "card_fen": "bigint",
        "paid_at": "timestamptz",
    },
    indexes=("claim_id",),
)

# --- from inventory ---------------------------------------------------------------------------
SUPPLIER = Table("supplier", key={"supplier_id": "uuid"}, facts={"code": "text", "name": "text"})
LOT = Table(
    "lot",
    key={"lot_id": "uuid"},  # a lot goes from store to store
    facts={
        "store_id": "uuid",
        "product_id": "uuid",
        "supplier_id": "uuid",
        "unit": "text",
        "quantity": "bigint",
        "goods_cost_fen": "bigint",
        "freight_fen": "bigint",
        "cost_fen": "bigint",
        "origin": "text",
        "harvest_date": "date?",
        "best_before": "date?",
        "received_at": "timestamptz",
        "business_date": "date",
    },
    indexes=("store_id, business_date",),
)
LOT_STOCK = Table(
    "lot_stock",
    key={"store_id": "uuid", "lot_id": "uuid", "product_id": "uuid", "unit": "text"},
    facts={"on_hand": "bigint"},
    sums=("received", "moved_in", "moved_out", "sold", "returned", "shrunk"),
    indexes=("lot_id",),
)
LOT_MOVEMENT = Table(
    "lot_movement",
    key={"store_id": "uuid", "lot_id": "uuid", "position": "bigint", "part": "integer"},
    facts={
        "kind": "text",
        "reason": "text?",
        "cause_id": "uuid",
        "line_no": "integer?",
        "business_date": "date",
        "unit": "text",
        "quantity": "bigint",
        "before": "bigint",
        "whole": "bigint",
    },
    indexes=("cause_id, line_no",),
)
SHORTFALL = Table(
    "shortfall",
    key={"store_id": "uuid", "business_date": "date", "product_id": "uuid", "unit": "text"},
    sums=("quantity",),
)
SHRINKAGE = Table(
    "shrinkage",
    key={
        "store_id": "uuid",
        "business_date": "date",
        "product_id": "uuid",
        "unit": "text",
        "reason": "text",
        "lot_id": "uuid",
    },
    sums=("quantity",),
)
STOCK_LEVEL = Table(
    "stock_level",
    key={"store_id": "uuid", "product_id": "uuid", "unit": "text"},
    facts={"low": "boolean", "reorder_point": "bigint"},
)
LOT_CLAIM = Table(
    "lot_claim",
    key={"lot_id": "uuid", "claim_id": "uuid"},  # the event names no store
    facts={"order_id": "uuid", "line_no": "integer"},
    sums=("quantity",),
)

# --- from aftersales --------------------------------------------------------------------------
CLAIM = Table(
    "claim",
    key={"store_id": "uuid", "claim_id": "uuid"},
    facts={
        "order_id": "uuid",
        "line_no": "integer",
        "product_id": "uuid",
        "unit": "text",
        "channel": "text",
        "reason": "text",
        "kind": "text",
        "priority": "integer",
        "quantity": "bigint",
        "claimed_fen": "bigint",
        "opened_at": "timestamptz",
        "due_at": "timestamptz",
    },
    indexes=("order_id, line_no", "claim_id"),
)
CLAIM_DECISION = Table(
    "claim_decision",
    key={"store_id": "uuid", "claim_id": "uuid"},
    facts={
        "order_id": "uuid",
        "line_no": "integer",
        "outcome": "text",
        "clause": "text",
        "amount_fen": "bigint",
        "decided_at": "timestamptz",
    },
    indexes=("order_id, line_no",),
)
CLAIM_SETTLED = Table(
    "claim_settled",
    key={"store_id": "uuid", "claim_id": "uuid"},
    facts={"amount_fen": "bigint", "settled_at": "timestamptz"},
)
TAKEN_BACK = Table(
    "taken_back",
    key={"store_id": "uuid", "claim_id": "uuid", "position": "bigint"},
    facts={
        "order_id": "uuid",
        "line_no": "integer",
        "business_date": "date",
        "product_id": "uuid",
        "unit": "text",
        "quantity": "bigint",
        "refund_fen": "bigint",
        "disposition": "text",
        "taken_at": "timestamptz",
    },
    indexes=("store_id, business_date",),
)

# --- from crm ---------------------------------------------------------------------------------
POINTS = Table(
    "points",
    key={"order_id": "uuid", "customer_id": "uuid"},  # the event names no store
    sums=("earned", "reversed"),
)

TABLES = (
    ARCHIVED,
    UNREADABLE,
    STORE,
    PRODUCT,
    SHIFT,
    SHIFT_CLOSE,
    SHIFT_TAKINGS,
    SALE,
    SALE_LINE,
    SALE_CANCELLED,
    SALES,
    RECEIPTS,
    TILL_RETURN,
    REFUND,
    SUPPLIER,
    LOT,
    LOT_STOCK,
    LOT_MOVEMENT,
    SHORTFALL,
    SHRINKAGE,
    STOCK_LEVEL,
    LOT_CLAIM,
    CLAIM,
    CLAIM_DECISION,
    CLAIM_SETTLED,
    TAKEN_BACK,
    POINTS,
)
SCHEMA = "".join(table.ddl for table in TABLES)
