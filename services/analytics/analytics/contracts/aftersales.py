"""What analytics reads of the claims desk: from the complaint to the refund and the goods."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from analytics.contracts.words import UNITS
from pomona.contracts import Consumed
from pomona.fields import Choice, Count, Day, FactSchema, Fen, Id, Moment, Text, Whole


@dataclass(frozen=True)
class ClaimOpened:
    claim_id: UUID
    order_id: UUID
    line_no: int
    store_id: UUID
    product_id: UUID
    unit: str
    channel: str
    reason: str
    kind: str
    priority: int
    quantity: int
    claimed_fen: int
    opened_at: datetime
    due_at: datetime


class ClaimOpenedSchema(FactSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    channel = Text(required=True)
    reason = Text(required=True)
    kind = Text(required=True)
    priority = Whole(required=True)
    quantity = Whole(required=True)
    claimed_fen = Fen(required=True)
    opened_at = Moment(required=True)
    due_at = Moment(required=True)


@dataclass(frozen=True)
class ClaimApproved:
    claim_id: UUID
    order_id: UUID
    line_no: int
    store_id: UUID
    amount_fen: int
    clause: str
    approved_at: datetime


class ClaimApprovedSchema(FactSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    amount_fen = Fen(required=True)
    clause = Text(required=True)
    approved_at = Moment(required=True)


@dataclass(frozen=True)
class ClaimRefused:
    claim_id: UUID
    order_id: UUID
    line_no: int
    store_id: UUID
    clause: str
    refused_at: datetime


class ClaimRefusedSchema(FactSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    clause = Text(required=True)
    refused_at = Moment(required=True)


@dataclass(frozen=True)
class ClaimSettled:
    claim_id: UUID
    store_id: UUID
    amount_fen: int
    settled_at: datetime


class ClaimSettledSchema(FactSchema):
    claim_id = Id(required=True)
    store_id = Id(required=True)
    amount_fen = Fen(required=True)
    settled_at = Moment(required=True)


@dataclass(frozen=True)
class GoodsTakenBack:
    claim_id: UUID
    order_id: UUID
    line_no: int
    store_id: UUID
    product_id: UUID
    unit: str
    quantity: int
    disposition: str
    business_date: date
    taken_at: datetime
    refund_fen: int


class GoodsTakenBackSchema(FactSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    disposition = Text(required=True)
    business_date = Day(required=True)
    taken_at = Moment(required=True)
    refund_fen = Fen(required=True)


CONSUMED = (
    Consumed("pomona.aftersales.claim_opened.v1", ClaimOpenedSchema, ClaimOpened),
    Consumed("pomona.aftersales.claim_approved.v1", ClaimApprovedSchema, ClaimApproved),
    Consumed("pomona.aftersales.claim_refused.v1", ClaimRefusedSchema, ClaimRefused),
    Consumed("pomona.aftersales.claim_settled.v1", ClaimSettledSchema, ClaimSettled),
    Consumed("pomona.aftersales.goods_taken_back.v1", GoodsTakenBackSchema, GoodsTakenBack),
)
