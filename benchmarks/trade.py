"""Trade as it is: a few stores and products sell most, and a receipt has 1 to 12 lines."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any
from uuid import UUID

from pomona.values import line_total, stable_id

STORES = 40
PRODUCTS = 200
MOST_LINES = 12
OPENED = datetime(2026, 11, 2, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Zipf:
    """Draws from things of which the n-th is wanted 1/n as often as the first."""

    ids: tuple[UUID, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, kind: str, count: int) -> "Zipf":
        ids = tuple(stable_id("bench", kind, str(number)) for number in range(count))
        return cls(ids, tuple(accumulate(1 / (rank + 1) for rank in range(count))))

    def draw(self, random_: random.Random) -> UUID:
        return random_.choices(self.ids, cum_weights=self.weights)[0]


STORE_IDS = Zipf.of("store", STORES)
PRODUCT_IDS = Zipf.of("product", PRODUCTS)


def price_of(product_id: UUID) -> int:
    """Return the price per kg, in fen, the same whoever asks."""
    return 300 + product_id.int % 5000


def basket(random_: random.Random) -> list[tuple[UUID, int]]:
    """Return the products of one receipt, each once, and how many grams of each."""
    wanted = random_.randint(1, MOST_LINES)
    drawn = dict.fromkeys(PRODUCT_IDS.draw(random_) for _ in range(wanted))
    return [(product_id, random_.randint(80, 3000)) for product_id in drawn]


def orders_paid(first: int, count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Return the data of paid orders as the till tells them, the same for the same numbers."""
    for number in range(first, first + count):
        random_ = random.Random(f"{seed}-{number}")  # noqa: S311 - trade, not secrets
        store_id = STORE_IDS.draw(random_)
        sold_at = OPENED + timedelta(seconds=number // 2)
        lines = [
            {
                "line_no": line_no,
                "product_id": str(product_id),
                "unit": "g",
                "quantity": grams,
                "tare_g": 4,
                "scale_id": None,
                "price_fen": price_of(product_id),
                "total_fen": line_total(price_of(product_id), grams, "g"),
                "net_fen": line_total(price_of(product_id), grams, "g"),
            }
            for line_no, (product_id, grams) in enumerate(basket(random_), start=1)
        ]
        total = sum(int(str(line["total_fen"])) for line in lines)
        yield {
            "order_id": str(stable_id("bench", "order", str(seed), str(number))),
            "receipt_no": f"S-T-{number:08d}",
            "store_id": str(store_id),
            "terminal_id": str(stable_id("bench", "till", str(store_id))),
            "shift_id": str(stable_id("bench", "shift", str(store_id), sold_at.date().isoformat())),
            "business_date": sold_at.date().isoformat(),
            "sold_at": sold_at.isoformat(),
            "terminal_time": sold_at.isoformat(),
            "hour": sold_at.hour,
            "channel": "till",
            "cashier_id": "p-1",
            "customer_id": None,
            "lines": lines,
            "total_fen": total,
            "rounding_fen": 0,
            "tenders": [{"kind": "card", "amount_fen": total}],
            "change_fen": 0,
        }
