"""What inventory does about the facts of others: which stocks and lots change."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import singledispatch
from typing import TYPE_CHECKING, Any
from uuid import UUID

from eventsourcing.domain import Aggregate

from inventory import views
from inventory.contracts import (
    ClaimOpened,
    GoodsReturned,
    GoodsTakenBack,
    OrderCancelled,
    OrderPaid,
)
from inventory.domain.lot import Lot
from inventory.domain.shrinkage import DISPOSALS
from inventory.domain.stock import Stock
from pomona.errors import NotYet
from pomona.values import Unit, share_out

if TYPE_CHECKING:
    from inventory.application import Inventory


@singledispatch
def react(_fact: object, _inventory: "Inventory") -> Iterable[Aggregate]:
    """Most facts change nothing here."""
    return ()


@react.register(OrderPaid)
def sell_what_was_paid_for(fact: OrderPaid, inventory: "Inventory") -> Iterable[Stock]:
    goods: defaultdict[tuple[UUID, Unit], dict[int, int]] = defaultdict(dict)
    for line in fact.lines:
        goods[line.product_id, line.unit][line.line_no] = line.quantity
    for (product_id, unit), lines in goods.items():
        stock = inventory.stock(fact.store_id, product_id, unit)
        stock.sell(fact.order_id, lines, fact.business_date)
        yield stock


@react.register(OrderCancelled)
def put_back_what_was_sold(fact: OrderCancelled, inventory: "Inventory") -> Iterable[Stock]:
    taken: defaultdict[tuple[UUID, UUID, Unit], list[dict[str, Any]]] = defaultdict(list)
    for line in lines_of(fact.order_id, inventory):
        taken[line["store_id"], line["product_id"], line["unit"]].append(line)
    for (store_id, product_id, unit), lines in taken.items():
        lots: Counter[str] = Counter()
        for line in lines:
            lots.update(line["lots"])
        with inventory.reading() as cursor:
            back = views.arriving(cursor, lots)
        stock = inventory.stock(store_id, product_id, unit)
        shortfall = sum(line["shortfall"] for line in lines)
        stock.put_back(fact.order_id, back, shortfall, fact.business_date)
        yield stock


@react.register(GoodsReturned)
def dispose_of_what_came_back_to_the_till(
    fact: GoodsReturned, inventory: "Inventory"
) -> Iterable[Stock]:
    """Nobody has a receipt, so nobody knows the lot (R-12)."""
    stocks: dict[UUID, Stock] = {}
    for line in fact.lines:
        if line.product_id not in stocks:
            stocks[line.product_id] = inventory.stock(fact.store_id, line.product_id, line.unit)
        stocks[line.product_id].take_back(
            "till",
            fact.return_id,
            line.line_no,
            line.quantity,
            sold_from={},
            untraceable=0,
            disposal=DISPOSALS["discard"],
            business_date=fact.business_date,
        )
    return stocks.values()


@react.register(GoodsTakenBack)
def dispose_of_what_a_claim_brought_back(
    fact: GoodsTakenBack, inventory: "Inventory"
) -> Iterable[Stock]:
    line = line_of(fact.order_id, fact.line_no, inventory)
    stock = inventory.stock(line["store_id"], line["product_id"], line["unit"])
    stock.take_back(
        "claim",
        fact.claim_id,
        fact.line_no,
        fact.quantity,
        sold_from=line["lots"],
        untraceable=line["shortfall"],
        disposal=DISPOSALS[fact.disposition],
        business_date=fact.business_date,
    )
    yield stock


@react.register(ClaimOpened)
def raise_the_claim_counter_of_the_lots(fact: ClaimOpened, inventory: "Inventory") -> Iterable[Lot]:
    """Count the claim on every lot of the line, with or without goods coming back (R-13)."""
    line = line_of(fact.order_id, fact.line_no, inventory)
    *shares, _untraceable = share_out(fact.quantity, [*line["lots"].values(), line["shortfall"]])
    for lot_id, share in zip(line["lots"], shares, strict=True):
        lot = inventory.get(Lot, UUID(lot_id))
        if lot is not None:
            lot.claim(fact.claim_id, fact.order_id, fact.line_no, share)
            yield lot


def lines_of(order_id: UUID, inventory: "Inventory") -> list[dict[str, Any]]:
    with inventory.reading() as cursor:
        lines = views.sold_lines(cursor, order_id)
    if not lines:
        raise NotYet("the order has not been allocated")
    return lines


def line_of(order_id: UUID, line_no: int, inventory: "Inventory") -> dict[str, Any]:
    for line in lines_of(order_id, inventory):
        if line["line_no"] == line_no:
            return line
    raise NotYet("the order line has not been allocated")
