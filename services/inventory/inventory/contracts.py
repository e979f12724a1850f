"""What inventory tells, what it reads of others, and what it can be asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from marshmallow import post_load

from inventory.domain.lot import Lot
from inventory.domain.shrinkage import DISPOSALS, REASONS
from inventory.domain.stock import Stock
from inventory.domain.supplier import Supplier
from pomona.contracts import Consumed, Published, Request
from pomona.fields import (
    Bool,
    Choice,
    Count,
    Day,
    EventSchema,
    FactSchema,
    Fen,
    Id,
    List,
    Moment,
    Nested,
    RequestSchema,
    Text,
)
from pomona.values import Unit, stable_id

UNITS = ("g", "piece")

# -- what we tell


class LotPartV1(EventSchema):
    lot_id = Id(required=True)
    quantity = Count(required=True)
    on_hand = Count(required=True, min=0)


class ReceivedLotPartV1(LotPartV1):
    supplier_id = Id(required=True)


class SoldLineV1(EventSchema):
    line_no = Count(required=True)
    quantity = Count(required=True)
    shortfall = Count(required=True, min=0)
    lots = List(Nested(LotPartV1), required=True)


class SupplierRegisteredV1(EventSchema):
    supplier_id = Id(required=True)
    name = Text(required=True)
    code = Text(required=True)


class LotReceivedV1(EventSchema):
    lot_id = Id(required=True)
    stock_id = Id(required=True)
    store_id = Id(required=True)
    product_id = Id(required=True)
    supplier_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    goods_cost_fen = Fen(required=True)
    freight_fen = Fen(required=True)
    cost_fen = Fen(required=True)
    origin = Text(required=True)
    harvest_date = Day(required=True, allow_none=True)
    best_before = Day(required=True, allow_none=True)
    received_at = Moment(required=True)
    business_date = Day(required=True)
    on_hand = Count(required=True)


class LotClaimedV1(EventSchema):
    lot_id = Id(required=True)
    product_id = Id(required=True)
    supplier_id = Id(required=True)
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    quantity = Count(required=True, min=0)
    claims = Count(required=True)


class OfStock(EventSchema):
    """What every event of a stock says: whose it is."""

    stock_id = Id(required=True)
    store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    business_date = Day(required=True)


class StockSoldV1(OfStock):
    order_id = Id(required=True)
    certainty = Choice(("assumed",), required=True)
    lines = List(Nested(SoldLineV1), required=True)


class StockPutBackV1(OfStock):
    order_id = Id(required=True)
    lots = List(Nested(LotPartV1), required=True)
    shortfall = Count(required=True, min=0)


class StockReturnedV1(OfStock):
    cause = Choice(("claim", "till"), required=True)
    cause_id = Id(required=True)
    line_no = Count(required=True)
    lots = List(Nested(LotPartV1), required=True)
    known = Bool(required=True)


class StockShrunkV1(OfStock):
    shrinkage_id = Id(required=True)
    reason = Choice((*REASONS, *DISPOSALS.values()), required=True)
    lots = List(Nested(LotPartV1), required=True)
    shortfall = Count(required=True, min=0)


class StockLevelV1(OfStock):
    on_hand = Count(required=True, min=0)
    available = Count(required=True, min=0)
    incoming = Count(required=True, min=0)
    reorder_point = Count(required=True, min=0)


class BetweenStores(EventSchema):
    """What both ends of a transfer say."""

    transfer_id = Id(required=True)
    from_store_id = Id(required=True)
    to_store_id = Id(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    business_date = Day(required=True)


class TransferSentV1(BetweenStores):
    lots = List(Nested(LotPartV1), required=True)


class TransferReceivedV1(BetweenStores):
    lots = List(Nested(ReceivedLotPartV1), required=True)


def told_as(own_id: str, **more: Any) -> Callable[[Any], Mapping[str, Any]]:
    """Tell the event's own fields, the id of its aggregate under a name, and constants."""
    return lambda event: {**vars(event), own_id: event.originator_id, **more}


def lot_received(event: Lot.Received) -> Mapping[str, Any]:
    return {
        **vars(event),
        "lot_id": event.originator_id,
        "stock_id": stable_id("stock", str(event.store_id), str(event.product_id)),
        "cost_fen": event.goods_cost_fen + event.freight_fen,
        "on_hand": event.quantity,
    }


PUBLISHED: tuple[Published, ...] = (
    Published(
        name="supplier_registered",
        version=1,
        event=Supplier.Registered,
        schema=SupplierRegisteredV1,
        subject="supplier_id",
        summary="A supplier is known.",
        data=told_as("supplier_id"),
    ),
    Published(
        name="lot_received",
        version=1,
        event=Lot.Received,
        schema=LotReceivedV1,
        subject="lot_id",
        summary="Goods of one product arrived together and lie in a store as a new lot.",
        data=lot_received,
    ),
    Published(
        name="lot_claimed",
        version=1,
        event=Lot.Claimed,
        schema=LotClaimedV1,
        subject="lot_id",
        summary="A customer claimed on a sale that is assumed to have come from the lot.",
        data=told_as("lot_id"),
    ),
    Published(
        name="stock_sold",
        version=1,
        event=Stock.Sold,
        schema=StockSoldV1,
        subject="stock_id",
        summary="The lots a sale is assumed to have taken, and what no lot could cover.",
        data=told_as("stock_id", certainty="assumed"),
    ),
    Published(
        name="stock_put_back",
        version=1,
        event=Stock.PutBack,
        schema=StockPutBackV1,
        subject="stock_id",
        summary="A cancelled order gave its quantities back to the same lots.",
        data=told_as("stock_id"),
    ),
    Published(
        name="stock_returned",
        version=1,
        event=Stock.Returned,
        schema=StockReturnedV1,
        subject="stock_id",
        summary="Goods came back and are booked to their lots, not to be sold again.",
        data=told_as("stock_id"),
    ),
    Published(
        name="stock_shrunk",
        version=1,
        event=Stock.Shrunk,
        schema=StockShrunkV1,
        subject="stock_id",
        summary="Goods were written off for a reason, or returned goods disposed of.",
        data=told_as("stock_id", shortfall=0),
    ),
    Published(
        name="stock_fell_low",
        version=1,
        event=Stock.FellLow,
        schema=StockLevelV1,
        subject="stock_id",
        summary="What is available or incoming fell to the reorder point; told once per crossing.",
        data=told_as("stock_id"),
    ),
    Published(
        name="stock_recovered",
        version=1,
        event=Stock.Recovered,
        schema=StockLevelV1,
        subject="stock_id",
        summary="What is available or incoming rose above the reorder point again.",
        data=told_as("stock_id"),
    ),
    Published(
        name="transfer_sent",
        version=1,
        event=Stock.Sent,
        schema=TransferSentV1,
        subject="transfer_id",
        summary="Goods left a store for another and lie in neither.",
        data=lambda event: {**vars(event), "from_store_id": event.store_id},
    ),
    Published(
        name="transfer_received",
        version=1,
        event=Stock.Arrived,
        schema=TransferReceivedV1,
        subject="transfer_id",
        summary="Goods that were under way lie in the other store, in the same lots.",
        data=lambda event: {**vars(event), "to_store_id": event.store_id},
    ),
)

# -- what we read


@dataclass(frozen=True)
class StoreOpened:
    store_id: UUID
    name: str


@dataclass(frozen=True)
class ProductListed:
    product_id: UUID
    name: str
    unit: Unit


@dataclass(frozen=True)
class GoodsLine:
    line_no: int
    product_id: UUID
    unit: Unit
    quantity: int


@dataclass(frozen=True)
class OrderPaid:
    order_id: UUID
    store_id: UUID
    business_date: date
    lines: list[GoodsLine]


@dataclass(frozen=True)
class OrderCancelled:
    order_id: UUID
    business_date: date


@dataclass(frozen=True)
class GoodsReturned:
    return_id: UUID
    store_id: UUID
    business_date: date
    lines: list[GoodsLine]


@dataclass(frozen=True)
class ClaimOpened:
    claim_id: UUID
    order_id: UUID
    line_no: int
    quantity: int


@dataclass(frozen=True)
class GoodsTakenBack:
    claim_id: UUID
    order_id: UUID
    line_no: int
    quantity: int
    disposition: str
    business_date: date


class StoreOpenedSchema(FactSchema):
    store_id = Id(required=True)
    name = Text(required=True)


class ProductListedSchema(FactSchema):
    product_id = Id(required=True)
    name = Text(required=True)
    unit = Choice(UNITS, required=True)


class GoodsLineSchema(FactSchema):
    line_no = Count(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)

    @post_load
    def line(self, values: dict[str, Any], **_: Any) -> GoodsLine:
        return GoodsLine(**values)


class OrderPaidSchema(FactSchema):
    order_id = Id(required=True)
    store_id = Id(required=True)
    business_date = Day(required=True)
    lines = List(Nested(GoodsLineSchema), required=True)


class OrderCancelledSchema(FactSchema):
    order_id = Id(required=True)
    business_date = Day(required=True)


class GoodsReturnedSchema(FactSchema):
    return_id = Id(required=True)
    store_id = Id(required=True)
    business_date = Day(required=True)
    lines = List(Nested(GoodsLineSchema), required=True)


class ClaimOpenedSchema(FactSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    quantity = Count(required=True, min=0)


class GoodsTakenBackSchema(FactSchema):
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    quantity = Count(required=True)
    disposition = Choice(tuple(DISPOSALS), required=True)
    business_date = Day(required=True)


CONSUMED: tuple[Consumed, ...] = (
    Consumed("pomona.orders.store_opened.v1", StoreOpenedSchema, StoreOpened),
    Consumed("pomona.orders.product_listed.v1", ProductListedSchema, ProductListed),
    Consumed("pomona.orders.order_paid.v1", OrderPaidSchema, OrderPaid),
    Consumed("pomona.orders.order_cancelled.v1", OrderCancelledSchema, OrderCancelled),
    Consumed("pomona.orders.goods_returned.v1", GoodsReturnedSchema, GoodsReturned),
    Consumed("pomona.aftersales.claim_opened.v1", ClaimOpenedSchema, ClaimOpened),
    Consumed("pomona.aftersales.goods_taken_back.v1", GoodsTakenBackSchema, GoodsTakenBack),
)

# -- what we can be asked


class RegisterSupplier(RequestSchema):
    supplier_id = Id(required=True)
    name = Text(required=True)
    code = Text(required=True, max=20)


class ReceiveGoods(RequestSchema):
    lot_id = Id(required=True)
    store_id = Id()
    product_id = Id(required=True)
    supplier_id = Id(required=True)
    quantity = Count(required=True)
    goods_cost_fen = Fen(required=True)
    freight_fen = Fen(load_default=0)
    origin = Text(required=True)
    harvest_date = Day(load_default=None, allow_none=True)
    best_before = Day(load_default=None, allow_none=True)
    business_date = Day(required=True)


class RecordShrinkage(RequestSchema):
    shrinkage_id = Id(required=True)
    store_id = Id()
    product_id = Id(required=True)
    lot_id = Id(load_default=None, allow_none=True)
    quantity = Count(required=True)
    reason = Choice(REASONS, required=True)
    business_date = Day(required=True)


class SetReorderPoint(RequestSchema):
    store_id = Id()
    product_id = Id(required=True)
    reorder_point = Count(required=True, min=0)
    business_date = Day(required=True)


class SendTransfer(RequestSchema):
    transfer_id = Id(required=True)
    store_id = Id()
    to_store_id = Id(required=True)
    product_id = Id(required=True)
    lot_id = Id(load_default=None, allow_none=True)
    quantity = Count(required=True)
    business_date = Day(required=True)


class ReceiveTransfer(RequestSchema):
    transfer_id = Id(required=True)
    store_id = Id()
    business_date = Day(required=True)


class StockOf(RequestSchema):
    store_id = Id()
    product_id = Id(required=True)


class ListStock(RequestSchema):
    store_id = Id()


class GetLot(RequestSchema):
    lot_id = Id(required=True)


class ListSuppliers(RequestSchema):
    pass


REQUESTS: tuple[Request, ...] = (
    Request(
        method="register_supplier",
        schema=RegisterSupplier,
        roles=("head_office",),
        summary="Make a supplier known, with a code of its own.",
        kind="command",
    ),
    Request(
        method="receive_goods",
        schema=ReceiveGoods,
        roles=("store_manager", "head_office"),
        summary="Take in goods of one product as a new lot.",
        kind="command",
    ),
    Request(
        method="record_shrinkage",
        schema=RecordShrinkage,
        roles=("store_manager", "head_office"),
        summary="Write goods off for a reason, from a named lot or from what expires first.",
        kind="command",
    ),
    Request(
        method="set_reorder_point",
        schema=SetReorderPoint,
        roles=("store_manager", "head_office"),
        summary="Say at which quantity of a product the store wants to be warned.",
        kind="command",
    ),
    Request(
        method="send_transfer",
        schema=SendTransfer,
        roles=("store_manager", "head_office"),
        summary="Let goods leave for another store.",
        kind="command",
    ),
    Request(
        method="receive_transfer",
        schema=ReceiveTransfer,
        roles=("store_manager", "head_office"),
        summary="Take in goods that another store sent.",
        kind="command",
    ),
    Request(
        method="stock_of",
        schema=StockOf,
        roles=("cashier", "store_manager", "head_office", "analyst", "service"),
        summary="What a store has of one product, lot by lot.",
        kind="question",
    ),
    Request(
        method="list_stock",
        schema=ListStock,
        roles=("store_manager", "head_office", "analyst"),
        summary="What a store has of every product, lot by lot.",
        kind="question",
    ),
    Request(
        method="get_lot",
        schema=GetLot,
        roles=("store_manager", "head_office", "analyst"),
        summary="Where a lot came from, what it cost, where it lies and how many claims it had.",
        kind="question",
    ),
    Request(
        method="list_suppliers",
        schema=ListSuppliers,
        roles=("store_manager", "head_office", "analyst"),
        summary="All suppliers.",
        kind="question",
    ),
)
