"""The first clause that applies decides, and the claim can quote it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aftersales.domain.classification import ANSWER_WITHIN, REASONS, RULES, classify
from aftersales.domain.terms import CLAUSES, SMALL_CLAIM_FEN, TERMS, Case, Outcome, terms_for

SOLD_AT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
SMALL = Case(
    kind="quality",
    claimed_fen=450,
    since_sale=timedelta(hours=5),
    claims_lately=0,
    goods_expected=False,
)


@pytest.mark.feature("AFT-12")
@pytest.mark.parametrize(
    ("case", "clause", "outcome"),
    [
        pytest.param(SMALL, "small_claim", "approve", id="small claims at once"),
        pytest.param(
            replace(SMALL, claimed_fen=SMALL_CLAIM_FEN), "small_claim", "approve", id="up to 30"
        ),
        pytest.param(
            replace(SMALL, claimed_fen=SMALL_CLAIM_FEN + 1), "large_claim", "review", id="above 30"
        ),
        pytest.param(replace(SMALL, claimed_fen=0), "nothing_left", "refuse", id="nothing left"),
        pytest.param(
            replace(SMALL, since_sale=timedelta(days=7, seconds=1)),
            "claim_window_over",
            "refuse",
            id="too late",
        ),
        pytest.param(
            replace(SMALL, since_sale=timedelta(days=7)), "small_claim", "approve", id="in time"
        ),
        pytest.param(
            replace(SMALL, claims_lately=3), "frequent_claims", "review", id="often lately"
        ),
        pytest.param(
            replace(SMALL, kind="health", since_sale=timedelta(days=30)),
            "health_incident",
            "review",
            id="health is never too late",
        ),
        pytest.param(
            replace(SMALL, kind="change_of_mind"),
            "own_reason_without_goods",
            "refuse",
            id="own reason without goods",
        ),
        pytest.param(
            replace(SMALL, kind="change_of_mind", goods_expected=True),
            "own_reason",
            "review",
            id="own reason with goods",
        ),
        pytest.param(
            replace(
                SMALL, kind="change_of_mind", goods_expected=True, since_sale=timedelta(days=3)
            ),
            "own_reason_window_over",
            "refuse",
            id="own reason too late",
        ),
    ],
)
def test_a_claim_is_decided_by_the_first_clause_that_applies(
    case: Case, clause: str, outcome: str
) -> None:
    decided = terms_for(SOLD_AT).clause_for(case)

    assert (decided.code, decided.outcome) == (clause, Outcome(outcome))


def test_a_sale_is_judged_by_the_terms_of_its_day() -> None:
    assert terms_for(SOLD_AT) in TERMS
    assert terms_for(SOLD_AT).in_force_from <= SOLD_AT.date()


def test_every_clause_that_can_be_quoted_can_be_looked_up() -> None:
    quoted = {clause.code for terms in TERMS for _, clause in terms.clauses}

    assert quoted <= set(CLAUSES)
    assert all(clause.zh and clause.en for clause in CLAUSES.values())


@pytest.mark.feature("AFT-04")
@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("severe_allergy", "health"),
        ("mouldy", "quality"),
        ("short_weight", "wrong_item"),
        ("changed_mind", "change_of_mind"),
        ("crushed_packaging", "packaging"),
    ],
)
def test_a_reason_means_one_kind_and_says_by_which_rule(reason: str, kind: str) -> None:
    rule = classify(reason)

    assert rule.kind == kind
    assert rule.name


@pytest.mark.feature("AFT-05")
def test_health_comes_first_and_packaging_last() -> None:
    priorities = {rule.kind: rule.priority for rule in RULES}

    assert min(priorities, key=lambda kind: priorities[kind]) == "health"
    assert max(priorities, key=lambda kind: priorities[kind]) == "packaging"
    assert all(ANSWER_WITHIN[p] < ANSWER_WITHIN[p + 1] for p in (1, 2, 3))


def test_no_reason_means_two_things() -> None:
    assert len(REASONS) == len(set(REASONS))
