"""What analytics can be asked: questions only, answered in pages."""

from marshmallow.validate import Length

from analytics.contracts.words import SALES_CHANNELS, UNITS
from pomona.contracts import Request, Role
from pomona.fields import Bool, Choice, Count, Day, Id, List, RequestSchema, Text

EVERY_STORE: tuple[Role, ...] = ("analyst", "head_office")
OWN_STORE: tuple[Role, ...] = (*EVERY_STORE, "store_manager")
DIMENSIONS = ("store", "day", "hour", "channel", "product")
CLAIM_DIMENSIONS = ("store", "reason", "kind", "product", "supplier")
PAGE = 200
LARGEST_PAGE = 1000


class Paged(RequestSchema):
    """One page: `after` is the `next` of the page before."""

    limit = Count(max=LARGEST_PAGE, load_default=PAGE)
    after = Text(max=1000, load_default=None, allow_none=True)


class OfStore(Paged):
    store_id = Id(load_default=None, allow_none=True)


class OfPeriod(OfStore):
    from_day = Day(load_default=None, allow_none=True)
    to_day = Day(load_default=None, allow_none=True)


class Sales(OfPeriod):
    by = List(
        Choice(DIMENSIONS),
        load_default=lambda: ["store", "day", "product"],
        validate=Length(min=1, max=len(DIMENSIONS)),
    )
    product_id = Id(load_default=None, allow_none=True)
    channel = Choice(SALES_CHANNELS, load_default=None, allow_none=True)
    unit = Choice(UNITS, load_default=None, allow_none=True)


class ClaimsBy(OfPeriod):
    by = List(
        Choice(CLAIM_DIMENSIONS),
        load_default=lambda: ["reason", "product", "supplier"],
        validate=Length(min=1, max=len(CLAIM_DIMENSIONS)),
    )


class LotMargin(OfPeriod):
    lot_id = Id(load_default=None, allow_none=True)
    product_id = Id(load_default=None, allow_none=True)


class StockPosition(OfStore):
    product_id = Id(load_default=None, allow_none=True)
    low = Bool(load_default=None, allow_none=True)


class LotBalance(OfStore):
    lot_id = Id(load_default=None, allow_none=True)
    product_id = Id(load_default=None, allow_none=True)
    unexplained = Bool(load_default=False)


class TraceLot(OfStore):
    lot_id = Id(required=True)


class TraceLine(RequestSchema):
    store_id = Id(load_default=None, allow_none=True)
    order_id = Id(required=True)
    line_no = Count(required=True, max=1000)


class ArchiveStatus(RequestSchema):
    pass


REQUESTS = (
    Request(
        "sales",
        Sales,
        OWN_STORE,
        "Quantities and takings by any of store, business day, hour, channel and product.",
        "question",
    ),
    Request(
        "sales_by_hour",
        OfPeriod,
        OWN_STORE,
        "Receipts and takings by store, business day and hour.",
        "question",
    ),
    Request(
        "lot_margin",
        LotMargin,
        OWN_STORE,
        "Takings, refunds, cost with freight, shrinkage and margin of each lot in each store.",
        "question",
    ),
    Request(
        "claims_by",
        ClaimsBy,
        OWN_STORE,
        "Claims, claimed quantity and refunds by any of store, reason, kind, product, supplier.",
        "question",
    ),
    Request(
        "stock_position",
        StockPosition,
        OWN_STORE,
        "Stock on hand, its cost, what was sold without stock, and what runs low.",
        "question",
    ),
    Request(
        "lot_balance",
        LotBalance,
        OWN_STORE,
        "What came in and went out of each lot in each store, and what nothing explains.",
        "question",
    ),
    Request(
        "trace_lot",
        TraceLot,
        OWN_STORE,
        "One lot to its supplier, the stores it went to, its receipts and its claims.",
        "question",
    ),
    Request(
        "trace_line",
        TraceLine,
        OWN_STORE,
        "One line of a receipt back to the lots and suppliers it came from.",
        "question",
    ),
    Request(
        "archive_status",
        ArchiveStatus,
        (*EVERY_STORE, "service"),
        "How many events of each source are archived, up to which position and time.",
        "question",
    ),
)
