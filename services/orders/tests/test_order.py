"""What a shopkeeper expects of a receipt, a cancellation and a refund."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain.errors import (
    ChangeWithoutCash,
    OrderNotCancellable,
    RefundAlreadyPaid,
    RefundOverPaid,
    RoundingWithoutCash,
    TendersDoNotCover,
    UnknownRefund,
)
from orders.domain.order import Money, Order, Picked, priced, settle
from orders.domain.shift import Shift

NOON = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
Ring = Callable[..., Order]
fen = st.integers(min_value=0, max_value=10_000_000)
grams = st.integers(min_value=1, max_value=100_000)
lines = st.lists(
    st.builds(Picked, st.uuids(), st.sampled_from(["g", "piece"]), grams, fen),
    min_size=1,
    max_size=12,
)


@pytest.mark.feature("ORD-01")
def test_three_weighed_lines_are_rounded_one_by_one(ring_up: Ring) -> None:
    order = ring_up((503, 1280), (1, 1280), (999, 5))

    assert [line["total_fen"] for line in order.lines] == [644, 1, 5]
    assert order.total_fen == 650


@given(lines, st.data())
def test_the_rounding_is_shared_out_to_the_fen(picked: list[Picked], data: st.DataObject) -> None:
    total = sum(line["total_fen"] for line in priced(picked, 0))
    rounding = data.draw(st.integers(min_value=0, max_value=min(total, 99)))

    receipt = priced(picked, rounding)

    assert sum(line["net_fen"] for line in receipt) == total - rounding
    assert all(0 <= line["net_fen"] <= line["total_fen"] for line in receipt)


@given(fen, fen, fen, st.integers(min_value=0, max_value=99))
def test_the_till_keeps_exactly_what_was_due_or_refuses(
    due: int, cash: int, card: int, rounding: int
) -> None:
    try:
        kept = settle(due, Money(cash, card), rounding)
    except (TendersDoNotCover, ChangeWithoutCash, RoundingWithoutCash):
        return

    assert kept.total_fen == due - rounding
    assert kept.card_fen == card
    assert 0 <= kept.cash_fen <= cash


@pytest.mark.feature("ORD-19")
def test_cash_and_card_pay_together_and_change_comes_from_cash(ring_up: Ring) -> None:
    order = ring_up((1000, 5000), cash=3000, card=2500)

    assert order.kept == Money(2500, 2500)


def test_a_card_gives_no_change() -> None:
    with pytest.raises(ChangeWithoutCash):
        settle(100, Money(0, 150), 0)


def test_too_little_money_is_refused_with_what_is_missing() -> None:
    with pytest.raises(TendersDoNotCover) as refusal:
        settle(100, Money(60, 30), 0)

    assert refusal.value.sentence("en").startswith("100 fen are due and 90 fen were tendered")


def test_a_free_sale_needs_no_money() -> None:
    assert settle(0, Money(0, 0), 0) == Money(0, 0)


def test_a_cancelled_sale_cannot_be_cancelled_again(ring_up: Ring, shift: Shift) -> None:
    order = ring_up((500, 1000))
    order.cancel(shift.id, "changed her mind", NOON)

    with pytest.raises(OrderNotCancellable):
        order.cancel(shift.id, "changed her mind", NOON)


def test_a_sale_of_another_shift_is_not_cancelled(ring_up: Ring) -> None:
    order = ring_up((500, 1000))

    with pytest.raises(OrderNotCancellable):
        order.cancel(uuid4(), "late", NOON)


def test_two_claims_on_one_line_cannot_take_more_than_was_paid(ring_up: Ring) -> None:
    order = ring_up((1000, 1000))
    order.approve_refund(uuid4(), uuid4(), 1, 700)

    with pytest.raises(RefundOverPaid) as refusal:
        order.approve_refund(uuid4(), uuid4(), 1, 301)

    assert refusal.value.facts == {"left_fen": 300}


def test_the_same_approval_again_owes_nothing_more(ring_up: Ring) -> None:
    order, refund_id, claim_id = ring_up((1000, 1000)), uuid4(), uuid4()

    order.approve_refund(refund_id, claim_id, 1, 400)
    order.approve_refund(refund_id, claim_id, 1, 400)

    assert order.owed_fen(1) == 400


def test_an_approval_that_crosses_the_cancellation_owes_nothing(
    ring_up: Ring, shift: Shift
) -> None:
    order = ring_up((1000, 1000))
    order.cancel(shift.id, "changed her mind", NOON)

    order.approve_refund(uuid4(), uuid4(), 1, 700)

    assert order.owed_fen(1) == 0


def test_a_refund_goes_back_on_the_tenders_it_came_from(
    ring_up: Ring, pay: Callable[..., Money]
) -> None:
    order, refund_id = ring_up((1000, 5000), cash=1000, card=4000), uuid4()
    order.approve_refund(refund_id, uuid4(), 1, 3000)

    paid = pay(order, refund_id, "cash")

    assert paid == Money(1000, 2000)
    assert order.kept == Money(0, 2000)


def test_a_refund_is_paid_once_and_only_when_approved(
    ring_up: Ring, pay: Callable[..., Money]
) -> None:
    order, refund_id = ring_up((1000, 1000)), uuid4()
    with pytest.raises(UnknownRefund):
        pay(order, refund_id)
    order.approve_refund(refund_id, uuid4(), 1, 100)
    pay(order, refund_id)

    with pytest.raises(RefundAlreadyPaid):
        pay(order, refund_id)


def test_an_order_is_the_same_after_replay(ring_up: Ring, pay: Callable[..., Money]) -> None:
    order, refund_id = ring_up((1000, 1000), (300, 800)), uuid4()
    order.approve_refund(refund_id, uuid4(), 2, 100)
    pay(order, refund_id)

    copy = None
    for event in order.collect_events():
        copy = event.mutate(copy)

    assert copy == order
