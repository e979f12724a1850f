"""Exact arithmetic on money, weight and business days."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

Unit = Literal["g", "piece"]

GRAMS_PER_KILOGRAM = 1000
_NAMESPACE = UUID("6f0c4a0e-8a54-5f7d-9d5b-3b8f0f1e7a11")


def half_up(numerator: int, denominator: int) -> int:
    """Divide two integers, rounding a half away from zero (R-22). The denominator is positive."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def line_total(price_fen: int, quantity: int, unit: Unit) -> int:
    """Fen of one line, rounded once (R-22): a price per kilogram times grams, or per piece."""
    if unit == "piece":
        return price_fen * quantity
    return half_up(price_fen * quantity, GRAMS_PER_KILOGRAM)


def share_out(amount: int, weights: Sequence[int]) -> list[int]:
    """Split an amount in proportion to weights by largest remainder; the shares sum to it (R-23).

    Ties go to the earlier weight. With no weight above zero, the first share takes everything.
    """
    if not weights:
        return []
    total = sum(weights)
    if total == 0:
        return [amount, *([0] * (len(weights) - 1))]
    sign = -1 if amount < 0 else 1
    whole = [abs(amount) * weight // total for weight in weights]
    rest = [abs(amount) * weight % total for weight in weights]
    missing = abs(amount) - sum(whole)
    for index in sorted(range(len(weights)), key=lambda i: (-rest[i], i))[:missing]:
        whole[index] += 1
    return [sign * share for share in whole]


def business_date(at: datetime, zone: str, cut_off: time) -> date:
    """Return the trading day a moment belongs to in a zone whose day ends at the cut-off (R-35)."""
    local = at.astimezone(ZoneInfo(zone))
    if local.time() < cut_off:
        return local.date() - timedelta(days=1)
    return local.date()


def stable_id(*parts: str) -> UUID:
    """Return the id that follows from a natural key, the same on every machine."""
    return uuid5(_NAMESPACE, "\x1f".join(parts))
