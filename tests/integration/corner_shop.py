"""One store with one till and one crate of mandarins, on a running stack: enough to sell."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg

from pomona.terminal import Terminal
from pomona_console.stack import Stack, terminal_for

PRICE_FEN = 900
GRAMS = 500
SALE_FEN = 450


class CornerShop:
    """Sells half a kilogram at a time, and counts what was acknowledged."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.store_id, self.terminal_id, self.product_id, self.shift_id = (
            uuid4() for _ in range(4)
        )
        self.sold: list[UUID] = []

    def open(self) -> None:
        with terminal_for(self.stack, role="head_office") as office:
            supplier_id = uuid4()
            code = self.store_id.hex[:6]
            steps: list[tuple[str, str, dict[str, Any]]] = [
                ("orders", "open_store", self._store(code)),
                (
                    "orders",
                    "register_terminal",
                    {"terminal_id": self.terminal_id, "store_id": self.store_id, "code": "T1"},
                ),
                ("orders", "list_products", {"products": [self._product(code)]}),
                (
                    "orders",
                    "set_prices",
                    {
                        "store_id": self.store_id,
                        "prices": [{"product_id": self.product_id, "price_fen": PRICE_FEN}],
                    },
                ),
                (
                    "inventory",
                    "register_supplier",
                    {"supplier_id": supplier_id, "name": "Grower", "code": code},
                ),
                ("inventory", "receive_goods", self._crate(supplier_id)),
            ]
            for service, method, request in steps:
                if method == "receive_goods":
                    self._wait_until_inventory_knows_the_product(office)
                office.command(service, method, _plain(request), patience=60)
        self._till(
            "open_shift", {"shift_id": self.shift_id, "terminal_time": _now(), "float_fen": 0}
        )

    def sell(self, times: int = 1, *, order_id: UUID | None = None) -> None:
        for _ in range(times):
            order = order_id or uuid4()
            self._till("place_order", self._order(order))
            self.sold.append(order)

    def _wait_until_inventory_knows_the_product(self, office: Terminal) -> None:
        head = office.ask("orders", "positions", patience=60)["head"]
        while office.ask("inventory", "positions", patience=60)["inbox"]["orders"] < head:
            time.sleep(0.02)

    def _till(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        with terminal_for(
            self.stack,
            role="store_manager",
            store_id=self.store_id,
            terminal_id=self.terminal_id,
            person="manager-1",
        ) as till:
            return till.command("orders", method, _plain(request), patience=60)

    def _store(self, code: str) -> dict[str, Any]:
        return {
            "store_id": self.store_id,
            "code": code,
            "name": "Corner",
            "zone": "Asia/Shanghai",
            "cut_off": "04:00",
        }

    def _product(self, code: str) -> dict[str, Any]:
        return {
            "product_id": self.product_id,
            "code": code,
            "name": "Mandarins",
            "category": "citrus",
            "unit": "g",
        }

    def _crate(self, supplier_id: UUID) -> dict[str, Any]:
        return {
            "lot_id": uuid4(),
            "store_id": self.store_id,
            "product_id": self.product_id,
            "supplier_id": supplier_id,
            "quantity": 1_000_000,
            "goods_cost_fen": 400_000,
            "origin": "Sichuan",
            "business_date": datetime.now(UTC).date(),
        }

    def _order(self, order_id: UUID) -> dict[str, Any]:
        return {
            "order_id": order_id,
            "shift_id": self.shift_id,
            "terminal_time": _now(),
            "lines": [{"product_id": self.product_id, "quantity": GRAMS, "price_fen": PRICE_FEN}],
            "tenders": [{"kind": "card", "amount_fen": SALE_FEN}],
        }


def rows(dsn: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement, values).fetchall()  # type: ignore[arg-type]


def _now() -> datetime:
    return datetime.now(UTC)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, int | str) else str(value).replace(" ", "T")
