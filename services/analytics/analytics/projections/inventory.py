"""What the stockroom's events add: lots, every movement of them, and what no lot could give."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from analytics import tables
from analytics.contracts.inventory import (
    LotClaimed,
    LotPart,
    LotReceived,
    StockFellLow,
    StockPutBack,
    StockRecovered,
    StockReturned,
    StockShrunk,
    StockSold,
    SupplierRegistered,
    Transfer,
    TransferReceived,
    TransferSent,
)
from analytics.projections.harvest import Harvest, gather

FLOWS = {  # into received, moved in, moved out, sold, returned, shrunk
    "received": (1, 0, 0, 0, 0, 0),
    "moved_in": (0, 1, 0, 0, 0, 0),
    "moved_out": (0, 0, 1, 0, 0, 0),
    "sold": (0, 0, 0, 1, 0, 0),
    "put_back": (0, 0, 0, -1, 0, 0),
    "returned": (0, 0, 0, 0, 1, 0),
    "shrunk": (0, 0, 0, 0, 0, 1),
}


@dataclass
class Movements:
    """The lots that one event moved in one store, numbered as they stand in the event."""

    fact: LotReceived | StockSold | StockPutBack | StockReturned | StockShrunk | Transfer
    store_id: UUID
    harvest: Harvest
    part: int = field(default=0, init=False)

    def move(
        self,
        kind: str,
        lots: Sequence[LotPart],
        cause_id: UUID,
        *,
        line_no: int | None = None,
        reason: str | None = None,
        whole: int | None = None,
    ) -> None:
        """Book lots that make up the whole; where stock fell short they are less than that."""
        fact, before = self.fact, 0
        if whole is None:
            whole = sum(lot["quantity"] for lot in lots)
        cause = (kind, reason, cause_id, line_no, fact.business_date, fact.unit)
        for lot in lots:
            quantity = lot["quantity"]
            key = (self.store_id, lot["lot_id"], self.harvest.position, self.part)
            self.harvest.put(tables.LOT_MOVEMENT, key, (*cause, quantity, before, whole))
            stock = (self.store_id, lot["lot_id"], fact.product_id, fact.unit)
            flows = tuple([flow * quantity for flow in FLOWS[kind]])
            self.harvest.put(tables.LOT_STOCK, stock, (lot["on_hand"],), flows)
            before += quantity
            self.part += 1

    def fall_short(self, quantity: int) -> None:
        """Book what left the store without being in any lot."""
        if quantity:
            fact = self.fact
            key = (self.store_id, fact.business_date, fact.product_id, fact.unit)
            self.harvest.put(tables.SHORTFALL, key, sums=(quantity,))


@gather.register
def know_the_supplier(fact: SupplierRegistered, harvest: Harvest) -> None:
    harvest.keep(tables.SUPPLIER, fact)


@gather.register
def receive_the_lot(fact: LotReceived, harvest: Harvest) -> None:
    harvest.keep(tables.LOT, fact)
    lot: LotPart = {"lot_id": fact.lot_id, "quantity": fact.quantity, "on_hand": fact.on_hand}
    Movements(fact, fact.store_id, harvest).move("received", [lot], fact.lot_id)


@gather.register
def sell_from_the_lots(fact: StockSold, harvest: Harvest) -> None:
    movements = Movements(fact, fact.store_id, harvest)
    for line in fact.lines:
        movements.move(
            "sold",
            line["lots"],
            fact.order_id,
            line_no=line["line_no"],
            reason=fact.certainty,
            whole=line["quantity"],
        )
        movements.fall_short(line["shortfall"])


@gather.register
def put_back_into_the_lots(fact: StockPutBack, harvest: Harvest) -> None:
    movements = Movements(fact, fact.store_id, harvest)
    movements.move("put_back", fact.lots, fact.order_id)
    movements.fall_short(-fact.shortfall)


@gather.register
def book_back_to_the_lots(fact: StockReturned, harvest: Harvest) -> None:
    Movements(fact, fact.store_id, harvest).move(
        "returned", fact.lots, fact.cause_id, line_no=fact.line_no, reason=fact.cause
    )


@gather.register
def shrink_the_lots(fact: StockShrunk, harvest: Harvest) -> None:
    movements = Movements(fact, fact.store_id, harvest)
    movements.move("shrunk", fact.lots, fact.shrinkage_id, reason=fact.reason)
    movements.fall_short(fact.shortfall)
    product = (fact.product_id, fact.unit)
    for lot in fact.lots:
        key = (fact.store_id, fact.business_date, *product, fact.reason, lot["lot_id"])
        harvest.put(tables.SHRINKAGE, key, sums=(lot["quantity"],))


@gather.register
def send_the_lots(fact: TransferSent, harvest: Harvest) -> None:
    movements = Movements(fact, fact.from_store_id, harvest)
    movements.move("moved_out", fact.lots, fact.transfer_id)


@gather.register
def take_the_lots_in(fact: TransferReceived, harvest: Harvest) -> None:
    movements = Movements(fact, fact.to_store_id, harvest)
    movements.move("moved_in", fact.lots, fact.transfer_id)


@gather.register
def mark_as_low(fact: StockFellLow, harvest: Harvest) -> None:
    key = (fact.store_id, fact.product_id, fact.unit)
    harvest.put(tables.STOCK_LEVEL, key, (True, fact.reorder_point))


@gather.register
def mark_as_recovered(fact: StockRecovered, harvest: Harvest) -> None:
    key = (fact.store_id, fact.product_id, fact.unit)
    harvest.put(tables.STOCK_LEVEL, key, (False, fact.reorder_point))


@gather.register
def count_the_claim(fact: LotClaimed, harvest: Harvest) -> None:
    harvest.keep(tables.LOT_CLAIM, fact, sums=(fact.quantity,))
