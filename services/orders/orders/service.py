"""The doors of orders: who may ask for what, handed to the application."""

from typing import Any

from orders import contracts, policies, projections, views
from orders.application import Orders
from pomona.application import Command, Question
from pomona.doors import command, question
from pomona.errors import StoreMissing
from pomona.host import Host


class OrdersService:
    """Store terminals ring up here; head office opens stores and sets prices here."""

    name = "orders"
    orders: Orders = Host(
        Orders,
        contracts=contracts,
        react=policies.react,
        remember=projections.remember,
        schema=views.SCHEMA,
    )

    @command
    def open_store(self, c: Command) -> dict[str, Any]:
        return self.orders.open_store(c)

    @command
    def register_terminal(self, c: Command) -> dict[str, Any]:
        return self.orders.register_terminal(c)

    @command
    def list_products(self, c: Command) -> dict[str, Any]:
        return self.orders.list_products(c)

    @command
    def set_prices(self, c: Command) -> dict[str, Any]:
        return self.orders.set_prices(c)

    @command
    def open_shift(self, c: Command) -> dict[str, Any]:
        return self.orders.open_shift(c)

    @command
    def close_shift(self, c: Command) -> dict[str, Any]:
        return self.orders.close_shift(c)

    @command
    def place_order(self, c: Command) -> dict[str, Any]:
        return self.orders.place_order(c)

    @command
    def cancel_order(self, c: Command) -> dict[str, Any]:
        return self.orders.cancel_order(c)

    @command
    def return_goods(self, c: Command) -> dict[str, Any]:
        return self.orders.return_goods(c)

    @command
    def pay_refund(self, c: Command) -> dict[str, Any]:
        return self.orders.pay_refund(c)

    @question
    def get_order(self, q: Question) -> dict[str, Any]:
        return self.orders.show_order(q)

    @question
    def get_shift(self, q: Question) -> dict[str, Any]:
        return self.orders.show_shift(q)

    @question
    def list_stores(self, _q: Question) -> dict[str, Any]:
        with self.orders.reading() as cursor:
            return {"stores": views.stores(cursor)}

    @question
    def list_prices(self, q: Question) -> dict[str, Any]:
        if q.store_id is None:
            raise StoreMissing(problem="required")
        with self.orders.reading() as cursor:
            return {"prices": views.prices(cursor, q.store_id)}

    @question
    def business_day(self, q: Question) -> dict[str, Any]:
        if q.store_id is None:
            raise StoreMissing(problem="required")
        with self.orders.reading() as cursor:
            return views.business_day(cursor, q.store_id, q.request["business_date"])
