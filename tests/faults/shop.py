"""The chain that the virtual terminals work for: two stores, four tills, three fruits."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pomona.terminal import Terminal
from pomona.values import stable_id
from pomona_console.stack import Stack, terminal_for
from pomona_console.verify_positions import wait_until_caught_up

TILLS = 4
PLENTY = 1_000_000_000  # grams: no sale falls short
PATIENCE = 60.0


@dataclass(frozen=True)
class Fruit:
    id: UUID
    name: str
    unit: str
    price_fen: int


@dataclass(frozen=True)
class Till:
    number: int
    id: UUID
    store_id: UUID
    shift_id: UUID


STORES = tuple(stable_id("faults", "store", str(number)) for number in range(2))
FRUITS = tuple(
    Fruit(stable_id("faults", "fruit", name), name, unit, price_fen)
    for name, unit, price_fen in (("apple", "g", 1180), ("pear", "g", 960), ("melon", "piece", 850))
)
SUPPLIER = stable_id("faults", "supplier")
TILLS_OF_THE_CHAIN = tuple(
    Till(
        number,
        stable_id("faults", "till", str(number)),
        STORES[number % len(STORES)],
        stable_id("faults", "shift", str(number)),
    )
    for number in range(TILLS)
)


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def delivery(lot: UUID, fruit: Fruit, quantity: int) -> dict[str, Any]:
    """Return the request that takes in a lot."""
    return {
        "lot_id": str(lot),
        "product_id": str(fruit.id),
        "supplier_id": str(SUPPLIER),
        "quantity": quantity,
        "goods_cost_fen": 1000,
        "origin": "Yunnan",
        "best_before": (datetime.now(UTC) + timedelta(days=30)).date().isoformat(),
        "business_date": today(),
    }


def clerk_at(stack: Stack, till: Till) -> Terminal:
    """Sign in the manager of a store at a till: that person may do all that a store does."""
    return terminal_for(
        stack,
        role="store_manager",
        store_id=till.store_id,
        terminal_id=till.id,
        person=f"clerk-{till.number}",
    )


def open_chain(stack: Stack) -> None:
    """Open the stores, list and price the fruit, take in plenty of it, open the shifts."""
    with terminal_for(stack, role="head_office", person="faults") as office:

        def tell(service: str, method: str, **request: Any) -> None:
            command_id = stable_id("faults", service, method, repr(request))
            office.command(service, method, request, command_id=command_id, patience=PATIENCE)

        for number, store in enumerate(STORES):
            tell(
                "orders",
                "open_store",
                store_id=str(store),
                code=f"S{number}",
                name=f"Store {number}",
                zone="Asia/Shanghai",
                cut_off="04:00",
            )
        for till in TILLS_OF_THE_CHAIN:
            tell(
                "orders",
                "register_terminal",
                terminal_id=str(till.id),
                store_id=str(till.store_id),
                code=f"T{till.number}",
            )
        listed = [
            {
                "product_id": str(fruit.id),
                "code": fruit.name,
                "name": fruit.name,
                "category": "fruit",
                "unit": fruit.unit,
            }
            for fruit in FRUITS
        ]
        tell("orders", "list_products", products=listed)
        tell(
            "inventory",
            "register_supplier",
            supplier_id=str(SUPPLIER),
            name="Grower",
            code="GROWER",
        )
        prices = [{"product_id": str(fruit.id), "price_fen": fruit.price_fen} for fruit in FRUITS]
        for store in STORES:
            tell("orders", "set_prices", store_id=str(store), prices=prices)
        wait_until_caught_up(office.ask)
    for till in TILLS_OF_THE_CHAIN:
        with clerk_at(stack, till) as clerk:
            clerk.command(
                "orders",
                "open_shift",
                {
                    "shift_id": str(till.shift_id),
                    "terminal_time": datetime.now(UTC).isoformat(),
                    "float_fen": 300_00,
                },
                command_id=till.shift_id,
                patience=PATIENCE,
            )
            for fruit in FRUITS:
                lot = stable_id("faults", "lot", str(till.number), fruit.name)
                clerk.command(
                    "inventory",
                    "receive_goods",
                    delivery(lot, fruit, PLENTY),
                    command_id=lot,
                    patience=PATIENCE,
                )


def open_shelf(stack: Stack, name: str) -> Fruit:
    """List a product of which there is nothing yet."""
    fruit = Fruit(stable_id("faults", "fruit", name), name, "g", 1000)
    product = {
        "product_id": str(fruit.id),
        "code": name,
        "name": name,
        "category": "fruit",
        "unit": fruit.unit,
    }
    with terminal_for(stack, role="head_office", person="faults") as office:
        office.command("orders", "list_products", {"products": [product]}, patience=PATIENCE)
        wait_until_caught_up(office.ask)
    return fruit
