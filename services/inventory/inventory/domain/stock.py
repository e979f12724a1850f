"""The stock of one product in one store: which lots lie there, and what happened to them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal, TypedDict
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from inventory.domain.allocation import (
    ArrivedLot,
    ArrivingLot,
    LotPart,
    LyingLot,
    allocate,
    as_sold,
    balances,
    book_back,
    lay,
    pick,
    still_good,
    total,
)
from inventory.domain.errors import LotPastBestBefore, SameStore
from pomona.values import Unit, stable_id


class SoldLine(TypedDict):
    """One line of an order: where it was assumed to come from, and what no lot could cover."""

    line_no: int
    quantity: int
    shortfall: int
    lots: list[LotPart]


class Stock(Aggregate):
    """Keeps only lots that have something left, so that its state stays small for years."""

    class Event(Aggregate.Event):
        store_id: UUID
        product_id: UUID
        unit: Unit

    class Opened(Event, Aggregate.Created):
        pass

    class Stocked(Event):
        lots: list[ArrivedLot]
        business_date: date

    class Sold(Event):
        order_id: UUID
        lines: list[SoldLine]
        business_date: date

    class PutBack(Event):
        order_id: UUID
        lots: list[ArrivedLot]
        shortfall: int
        business_date: date

    class Returned(Event):
        cause: Literal["claim", "till"]
        cause_id: UUID
        line_no: int
        lots: list[LotPart]
        known: bool
        business_date: date

    class Shrunk(Event):
        shrinkage_id: UUID
        reason: str
        lots: list[LotPart]
        business_date: date

    class Sent(Event):
        transfer_id: UUID
        to_store_id: UUID
        lots: list[LotPart]
        business_date: date

    class Expected(Event):
        transfer_id: UUID
        quantity: int
        business_date: date

    class Arrived(Event):
        transfer_id: UUID
        from_store_id: UUID
        lots: list[ArrivedLot]
        business_date: date

    class ReorderPointSet(Event):
        reorder_point: int
        business_date: date

    class FellLow(Event):
        on_hand: int
        available: int
        incoming: int
        reorder_point: int
        business_date: date

    class Recovered(Event):
        on_hand: int
        available: int
        incoming: int
        reorder_point: int
        business_date: date

    def __init__(self, store_id: UUID, product_id: UUID, unit: Unit) -> None:
        self.store_id = store_id
        self.product_id = product_id
        self.unit = unit
        self.lots: dict[str, LyingLot] = {}
        self.shortfall = 0
        self.incoming = 0
        self.last_sold_lot: str | None = None
        self.reorder_point: int | None = None
        self.low = False

    @staticmethod
    def create_id(store_id: UUID, product_id: UUID) -> UUID:
        return stable_id("stock", str(store_id), str(product_id))

    @property
    def on_hand(self) -> int:
        return sum(balances(self.lots).values())

    def available(self, on: date) -> int:
        return sum(balances(still_good(self.lots, on)).values())

    @property
    def lot_of_unknown_origin(self) -> str:
        """The lot that stands for returns in a store which never sold any lot of the product."""
        return str(stable_id("returned without receipt", str(self.store_id), str(self.product_id)))

    # -- goods come

    def take_in(self, lot: ArrivingLot, business_date: date) -> None:
        self._tell(Stock.Stocked, lots=lay([lot], self.lots), business_date=business_date)
        self._watch(business_date)

    def expect(self, transfer_id: UUID, quantity: int, business_date: date) -> None:
        """Count goods under way to this store as incoming, so that nobody reorders them."""
        self._tell(
            Stock.Expected, transfer_id=transfer_id, quantity=quantity, business_date=business_date
        )
        self._watch(business_date)

    def receive_transfer(
        self,
        transfer_id: UUID,
        from_store_id: UUID,
        lots: Sequence[ArrivingLot],
        business_date: date,
    ) -> None:
        self._tell(
            Stock.Arrived,
            transfer_id=transfer_id,
            from_store_id=from_store_id,
            lots=lay(lots, self.lots),
            business_date=business_date,
        )
        self._watch(business_date)

    # -- goods go

    def sell(self, order_id: UUID, lines: Mapping[int, int], business_date: date) -> None:
        """Record what was sold, by line number, as assumed to come from lots by FEFO (R-09).

        What no lot covers is written down as a shortfall: the clerk held the fruit, so a receipt
        is missing, and hiding that would hide the mistake (R-17).
        """
        order = as_sold(self.lots, business_date)
        left = balances(self.lots)
        sold: list[SoldLine] = []
        for line_no, quantity in lines.items():
            parts = allocate(quantity, order, left)
            sold.append(
                {
                    "line_no": line_no,
                    "quantity": quantity,
                    "shortfall": quantity - total(parts),
                    "lots": parts,
                }
            )
        self._tell(Stock.Sold, order_id=order_id, lines=sold, business_date=business_date)
        self._watch(business_date)

    def put_back(
        self, order_id: UUID, lots: Sequence[ArrivingLot], shortfall: int, business_date: date
    ) -> None:
        """Undo the sale of a cancelled order: its goods never left the counter."""
        self._tell(
            Stock.PutBack,
            order_id=order_id,
            lots=lay(lots, self.lots),
            shortfall=shortfall,
            business_date=business_date,
        )
        self._watch(business_date)

    def shrink(
        self,
        shrinkage_id: UUID,
        reason: str,
        quantity: int,
        lot_id: UUID | None,
        business_date: date,
    ) -> list[LotPart]:
        """Write goods off: from the lot that is named, or else from what expires first."""
        parts = pick(quantity, lot_id, self.lots)
        self._tell(
            Stock.Shrunk,
            shrinkage_id=shrinkage_id,
            reason=reason,
            lots=parts,
            business_date=business_date,
        )
        self._watch(business_date)
        return parts

    def send(
        self,
        transfer_id: UUID,
        to_store_id: UUID,
        quantity: int,
        lot_id: UUID | None,
        business_date: date,
    ) -> list[LotPart]:
        """Let goods leave for another store. Expired goods are not passed on."""
        if to_store_id == self.store_id:
            raise SameStore
        good = still_good(self.lots, business_date)
        if str(lot_id) in self.lots.keys() - good.keys():
            raise LotPastBestBefore
        parts = pick(quantity, lot_id, good)
        self._tell(
            Stock.Sent,
            transfer_id=transfer_id,
            to_store_id=to_store_id,
            lots=parts,
            business_date=business_date,
        )
        self._watch(business_date)
        return parts

    # -- goods come back, never to be sold again

    def take_back(
        self,
        cause: Literal["claim", "till"],
        cause_id: UUID,
        line_no: int,
        quantity: int,
        *,
        sold_from: Mapping[str, int],
        untraceable: int,
        disposal: str,
        business_date: date,
    ) -> None:
        """Book returned goods back to the lots they were sold from, then dispose of them (R-12).

        What cannot be traced to a lot goes to the one sold from last, or else to a lot that
        stands for returns of unknown origin.
        """
        guess = self.last_sold_lot or self.lot_of_unknown_origin
        back, known = book_back(quantity, sold_from, untraceable, guess)
        before = {lot: balances(self.lots).get(lot, 0) for lot in back}
        self._tell(
            Stock.Returned,
            cause=cause,
            cause_id=cause_id,
            line_no=line_no,
            lots=[
                {"lot_id": lot, "quantity": share, "on_hand": before[lot] + share}
                for lot, share in back.items()
            ],
            known=known,
            business_date=business_date,
        )
        self._tell(
            Stock.Shrunk,
            shrinkage_id=stable_id("disposal", str(self.id), str(self.version)),
            reason=disposal,
            lots=[
                {"lot_id": lot, "quantity": share, "on_hand": before[lot]}
                for lot, share in back.items()
            ],
            business_date=business_date,
        )

    # -- when to reorder

    def set_reorder_point(self, reorder_point: int, business_date: date) -> None:
        self._tell(Stock.ReorderPointSet, reorder_point=reorder_point, business_date=business_date)
        self._watch(business_date)

    def _watch(self, on: date) -> None:
        """Tell once per crossing of the reorder point, by what is available or incoming (R-21)."""
        if self.reorder_point is None:
            return
        low = self.available(on) + self.incoming <= self.reorder_point
        if low != self.low:
            self._tell(
                Stock.FellLow if low else Stock.Recovered,
                on_hand=self.on_hand,
                available=self.available(on),
                incoming=self.incoming,
                reorder_point=self.reorder_point,
                business_date=on,
            )

    # -- tell and remember

    def _tell(self, happening: type["Stock.Event"], **facts: Any) -> None:
        self.trigger_event(
            happening, store_id=self.store_id, product_id=self.product_id, unit=self.unit, **facts
        )

    @event(Stocked)
    def _stocked(self, lots: list[ArrivedLot]) -> None:
        self._lie(lots)

    @event(Expected)
    def _expected(self, quantity: int) -> None:
        self.incoming += quantity

    @event(Arrived)
    def _arrived(self, lots: list[ArrivedLot]) -> None:
        self._lie(lots)
        self.incoming -= sum(lot["quantity"] for lot in lots)

    @event(Sold)
    def _sold(self, lines: list[SoldLine]) -> None:
        for line in lines:
            self._leave(line["lots"])
            self.shortfall += line["shortfall"]
            if line["lots"]:
                self.last_sold_lot = line["lots"][-1]["lot_id"]

    @event(PutBack)
    def _put_back(self, lots: list[ArrivedLot], shortfall: int) -> None:
        self._lie(lots)
        self.shortfall -= shortfall

    @event(Sent)
    def _sent(self, lots: list[LotPart]) -> None:
        self._leave(lots)

    @event(Shrunk)
    def _shrunk(self, lots: list[LotPart]) -> None:
        # Returned goods are disposed of in the same breath and never joined the shelf; the
        # balance after their disposal is the one that the shelf had all along.
        self._leave(lots)

    @event(ReorderPointSet)
    def _reorder_point_set(self, reorder_point: int) -> None:
        self.reorder_point = reorder_point

    @event(FellLow)
    def _fell_low(self) -> None:
        self.low = True

    @event(Recovered)
    def _recovered(self) -> None:
        self.low = False

    def _lie(self, lots: Iterable[ArrivedLot]) -> None:
        for lot in lots:
            self.lots[lot["lot_id"]] = {
                "on_hand": lot["on_hand"],
                "best_before": lot["best_before"],
                "received_at": lot["received_at"],
            }

    def _leave(self, parts: Iterable[LotPart]) -> None:
        for part in parts:
            if part["on_hand"] == 0:
                self.lots.pop(part["lot_id"], None)
            else:
                self.lots[part["lot_id"]]["on_hand"] = part["on_hand"]
