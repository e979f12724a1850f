"""The after-sales terms: dated lists of named clauses, of which the first that applies decides."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    APPROVE = "approve"
    REFUSE = "refuse"
    REVIEW = "review"


@dataclass(frozen=True)
class Case:
    """What the terms look at: a claim in front of its purchase and its customer."""

    kind: str
    claimed_fen: int
    since_sale: timedelta
    claims_lately: int
    goods_expected: bool


@dataclass(frozen=True)
class Clause:
    """One sentence of the terms. Its code is quoted on claims, so it never changes its meaning."""

    code: str
    outcome: Outcome
    zh: str
    en: str


@dataclass(frozen=True)
class Terms:
    """The clauses that hold for sales from a day on; the last one applies to everything."""

    name: str
    in_force_from: date
    clauses: tuple[tuple[Callable[[Case], bool], Clause], ...]

    def clause_for(self, case: Case) -> Clause:
        return next(clause for applies, clause in self.clauses if applies(case))


# Points in crm stay pending longer than this; tests/contract holds the two to each other.
CLAIM_WINDOW: Final = timedelta(days=7)
OWN_REASON_WINDOW: Final = timedelta(days=2)
SMALL_CLAIM_FEN: Final = 30_00
LATELY: Final = timedelta(days=30)
OFTEN: Final = 3

NOTHING_LEFT: Final = Clause(
    "nothing_left",
    Outcome.REFUSE,
    zh="该商品已全额退款或未付款，没有可退金额。",
    en="The line was free or is refunded in full; nothing is left to refund.",
)
HEALTH_INCIDENT: Final = Clause(
    "health_incident",
    Outcome.REVIEW,
    zh="涉及健康的投诉立即由店长处理。",
    en="A health complaint goes to the store manager at once.",
)
CLAIM_WINDOW_OVER: Final = Clause(
    "claim_window_over",
    Outcome.REFUSE,
    zh="售后期限为购买后 7 天，现已超过。",
    en="Claims are taken for 7 days after the sale; they are over.",
)
OWN_REASON_WINDOW_OVER: Final = Clause(
    "own_reason_window_over",
    Outcome.REFUSE,
    zh="非质量原因的退货期限为购买后 2 天，现已超过。",
    en="Returns for the customer's own reasons are taken for 2 days; they are over.",
)
OWN_REASON_WITHOUT_GOODS: Final = Clause(
    "own_reason_without_goods",
    Outcome.REFUSE,
    zh="非质量原因的退款须退回商品。",
    en="A refund for the customer's own reasons needs the goods back.",
)
OWN_REASON: Final = Clause(
    "own_reason",
    Outcome.REVIEW,
    zh="非质量原因的退货由店长决定。",
    en="The store manager decides on returns for the customer's own reasons.",
)
FREQUENT_CLAIMS: Final = Clause(
    "frequent_claims",
    Outcome.REVIEW,
    zh="近期售后次数较多，由店长决定。",
    en="There were several claims lately; the store manager decides.",
)
SMALL_CLAIM: Final = Clause(
    "small_claim",
    Outcome.APPROVE,
    zh="30 元以内的售后立即退款，无需退货和凭证。",
    en="Claims of up to 30 yuan are refunded at once, without goods or proof.",
)
LARGE_CLAIM: Final = Clause(
    "large_claim",
    Outcome.REVIEW,
    zh="超过 30 元的售后由店长决定。",
    en="The store manager decides on claims above 30 yuan.",
)

TERMS: Final = (
    Terms(
        name="standard",
        in_force_from=date(2000, 1, 1),
        clauses=(
            (lambda case: case.claimed_fen == 0, NOTHING_LEFT),
            (lambda case: case.kind == "health", HEALTH_INCIDENT),
            (lambda case: case.since_sale > CLAIM_WINDOW, CLAIM_WINDOW_OVER),
            (
                lambda case: case.kind == "change_of_mind" and case.since_sale > OWN_REASON_WINDOW,
                OWN_REASON_WINDOW_OVER,
            ),
            (
                lambda case: case.kind == "change_of_mind" and not case.goods_expected,
                OWN_REASON_WITHOUT_GOODS,
            ),
            (lambda case: case.kind == "change_of_mind", OWN_REASON),
            (lambda case: case.claims_lately >= OFTEN, FREQUENT_CLAIMS),
            (lambda case: case.claimed_fen <= SMALL_CLAIM_FEN, SMALL_CLAIM),
            (lambda _: True, LARGE_CLAIM),
        ),
    ),
)

# What a person may decide by, once a clause above has left the claim under review.
FAULT_CONFIRMED: Final = Clause(
    "fault_confirmed",
    Outcome.APPROVE,
    zh="经核实，商品或服务确有问题。",
    en="The fault was confirmed.",
)
GOODWILL: Final = Clause(
    "goodwill",
    Outcome.APPROVE,
    zh="门店出于善意退款。",
    en="The store refunds out of goodwill.",
)
NO_FAULT_FOUND: Final = Clause(
    "no_fault_found",
    Outcome.REFUSE,
    zh="经核实，未发现问题。",
    en="No fault was found.",
)
MISUSE: Final = Clause(
    "misuse",
    Outcome.REFUSE,
    zh="多次异常售后，不予退款。",
    en="Claims were misused; there is no refund.",
)
DECISIONS: Final = {
    clause.code: clause for clause in (FAULT_CONFIRMED, GOODWILL, NO_FAULT_FOUND, MISUSE)
}

ORDER_CANCELLED: Final = Clause(
    "order_cancelled",
    Outcome.REFUSE,
    zh="订单已取消，货款已全部退回。",
    en="The order was cancelled and all its money was given back.",
)

CLAUSES: Final = {
    clause.code: clause
    for clause in (
        *(clause for terms in TERMS for _, clause in terms.clauses),
        *DECISIONS.values(),
        ORDER_CANCELLED,
    )
}


def terms_for(sold_at: datetime) -> Terms:
    """Return the terms a customer bought under: those in force when the sale was made."""
    return max(
        (terms for terms in TERMS if terms.in_force_from <= sold_at.date()),
        key=lambda terms: terms.in_force_from,
    )
