"""What analytics reads of the stockroom: suppliers, lots, and every movement of a lot."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import TypedDict
from uuid import UUID

from analytics.contracts.words import LINES, UNITS
from pomona.contracts import Consumed
from pomona.fields import (
    Choice,
    Count,
    Day,
    FactSchema,
    Fen,
    Id,
    List,
    Moment,
    Nested,
    Text,
    Whole,
)

MAX_ON_HAND = 10**15


@dataclass(frozen=True)
class SupplierRegistered:
    supplier_id: UUID
    name: str
    code: str


class SupplierRegisteredSchema(FactSchema):
    supplier_id = Id(required=True)
    name = Text(required=True)
    code = Text(required=True)


@dataclass(frozen=True)
class LotReceived:
    lot_id: UUID
    store_id: UUID
    product_id: UUID
    supplier_id: UUID
    unit: str
    quantity: int
    goods_cost_fen: int
    freight_fen: int
    cost_fen: int
    origin: str
    harvest_date: date | None
    best_before: date | None
    received_at: datetime
    business_date: date
    on_hand: int


class LotReceivedSchema(FactSchema):
    lot_id = Id(required=True)
    store_id = Id(required=True)
    product_id = Id(required=True)
    supplier_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    goods_cost_fen = Fen(required=True)
    freight_fen = Fen(required=True)
    cost_fen = Fen(required=True)
    origin = Text(required=True, max=200)
    harvest_date = Day(required=True, allow_none=True)
    best_before = Day(required=True, allow_none=True)
    received_at = Moment(required=True)
    business_date = Day(required=True)
    on_hand = Whole(required=True, max=MAX_ON_HAND)


class LotPart(TypedDict):
    """So much of one lot, and what is left of it in the store afterwards."""

    lot_id: UUID
    quantity: int
    on_hand: int


class LotPartSchema(FactSchema):
    lot_id = Id(required=True)
    quantity = Count(required=True)
    on_hand = Whole(required=True, max=MAX_ON_HAND)


class SoldLine(TypedDict):
    line_no: int
    quantity: int
    shortfall: int
    lots: list[LotPart]


class SoldLineSchema(FactSchema):
    line_no = Count(required=True)
    quantity = Count(required=True)
    shortfall = Whole(required=True)
    lots = List(Nested(LotPartSchema), required=True)


@dataclass(frozen=True)
class StockSold:
    store_id: UUID
    product_id: UUID
    unit: str
    order_id: UUID
    business_date: date
    certainty: str
    lines: list[SoldLine]


class StockSoldSchema(FactSchema):
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    order_id = Id(required=True)
    business_date = Day(required=True)
    certainty = Text(required=True)
    lines = List(Nested(SoldLineSchema), required=True, validate=LINES)


@dataclass(frozen=True)
class StockPutBack:
    store_id: UUID
    product_id: UUID
    unit: str
    order_id: UUID
    business_date: date
    lots: list[LotPart]
    shortfall: int


class StockPutBackSchema(FactSchema):
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    order_id = Id(required=True)
    business_date = Day(required=True)
    lots = List(Nested(LotPartSchema), required=True)
    shortfall = Whole(required=True)


@dataclass(frozen=True)
class StockReturned:
    store_id: UUID
    product_id: UUID
    unit: str
    cause: str
    cause_id: UUID
    line_no: int
    business_date: date
    lots: list[LotPart]


class StockReturnedSchema(FactSchema):
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    cause = Choice(("claim", "till"), required=True)
    cause_id = Id(required=True)
    line_no = Count(required=True)
    business_date = Day(required=True)
    lots = List(Nested(LotPartSchema), required=True)


@dataclass(frozen=True)
class StockShrunk:
    store_id: UUID
    product_id: UUID
    unit: str
    shrinkage_id: UUID
    reason: str
    business_date: date
    lots: list[LotPart]
    shortfall: int


class StockShrunkSchema(FactSchema):
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    shrinkage_id = Id(required=True)
    reason = Text(required=True)
    business_date = Day(required=True)
    lots = List(Nested(LotPartSchema), required=True)
    shortfall = Whole(required=True)


@dataclass(frozen=True)
class StockLevel:
    """Stock fell to its reorder point, or came back above it."""

    store_id: UUID
    product_id: UUID
    unit: str
    on_hand: int
    reorder_point: int


class StockFellLow(StockLevel):
    pass


class StockRecovered(StockLevel):
    pass


class StockLevelSchema(FactSchema):
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    on_hand = Whole(required=True, max=MAX_ON_HAND)
    reorder_point = Whole(required=True)


@dataclass(frozen=True)
class Transfer:
    """Lots on their way between two stores, as one of them saw it."""

    transfer_id: UUID
    from_store_id: UUID
    to_store_id: UUID
    product_id: UUID
    unit: str
    business_date: date
    lots: list[LotPart]


class TransferSent(Transfer):
    pass


class TransferReceived(Transfer):
    pass


class TransferSchema(FactSchema):
    transfer_id = Id(required=True)
    from_store_id = Id(required=True)
    to_store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    business_date = Day(required=True)
    lots = List(Nested(LotPartSchema), required=True, validate=LINES)


@dataclass(frozen=True)
class LotClaimed:
    lot_id: UUID
    claim_id: UUID
    order_id: UUID
    line_no: int
    quantity: int


class LotClaimedSchema(FactSchema):
    lot_id = Id(required=True)
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    quantity = Whole(required=True)


CONSUMED = (
    Consumed(
        "pomona.inventory.supplier_registered.v1", SupplierRegisteredSchema, SupplierRegistered
    ),
    Consumed("pomona.inventory.lot_received.v1", LotReceivedSchema, LotReceived),
    Consumed("pomona.inventory.stock_sold.v1", StockSoldSchema, StockSold),
    Consumed("pomona.inventory.stock_put_back.v1", StockPutBackSchema, StockPutBack),
    Consumed("pomona.inventory.stock_returned.v1", StockReturnedSchema, StockReturned),
    Consumed("pomona.inventory.stock_shrunk.v1", StockShrunkSchema, StockShrunk),
    Consumed("pomona.inventory.stock_fell_low.v1", StockLevelSchema, StockFellLow),
    Consumed("pomona.inventory.stock_recovered.v1", StockLevelSchema, StockRecovered),
    Consumed("pomona.inventory.transfer_sent.v1", TransferSchema, TransferSent),
    Consumed("pomona.inventory.transfer_received.v1", TransferSchema, TransferReceived),
    Consumed("pomona.inventory.lot_claimed.v1", LotClaimedSchema, LotClaimed),
)
