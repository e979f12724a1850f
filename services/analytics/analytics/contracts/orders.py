"""What analytics reads of the till: the catalogue, shifts, sales, returns and refunds paid."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import TypedDict
from uuid import UUID

from analytics.contracts.words import CHANNELS, LINES, MAX_FEN, TENDERS, UNITS
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


@dataclass(frozen=True)
class StoreOpened:
    store_id: UUID
    code: str
    name: str
    zone: str
    cut_off: str


class StoreOpenedSchema(FactSchema):
    store_id = Id(required=True)
    code = Text(required=True)
    name = Text(required=True)
    zone = Text(required=True)
    cut_off = Text(required=True, max=5)


@dataclass(frozen=True)
class ProductListed:
    product_id: UUID
    code: str
    name: str
    category: str
    unit: str


class ProductListedSchema(FactSchema):
    product_id = Id(required=True)
    code = Text(required=True)
    name = Text(required=True)
    category = Text(required=True)
    unit = Choice(UNITS, required=True)


@dataclass(frozen=True)
class ShiftOpened:
    shift_id: UUID
    store_id: UUID
    terminal_id: UUID
    business_date: date
    opened_at: datetime
    float_fen: int


class ShiftOpenedSchema(FactSchema):
    shift_id = Id(required=True)
    store_id = Id(required=True)
    terminal_id = Id(required=True)
    business_date = Day(required=True)
    opened_at = Moment(required=True)
    float_fen = Fen(required=True)


@dataclass(frozen=True)
class ShiftClosed:
    shift_id: UUID
    store_id: UUID
    closed_at: datetime
    expected_cash_fen: int
    counted_cash_fen: int
    difference_fen: int
    card_fen: int


class ShiftClosedSchema(FactSchema):
    shift_id = Id(required=True)
    store_id = Id(required=True)
    closed_at = Moment(required=True)
    expected_cash_fen = Fen(required=True, min=-MAX_FEN)
    counted_cash_fen = Fen(required=True)
    difference_fen = Fen(required=True, min=-MAX_FEN)
    card_fen = Fen(required=True, min=-MAX_FEN)


class PaidLine(TypedDict):
    line_no: int
    product_id: UUID
    unit: str
    quantity: int
    price_fen: int
    total_fen: int
    net_fen: int


class PaidLineSchema(FactSchema):
    line_no = Count(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    price_fen = Fen(required=True)
    total_fen = Fen(required=True)
    net_fen = Fen(required=True, min=-MAX_FEN)


class Tender(TypedDict):
    kind: str
    amount_fen: int


class TenderSchema(FactSchema):
    kind = Choice(TENDERS, required=True)
    amount_fen = Fen(required=True)


@dataclass(frozen=True)
class OrderPaid:
    order_id: UUID
    receipt_no: str
    store_id: UUID
    shift_id: UUID
    business_date: date
    sold_at: datetime
    hour: int
    channel: str
    customer_id: UUID | None
    lines: list[PaidLine]
    total_fen: int
    rounding_fen: int
    tenders: list[Tender]
    change_fen: int

    @property
    def cash_fen(self) -> int:
        """Return the cash that stayed in the drawer."""
        return self._tendered("cash") - self.change_fen

    @property
    def card_fen(self) -> int:
        return self._tendered("card")

    def _tendered(self, kind: str) -> int:
        return sum(tender["amount_fen"] for tender in self.tenders if tender["kind"] == kind)


class OrderPaidSchema(FactSchema):
    order_id = Id(required=True)
    receipt_no = Text(required=True)
    store_id = Id(required=True)
    shift_id = Id(required=True)
    business_date = Day(required=True)
    sold_at = Moment(required=True)
    hour = Whole(required=True, max=23)
    channel = Choice(CHANNELS, required=True)
    customer_id = Id(required=True, allow_none=True)
    lines = List(Nested(PaidLineSchema), required=True, validate=LINES)
    total_fen = Fen(required=True)
    rounding_fen = Fen(required=True, min=-MAX_FEN)
    tenders = List(Nested(TenderSchema), required=True)
    change_fen = Fen(required=True)


class CancelledLine(TypedDict):
    product_id: UUID
    unit: str
    quantity: int
    total_fen: int


class CancelledLineSchema(FactSchema):
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    total_fen = Fen(required=True)


@dataclass(frozen=True)
class OrderCancelled:
    order_id: UUID
    store_id: UUID
    business_date: date
    hour: int
    channel: str
    cancelled_at: datetime
    reason: str
    total_fen: int
    lines: list[CancelledLine]


class OrderCancelledSchema(FactSchema):
    order_id = Id(required=True)
    store_id = Id(required=True)
    business_date = Day(required=True)
    hour = Whole(required=True, max=23)
    channel = Choice(CHANNELS, required=True)
    cancelled_at = Moment(required=True)
    reason = Text(required=True, max=500)
    total_fen = Fen(required=True)
    lines = List(Nested(CancelledLineSchema), required=True, validate=LINES)


class ReturnedLine(TypedDict):
    line_no: int
    product_id: UUID
    unit: str
    quantity: int
    refund_fen: int


class ReturnedLineSchema(FactSchema):
    line_no = Count(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    refund_fen = Fen(required=True)


@dataclass(frozen=True)
class GoodsReturned:
    return_id: UUID
    store_id: UUID
    shift_id: UUID
    business_date: date
    returned_at: datetime
    hour: int
    channel: str
    reason: str
    lines: list[ReturnedLine]
    refund_fen: int
    tender: str


class GoodsReturnedSchema(FactSchema):
    return_id = Id(required=True)
    store_id = Id(required=True)
    shift_id = Id(required=True)
    business_date = Day(required=True)
    returned_at = Moment(required=True)
    hour = Whole(required=True, max=23)
    channel = Choice(CHANNELS, required=True)
    reason = Text(required=True, max=500)
    lines = List(Nested(ReturnedLineSchema), required=True, validate=LINES)
    refund_fen = Fen(required=True)
    tender = Choice(TENDERS, required=True)


@dataclass(frozen=True)
class RefundPaid:
    refund_id: UUID
    claim_id: UUID
    order_id: UUID
    line_no: int
    store_id: UUID
    shift_id: UUID
    business_date: date
    paid_at: datetime
    amount_fen: int
    cash_fen: int
    card_fen: int


class RefundPaidSchema(FactSchema):
    refund_id = Id(required=True)
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    shift_id = Id(required=True)
    business_date = Day(required=True)
    paid_at = Moment(required=True)
    amount_fen = Fen(required=True)
    cash_fen = Fen(required=True)
    card_fen = Fen(required=True)


CONSUMED = (
    Consumed("pomona.orders.store_opened.v1", StoreOpenedSchema, StoreOpened),
    Consumed("pomona.orders.product_listed.v1", ProductListedSchema, ProductListed),
    Consumed("pomona.orders.shift_opened.v1", ShiftOpenedSchema, ShiftOpened),
    Consumed("pomona.orders.shift_closed.v1", ShiftClosedSchema, ShiftClosed),
    Consumed("pomona.orders.order_paid.v1", OrderPaidSchema, OrderPaid),
    Consumed("pomona.orders.order_cancelled.v1", OrderCancelledSchema, OrderCancelled),
    Consumed("pomona.orders.goods_returned.v1", GoodsReturnedSchema, GoodsReturned),
    Consumed("pomona.orders.refund_paid.v1", RefundPaidSchema, RefundPaid),
)
