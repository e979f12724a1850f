"""What a replay was expected to leave in analytics, and what is there: to the gram and fen."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from pomona_console.replay_plan import StoreDay
from pomona_console.replay_record import Product, Row
from pomona_console.report_database import reported

_SQL = """
SELECT store_id, business_date, product_id, unit, quantity, returned, takings_fen
FROM reporting.sales_by_store_day_product
WHERE store_id = ANY(%s) AND business_date = ANY(%s)
"""

Key = tuple[date, UUID]


@dataclass(frozen=True)
class Comparison:
    """One product on one day, summed over the stores: the record, what was rung up, analytics."""

    day: date
    product: Product
    record_quantity: int
    rung_up_fen: int
    lines: int
    quantity: int
    returned: int
    takings_fen: int

    @property
    def equal(self) -> bool:
        return (
            self.quantity - self.returned == self.record_quantity
            and self.takings_fen == self.rung_up_fen
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "date": self.day.isoformat(),
            "product": self.product.name,
            "unit": self.product.unit,
            "expected": {
                "quantity": self.record_quantity,
                "takings_fen": self.rung_up_fen,
                "lines": self.lines,
            },
            "analytics": {
                "quantity": self.quantity,
                "returned": self.returned,
                "takings_fen": self.takings_fen,
            },
            "equal": self.equal,
        }


class Expected:
    """Adds up the record and the plans made from it, day by day."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._products: dict[UUID, Product] = {}
        self._record: Counter[Key] = Counter()
        self._rung_up: Counter[Key] = Counter()
        self._lines: Counter[Key] = Counter()

    def add(self, day: date, rows: Sequence[Row], plans: Iterable[StoreDay]) -> None:
        for row in rows:
            self._products[row.product.id] = row.product
            self._record[day, row.product.id] += row.quantity
        self.counts["days"] += 1
        for plan in plans:
            self._add(plan)

    def _add(self, plan: StoreDay) -> None:
        self.counts["lots"] += len(plan.lots)
        self.counts["shrinkages"] += len(plan.shrinkage)
        for phase in plan.phases:
            self.counts["price_changes"] += bool(phase.prices)
            for basket in (basket for till in phase.tills for basket in till):
                self.counts["orders"] += 1
                for line in basket.lines:
                    self.counts["lines"] += 1
                    self._rung_up[plan.day, line.product_id] += line.total_fen
                    self._lines[plan.day, line.product_id] += 1
            for back in phase.returns:
                self.counts["returns"] += 1
                self._rung_up[plan.day, back.product.id] -= back.refund_fen
                self._lines[plan.day, back.product.id] += 1

    def compared(
        self, reporting_dsn: str, stores: Sequence[UUID]
    ) -> tuple[list[Comparison], list[str]]:
        """Compare with the reporting schema; also name rows there that nothing accounts for."""
        days = sorted({day for day, _ in self._record})
        found: dict[Key, Counter[str]] = {}
        strays: list[str] = []
        for row in reported(reporting_dsn, _SQL, (list(stores), days)):
            key = (row["business_date"], row["product_id"])
            product = self._products.get(row["product_id"])
            if key not in self._record or product is None or product.unit != row["unit"]:
                strays.append(" ".join(str(value) for value in row.values()))
            else:
                found.setdefault(key, Counter()).update(_figures(row))
        nothing: Counter[str] = Counter()
        comparisons = [
            Comparison(
                day=day,
                product=self._products[product_id],
                record_quantity=quantity,
                rung_up_fen=self._rung_up[day, product_id],
                lines=self._lines[day, product_id],
                **{
                    name: found.get((day, product_id), nothing)[name]
                    for name in ("quantity", "returned", "takings_fen")
                },
            )
            for (day, product_id), quantity in self._record.items()
        ]
        return comparisons, strays


def _figures(row: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(row[name]) for name in ("quantity", "returned", "takings_fen")}
