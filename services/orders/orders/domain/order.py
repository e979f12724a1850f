"""An order: what a customer bought, what was paid for it and what was paid back."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from orders.domain.errors import (
    ChangeWithoutCash,
    OrderNotCancellable,
    RefundAlreadyPaid,
    RefundOverPaid,
    RoundingWithoutCash,
    TendersDoNotCover,
    UnknownRefund,
)
from pomona.values import Unit, line_total, share_out


@dataclass(frozen=True)
class Picked:
    """One weighed or counted thing on the counter: net quantity, tare already taken off (R-03)."""

    product_id: UUID
    unit: Unit
    quantity: int
    price_fen: int
    tare_g: int = 0
    scale_id: str | None = None


@dataclass(frozen=True)
class Money:
    """Fen by tender."""

    cash_fen: int
    card_fen: int

    @property
    def total_fen(self) -> int:
        return self.cash_fen + self.card_fen


def settle(due_fen: int, tendered: Money, rounding_fen: int) -> Money:
    """Return what stays in the till once change is given. Change comes from cash only."""
    if rounding_fen and (tendered.cash_fen == 0 or rounding_fen > due_fen):
        raise RoundingWithoutCash
    due = due_fen - rounding_fen
    if tendered.total_fen < due:
        raise TendersDoNotCover(due_fen=due, paid_fen=tendered.total_fen)
    change = tendered.total_fen - due
    if change > tendered.cash_fen:
        raise ChangeWithoutCash
    return Money(tendered.cash_fen - change, tendered.card_fen)


def priced(picked: list[Picked], rounding_fen: int) -> list[dict[str, Any]]:
    """Make a receipt's lines: each rounded once, with its part of the rounding (R-22, R-23)."""
    totals = [line_total(each.price_fen, each.quantity, each.unit) for each in picked]
    shares = share_out(rounding_fen, totals)
    return [
        {
            "line_no": number,
            "product_id": each.product_id,
            "unit": each.unit,
            "quantity": each.quantity,
            "tare_g": each.tare_g,
            "scale_id": each.scale_id,
            "price_fen": each.price_fen,
            "total_fen": total,
            "net_fen": total - share,
        }
        for number, (each, total, share) in enumerate(
            zip(picked, totals, shares, strict=True), start=1
        )
    ]


class Order(Aggregate):
    """A till sale is placed and paid in one breath; cancelling and refunding come after."""

    class Paid(Aggregate.Created):
        receipt_no: str
        store_id: UUID
        terminal_id: UUID
        shift_id: UUID
        business_date: date
        sold_at: datetime
        terminal_time: datetime
        hour: int
        channel: str
        cashier_id: str
        customer_id: UUID | None
        lines: list[dict[str, Any]]
        total_fen: int
        rounding_fen: int
        cash_fen: int
        card_fen: int
        change_fen: int

    class Cancelled(Aggregate.Event):
        reason: str
        cancelled_at: datetime
        store_id: UUID
        business_date: date
        hour: int
        channel: str
        customer_id: UUID | None
        lines: list[dict[str, Any]]
        total_fen: int

        def apply(self, aggregate: "Order") -> None:
            aggregate.cancelled = True

    class RefundApproved(Aggregate.Event):
        refund_id: UUID
        claim_id: UUID
        line_no: int
        amount_fen: int

    class RefundPaid(Aggregate.Event):
        refund_id: UUID
        claim_id: UUID
        line_no: int
        amount_fen: int
        cash_fen: int
        card_fen: int
        store_id: UUID
        terminal_id: UUID
        shift_id: UUID
        business_date: date
        paid_at: datetime
        customer_id: UUID | None
        order_total_fen: int

        def apply(self, aggregate: "Order") -> None:
            kept = aggregate.kept
            aggregate.refunds[self.refund_id]["paid"] = True
            aggregate.kept = Money(kept.cash_fen - self.cash_fen, kept.card_fen - self.card_fen)

    @event(Paid)
    def __init__(
        self,
        id: UUID,
        receipt_no: str,
        store_id: UUID,
        terminal_id: UUID,
        shift_id: UUID,
        business_date: date,
        sold_at: datetime,
        terminal_time: datetime,
        hour: int,
        channel: str,
        cashier_id: str,
        customer_id: UUID | None,
        lines: list[dict[str, Any]],
        total_fen: int,
        rounding_fen: int,
        cash_fen: int,
        card_fen: int,
        change_fen: int,
    ) -> None:
        self._id = id
        self.receipt_no = receipt_no
        self.store_id = store_id
        self.shift_id = shift_id
        self.business_date = business_date
        self.hour = hour
        self.channel = channel
        self.customer_id = customer_id
        self.lines = lines
        self.total_fen = total_fen
        self.kept = Money(cash_fen - change_fen, card_fen)
        self.refunds: dict[UUID, dict[str, Any]] = {}
        self.cancelled = False

    def cancel(self, shift_id: UUID, reason: str, at: datetime) -> None:
        """Undo a sale before the goods left the counter: same shift, nothing refunded."""
        if self.cancelled or self.refunds or shift_id != self.shift_id:
            raise OrderNotCancellable
        self.trigger_event(
            Order.Cancelled,
            reason=reason,
            cancelled_at=at,
            store_id=self.store_id,
            business_date=self.business_date,
            hour=self.hour,
            channel=self.channel,
            customer_id=self.customer_id,
            lines=self.lines,
            total_fen=self.total_fen,
        )

    def approve_refund(
        self, refund_id: UUID, claim_id: UUID, line_no: int, amount_fen: int
    ) -> None:
        """Owe a customer money for a line, never more than was paid for it (R-24).

        A cancelled order was paid back whole, so an approval that crossed its cancellation owes
        nothing.
        """
        if refund_id in self.refunds or self.cancelled:
            return
        line = next((each for each in self.lines if each["line_no"] == line_no), None)
        left = 0 if line is None else line["net_fen"] - self.owed_fen(line_no)
        if amount_fen > left:
            raise RefundOverPaid(left_fen=left)
        self._refund_approved(refund_id, claim_id, line_no, amount_fen)

    def owed_fen(self, line_no: int) -> int:
        """Fen of a line that were refunded or wait to be."""
        return sum(
            refund["amount_fen"] for refund in self.refunds.values() if refund["line_no"] == line_no
        )

    def pay_refund(
        self,
        refund_id: UUID,
        preferred: str,
        *,
        store_id: UUID,
        terminal_id: UUID,
        shift_id: UUID,
        business_date: date,
        at: datetime,
    ) -> Money:
        """Pay an approved refund on the tenders it came from, the preferred one first (R-26)."""
        refund = self.refunds.get(refund_id)
        if refund is None:
            raise UnknownRefund
        if refund["paid"]:
            raise RefundAlreadyPaid
        amount: int = refund["amount_fen"]
        if preferred == "card":
            card = min(amount, self.kept.card_fen)
        else:
            card = amount - min(amount, self.kept.cash_fen)
        paid = Money(amount - card, card)
        self.trigger_event(
            Order.RefundPaid,
            refund_id=refund_id,
            claim_id=refund["claim_id"],
            line_no=refund["line_no"],
            amount_fen=amount,
            cash_fen=paid.cash_fen,
            card_fen=paid.card_fen,
            store_id=store_id,
            terminal_id=terminal_id,
            shift_id=shift_id,
            business_date=business_date,
            paid_at=at,
            customer_id=self.customer_id,
            order_total_fen=self.total_fen,
        )
        return paid

    @event(RefundApproved)
    def _refund_approved(
        self, refund_id: UUID, claim_id: UUID, line_no: int, amount_fen: int
    ) -> None:
        self.refunds[refund_id] = {
            "claim_id": claim_id,
            "line_no": line_no,
            "amount_fen": amount_fen,
            "paid": False,
        }
