"""Which lots a quantity comes from: first expired, first out."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TypedDict
from uuid import UUID

from inventory.domain.errors import LotNotInStore, NotEnoughInLot, NotEnoughInStore
from pomona.values import share_out


class LyingLot(TypedDict):
    """A lot as it lies in one store."""

    on_hand: int
    best_before: date | None
    received_at: datetime


class LotPart(TypedDict):
    """A quantity of one lot that moved, and what of that lot is in the store afterwards."""

    lot_id: str
    quantity: int
    on_hand: int


class ArrivingLot(TypedDict):
    """A quantity of one lot on its way to a shelf, with what FEFO must know about it there."""

    lot_id: str
    quantity: int
    supplier_id: str
    best_before: date | None
    received_at: datetime


class ArrivedLot(ArrivingLot):
    """The same once it lies on the shelf."""

    on_hand: int


Shelf = Mapping[str, LyingLot]


def first_expired_first_out(shelf: Shelf) -> list[str]:
    """Order lots by best-before date, then by arrival; lots without a date come last (R-09)."""
    return sorted(
        shelf,
        key=lambda lot: (shelf[lot]["best_before"] or date.max, shelf[lot]["received_at"], lot),
    )


def still_good(shelf: Shelf, on: date) -> dict[str, LyingLot]:
    """Return the lots that may be sold on a day; the best-before date itself is still good."""
    return {
        lot: lying
        for lot, lying in shelf.items()
        if lying["best_before"] is None or lying["best_before"] >= on
    }


def as_sold(shelf: Shelf, on: date) -> list[str]:
    """Order lots as a customer will have taken them: good ones by FEFO, expired ones last.

    The fruit is gone by the time we hear of the sale, so expired lots are not left out.
    """
    good = still_good(shelf, on)
    expired = {lot: lying for lot, lying in shelf.items() if lot not in good}
    return [*first_expired_first_out(good), *first_expired_first_out(expired)]


def balances(shelf: Shelf) -> dict[str, int]:
    return {lot: lying["on_hand"] for lot, lying in shelf.items()}


def allocate(quantity: int, order: Iterable[str], left: dict[str, int]) -> list[LotPart]:
    """Take a quantity from lots in order, as far as they go; `left` is lowered accordingly."""
    parts: list[LotPart] = []
    for lot in order:
        taken = min(quantity, left[lot])
        if taken > 0:
            left[lot] -= taken
            quantity -= taken
            parts.append({"lot_id": lot, "quantity": taken, "on_hand": left[lot]})
    return parts


def pick(quantity: int, lot_id: UUID | None, shelf: Shelf) -> list[LotPart]:
    """Take all of a quantity from the lot that is named, or else by FEFO; or refuse."""
    if lot_id is None:
        left = sum(balances(shelf).values())
        if quantity > left:
            raise NotEnoughInStore(left=left)
        return allocate(quantity, first_expired_first_out(shelf), balances(shelf))
    lot = str(lot_id)
    if lot not in shelf:
        raise LotNotInStore
    if quantity > shelf[lot]["on_hand"]:
        raise NotEnoughInLot(left=shelf[lot]["on_hand"])
    return allocate(quantity, [lot], balances(shelf))


def lay(arriving: Iterable[ArrivingLot], shelf: Shelf) -> list[ArrivedLot]:
    """Put each lot beside what is left of it."""
    left = balances(shelf)
    return [{**lot, "on_hand": left.get(lot["lot_id"], 0) + lot["quantity"]} for lot in arriving]


def book_back(
    quantity: int, sold_from: Mapping[str, int], untraceable: int, guess: str
) -> tuple[dict[str, int], bool]:
    """Share returned goods out over the lots of their sale; tell whether all could be traced.

    What the sale could not allocate, or what came without a receipt, goes to the guessed lot.
    """
    *traced, untraced = share_out(quantity, [*sold_from.values(), untraceable])
    back = dict(zip(sold_from, traced, strict=True))
    back[guess] = back.get(guess, 0) + untraced
    return {lot: share for lot, share in back.items() if share > 0}, untraced == 0


def total(parts: Iterable[LotPart]) -> int:
    return sum(part["quantity"] for part in parts)
