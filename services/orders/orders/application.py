"""The use cases of the shop floor: fetch, ask, save."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pomona.application
from orders import views
from orders.domain.catalogue import PriceList, Product
from orders.domain.errors import (
    AlreadyExists,
    ClockAhead,
    NoPrice,
    PriceChanged,
    UnknownOrder,
    UnknownProduct,
    UnknownRefund,
    UnknownShift,
    UnknownStore,
    UnknownTerminal,
)
from orders.domain.order import Money, Order, Picked, priced, settle
from orders.domain.shift import Shift
from orders.domain.store import Store, Till
from orders.domain.till_return import TillReturn
from pomona.application import Command, Question
from pomona.errors import StoreMissing
from pomona.values import business_date, line_total

CLOCK_SKEW = timedelta(minutes=5)


class Orders(pomona.application.Application):
    """Stores, tills, prices and everything that is rung up or paid back."""

    name = "orders"
    aggregates = {  # noqa: RUF012
        "Store": Store,
        "Till": Till,
        "Product": Product,
        "PriceList": PriceList,
        "Shift": Shift,
        "Order": Order,
        "TillReturn": TillReturn,
    }
    snapshotting_intervals = {Shift: 20, PriceList: 20}  # noqa: RUF012

    def __init__(self, env: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(env, **kwargs)
        self._remembered_offers: dict[UUID, views.Offers] = {}

    def open_store(self, c: Command) -> dict[str, Any]:
        r = c.request
        self._require_new(r["store_id"], "store_id")
        store = Store(r["store_id"], r["code"], r["name"], r["zone"], r["cut_off"])
        return self.commit(c, store, answer={"store_id": str(store.id)})

    def register_terminal(self, c: Command) -> dict[str, Any]:
        r = c.request
        self._store(r["store_id"])
        self._require_new(r["terminal_id"], "terminal_id")
        till = Till(r["terminal_id"], r["store_id"], r["code"])
        return self.commit(c, till, answer={"terminal_id": str(till.id)})

    def list_products(self, c: Command) -> dict[str, Any]:
        products = [
            Product(p["product_id"], p["code"], p["name"], p["category"], p["unit"])
            for p in c.request["products"]
        ]
        for number, product in enumerate(products):
            self._require_new(product.id, f"products.{number}.product_id")
        return self.commit(c, *products, answer={"listed": len(products)})

    def set_prices(self, c: Command) -> dict[str, Any]:
        prices: list[dict[str, UUID | int]] = c.request["prices"]
        store = self._store(c.store_id)
        with self.reading() as cursor:
            known = views.known_products(cursor, [price["product_id"] for price in prices])
        for number, price in enumerate(prices):
            if price["product_id"] not in known:
                raise UnknownProduct(f"prices.{number}.product_id", product_id=price["product_id"])
        price_list = self.get(PriceList, PriceList.create_id(store.id)) or PriceList(store.id)
        price_list.set(prices)
        return self.commit(c, price_list, answer={"version": price_list.version_no})

    def open_shift(self, c: Command) -> dict[str, Any]:
        r = c.request
        till = self._till(c)
        store = self._store(till.store_id)
        terminal_time = _checked(r["terminal_time"], c.at)
        self._require_new(r["shift_id"], "shift_id")
        number = till.start_shift(r["shift_id"])
        shift = Shift(
            id=r["shift_id"],
            store_id=store.id,
            terminal_id=till.id,
            zone=store.zone,
            business_date=business_date(terminal_time, store.zone, store.day_ends_at),
            receipts=f"{store.code}-{till.code}-{number:04d}",
            float_fen=r["float_fen"],
            opened_at=terminal_time,
        )
        answer = {
            "shift_id": str(shift.id),
            "business_date": shift.business_date.isoformat(),
        }
        return self.commit(c, till, shift, answer=answer)

    def close_shift(self, c: Command) -> dict[str, Any]:
        r = c.request
        shift = self._shift(c)
        till = self.get(Till, shift.terminal_id)
        if till is None:
            raise UnknownTerminal
        shift.close(r["counted_cash_fen"], _checked(r["terminal_time"], c.at))
        till.end_shift(shift.id)
        expected = shift.expected_cash_fen
        answer = {
            "expected_cash_fen": expected,
            "counted_cash_fen": r["counted_cash_fen"],
            "difference_fen": r["counted_cash_fen"] - expected,
            "card_fen": shift.card_fen,
        }
        return self.commit(c, shift, till, answer=answer)

    def place_order(self, c: Command) -> dict[str, Any]:
        r = c.request
        shift = self._shift(c)
        terminal_time = _checked(r["terminal_time"], c.at)
        lines = priced(self._picked(shift.store_id, r["lines"]), r["rounding_fen"])
        total = sum(line["total_fen"] for line in lines)
        tendered = _money(r["tenders"])
        kept = settle(total, tendered, r["rounding_fen"])
        change = tendered.cash_fen - kept.cash_fen
        self._require_new(r["order_id"], "order_id")
        order = Order(
            id=r["order_id"],
            receipt_no=shift.next_receipt,
            store_id=shift.store_id,
            terminal_id=shift.terminal_id,
            shift_id=shift.id,
            business_date=shift.business_date,
            sold_at=c.at,
            terminal_time=terminal_time,
            hour=terminal_time.astimezone(ZoneInfo(shift.zone)).hour,
            channel=r["channel"],
            cashier_id=c.actor.id,
            customer_id=r["customer_id"],
            lines=lines,
            total_fen=total,
            rounding_fen=r["rounding_fen"],
            cash_fen=tendered.cash_fen,
            card_fen=tendered.card_fen,
            change_fen=change,
        )
        shift.take_money(order.id, kept.cash_fen, kept.card_fen)
        answer = {
            "order_id": str(order.id),
            "receipt_no": order.receipt_no,
            "business_date": order.business_date.isoformat(),
            "total_fen": total,
            "change_fen": change,
            "lines": [
                {"line_no": line["line_no"], "total_fen": line["total_fen"]} for line in lines
            ],
        }
        return self.commit(c, order, shift, answer=answer)

    def cancel_order(self, c: Command) -> dict[str, Any]:
        r = c.request
        shift = self._shift(c)
        order = self.order(r["order_id"])
        money = order.kept
        order.cancel(shift.id, r["reason"], c.at)
        shift.pay_out(order.id, money.cash_fen, money.card_fen)
        return self.commit(c, order, shift, answer={"paid_back_fen": money.total_fen})

    def return_goods(self, c: Command) -> dict[str, Any]:
        r = c.request
        shift = self._shift(c)
        returned_at = _checked(r["terminal_time"], c.at)
        lines: list[dict[str, Any]] = [
            {
                "line_no": number,
                "product_id": each.product_id,
                "unit": each.unit,
                "quantity": each.quantity,
                "price_fen": each.price_fen,
                "refund_fen": line_total(each.price_fen, each.quantity, each.unit),
            }
            for number, each in enumerate(self._picked(shift.store_id, r["lines"]), start=1)
        ]
        refund = sum(line["refund_fen"] for line in lines)
        self._require_new(r["return_id"], "return_id")
        till_return = TillReturn(
            id=r["return_id"],
            store_id=shift.store_id,
            terminal_id=shift.terminal_id,
            shift_id=shift.id,
            business_date=shift.business_date,
            returned_at=returned_at,
            hour=returned_at.astimezone(ZoneInfo(shift.zone)).hour,
            channel="till",
            reason=r["reason"],
            lines=lines,
            refund_fen=refund,
            tender=r["tender"],
        )
        paid = Money(refund, 0) if r["tender"] == "cash" else Money(0, refund)
        shift.pay_out(till_return.id, paid.cash_fen, paid.card_fen)
        return self.commit(c, till_return, shift, answer={"refund_fen": refund})

    def pay_refund(self, c: Command) -> dict[str, Any]:
        r = c.request
        shift = self._shift(c)
        with self.reading() as cursor:
            order_id = views.order_of_refund(cursor, r["refund_id"])
        if order_id is None:
            raise UnknownRefund
        order = self.order(order_id)
        paid = order.pay_refund(
            r["refund_id"],
            r["tender"],
            store_id=shift.store_id,
            terminal_id=shift.terminal_id,
            shift_id=shift.id,
            business_date=shift.business_date,
            at=c.at,
        )
        shift.pay_out(r["refund_id"], paid.cash_fen, paid.card_fen)
        answer = {
            "amount_fen": paid.total_fen,
            "cash_fen": paid.cash_fen,
            "card_fen": paid.card_fen,
        }
        return self.commit(c, order, shift, answer=answer)

    def show_order(self, q: Question) -> dict[str, Any]:
        order = self.order(q.request["order_id"])
        if q.store_id not in (None, order.store_id):
            raise UnknownOrder
        return {
            "order_id": str(order.id),
            "receipt_no": order.receipt_no,
            "store_id": str(order.store_id),
            "shift_id": str(order.shift_id),
            "business_date": order.business_date.isoformat(),
            "channel": order.channel,
            "cancelled": order.cancelled,
            "total_fen": order.total_fen,
            "kept_cash_fen": order.kept.cash_fen,
            "kept_card_fen": order.kept.card_fen,
            "lines": [{**line, "product_id": str(line["product_id"])} for line in order.lines],
            "refunds": [
                {
                    "refund_id": str(refund_id),
                    "claim_id": str(refund["claim_id"]),
                    "line_no": refund["line_no"],
                    "amount_fen": refund["amount_fen"],
                    "paid": refund["paid"],
                }
                for refund_id, refund in order.refunds.items()
            ],
        }

    def show_shift(self, q: Question) -> dict[str, Any]:
        shift = self.get(Shift, q.request["shift_id"])
        if shift is None or q.store_id not in (None, shift.store_id):
            raise UnknownShift
        return {
            "shift_id": str(shift.id),
            "store_id": str(shift.store_id),
            "terminal_id": str(shift.terminal_id),
            "business_date": shift.business_date.isoformat(),
            "open": shift.is_open,
            "sales": shift.sales,
            "expected_cash_fen": shift.expected_cash_fen,
            "counted_cash_fen": shift.counted_cash_fen,
            "card_fen": shift.card_fen,
        }

    def order(self, order_id: UUID) -> Order:
        order = self.get(Order, order_id)
        if order is None:
            raise UnknownOrder
        return order

    def _store(self, store_id: UUID | None) -> Store:
        if store_id is None:
            raise StoreMissing(problem="required")
        store = self.get(Store, store_id)
        if store is None:
            raise UnknownStore
        return store

    def _till(self, c: Command) -> Till:
        till = self.get(Till, c.actor.terminal_id) if c.actor.terminal_id else None
        if till is None or till.store_id != c.store_id:
            raise UnknownTerminal
        return till

    def _shift(self, c: Command) -> Shift:
        shift = self.get(Shift, c.request["shift_id"])
        if shift is None:
            raise UnknownShift
        shift.require_till(c.store_id, c.actor.terminal_id)
        return shift

    def _picked(self, store_id: UUID, lines: list[dict[str, Any]]) -> list[Picked]:
        """Check the lines against the store's price list as it stands now."""
        offers = self._offers(store_id, {line["product_id"] for line in lines})
        picked = []
        for number, line in enumerate(lines):
            offer = offers.get(line["product_id"])
            if offer is None:
                raise UnknownProduct(f"lines.{number}.product_id", product_id=line["product_id"])
            if offer["price_fen"] is None:
                raise NoPrice(f"lines.{number}.product_id", name=offer["name"])
            if offer["price_fen"] != line["price_fen"]:
                raise PriceChanged(
                    f"lines.{number}.price_fen", name=offer["name"], price_fen=offer["price_fen"]
                )
            picked.append(
                Picked(
                    product_id=line["product_id"],
                    unit=offer["unit"],
                    quantity=line["quantity"],
                    price_fen=line["price_fen"],
                    tare_g=line.get("tare_g", 0),
                    scale_id=line.get("scale_id"),
                )
            )
        return picked

    def _offers(self, store_id: UUID, product_ids: set[UUID]) -> Mapping[UUID, Mapping[str, Any]]:
        """Return what a store sells, as we remember it while its price list stands."""
        price_list_id = PriceList.create_id(store_id)
        known = self._remembered_offers.get(store_id)
        if known is None or self.looks_afresh or not known.by_product.keys() >= product_ids:
            with self.reading() as cursor:
                known = views.offers(cursor, store_id, price_list_id)
            self._remembered_offers[store_id] = known
        self.stand_on(price_list_id, known.version)
        return known.by_product

    def _require_new(self, aggregate_id: UUID, field: str) -> None:
        if not self.is_free(aggregate_id):
            raise AlreadyExists(field)


def _money(tenders: list[dict[str, Any]]) -> Money:
    def by(kind: str) -> int:
        return sum(int(tender["amount_fen"]) for tender in tenders if tender["kind"] == kind)

    return Money(by("cash"), by("card"))


def _checked(terminal_time: datetime, at: datetime) -> datetime:
    """Refuse a terminal's clock that runs ahead; a late one is an offline till (R-36, R-38)."""
    if terminal_time > at + CLOCK_SKEW:
        raise ClockAhead
    return terminal_time
