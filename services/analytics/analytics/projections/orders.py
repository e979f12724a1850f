"""What the till's events add: the catalogue, shifts, receipts, sales and returns."""

from analytics import tables
from analytics.contracts.orders import (
    GoodsReturned,
    OrderCancelled,
    OrderPaid,
    ProductListed,
    RefundPaid,
    ShiftClosed,
    ShiftOpened,
    StoreOpened,
)
from analytics.projections.harvest import Harvest, gather


@gather.register
def know_the_store(fact: StoreOpened, harvest: Harvest) -> None:
    harvest.keep(tables.STORE, fact)


@gather.register
def know_the_product(fact: ProductListed, harvest: Harvest) -> None:
    harvest.keep(tables.PRODUCT, fact)


@gather.register
def open_the_shift(fact: ShiftOpened, harvest: Harvest) -> None:
    harvest.keep(tables.SHIFT, fact)


@gather.register
def close_the_shift(fact: ShiftClosed, harvest: Harvest) -> None:
    harvest.keep(tables.SHIFT_CLOSE, fact)


@gather.register
def add_the_sale(fact: OrderPaid, harvest: Harvest) -> None:
    harvest.keep(tables.SALE, fact)
    takings = (1, fact.cash_fen, fact.card_fen, fact.rounding_fen, 0, 0)
    harvest.put(tables.SHIFT_TAKINGS, (fact.store_id, fact.shift_id), sums=takings)
    hour = (fact.store_id, fact.business_date, fact.hour, fact.channel)
    harvest.put(tables.RECEIPTS, hour, sums=(1, 0, fact.total_fen))
    for line in fact.lines:
        product, quantity = (line["product_id"], line["unit"]), line["quantity"]
        price, total, net = line["price_fen"], line["total_fen"], line["net_fen"]
        key = (fact.store_id, fact.order_id, line["line_no"])
        harvest.put(tables.SALE_LINE, key, (*product, quantity, price, total, net))
        harvest.put(tables.SALES, (*hour, *product), sums=(1, quantity, 0, total, 0))


@gather.register
def take_the_sale_off(fact: OrderCancelled, harvest: Harvest) -> None:
    """Take figures back where they were added: on the order's own day, hour and channel."""
    harvest.keep(tables.SALE_CANCELLED, fact)
    hour = (fact.store_id, fact.business_date, fact.hour, fact.channel)
    harvest.put(tables.RECEIPTS, hour, sums=(-1, 1, -fact.total_fen))
    for line in fact.lines:
        product = (line["product_id"], line["unit"])
        sums = (-1, -line["quantity"], 0, -line["total_fen"], 0)
        harvest.put(tables.SALES, (*hour, *product), sums=sums)


@gather.register
def add_the_return(fact: GoodsReturned, harvest: Harvest) -> None:
    cash, card = (fact.refund_fen, 0) if fact.tender == "cash" else (0, fact.refund_fen)
    shift = (fact.store_id, fact.shift_id)
    harvest.put(tables.SHIFT_TAKINGS, shift, sums=(0, 0, 0, 0, cash, card))
    hour = (fact.store_id, fact.business_date, fact.hour, fact.channel)
    for line in fact.lines:
        product, quantity = (line["product_id"], line["unit"]), line["quantity"]
        refund = line["refund_fen"]
        key = (fact.store_id, fact.return_id, line["line_no"])
        facts = (fact.business_date, *product, quantity, refund, fact.reason, fact.returned_at)
        harvest.put(tables.TILL_RETURN, key, facts)
        harvest.put(tables.SALES, (*hour, *product), sums=(0, 0, quantity, 0, refund))


@gather.register
def add_the_refund(fact: RefundPaid, harvest: Harvest) -> None:
    harvest.keep(tables.REFUND, fact)
    shift = (fact.store_id, fact.shift_id)
    harvest.put(tables.SHIFT_TAKINGS, shift, sums=(0, 0, 0, 0, fact.cash_fen, fact.card_fen))
