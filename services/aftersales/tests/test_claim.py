"""A claim takes only the steps its table allows, in every state and whatever is tried."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aftersales.domain.claim import DISPOSITIONS, TRANSITIONS, Claim, Complaint
from aftersales.domain.errors import (
    BackBeforeSold,
    MoreThanApproved,
    MoreThanLeft,
    OrderWasCancelled,
    OtherStore,
    WrongState,
)
from aftersales.domain.purchase import Loss, Purchase, SoldLine
from aftersales.domain.terms import (
    FAULT_CONFIRMED,
    LARGE_CLAIM,
    NO_FAULT_FOUND,
    ORDER_CANCELLED,
    SMALL_CLAIM,
)

SOLD_ON = date(2026, 11, 21)
SOLD_AT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
NOW = SOLD_AT + timedelta(hours=5)


def purchase() -> Purchase:
    return Purchase.record(
        order_id=uuid4(),
        store_id=uuid4(),
        customer_id=uuid4(),
        business_date=SOLD_ON,
        sold_at=SOLD_AT,
        paid_fen=1800,
        lines=[SoldLine(1, uuid4(), "g", 1200, 1800)],
    )


def claim_on(bought: Purchase, loss: Loss | None = None, *, goods_expected: bool = False) -> Claim:
    return Claim.open(
        claim_id=uuid4(),
        purchase=bought,
        complaint=Complaint(1, "clerk", "rotten", loss or Loss(quantity=300), goods_expected),
        by="cashier-1",
        at=NOW,
    )


def approved_claim() -> Claim:
    bought = purchase()
    claim = claim_on(bought)
    claim.approve(SMALL_CLAIM, bought, by="terms", at=NOW)
    return claim


@pytest.mark.feature("AFT-05")
def test_a_claim_is_classified_and_its_clock_runs_by_priority() -> None:
    claim = claim_on(purchase())

    assert (claim.kind, claim.priority) == ("quality", 2)
    assert claim.due_at == NOW + timedelta(hours=2)


def test_an_approved_claim_names_its_clause_and_promises_the_refund() -> None:
    claim = approved_claim()

    assert (claim.state, claim.clause) == ("approved", "small_claim")
    assert (claim.quantity, claim.amount_fen) == (300, 450)
    assert claim.refund_id is not None


def test_two_open_claims_on_one_line_cannot_both_be_paid_in_full() -> None:
    bought = purchase()
    first, second = claim_on(bought, Loss()), claim_on(bought, Loss())
    first.review(LARGE_CLAIM, at=NOW)
    second.review(LARGE_CLAIM, at=NOW)

    first.approve(FAULT_CONFIRMED, bought, by="manager", at=NOW)

    with pytest.raises(MoreThanLeft):
        second.approve(FAULT_CONFIRMED, bought, by="manager", at=NOW)
    assert second.state == "under_review"


def test_a_refused_claim_is_settled_at_nothing() -> None:
    claim = claim_on(purchase())

    claim.refuse(NO_FAULT_FOUND, by="manager", at=NOW)

    settled = claim.pending_events[-1]
    assert isinstance(settled, Claim.Settled)
    assert (settled.refund_id, settled.amount_fen) == (None, 0)
    assert (claim.state, claim.clause) == ("rejected", "no_fault_found")


def test_nothing_can_be_claimed_on_a_cancelled_order() -> None:
    bought = purchase()
    bought.cancel(NOW)

    with pytest.raises(OrderWasCancelled):
        claim_on(bought)


def test_an_approved_claim_lapses_with_its_cancelled_order() -> None:
    claim = approved_claim()

    claim.lapse(at=NOW)

    assert (claim.state, claim.clause) == ("rejected", ORDER_CANCELLED.code)
    assert (claim.refund_id, claim.amount_fen) == (None, 0)


@pytest.mark.feature("AFT-09")
def test_goods_that_come_back_carry_their_share_of_the_refund() -> None:
    claim = approved_claim()

    claim.take_goods_back(
        disposition="discard", quantity=100, business_date=SOLD_ON, by="cashier-1", at=NOW
    )

    taken = claim.pending_events[-1]
    assert isinstance(taken, Claim.GoodsTakenBack)
    assert (taken.quantity, taken.refund_fen) == (100, 150)
    assert claim.axes.refund == "promised"


def test_no_more_comes_back_than_was_approved() -> None:
    with pytest.raises(MoreThanApproved):
        approved_claim().take_goods_back(
            disposition="discard", quantity=301, business_date=SOLD_ON, by="c", at=NOW
        )


def test_goods_do_not_come_back_before_they_were_sold() -> None:
    with pytest.raises(BackBeforeSold):
        approved_claim().take_goods_back(
            disposition="donate",
            quantity=None,
            business_date=SOLD_ON - timedelta(days=1),
            by="c",
            at=NOW,
        )


def test_a_store_handles_its_own_claims_only() -> None:
    claim = claim_on(purchase())

    claim.must_belong_to(claim.store_id)
    claim.must_belong_to(None)
    with pytest.raises(OtherStore):
        claim.must_belong_to(uuid4())


def test_the_table_names_only_events_of_a_claim() -> None:
    for happening in TRANSITIONS.values():
        assert issubclass(getattr(Claim, happening), Claim.Event)


COMMANDS = ("review", "approve", "refuse", "withdraw", "lapse", "settle", "take_goods_back")

# Written out by hand, so that it does not follow the table it checks.
LEADS_TO = {
    "opened": {"review": "under_review", "approve": "*", "refuse": "rejected"},
    "under_review": {
        "approve": "*",
        "refuse": "rejected",
        "withdraw": "withdrawn",
        "lapse": "rejected",
    },
    "approved": {"settle": "settled", "take_goods_back": "goods_received", "lapse": "rejected"},
    "goods_expected": {
        "settle": "settled",
        "take_goods_back": "goods_received",
        "lapse": "rejected",
    },
    "goods_received": {"settle": "closed", "lapse": "rejected"},
    "settled": {"take_goods_back": "closed"},
    "rejected": {},
    "withdrawn": {},
    "closed": {},
}


def test_the_readme_draws_the_same_machine() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    drawn = set(re.findall(r"^ +(\w+) --> (\w+) : (\w+)$", readme, re.MULTILINE))

    assert drawn == {
        (state, reached, command)
        for state, steps in LEADS_TO.items()
        for command, leads_to in steps.items()
        for reached in (("approved", "goods_expected") if leads_to == "*" else (leads_to,))
    }


class ClaimLife(RuleBasedStateMachine):
    """Every command is tried in every state that can be reached."""

    @initialize(goods_expected=st.booleans())
    def open(self, goods_expected: bool) -> None:
        self.bought = purchase()
        self.claim = claim_on(self.bought, goods_expected=goods_expected)
        self.approved_as = "goods_expected" if goods_expected else "approved"
        self.state = "opened"

    def act(self, command: str, disposition: str) -> None:
        claim, bought = self.claim, self.bought
        match command:
            case "review":
                claim.review(LARGE_CLAIM, at=NOW)
            case "approve":
                claim.approve(FAULT_CONFIRMED, bought, by="manager", at=NOW)
            case "refuse":
                claim.refuse(NO_FAULT_FOUND, by="manager", at=NOW)
            case "withdraw":
                claim.withdraw(by="cashier", at=NOW)
            case "lapse":
                claim.lapse(at=NOW)
            case "settle":
                claim.settle(refund_id=claim.refund_id or uuid4(), amount_fen=450, at=NOW)
            case "take_goods_back":
                claim.take_goods_back(
                    disposition=disposition,
                    quantity=None,
                    business_date=SOLD_ON,
                    by="cashier",
                    at=NOW,
                )

    @rule(command=st.sampled_from(COMMANDS), disposition=st.sampled_from(DISPOSITIONS))
    def try_a_command(self, command: str, disposition: str) -> None:
        before = len(self.claim.pending_events)
        next_state = LEADS_TO[self.state].get(command)
        if next_state is None:
            with pytest.raises(WrongState):
                self.act(command, disposition)
            assert len(self.claim.pending_events) == before
        else:
            self.act(command, disposition)
            self.state = self.approved_as if next_state == "*" else next_state

    @invariant()
    def the_state_is_what_the_table_says(self) -> None:
        assert self.claim.state == self.state
        assert {c for c in COMMANDS if self.claim.may(c)} == set(LEADS_TO[self.state])

    @invariant()
    def a_replay_of_its_events_gives_the_same_claim(self) -> None:
        replayed = None
        for happening in self.claim.pending_events:
            replayed = happening.mutate(replayed)
        assert isinstance(replayed, Claim)
        assert (replayed.state, replayed.clause) == (self.claim.state, self.claim.clause)

    @invariant()
    def the_purchase_has_promised_at_most_once(self) -> None:
        assert self.bought.promised_fen in (0, 450)


TestClaimLife = ClaimLife.TestCase
TestClaimLife.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


def test_the_refund_id_follows_from_the_claim() -> None:
    claim = approved_claim()
    assert isinstance(claim.refund_id, UUID)
    assert claim.refund_id != claim.id
