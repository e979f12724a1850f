"""Points follow the money: earned with it, taken back with it, never more and never less."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.contracts import OrderCancelled, OrderPaid, RefundPaid
from crm.domain.loyalty import LoyaltyAccount, points_for
from crm.policies import react
from pomona.errors import NotYet

DAY = date(2026, 11, 21)


def account_with(net_fen: int) -> tuple[LoyaltyAccount, UUID]:
    account, order_id = LoyaltyAccount.open(uuid4()), uuid4()
    account.earn(order_id, net_fen, DAY)
    return account, order_id


@pytest.mark.feature("CRM-10")
def test_every_whole_yuan_earns_a_point_that_waits_for_the_claim_window() -> None:
    account, order_id = account_with(4599)

    assert account.balance == 45
    assert account.entries[str(order_id)]["available_on"] == DAY + timedelta(days=8)


def test_a_few_fen_earn_no_point_but_are_entered() -> None:
    account, order_id = account_with(99)

    assert account.balance == 0
    assert str(order_id) in account.entries


@pytest.mark.feature("CRM-10")
def test_a_refund_takes_points_back_in_proportion() -> None:
    account, order_id = account_with(4500)

    account.give_back_for_refund(order_id, 450, DAY)

    assert account.balance == 45 - 5  # a tenth of 45 is 4.5, rounded up
    account.give_back_for_refund(order_id, 450, DAY)
    assert account.balance == 45 - 9  # two tenths of 45: the rounding did not add up


def test_a_cancelled_order_leaves_no_points() -> None:
    account, order_id = account_with(4500)
    account.give_back_for_refund(order_id, 450, DAY)

    account.give_back_for_cancellation(order_id, DAY)

    assert account.balance == 0


def test_a_refund_for_an_order_that_is_not_entered_waits_for_it() -> None:
    account, _ = account_with(4500)

    with pytest.raises(NotYet):
        account.give_back_for_refund(uuid4(), 450, DAY)


@given(
    net_fen=st.integers(0, 100_000),
    refunds=st.lists(st.integers(1, 20_000), max_size=30),
    cancelled=st.booleans(),
)
def test_points_taken_back_never_exceed_what_was_earned(
    net_fen: int, refunds: list[int], cancelled: bool
) -> None:
    account, order_id = account_with(net_fen)
    balances = [account.balance]
    for amount in refunds:
        account.give_back_for_refund(order_id, amount, DAY)
        balances.append(account.balance)
    if cancelled:
        account.give_back_for_cancellation(order_id, DAY)
        balances.append(account.balance)

    assert balances[0] == points_for(net_fen)
    assert balances == sorted(balances, reverse=True)
    assert balances[-1] >= 0
    if cancelled or sum(refunds) >= net_fen:
        assert balances[-1] == 0
    else:
        exact = points_for(net_fen) * (net_fen - sum(refunds)) / max(1, net_fen)
        assert abs(balances[-1] - exact) <= 0.5


class OneAccount:
    """The application with its accounts in a dictionary."""

    def __init__(self) -> None:
        self.accounts: dict[UUID, LoyaltyAccount] = {}

    def account(self, customer_id: UUID) -> LoyaltyAccount:
        return self.accounts.setdefault(customer_id, LoyaltyAccount.open(customer_id))


def test_the_points_of_somebody_we_do_not_know_yet_are_kept() -> None:
    crm, customer_id, order_id = OneAccount(), uuid4(), uuid4()

    facts = (
        OrderPaid(order_id, customer_id, DAY, 4500),
        RefundPaid(order_id, customer_id, DAY, 450),
        OrderPaid(uuid4(), customer_id, DAY, 1000),
    )
    for fact in facts:
        assert [*react(fact, crm)] == [crm.accounts[customer_id]]  # type: ignore[arg-type]

    assert crm.accounts[customer_id].balance == 50


def test_a_sale_to_nobody_in_particular_changes_no_account() -> None:
    crm = OneAccount()
    facts = (
        OrderPaid(uuid4(), None, DAY, 4500),
        RefundPaid(uuid4(), None, DAY, 450),
        OrderCancelled(uuid4(), None, DAY),
    )

    assert all([*react(fact, crm)] == [] for fact in facts)  # type: ignore[arg-type]


def test_a_snapshot_gives_the_same_account_back() -> None:
    account, order_id = account_with(4500)
    snapshot = LoyaltyAccount.Snapshot.take(account)

    restored = snapshot.mutate(None)

    assert isinstance(restored, LoyaltyAccount)
    assert restored.entries[str(order_id)] == account.entries[str(order_id)]
