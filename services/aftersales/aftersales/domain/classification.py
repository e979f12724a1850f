"""What a complaint is, how urgent it is and by when it must be answered, by rule."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True)
class Rule:
    """Reasons that make a claim one kind; the name is kept on the claim as the why."""

    name: str
    reasons: tuple[str, ...]
    kind: str
    priority: int


RULES: Final = (
    Rule(
        name="a danger to health comes before everything",
        reasons=("severe_allergy", "illness", "foreign_object"),
        kind="health",
        priority=1,
    ),
    Rule(
        name="the fruit itself was bad",
        reasons=("rotten", "mouldy", "insects", "bruised", "unripe", "overripe", "not_tasty"),
        kind="quality",
        priority=2,
    ),
    Rule(
        name="something else was handed over than was paid for",
        reasons=("wrong_item", "missing_item", "short_weight"),
        kind="wrong_item",
        priority=2,
    ),
    Rule(
        name="the customer does not want it any more",
        reasons=("changed_mind",),
        kind="change_of_mind",
        priority=3,
    ),
    Rule(
        name="only the packaging suffered",
        reasons=("crushed_packaging", "leaking_packaging"),
        kind="packaging",
        priority=4,
    ),
)

REASONS: Final = tuple(reason for rule in RULES for reason in rule.reasons)
KINDS: Final = tuple(rule.kind for rule in RULES)

ANSWER_WITHIN: Final = {
    1: timedelta(minutes=10),
    2: timedelta(hours=2),
    3: timedelta(days=1),
    4: timedelta(days=3),
}


def classify(reason: str) -> Rule:
    """Return the one rule that speaks about a reason."""
    return next(rule for rule in RULES if reason in rule.reasons)
