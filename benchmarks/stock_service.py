"""A stock nameko service over the library's defaults: `python -m benchmarks.stock_service`."""
# ruff: noqa: E402 - what is patched must be patched before anything imports it

import eventlet

eventlet.monkey_patch()

import sys
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from nameko.extensions import DependencyProvider
from nameko.rpc import rpc
from nameko.runners import ServiceRunner

from benchmarks.book import library_environment


class Order(Aggregate):
    class Placed(Aggregate.Created):
        shift_id: str
        lines: list[dict[str, Any]]
        total_fen: int
        tenders: list[dict[str, Any]]

    @event(Placed)
    def __init__(
        self,
        shift_id: str,
        lines: list[dict[str, Any]],
        total_fen: int,
        tenders: list[dict[str, Any]],
    ) -> None:
        self.shift_id = shift_id
        self.lines = lines
        self.total_fen = total_fen
        self.tenders = tenders


class Orders(Application[UUID]):
    name = "orders"


class Saved(DependencyProvider):  # type: ignore[misc]
    """The library's application, one for all workers."""

    def setup(self) -> None:
        dsn = self.container.config.get("DSN")
        self.orders = Orders(library_environment(dsn)) if dsn else None

    def get_dependency(self, worker_ctx: Any) -> Any:
        del worker_ctx
        return self.orders


class StockService:
    name = "stock"
    orders = Saved()

    @rpc  # type: ignore[untyped-decorator]
    def echo(self, words: str) -> dict[str, Any]:
        return {"words": words}

    @rpc  # type: ignore[untyped-decorator]
    def place_order(
        self, shift_id: str, lines: list[dict[str, Any]], tenders: list[dict[str, Any]]
    ) -> dict[str, Any]:
        total = sum((line["price_fen"] * line["quantity"] + 500) // 1000 for line in lines)
        order = Order(shift_id, lines, total, tenders)
        self.orders.save(order)
        return {"order_id": str(order.id), "total_fen": total}


def main() -> None:
    runner = ServiceRunner({"AMQP_URI": sys.argv[1], "DSN": sys.argv[2]})
    runner.add_service(StockService)
    runner.start()
    runner.wait()


if __name__ == "__main__":
    main()
