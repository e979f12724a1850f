"""What a replay did and whether analytics agrees, as JSON and in a few lines."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from pomona_console.replay_plan import Scheme
from pomona_console.report import Comparison
from pomona_console.report_words import say

_SHOWN_DIFFERENCES = 20


@dataclass(frozen=True)
class Outcome:
    """What a replay did, and how analytics compares with it."""

    scheme: Scheme
    shops: tuple[UUID, ...]
    days: tuple[date, ...]
    counts: Counter[str]
    calls: int
    seconds: float
    comparisons: tuple[Comparison, ...]
    strays: tuple[str, ...]

    @property
    def different(self) -> list[Comparison]:
        return [comparison for comparison in self.comparisons if not comparison.equal]

    @property
    def equal(self) -> bool:
        return not self.different and not self.strays

    @property
    def rate(self) -> float:
        return round(self.calls / self.seconds, 1) if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "equal": self.equal,
            "record": self.scheme.record,
            "seed": self.scheme.seed,
            "stores": [str(shop) for shop in self.shops],
            "from": self.days[0].isoformat(),
            "to": self.days[-1].isoformat(),
            "played": {
                **self.counts,
                "calls": self.calls,
                "seconds": round(self.seconds, 1),
                "calls_per_second": self.rate,
            },
            "differences": len(self.different) + len(self.strays),
            "unaccounted_rows": list(self.strays),
            "products": [comparison.as_json() for comparison in self.comparisons],
        }


def summary(outcome: Outcome) -> str:
    """Say in a few lines what was played and whether analytics agrees."""
    counts = outcome.counts
    played = say(
        f"{outcome.days[0]} 至 {outcome.days[-1]}，{counts['days']} 天，"
        f"{outcome.scheme.stores} 家店："
        f"{counts['orders']:,} 单 {counts['lines']:,} 行，{counts['lots']:,} 批收货，"
        f"{counts['returns']:,} 笔退货；{outcome.calls:,} 次调用，{outcome.rate} 次/秒。",
        f"{outcome.days[0]} to {outcome.days[-1]}, {counts['days']} days in"
        f" {outcome.scheme.stores} stores: {counts['orders']:,} orders of"
        f" {counts['lines']:,} lines,"
        f" {counts['lots']:,} lots, {counts['returns']:,} returns;"
        f" {outcome.calls:,} calls, {outcome.rate} a second.",
    )
    compared = len(outcome.comparisons)
    if outcome.equal:
        verdict = say(
            f"分析库与记录逐日逐商品相符（{compared:,} 项，精确到克和分）。",
            f"Analytics equals the record for all {compared:,} days and products,"
            " to the gram and the fen.",
        )
        return f"{played}\n{verdict}"
    lines = [
        f"{bad.day} {bad.product.name}: "
        f"{bad.quantity - bad.returned} / {bad.record_quantity} {bad.product.unit}, "
        f"{bad.takings_fen} / {bad.rung_up_fen} fen"
        for bad in outcome.different[:_SHOWN_DIFFERENCES]
    ] + list(outcome.strays[:_SHOWN_DIFFERENCES])
    differences = len(outcome.different) + len(outcome.strays)
    verdict = say(
        f"有 {differences} 处不符（分析库 / 应为）：",
        f"There are {differences} differences (analytics / expected):",
    )
    return "\n".join([played, verdict, *lines])
