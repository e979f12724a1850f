"""Hands the tests a shop: a shift that is open, and orders rung up in it."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from orders.domain.order import Money, Order, Picked, priced, settle
from orders.domain.shift import Shift

NOON = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)


@pytest.fixture
def shift() -> Shift:
    return Shift(
        id=uuid4(),
        store_id=uuid4(),
        terminal_id=uuid4(),
        zone="Asia/Shanghai",
        business_date=date(2026, 7, 1),
        receipts="S1-T1-0001",
        float_fen=20_000,
        opened_at=NOON,
    )


@pytest.fixture
def ring_up(shift: Shift) -> Callable[..., Order]:
    """Ring up lines of (grams, fen per kilogram), paid in cash unless said otherwise."""

    def ring(
        *lines: tuple[int, int], cash: int | None = None, card: int = 0, rounding: int = 0
    ) -> Order:
        picked = [Picked(uuid4(), "g", grams, price) for grams, price in lines]
        receipt = priced(picked, rounding)
        total = sum(line["total_fen"] for line in receipt)
        tendered = Money(total - rounding - card if cash is None else cash, card)
        kept = settle(total, tendered, rounding)
        order = Order(
            id=uuid4(),
            receipt_no=shift.next_receipt,
            store_id=shift.store_id,
            terminal_id=shift.terminal_id,
            shift_id=shift.id,
            business_date=shift.business_date,
            sold_at=NOON,
            terminal_time=NOON,
            hour=12,
            channel="till",
            cashier_id="lin",
            customer_id=None,
            lines=receipt,
            total_fen=total,
            rounding_fen=rounding,
            cash_fen=tendered.cash_fen,
            card_fen=tendered.card_fen,
            change_fen=tendered.cash_fen - kept.cash_fen,
        )
        shift.take_money(order.id, kept.cash_fen, kept.card_fen)
        return order

    return ring


@pytest.fixture
def pay(shift: Shift) -> Callable[..., Money]:
    """Pay a refund out of the shift's drawer."""

    def paying(order: Order, refund_id: UUID, preferred: str = "cash") -> Money:
        paid = order.pay_refund(
            refund_id,
            preferred,
            store_id=shift.store_id,
            terminal_id=shift.terminal_id,
            shift_id=shift.id,
            business_date=shift.business_date,
            at=NOON,
        )
        shift.pay_out(refund_id, paid.cash_fen, paid.card_fen)
        return paid

    return paying
