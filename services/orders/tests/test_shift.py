"""What must be in the drawer, whatever happens at the till."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orders.domain.errors import ShiftClosed, ShiftOfAnotherTill, ShiftStillOpen
from orders.domain.order import Order
from orders.domain.shift import Shift
from orders.domain.store import Till

NOON = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)


@pytest.mark.feature("ORD-03")
def test_receipts_of_a_shift_are_numbered_without_a_gap(
    ring_up: Callable[..., Order],
) -> None:
    orders = [ring_up((100, 1000)) for _ in range(3)]

    assert [order.receipt_no for order in orders] == [
        "S1-T1-0001-0001",
        "S1-T1-0001-0002",
        "S1-T1-0001-0003",
    ]


def test_a_closed_shift_takes_no_more_fruit(shift: Shift) -> None:
    shift.close(20_000, NOON)

    with pytest.raises(ShiftClosed):
        shift.take_money(uuid4(), 100, 0)
    with pytest.raises(ShiftClosed):
        shift.close(20_000, NOON)


def test_another_till_cannot_use_the_shift(shift: Shift) -> None:
    with pytest.raises(ShiftOfAnotherTill):
        shift.require_till(shift.store_id, uuid4())
    with pytest.raises(ShiftOfAnotherTill):
        shift.require_till(uuid4(), shift.terminal_id)


def test_a_till_has_one_open_shift() -> None:
    till, first = Till(uuid4(), uuid4(), "T1"), uuid4()
    till.start_shift(first)

    with pytest.raises(ShiftStillOpen):
        till.start_shift(uuid4())

    till.end_shift(first)
    assert till.start_shift(uuid4()) == 2


class Drawer(RuleBasedStateMachine):
    """Any run of sales and payments leaves in the drawer what the books say."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = Shift(
            id=UUID(int=1),
            store_id=UUID(int=2),
            terminal_id=UUID(int=3),
            zone="Asia/Shanghai",
            business_date=date(2026, 7, 1),
            receipts="S1-T1-0001",
            float_fen=500,
            opened_at=datetime(2026, 7, 1, tzinfo=UTC),
        )
        self.cash = 500
        self.card = 0

    @precondition(lambda self: self.shift.is_open)
    @rule(cash=st.integers(0, 10_000), card=st.integers(0, 10_000))
    def sell(self, cash: int, card: int) -> None:
        self.shift.take_money(uuid4(), cash, card)
        self.cash += cash
        self.card += card

    @precondition(lambda self: self.shift.is_open)
    @rule(cash=st.integers(0, 500), card=st.integers(0, 500))
    def pay_back(self, cash: int, card: int) -> None:
        self.shift.pay_out(uuid4(), cash, card)
        self.cash -= cash
        self.card -= card

    @rule(counted=st.integers(0, 20_000))
    def close(self, counted: int) -> None:
        if self.shift.is_open:
            self.shift.close(counted, NOON)
        else:
            with pytest.raises(ShiftClosed):
                self.shift.close(counted, NOON)

    @invariant()
    def the_books_hold_what_the_drawer_holds(self) -> None:
        assert (self.shift.expected_cash_fen, self.shift.card_fen) == (self.cash, self.card)


TestDrawer = Drawer.TestCase
