"""A purchase as after-sales sees it: the one place where refunds are held to what was paid."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from aftersales.domain.errors import (
    LineUnknown,
    MoreThanBought,
    MoreThanLeft,
    OrderWasCancelled,
)
from pomona.values import Unit, half_up, stable_id


@dataclass(frozen=True)
class Loss:
    """How much of a line was bad (R-31): a quantity, a share of its price, or all of it."""

    quantity: int | None = None
    percent: int | None = None


@dataclass(frozen=True)
class Owed:
    """What a loss comes to after the caps: a quantity and the money for it."""

    quantity: int
    amount_fen: int


@dataclass(frozen=True)
class SoldLine:
    line_no: int
    product_id: UUID
    unit: Unit
    quantity: int
    net_fen: int


@dataclass
class Line:
    """A sold line and what has been promised back on it so far."""

    sold: SoldLine
    promised_quantity: int = 0
    promised_fen: int = 0

    def worth(self, quantity: int) -> int:
        """Price the next `quantity` of the line, so that the parts add up to its net price."""
        sold = self.sold
        before = half_up(sold.net_fen * self.promised_quantity, sold.quantity)
        after = half_up(sold.net_fen * (self.promised_quantity + quantity), sold.quantity)
        return after - before


class Purchase(Aggregate):
    class Recorded(Aggregate.Created):
        order_id: UUID
        store_id: UUID
        customer_id: UUID | None
        business_date: date
        sold_at: datetime
        paid_fen: int
        lines: list[dict[str, Any]]

    class ClaimLodged(Aggregate.Event):
        claim_id: UUID

    class RefundPromised(Aggregate.Event):
        claim_id: UUID
        line_no: int
        quantity: int
        amount_fen: int

    class Cancelled(Aggregate.Event):
        cancelled_at: datetime

    def __init__(
        self,
        *,
        order_id: UUID,
        store_id: UUID,
        customer_id: UUID | None,
        business_date: date,
        sold_at: datetime,
        paid_fen: int,
        lines: list[dict[str, Any]],
    ) -> None:
        self.order_id = order_id
        self.store_id = store_id
        self.customer_id = customer_id
        self.business_date = business_date
        self.sold_at = sold_at
        self.paid_fen = paid_fen
        self.lines = {line["line_no"]: Line(SoldLine(**line)) for line in lines}
        self.claims: list[UUID] = []
        self.promised_fen = 0
        self.cancelled = False

    @staticmethod
    def id_for(order_id: UUID) -> UUID:
        return stable_id("purchase", str(order_id))

    @classmethod
    def record(
        cls,
        *,
        order_id: UUID,
        store_id: UUID,
        customer_id: UUID | None,
        business_date: date,
        sold_at: datetime,
        paid_fen: int,
        lines: Sequence[SoldLine],
    ) -> Self:
        """Begin to follow an order that orders has told us was paid."""
        return cls._create(
            cls.Recorded,
            id=cls.id_for(order_id),
            order_id=order_id,
            store_id=store_id,
            customer_id=customer_id,
            business_date=business_date,
            sold_at=sold_at,
            paid_fen=paid_fen,
            lines=[asdict(line) for line in lines],
        )

    def line(self, line_no: int) -> Line:
        try:
            return self.lines[line_no]
        except KeyError:
            raise LineUnknown(line_no=line_no) from None

    def owed_for(self, line_no: int, loss: Loss) -> Owed:
        """Price a loss, capped by what the line and the order still hold (R-24)."""
        line = self.line(line_no)
        sold = line.sold
        if loss.quantity is not None and loss.quantity > sold.quantity:
            raise MoreThanBought(bought=sold.quantity)
        left = sold.quantity - line.promised_quantity
        if loss.percent is None:
            wanted = sold.quantity if loss.quantity is None else loss.quantity
            amount = line.worth(min(wanted, left))
        else:
            # Whole pieces suffer from a share of the price: half of one bad melon is one melon.
            wanted = -(-sold.quantity * loss.percent // 100)
            amount = half_up(sold.net_fen * loss.percent, 100)
            if wanted > left:
                amount = min(amount, line.worth(left))
        return Owed(
            quantity=min(wanted, left),
            amount_fen=min(
                amount,
                sold.net_fen - line.promised_fen,
                self.paid_fen - self.promised_fen,
            ),
        )

    def lodge(self, claim_id: UUID) -> None:
        """Take note of a claim; none can be made on an order that was cancelled."""
        if self.cancelled:
            raise OrderWasCancelled
        self._lodged(claim_id)

    def promise(
        self, claim_id: UUID, line_no: int, loss: Loss, at_most_fen: int | None = None
    ) -> Owed:
        """Promise a refund for a loss: all of it, or the lower amount that somebody set."""
        if self.cancelled:
            raise OrderWasCancelled
        owed = self.owed_for(line_no, loss)
        amount_fen = owed.amount_fen if at_most_fen is None else at_most_fen
        if not 0 < amount_fen <= owed.amount_fen:
            raise MoreThanLeft(left_fen=owed.amount_fen)
        self._promised(claim_id, line_no, owed.quantity, amount_fen)
        return Owed(owed.quantity, amount_fen)

    def cancel(self, at: datetime) -> None:
        self._cancelled(at)

    @event(ClaimLodged)
    def _lodged(self, claim_id: UUID) -> None:
        self.claims.append(claim_id)

    @event(RefundPromised)
    def _promised(self, claim_id: UUID, line_no: int, quantity: int, amount_fen: int) -> None:
        del claim_id
        self.lines[line_no].promised_quantity += quantity
        self.lines[line_no].promised_fen += amount_fen
        self.promised_fen += amount_fen

    @event(Cancelled)
    def _cancelled(self, cancelled_at: datetime) -> None:
        del cancelled_at
        self.cancelled = True
