"""Cuts what a shop sold into baskets as a till would have seen them, by a seeded generator."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pomona.values import Unit, line_total

OPENING = time(7)
# How busy each hour is, from opening on: before lunch and after work the shop is full.
_BUSY = (4, 7, 9, 10, 9, 6, 4, 4, 5, 8, 11, 12, 8, 5, 2)
_BUSY_UNTIL = tuple(accumulate(share * 60 for share in _BUSY))
_LINES = (1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 10, 12)
_PIECES = (1, 1, 1, 2, 2, 3)
_SMALLEST_GRAMS = 90
_NOTES = (10_00, 20_00, 50_00, 100_00)


@dataclass(frozen=True)
class Line:
    """One product of a basket, weighed net or counted, at the price of the moment."""

    product_id: UUID
    unit: Unit
    quantity: int
    price_fen: int
    tare_g: int = 0
    scale_id: str | None = None

    @property
    def total_fen(self) -> int:
        return line_total(self.price_fen, self.quantity, self.unit)

    def as_request(self) -> dict[str, Any]:
        request: dict[str, Any] = {
            "product_id": str(self.product_id),
            "quantity": self.quantity,
            "price_fen": self.price_fen,
        }
        if self.tare_g:
            request["tare_g"] = self.tare_g
        if self.scale_id:
            request["scale_id"] = self.scale_id
        return request


@dataclass(frozen=True)
class Basket:
    """What one customer put on the counter, when, and how it was paid."""

    at: datetime
    lines: tuple[Line, ...]
    tenders: tuple[tuple[str, int], ...]
    rounding_fen: int = 0
    customer_id: UUID | None = None

    @property
    def total_fen(self) -> int:
        return sum(line.total_fen for line in self.lines)

    @property
    def cash_kept_fen(self) -> int:
        """Return what the drawer gains: cash given less change."""
        card = sum(amount for kind, amount in self.tenders if kind == "card")
        return self.total_fen - self.rounding_fen - card

    def as_request(self, order_id: UUID, shift_id: UUID) -> dict[str, Any]:
        request: dict[str, Any] = {
            "order_id": str(order_id),
            "shift_id": str(shift_id),
            "terminal_time": self.at.isoformat(),
            "lines": [line.as_request() for line in self.lines],
            "tenders": [{"kind": kind, "amount_fen": amount} for kind, amount in self.tenders],
        }
        if self.rounding_fen:
            request["rounding_fen"] = self.rounding_fen
        if self.customer_id:
            request["customer_id"] = str(self.customer_id)
        return request


@dataclass(frozen=True)
class Hours:
    """The part of a store's trading day in which baskets are sold: slice `number` of `of`."""

    day: date
    zone: str
    number: int = 0
    of: int = 1

    def moment(self, rng: Random) -> datetime:
        """Draw a moment; busy hours are drawn more often."""
        all_of_it = _BUSY_UNTIL[-1]
        first = all_of_it * self.number // self.of
        last = all_of_it * (self.number + 1) // self.of - 1
        drawn = rng.randint(first, last)
        hour = next(index for index, until in enumerate(_BUSY_UNTIL) if drawn < until)
        into_hour = drawn - (_BUSY_UNTIL[hour - 1] if hour else 0)
        seconds = into_hour * 60 // _BUSY[hour] + hour * 3600
        opened = datetime.combine(self.day, OPENING, ZoneInfo(self.zone))
        return opened + timedelta(seconds=seconds)


def cut(quantity: int, unit: Unit, rng: Random) -> list[int]:
    """Cut a quantity into what single customers take; the parts sum to it and are above zero."""
    parts: list[int] = []
    left = quantity
    while left > 0:
        if unit == "piece":
            part = min(left, rng.choice(_PIECES))
        else:
            part = rng.randint(_SMALLEST_GRAMS, 500) + rng.randint(0, 500)
            if left - part < _SMALLEST_GRAMS:
                part = left
        parts.append(part)
        left -= part
    return parts


def weighed(
    product_id: UUID, unit: Unit, quantity: int, *, price_fen: int, scale: str, rng: Random
) -> Line:
    """Make a line of a quantity: grams come from a scale, every third time with a bag or tray."""
    if unit == "piece":
        return Line(product_id, unit, quantity, price_fen)
    tare = rng.randint(4, 28) if rng.randrange(3) == 0 else 0
    return Line(product_id, unit, quantity, price_fen, tare, scale)


def fill(
    lines: Sequence[Line], hours: Hours, customers: Sequence[UUID], rng: Random
) -> list[Basket]:
    """Put all lines into baskets of 1 to 12, in the order in which they come to the till."""
    waiting = list(lines)
    rng.shuffle(waiting)
    baskets: list[Basket] = []
    while waiting:
        taken = [waiting.pop() for _ in range(min(len(waiting), rng.choice(_LINES)))]
        customer = rng.choice(customers) if customers and rng.randrange(10) < 3 else None  # noqa: PLR2004 - three in ten are members
        baskets.append(pay(tuple(taken), hours.moment(rng), customer, rng))
    return sorted(baskets, key=lambda basket: basket.at)


def pay(lines: tuple[Line, ...], at: datetime, customer: UUID | None, rng: Random) -> Basket:
    """Settle lines by card, by cash with change, or by both; cash may drop what is below a jiao."""
    total = sum(line.total_fen for line in lines)
    way = rng.randrange(10)
    if way < 5:  # noqa: PLR2004 - five in ten pay by card
        return Basket(at, lines, (("card", total),) if total else (), 0, customer)
    rounding = total % 10 if total > 10 and rng.randrange(3) == 0 else 0  # noqa: PLR2004 - fen in a jiao
    due = total - rounding
    if way == 9 and due > _NOTES[0]:  # noqa: PLR2004 - one in ten pays by both
        cash = due // 2 // 100 * 100
        return Basket(at, lines, (("card", due - cash), ("cash", cash)), rounding, customer)
    note = rng.choice(_NOTES)
    given = -(-due // note) * note
    return Basket(at, lines, (("cash", given),) if given else (), rounding, customer)
