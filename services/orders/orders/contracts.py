"""What orders tells, what it reads, and what it can be asked."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from marshmallow import ValidationError, validate

from orders.domain.catalogue import PriceList, Product
from orders.domain.order import Order
from orders.domain.shift import Shift
from orders.domain.store import Store
from orders.domain.till_return import TillReturn
from pomona.contracts import Consumed, Published, Request
from pomona.fields import (
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
    Whole,
    distinct,
    entries,
)

UNITS = ("g", "piece")
CHANNELS = ("till", "clerk", "app")
TENDERS = ("cash", "card")
LONGEST_RECEIPT = 200
LARGEST_LIST = 500
HIGHEST_PRICE_FEN = 10_000_000
LARGEST_LINE = 1_000_000  # grams or pieces: what a shop scale can never show
CUT_OFF = r"([01]\d|2[0-3]):[0-5]\d"


def _known_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(
            "没有这个时区，例如 Asia/Shanghai。|Give a zone such as Asia/Shanghai."
        )


# --- what we tell ---------------------------------------------------------------------------


class StoreOpenedV1(EventSchema):
    store_id = Id(required=True)
    code = Text(required=True)
    name = Text(required=True)
    zone = Text(required=True)
    cut_off = Text(required=True)


class ProductListedV1(EventSchema):
    product_id = Id(required=True)
    code = Text(required=True)
    name = Text(required=True)
    category = Text(required=True)
    unit = Choice(UNITS, required=True)


class PriceV1(EventSchema):
    product_id = Id(required=True)
    price_fen = Fen(required=True)


class PricesSetV1(EventSchema):
    store_id = Id(required=True)
    prices = List(Nested(PriceV1), required=True)


class ShiftOpenedV1(EventSchema):
    shift_id = Id(required=True)
    store_id = Id(required=True)
    terminal_id = Id(required=True)
    business_date = Day(required=True)
    opened_at = Moment(required=True)
    float_fen = Fen(required=True)


class ShiftClosedV1(EventSchema):
    shift_id = Id(required=True)
    store_id = Id(required=True)
    terminal_id = Id(required=True)
    business_date = Day(required=True)
    closed_at = Moment(required=True)
    expected_cash_fen = Fen(required=True, min=-(10**12))
    counted_cash_fen = Fen(required=True)
    difference_fen = Fen(required=True, min=-(10**12))
    card_fen = Fen(required=True, min=-(10**12))


class LineV1(EventSchema):
    line_no = Count(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    tare_g = Whole(required=True)
    scale_id = Text(required=True, allow_none=True)
    price_fen = Fen(required=True)
    total_fen = Fen(required=True)
    net_fen = Fen(required=True)


class TenderV1(EventSchema):
    kind = Choice(TENDERS, required=True)
    amount_fen = Fen(required=True)


class OrderPaidV1(EventSchema):
    order_id = Id(required=True)
    receipt_no = Text(required=True)
    store_id = Id(required=True)
    terminal_id = Id(required=True)
    shift_id = Id(required=True)
    business_date = Day(required=True)
    sold_at = Moment(required=True)
    terminal_time = Moment(required=True)
    hour = Whole(required=True, max=23)
    channel = Choice(CHANNELS, required=True)
    cashier_id = Text(required=True)
    customer_id = Id(required=True, allow_none=True)
    lines = List(Nested(LineV1), required=True)
    total_fen = Fen(required=True)
    rounding_fen = Fen(required=True)
    tenders = List(Nested(TenderV1), required=True)
    change_fen = Fen(required=True)


class CancelledLineV1(EventSchema):
    line_no = Count(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    total_fen = Fen(required=True)


class OrderCancelledV1(EventSchema):
    order_id = Id(required=True)
    store_id = Id(required=True)
    business_date = Day(required=True)
    hour = Whole(required=True, max=23)
    channel = Choice(CHANNELS, required=True)
    cancelled_at = Moment(required=True)
    reason = Text(required=True)
    customer_id = Id(required=True, allow_none=True)
    total_fen = Fen(required=True)
    lines = List(Nested(CancelledLineV1), required=True)


class ReturnedLineV1(EventSchema):
    line_no = Count(required=True)
    product_id = Id(required=True)
    unit = Choice(UNITS, required=True)
    quantity = Count(required=True)
    price_fen = Fen(required=True)
    refund_fen = Fen(required=True)


class GoodsReturnedV1(EventSchema):
    return_id = Id(required=True)
    store_id = Id(required=True)
    terminal_id = Id(required=True)
    shift_id = Id(required=True)
    business_date = Day(required=True)
    returned_at = Moment(required=True)
    hour = Whole(required=True, max=23)
    channel = Choice(CHANNELS, required=True)
    reason = Text(required=True)
    lines = List(Nested(ReturnedLineV1), required=True)
    refund_fen = Fen(required=True)
    tender = Choice(TENDERS, required=True)


class RefundPaidV1(EventSchema):
    refund_id = Id(required=True)
    claim_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    store_id = Id(required=True)
    terminal_id = Id(required=True)
    shift_id = Id(required=True)
    business_date = Day(required=True)
    paid_at = Moment(required=True)
    customer_id = Id(required=True, allow_none=True)
    amount_fen = Fen(required=True)
    tender = Choice(("cash", "card", "mixed"), required=True)
    cash_fen = Fen(required=True)
    card_fen = Fen(required=True)
    order_total_fen = Fen(required=True)


def _store_opened(event: Store.Opened) -> dict[str, Any]:
    return {**vars(event), "store_id": event.originator_id, "name": event.label}


def _product_listed(event: Product.Listed) -> dict[str, Any]:
    return {**vars(event), "product_id": event.originator_id, "name": event.label}


def _shift(event: Shift.Opened | Shift.Closed) -> dict[str, Any]:
    return {**vars(event), "shift_id": event.originator_id}


def _shift_closed(event: Shift.Closed) -> dict[str, Any]:
    difference = event.counted_cash_fen - event.expected_cash_fen
    return {**_shift(event), "difference_fen": difference}


def _order_paid(event: Order.Paid) -> dict[str, Any]:
    tendered = (("cash", event.cash_fen), ("card", event.card_fen))
    return {
        **vars(event),
        "order_id": event.originator_id,
        "tenders": [{"kind": kind, "amount_fen": fen} for kind, fen in tendered if fen],
    }


def _order_cancelled(event: Order.Cancelled) -> dict[str, Any]:
    return {**vars(event), "order_id": event.originator_id}


def _goods_returned(event: TillReturn.Taken) -> dict[str, Any]:
    return {**vars(event), "return_id": event.originator_id}


def _refund_paid(event: Order.RefundPaid) -> dict[str, Any]:
    tender = "mixed" if event.cash_fen and event.card_fen else "card" if event.card_fen else "cash"
    return {**vars(event), "order_id": event.originator_id, "tender": tender}


PUBLISHED = (
    Published(
        name="store_opened",
        version=1,
        event=Store.Opened,
        schema=StoreOpenedV1,
        subject="store_id",
        summary="A store joined the chain.",
        data=_store_opened,
    ),
    Published(
        name="product_listed",
        version=1,
        event=Product.Listed,
        schema=ProductListedV1,
        subject="product_id",
        summary="A product may be sold in the chain.",
        data=_product_listed,
    ),
    Published(
        name="prices_set",
        version=1,
        event=PriceList.PricesSet,
        schema=PricesSetV1,
        subject="store_id",
        summary="A store set prices, per kilogram or per piece.",
        data=vars,
    ),
    Published(
        name="shift_opened",
        version=1,
        event=Shift.Opened,
        schema=ShiftOpenedV1,
        subject="shift_id",
        summary="A cashier opened a shift; its business date is fixed.",
        data=_shift,
    ),
    Published(
        name="shift_closed",
        version=1,
        event=Shift.Closed,
        schema=ShiftClosedV1,
        subject="shift_id",
        summary="A shift was closed and its cash counted.",
        data=_shift_closed,
    ),
    Published(
        name="order_paid",
        version=1,
        event=Order.Paid,
        schema=OrderPaidV1,
        subject="order_id",
        summary="A customer bought and paid.",
        data=_order_paid,
    ),
    Published(
        name="order_cancelled",
        version=1,
        event=Order.Cancelled,
        schema=OrderCancelledV1,
        subject="order_id",
        summary="A sale was undone before the goods left the counter.",
        data=_order_cancelled,
    ),
    Published(
        name="goods_returned",
        version=1,
        event=TillReturn.Taken,
        schema=GoodsReturnedV1,
        subject="return_id",
        summary="Goods came back without a receipt and were paid at the price of the day.",
        data=_goods_returned,
    ),
    Published(
        name="refund_paid",
        version=1,
        event=Order.RefundPaid,
        schema=RefundPaidV1,
        subject="order_id",
        summary="An approved refund was paid back to the customer.",
        data=_refund_paid,
    ),
)


# --- what we read ---------------------------------------------------------------------------


class ClaimApprovedSchema(FactSchema):
    claim_id = Id(required=True)
    refund_id = Id(required=True)
    order_id = Id(required=True)
    line_no = Count(required=True)
    amount_fen = Fen(required=True)


@dataclass(frozen=True)
class ClaimApproved:
    claim_id: UUID
    refund_id: UUID
    order_id: UUID
    line_no: int
    amount_fen: int


CONSUMED = (Consumed("pomona.aftersales.claim_approved.v1", ClaimApprovedSchema, ClaimApproved),)


# --- what we can be asked -------------------------------------------------------------------


class OpenStore(RequestSchema):
    store_id = Id(required=True)
    code = Text(required=True, max=12)
    name = Text(required=True)
    zone = Text(required=True, validate=_known_zone)
    cut_off = Text(
        required=True,
        validate=validate.Regexp(
            CUT_OFF, error="写成 04:00 这样的时间。|Give a time such as 04:00."
        ),
    )


class RegisterTerminal(RequestSchema):
    terminal_id = Id(required=True)
    store_id = Id(required=True)
    code = Text(required=True, max=12)


class NewProduct(RequestSchema):
    product_id = Id(required=True)
    code = Text(required=True, max=40)
    name = Text(required=True)
    category = Text(required=True)
    unit = Choice(UNITS, required=True)


class ListProducts(RequestSchema):
    products = List(
        Nested(NewProduct),
        required=True,
        validate=[entries(1, LARGEST_LIST), distinct("product_id")],
    )


class NewPrice(RequestSchema):
    product_id = Id(required=True)
    price_fen = Fen(required=True, max=HIGHEST_PRICE_FEN)


class SetPrices(RequestSchema):
    store_id = Id()
    prices = List(
        Nested(NewPrice),
        required=True,
        validate=[entries(1, LARGEST_LIST), distinct("product_id")],
    )


class OpenShift(RequestSchema):
    shift_id = Id(required=True)
    terminal_time = Moment(required=True)
    float_fen = Fen(required=True)


class CloseShift(RequestSchema):
    shift_id = Id(required=True)
    terminal_time = Moment(required=True)
    counted_cash_fen = Fen(required=True)


class WeighedLine(RequestSchema):
    product_id = Id(required=True)
    quantity = Count(required=True, max=LARGEST_LINE)
    tare_g = Whole(load_default=0, max=LARGEST_LINE)
    scale_id = Text(load_default=None, allow_none=True, max=40)
    price_fen = Fen(required=True, max=HIGHEST_PRICE_FEN)


class Tender(RequestSchema):
    kind = Choice(TENDERS, required=True)
    amount_fen = Fen(required=True)


class PlaceOrder(RequestSchema):
    order_id = Id(required=True)
    shift_id = Id(required=True)
    terminal_time = Moment(required=True)
    channel = Choice(CHANNELS, load_default="till")
    customer_id = Id(load_default=None, allow_none=True)
    lines = List(
        Nested(WeighedLine),
        required=True,
        validate=entries(1, LONGEST_RECEIPT),
    )
    tenders = List(Nested(Tender), required=True, validate=entries(0, 10))
    rounding_fen = Fen(load_default=0, max=99)


class CancelOrder(RequestSchema):
    order_id = Id(required=True)
    shift_id = Id(required=True)
    reason = Text(required=True, max=200)


class ReturnedLine(RequestSchema):
    product_id = Id(required=True)
    quantity = Count(required=True, max=LARGEST_LINE)
    price_fen = Fen(required=True, max=HIGHEST_PRICE_FEN)


class ReturnGoods(RequestSchema):
    return_id = Id(required=True)
    shift_id = Id(required=True)
    terminal_time = Moment(required=True)
    reason = Text(required=True, max=200)
    tender = Choice(TENDERS, required=True)
    lines = List(
        Nested(ReturnedLine),
        required=True,
        validate=entries(1, LONGEST_RECEIPT),
    )


class PayRefund(RequestSchema):
    refund_id = Id(required=True)
    shift_id = Id(required=True)
    tender = Choice(TENDERS, load_default="cash")


class GetOrder(RequestSchema):
    order_id = Id(required=True)


class GetShift(RequestSchema):
    shift_id = Id(required=True)


class ListStores(RequestSchema):
    pass


class OfStore(RequestSchema):
    store_id = Id()


class BusinessDay(RequestSchema):
    store_id = Id()
    business_date = Day(required=True)


REQUESTS = (
    Request("open_store", OpenStore, ("head_office",), "Open a store.", "command"),
    Request(
        "register_terminal",
        RegisterTerminal,
        ("head_office",),
        "Register a till of a store.",
        "command",
    ),
    Request(
        "list_products",
        ListProducts,
        ("head_office",),
        "List products that the chain sells by weight or by piece.",
        "command",
    ),
    Request(
        "set_prices",
        SetPrices,
        ("head_office", "store_manager"),
        "Set prices of a store, in fen per kilogram or per piece.",
        "command",
    ),
    Request(
        "open_shift",
        OpenShift,
        ("cashier", "store_manager"),
        "Open a shift at this till with a float.",
        "command",
    ),
    Request(
        "close_shift",
        CloseShift,
        ("cashier", "store_manager"),
        "Close a shift with the cash counted.",
        "command",
    ),
    Request(
        "place_order",
        PlaceOrder,
        ("cashier", "store_manager"),
        "Ring up a sale of weighed or counted lines and take the money.",
        "command",
    ),
    Request(
        "cancel_order",
        CancelOrder,
        ("cashier", "store_manager"),
        "Undo a sale of this shift before the goods leave the counter.",
        "command",
    ),
    Request(
        "return_goods",
        ReturnGoods,
        ("store_manager",),
        "Take goods back without a receipt, at the price of the day.",
        "command",
    ),
    Request(
        "pay_refund",
        PayRefund,
        ("cashier", "store_manager"),
        "Pay an approved refund back on the tender it came from.",
        "command",
    ),
    Request(
        "get_order",
        GetOrder,
        ("cashier", "store_manager", "head_office", "analyst"),
        "One order with its lines, tenders and refunds.",
        "question",
    ),
    Request(
        "get_shift",
        GetShift,
        ("cashier", "store_manager", "head_office"),
        "One shift and what its drawer must hold.",
        "question",
    ),
    Request(
        "list_stores",
        ListStores,
        ("cashier", "store_manager", "head_office", "analyst"),
        "The stores of the chain.",
        "question",
    ),
    Request(
        "list_prices",
        OfStore,
        ("cashier", "store_manager", "head_office", "analyst"),
        "The price list of a store.",
        "question",
    ),
    Request(
        "business_day",
        BusinessDay,
        ("store_manager", "head_office", "analyst"),
        "The ledger of a store's business day.",
        "question",
    ),
)
