"""What after-sales tells others, what it reads of them, and what it can be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, post_load, validates_schema

from aftersales.domain.claim import CHANNELS, DISPOSITIONS, Claim
from aftersales.domain.classification import KINDS, REASONS
from aftersales.domain.purchase import SoldLine
from aftersales.domain.terms import DECISIONS, Outcome
from pomona.contracts import Consumed, Published, Request
from pomona.fields import (
    Bool,
    Choice,
    Count,
    Day,
    EventSchema,
    FactSchema,
    Fen,
    Id,
    List,
    Moment,
    Nested,
    RequestSchema,
    Text,
    Whole,
)

UNITS = ("g", "piece")
DECIDED = ("under_review", "approved", "rejected", "withdrawn")


# --- what we tell -------------------------------------------------------------------------------


class ClaimOpenedV1(EventSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    channel = Choice(CHANNELS, required=True)
    reason = Choice(REASONS, required=True)
    kind = Choice(KINDS, required=True)
    priority = Whole(required=True, min=1, max=4)
    quantity = Whole(required=True)
    claimed_fen = Fen(required=True)
    customer_id = Id(required=True, allow_none=True)
    opened_at = Moment(required=True)
    due_at = Moment(required=True)
    goods_expected = Bool(required=True)
    opened_by = Text(required=True)


class ClaimApprovedV1(EventSchema):
    claim_id = Id(required=True)
    refund_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    amount_fen = Fen(required=True, min=1)
    quantity = Count(required=True)
    clause = Text(required=True)
    approved_at = Moment(required=True)
    approved_by = Text(required=True)
    customer_id = Id(required=True, allow_none=True)


class ClaimRefusedV1(EventSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    product_id = Id(required=True)
    clause = Text(required=True)
    refused_at = Moment(required=True)
    refused_by = Text(required=True)


class GoodsTakenBackV1(EventSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    disposition = Choice(DISPOSITIONS, required=True)
    business_date = Day(required=True)
    taken_at = Moment(required=True)
    refund_fen = Fen(required=True)


class ClaimSettledV1(EventSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    refund_id = Id(required=True, allow_none=True)
    amount_fen = Fen(required=True)
    settled_at = Moment(required=True)


def step_of_a_claim(happened: Claim.Event) -> Mapping[str, Any]:
    """Give the schema everything the step holds; the schema takes what it names."""
    return {**vars(happened), "claim_id": happened.originator_id}


PUBLISHED = (
    Published(
        name="claim_opened",
        version=1,
        event=Claim.Opened,
        schema=ClaimOpenedV1,
        subject="claim_id",
        summary="A customer complained about a line of an order; classified, with its deadline.",
        data=step_of_a_claim,
    ),
    Published(
        name="claim_approved",
        version=1,
        event=Claim.Approved,
        schema=ClaimApprovedV1,
        subject="claim_id",
        summary="A refund was promised under a clause of the terms and can be paid out.",
        data=step_of_a_claim,
    ),
    Published(
        name="claim_refused",
        version=1,
        event=Claim.Refused,
        schema=ClaimRefusedV1,
        subject="claim_id",
        summary="A claim gets no refund, under a clause of the terms.",
        data=step_of_a_claim,
    ),
    Published(
        name="goods_taken_back",
        version=1,
        event=Claim.GoodsTakenBack,
        schema=GoodsTakenBackV1,
        subject="claim_id",
        summary="Goods of an approved claim came back and have a use other than being sold.",
        data=step_of_a_claim,
    ),
    Published(
        name="claim_settled",
        version=1,
        event=Claim.Settled,
        schema=ClaimSettledV1,
        subject="claim_id",
        summary="No money is owed on a claim any more: paid out, refused or withdrawn.",
        data=step_of_a_claim,
    ),
)


# --- what we read -------------------------------------------------------------------------------


@dataclass(frozen=True)
class OrderPaid:
    order_id: UUID
    store_id: UUID
    customer_id: UUID | None
    business_date: date
    sold_at: datetime
    paid_fen: int
    lines: list[SoldLine]


@dataclass(frozen=True)
class OrderCancelled:
    order_id: UUID
    cancelled_at: datetime


@dataclass(frozen=True)
class RefundPaid:
    claim_id: UUID
    refund_id: UUID
    amount_fen: int
    paid_at: datetime


@dataclass(frozen=True)
class LotTaken:
    lot_id: UUID
    quantity: int


@dataclass(frozen=True)
class StockSoldLine:
    line_no: int
    lots: list[LotTaken]


@dataclass(frozen=True)
class StockSold:
    order_id: UUID
    certainty: str
    lines: list[StockSoldLine]


@dataclass(frozen=True)
class LotReceived:
    lot_id: UUID
    supplier_id: UUID
    origin: str
    harvest_date: date | None
    received_at: datetime


@dataclass(frozen=True)
class SupplierRegistered:
    supplier_id: UUID
    code: str
    name: str


@dataclass(frozen=True)
class CustomerErased:
    customer_id: UUID
    erased_at: datetime


class SoldLineSchema(FactSchema):
    line_no = Count(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    net_fen = Fen(required=True)

    @post_load
    def sold_line(self, values: dict[str, Any], **_: Any) -> SoldLine:
        return SoldLine(**values)


class TenderSchema(FactSchema):
    amount_fen = Fen(required=True)


class OrderPaidSchema(FactSchema):
    order_id = Id(required=True)
    store_id = Id(required=True)
    customer_id = Id(required=True, allow_none=True)
    business_date = Day(required=True)
    sold_at = Moment(required=True)
    lines = List(Nested(SoldLineSchema), required=True)
    tenders = List(Nested(TenderSchema), required=True)
    change_fen = Fen(required=True)

    @post_load
    def paid(self, values: dict[str, Any], **_: Any) -> dict[str, Any]:
        tendered = sum(tender["amount_fen"] for tender in values.pop("tenders"))
        values["paid_fen"] = tendered - values.pop("change_fen")
        return values


class OrderCancelledSchema(FactSchema):
    order_id = Id(required=True)
    cancelled_at = Moment(required=True)


class RefundPaidSchema(FactSchema):
    claim_id = Id(required=True)
    refund_id = Id(required=True)
    amount_fen = Fen(required=True)
    paid_at = Moment(required=True)


class LotTakenSchema(FactSchema):
    lot_id = Id(required=True)
    quantity = Whole(required=True)

    @post_load
    def lot_taken(self, values: dict[str, Any], **_: Any) -> LotTaken:
        return LotTaken(**values)


class StockSoldLineSchema(FactSchema):
    line_no = Count(required=True)
    lots = List(Nested(LotTakenSchema), required=True)

    @post_load
    def stock_sold_line(self, values: dict[str, Any], **_: Any) -> StockSoldLine:
        return StockSoldLine(**values)


class StockSoldSchema(FactSchema):
    order_id = Id(required=True)
    certainty = Text(required=True)
    lines = List(Nested(StockSoldLineSchema), required=True)


class LotReceivedSchema(FactSchema):
    lot_id = Id(required=True)
    supplier_id = Id(required=True)
    origin = Text(required=True)
    harvest_date = Day(required=True, allow_none=True)
    received_at = Moment(required=True)


class SupplierRegisteredSchema(FactSchema):
    supplier_id = Id(required=True)
    code = Text(required=True)
    name = Text(required=True)


class CustomerErasedSchema(FactSchema):
    customer_id = Id(required=True)
    erased_at = Moment(required=True)


CONSUMED = (
    Consumed("pomona.orders.order_paid.v1", OrderPaidSchema, OrderPaid),
    Consumed("pomona.orders.order_cancelled.v1", OrderCancelledSchema, OrderCancelled),
    Consumed("pomona.orders.refund_paid.v1", RefundPaidSchema, RefundPaid),
    Consumed("pomona.inventory.stock_sold.v1", StockSoldSchema, StockSold),
    Consumed("pomona.inventory.lot_received.v1", LotReceivedSchema, LotReceived),
    Consumed(
        "pomona.inventory.supplier_registered.v1", SupplierRegisteredSchema, SupplierRegistered
    ),
    Consumed("pomona.crm.customer_erased.v1", CustomerErasedSchema, CustomerErased),
)


# --- what we can be asked -----------------------------------------------------------------------


class OpenClaim(RequestSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    channel = Choice(CHANNELS, required=True)
    reason = Choice(REASONS, required=True)
    bad_quantity = Count()
    bad_share_percent = Whole(min=1, max=100)
    goods_expected = Bool(load_default=False)
    note = Text(max=500)

    @validates_schema
    def one_measure(self, values: Mapping[str, Any], **_: Any) -> None:
        if "bad_quantity" in values and "bad_share_percent" in values:
            raise ValidationError(
                "数量和比例只能写一个。|Give a quantity or a share, not both.", "bad_share_percent"
            )


class DecideClaim(RequestSchema):
    claim_id = Id(required=True)
    clause = Choice(tuple(DECISIONS), required=True)
    amount_fen = Fen(min=1)

    @validates_schema
    def no_money_with_a_refusal(self, values: Mapping[str, Any], **_: Any) -> None:
        if "amount_fen" in values and DECISIONS[values["clause"]].outcome is Outcome.REFUSE:
            raise ValidationError(
                "拒绝时不能写金额。|Leave the amount out when refusing.", "amount_fen"
            )


class TakeGoodsBack(RequestSchema):
    claim_id = Id(required=True)
    disposition = Choice(DISPOSITIONS, required=True)
    quantity = Count()
    business_date = Day(required=True)


class WithdrawClaim(RequestSchema):
    claim_id = Id(required=True)


class GetClaim(RequestSchema):
    claim_id = Id(required=True)


class ListClaims(RequestSchema):
    store_id = Id()
    order_id = Id()
    decision = Choice(DECIDED)
    limit = Count(max=200, load_default=50)


REQUESTS = (
    Request(
        method="open_claim",
        schema=OpenClaim,
        roles=("cashier", "store_manager", "head_office", "service"),
        summary="Complain about a line of an order; small claims are approved at once.",
        kind="command",
    ),
    Request(
        method="decide_claim",
        schema=DecideClaim,
        roles=("store_manager", "head_office"),
        summary="Approve or refuse a claim under review by naming a clause.",
        kind="command",
    ),
    Request(
        method="take_goods_back",
        schema=TakeGoodsBack,
        roles=("cashier", "store_manager"),
        summary="Receive goods of an approved claim and say what becomes of them.",
        kind="command",
    ),
    Request(
        method="withdraw_claim",
        schema=WithdrawClaim,
        roles=("cashier", "store_manager", "head_office", "service"),
        summary="Take back a complaint that nobody has decided on.",
        kind="command",
    ),
    Request(
        method="get_claim",
        schema=GetClaim,
        roles=("cashier", "store_manager", "head_office", "service"),
        summary="The whole story of a claim: steps, clause, refund, goods, lots and suppliers.",
        kind="question",
    ),
    Request(
        method="list_claims",
        schema=ListClaims,
        roles=("cashier", "store_manager", "head_office", "analyst"),
        summary="Claims, the most urgent first.",
        kind="question",
    ),
)
