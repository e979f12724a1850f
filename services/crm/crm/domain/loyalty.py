"""The points of one customer: earned with each paid order, taken back as it is refunded."""

from datetime import date, timedelta
from typing import Final, Self, TypedDict
from uuid import UUID

from eventsourcing.domain import Aggregate, event
from eventsourcing.domain import Snapshot as AnySnapshot

from pomona.errors import NotYet
from pomona.values import half_up, stable_id

# Points count from the first business day on which the sale can no longer be claimed on:
# after-sales takes claims for seven times 24 hours, which end in the course of the seventh day.
PENDING_FOR: Final = timedelta(days=8)
FEN_PER_POINT: Final = 100


class Entry(TypedDict):
    """What one order earned, and what of it was taken back."""

    points: int
    reversed: int
    net_fen: int
    refunded_fen: int
    available_on: date


def points_for(net_fen: int) -> int:
    """One point for every whole yuan that was paid."""
    return net_fen // FEN_PER_POINT


class LoyaltyAccount(Aggregate):
    class Snapshot(AnySnapshot):
        """Many orders make a long stream: it is read from here on."""

    class Opened(Aggregate.Created):
        customer_id: UUID

    class Earned(Aggregate.Event):
        customer_id: UUID
        order_id: UUID
        net_fen: int
        points: int
        available_on: date
        business_date: date

    class Reversed(Aggregate.Event):
        customer_id: UUID
        order_id: UUID
        refunded_fen: int
        points: int
        available_on: date
        business_date: date
        reason: str

    def __init__(self, customer_id: UUID) -> None:
        self.customer_id = customer_id
        self.entries: dict[str, Entry] = {}

    @staticmethod
    def id_for(customer_id: UUID) -> UUID:
        return stable_id("loyalty", str(customer_id))

    @classmethod
    def open(cls, customer_id: UUID) -> Self:
        """Begin an account; it may be earlier than what we know of the customer, or later."""
        return cls._create(cls.Opened, id=cls.id_for(customer_id), customer_id=customer_id)

    @property
    def balance(self) -> int:
        return sum(entry["points"] - entry["reversed"] for entry in self.entries.values())

    def earn(self, order_id: UUID, net_fen: int, business_date: date) -> None:
        """Earn with a paid order; an order below one yuan is entered too, with no points."""
        self.trigger_event(
            LoyaltyAccount.Earned,
            customer_id=self.customer_id,
            order_id=order_id,
            net_fen=net_fen,
            points=points_for(net_fen),
            available_on=business_date + PENDING_FOR,
            business_date=business_date,
        )

    def give_back_for_refund(self, order_id: UUID, amount_fen: int, business_date: date) -> None:
        """Take points back in proportion to all that was refunded of the order so far.

        The share is taken of the sum, so that rounding in many small refunds cannot add up.
        """
        entry = self._entry(order_id)
        refunded = min(entry["net_fen"], entry["refunded_fen"] + amount_fen)
        due = half_up(entry["points"] * refunded, max(1, entry["net_fen"]))
        self._reverse(order_id, amount_fen, due, business_date, reason="refund_paid")

    def give_back_for_cancellation(self, order_id: UUID, business_date: date) -> None:
        """Take back whatever the order still has."""
        entry = self._entry(order_id)
        rest = max(0, entry["net_fen"] - entry["refunded_fen"])
        self._reverse(order_id, rest, entry["points"], business_date, reason="order_cancelled")

    def _entry(self, order_id: UUID) -> Entry:
        try:
            return self.entries[str(order_id)]
        except KeyError:
            raise NotYet(f"order {order_id} has not been entered") from None

    def _reverse(
        self, order_id: UUID, refunded_fen: int, due: int, business_date: date, *, reason: str
    ) -> None:
        entry = self._entry(order_id)
        self.trigger_event(
            LoyaltyAccount.Reversed,
            customer_id=self.customer_id,
            order_id=order_id,
            refunded_fen=refunded_fen,
            points=max(0, due - entry["reversed"]),
            available_on=entry["available_on"],
            business_date=business_date,
            reason=reason,
        )

    @event(Earned)
    def _earned(self, order_id: UUID, net_fen: int, points: int, available_on: date) -> None:
        self.entries[str(order_id)] = Entry(
            points=points,
            reversed=0,
            net_fen=net_fen,
            refunded_fen=0,
            available_on=available_on,
        )

    @event(Reversed)
    def _reversed(self, order_id: UUID, refunded_fen: int, points: int) -> None:
        entry = self.entries[str(order_id)]
        entry["reversed"] += points
        entry["refunded_fen"] += refunded_fen
