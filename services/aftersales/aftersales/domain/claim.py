"""A claim on one line of a purchase: classified, decided by a named clause, closed when paid."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from aftersales.domain.classification import ANSWER_WITHIN, classify
from aftersales.domain.errors import (
    BackBeforeSold,
    MoreThanApproved,
    OtherStore,
    WrongState,
)
from aftersales.domain.purchase import Loss, Purchase
from aftersales.domain.terms import ORDER_CANCELLED, Case, Clause, Outcome
from pomona.values import half_up, stable_id

CHANNELS: Final = ("website", "app", "kiosk", "clerk")
DISPOSITIONS: Final = ("discard", "supplier_evidence", "donate", "grade_down")

# What may happen next; a pair that is missing is refused by name.
TRANSITIONS: Final[Mapping[tuple[str, str], str]] = {
    ("opened", "review"): "PutUnderReview",
    ("opened", "approve"): "Approved",
    ("opened", "refuse"): "Refused",
    ("under_review", "approve"): "Approved",
    ("under_review", "refuse"): "Refused",
    ("under_review", "withdraw"): "Withdrawn",
    ("under_review", "lapse"): "Refused",
    ("approved", "settle"): "Settled",
    ("approved", "take_goods_back"): "GoodsTakenBack",
    ("approved", "lapse"): "Refused",
    ("goods_expected", "settle"): "Settled",
    ("goods_expected", "take_goods_back"): "GoodsTakenBack",
    ("goods_expected", "lapse"): "Refused",
    ("goods_received", "settle"): "Settled",
    ("goods_received", "lapse"): "Refused",
    ("settled", "take_goods_back"): "GoodsTakenBack",
}


@dataclass(frozen=True)
class Axes:
    """What moves independently on a claim: its decision, its money and its goods (R-13)."""

    decision: str = "opened"
    goods_expected: bool = False
    goods_taken: bool = False
    paid: bool = False

    @property
    def state(self) -> str:
        """The state that is shown, computed from the axes."""
        if self.decision != "approved":
            return self.decision
        if self.paid:
            return "closed" if self.goods_taken else "settled"
        if self.goods_taken:
            return "goods_received"
        return "goods_expected" if self.goods_expected else "approved"

    @property
    def refund(self) -> str:
        if self.decision != "approved":
            return "none"
        return "paid" if self.paid else "promised"


@dataclass(frozen=True)
class Complaint:
    """What the customer says about a line."""

    line_no: int
    channel: str
    reason: str
    loss: Loss
    goods_expected: bool


class Claim(Aggregate):
    class Event(Aggregate.Event):
        """What every step tells: the line of the sale that the claim is about."""

        order_id: UUID
        line_no: int
        store_id: UUID
        product_id: UUID
        unit: str

    class Opened(Event, Aggregate.Created):
        customer_id: UUID | None
        channel: str
        reason: str
        kind: str
        priority: int
        classified_by: str
        bad_quantity: int | None
        bad_percent: int | None
        quantity: int
        claimed_fen: int
        goods_expected: bool
        sold_on: date
        opened_at: datetime
        due_at: datetime
        opened_by: str

    class PutUnderReview(Event):
        clause: str
        reviewed_at: datetime

    class Approved(Event):
        refund_id: UUID
        customer_id: UUID | None
        quantity: int
        amount_fen: int
        clause: str
        approved_at: datetime
        approved_by: str

    class Refused(Event):
        clause: str
        refused_at: datetime
        refused_by: str

    class Withdrawn(Event):
        withdrawn_at: datetime
        withdrawn_by: str

    class GoodsTakenBack(Event):
        quantity: int
        disposition: str
        refund_fen: int
        business_date: date
        taken_at: datetime
        taken_by: str

    class Settled(Event):
        refund_id: UUID | None
        amount_fen: int
        settled_at: datetime

    def __init__(
        self,
        *,
        order_id: UUID,
        line_no: int,
        store_id: UUID,
        product_id: UUID,
        unit: str,
        customer_id: UUID | None,
        kind: str,
        priority: int,
        bad_quantity: int | None,
        bad_percent: int | None,
        claimed_fen: int,
        goods_expected: bool,
        sold_on: date,
        opened_at: datetime,
        due_at: datetime,
    ) -> None:
        self._about = {
            "order_id": order_id,
            "line_no": line_no,
            "store_id": store_id,
            "product_id": product_id,
            "unit": unit,
        }
        self.order_id = order_id
        self.line_no = line_no
        self.store_id = store_id
        self.customer_id = customer_id
        self.kind = kind
        self.priority = priority
        self.loss = Loss(bad_quantity, bad_percent)
        self.claimed_fen = claimed_fen
        self.goods_expected = goods_expected
        self.sold_on = sold_on
        self.opened_at = opened_at
        self.due_at = due_at
        self.decision = "opened"
        self.clause: str | None = None
        self.refund_id: UUID | None = None
        self.quantity = 0
        self.amount_fen = 0
        self.goods_taken = False
        self.paid = False

    @classmethod
    def open(
        cls, *, claim_id: UUID, purchase: Purchase, complaint: Complaint, by: str, at: datetime
    ) -> Self:
        """Take down a complaint, classify it by rule and start its clock."""
        sold = purchase.line(complaint.line_no).sold
        owed = purchase.owed_for(complaint.line_no, complaint.loss)
        rule = classify(complaint.reason)
        purchase.lodge(claim_id)
        return cls._create(
            cls.Opened,
            id=claim_id,
            order_id=purchase.order_id,
            line_no=sold.line_no,
            store_id=purchase.store_id,
            product_id=sold.product_id,
            unit=sold.unit,
            customer_id=purchase.customer_id,
            channel=complaint.channel,
            reason=complaint.reason,
            kind=rule.kind,
            priority=rule.priority,
            classified_by=rule.name,
            bad_quantity=complaint.loss.quantity,
            bad_percent=complaint.loss.percent,
            quantity=owed.quantity,
            claimed_fen=owed.amount_fen,
            goods_expected=complaint.goods_expected,
            sold_on=purchase.business_date,
            opened_at=at,
            due_at=at + ANSWER_WITHIN[rule.priority],
            opened_by=by,
        )

    @property
    def axes(self) -> Axes:
        return Axes(self.decision, self.goods_expected, self.goods_taken, self.paid)

    @property
    def state(self) -> str:
        return self.axes.state

    def may(self, command: str) -> bool:
        return (self.state, command) in TRANSITIONS

    def case(self, purchase: Purchase, claims_lately: int) -> Case:
        """Put the claim the way the terms look at it."""
        return Case(
            kind=self.kind,
            claimed_fen=self.claimed_fen,
            since_sale=self.opened_at - purchase.sold_at,
            claims_lately=claims_lately,
            goods_expected=self.goods_expected,
        )

    def must_belong_to(self, store_id: UUID | None) -> None:
        """Let a store handle its own claims only; no store means head office or the shop page."""
        if store_id not in (None, self.store_id):
            raise OtherStore

    def decide(
        self,
        clause: Clause,
        purchase: Purchase,
        *,
        by: str,
        at: datetime,
        at_most_fen: int | None = None,
    ) -> None:
        """Do what a clause says."""
        match clause.outcome:
            case Outcome.APPROVE:
                self.approve(clause, purchase, by=by, at=at, at_most_fen=at_most_fen)
            case Outcome.REFUSE:
                self.refuse(clause, by=by, at=at)
            case Outcome.REVIEW:
                self.review(clause, at=at)

    def review(self, clause: Clause, *, at: datetime) -> None:
        """Leave the claim to a person, and keep why."""
        self._step("review", clause=clause.code, reviewed_at=at)

    def approve(
        self,
        clause: Clause,
        purchase: Purchase,
        *,
        by: str,
        at: datetime,
        at_most_fen: int | None = None,
    ) -> None:
        """Promise the refund, out of what the purchase still holds."""
        self._must_allow("approve")
        owed = purchase.promise(self.id, self.line_no, self.loss, at_most_fen)
        self._step(
            "approve",
            refund_id=stable_id("refund", str(self.id)),
            customer_id=self.customer_id,
            quantity=owed.quantity,
            amount_fen=owed.amount_fen,
            clause=clause.code,
            approved_at=at,
            approved_by=by,
        )

    def refuse(self, clause: Clause, *, by: str, at: datetime) -> None:
        self._step("refuse", clause=clause.code, refused_at=at, refused_by=by)
        self._close(at)

    def withdraw(self, *, by: str, at: datetime) -> None:
        """Let the customer take the complaint back while nobody has decided on it."""
        self._step("withdraw", withdrawn_at=at, withdrawn_by=by)
        self._close(at)

    def lapse(self, *, at: datetime) -> None:
        """End a claim whose whole order was cancelled: its money went back with the order."""
        self._step("lapse", clause=ORDER_CANCELLED.code, refused_at=at, refused_by="terms")
        self._close(at)

    def take_goods_back(
        self,
        *,
        disposition: str,
        quantity: int | None,
        business_date: date,
        by: str,
        at: datetime,
    ) -> None:
        """Receive goods over the counter; they are never sold again, whatever their use (R-12)."""
        self._must_allow("take_goods_back")
        taken = self.quantity if quantity is None else quantity
        if taken > self.quantity:
            raise MoreThanApproved(approved=self.quantity)
        if business_date < self.sold_on:
            raise BackBeforeSold(sold_on=self.sold_on.isoformat())
        self._step(
            "take_goods_back",
            quantity=taken,
            disposition=disposition,
            refund_fen=half_up(self.amount_fen * taken, self.quantity),
            business_date=business_date,
            taken_at=at,
            taken_by=by,
        )

    def settle(self, *, refund_id: UUID, amount_fen: int, at: datetime) -> None:
        """Close the money side: the customer has the refund."""
        self._step("settle", refund_id=refund_id, amount_fen=amount_fen, settled_at=at)

    def _must_allow(self, command: str) -> None:
        if not self.may(command):
            raise WrongState(state=self.state, command=command)

    def _step(self, command: str, **told: Any) -> None:
        self._must_allow(command)
        happened = getattr(Claim, TRANSITIONS[self.state, command])
        self.trigger_event(happened, **self._about, **told)

    def _close(self, at: datetime) -> None:
        self.trigger_event(
            Claim.Settled, **self._about, refund_id=None, amount_fen=0, settled_at=at
        )

    @event(PutUnderReview)
    def _put_under_review(self, clause: str) -> None:
        self.decision = "under_review"
        self.clause = clause

    @event(Approved)
    def _approved(self, clause: str, refund_id: UUID, quantity: int, amount_fen: int) -> None:
        self.decision = "approved"
        self.clause = clause
        self.refund_id = refund_id
        self.quantity = quantity
        self.amount_fen = amount_fen

    @event(Refused)
    def _refused(self, clause: str) -> None:
        self.decision = "rejected"
        self.clause = clause
        self.refund_id = None
        self.amount_fen = 0

    @event(Withdrawn)
    def _withdrawn(self) -> None:
        self.decision = "withdrawn"

    @event(GoodsTakenBack)
    def _goods_taken_back(self) -> None:
        self.goods_taken = True

    @event(Settled)
    def _settled(self, refund_id: UUID | None) -> None:
        self.paid = refund_id is not None
