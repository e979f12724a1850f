"""Refunds never exceed what was paid, however a line is claimed."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersales.domain.errors import (
    LineUnknown,
    MoreThanBought,
    MoreThanLeft,
    OrderWasCancelled,
)
from aftersales.domain.purchase import Loss, Owed, Purchase, SoldLine

SOLD_AT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)


def line(line_no: int = 1, quantity: int = 1200, net_fen: int = 1800) -> SoldLine:
    return SoldLine(line_no, uuid4(), "g", quantity, net_fen)


def purchase(*lines: SoldLine, paid_fen: int | None = None) -> Purchase:
    sold = lines or (line(),)
    return Purchase.record(
        order_id=uuid4(),
        store_id=uuid4(),
        customer_id=None,
        business_date=date(2026, 11, 21),
        sold_at=SOLD_AT,
        paid_fen=sum(one.net_fen for one in sold) if paid_fen is None else paid_fen,
        lines=sold,
    )


@pytest.mark.feature("AFT-08")
@pytest.mark.parametrize(
    ("loss", "owed"),
    [
        pytest.param(Loss(quantity=300), Owed(300, 450), id="300 g of 1,200 g were bad"),
        pytest.param(Loss(percent=50), Owed(600, 900), id="half a pleasure"),
        pytest.param(Loss(), Owed(1200, 1800), id="all of it"),
    ],
)
def test_a_loss_is_priced_by_weight_or_by_share(loss: Loss, owed: Owed) -> None:
    assert purchase().owed_for(1, loss) == owed


def test_half_of_one_melon_is_half_its_price_and_one_melon() -> None:
    melon = SoldLine(1, uuid4(), "piece", 1, 2500)

    assert purchase(melon).owed_for(1, Loss(percent=50)) == Owed(1, 1250)


def test_more_than_was_bought_cannot_have_been_bad() -> None:
    with pytest.raises(MoreThanBought) as refusal:
        purchase().owed_for(1, Loss(quantity=1201))

    assert refusal.value.field == "bad_quantity"
    assert "1200" in refusal.value.sentence("en")


def test_a_line_that_was_not_sold_cannot_be_claimed() -> None:
    with pytest.raises(LineUnknown):
        purchase().owed_for(2, Loss())


def test_three_thirds_of_a_fen_price_add_up_to_the_whole() -> None:
    bought = purchase(line(quantity=300, net_fen=100))

    thirds = [bought.promise(uuid4(), 1, Loss(quantity=100)).amount_fen for _ in range(3)]

    assert thirds == [33, 34, 33]


def test_what_one_claim_was_promised_another_cannot_have() -> None:
    bought = purchase()
    bought.promise(uuid4(), 1, Loss(quantity=800))

    assert bought.owed_for(1, Loss(quantity=800)) == Owed(400, 600)
    assert bought.owed_for(1, Loss(percent=80)) == Owed(400, 600)


def test_a_lower_amount_may_be_set_but_not_a_higher_one() -> None:
    bought = purchase()

    with pytest.raises(MoreThanLeft):
        bought.promise(uuid4(), 1, Loss(quantity=300), at_most_fen=451)

    assert bought.promise(uuid4(), 1, Loss(quantity=300), at_most_fen=450) == Owed(300, 450)


def test_nothing_can_be_promised_on_what_is_refunded_in_full() -> None:
    bought = purchase()
    bought.promise(uuid4(), 1, Loss())

    with pytest.raises(MoreThanLeft):
        bought.promise(uuid4(), 1, Loss(quantity=1))


def test_the_order_caps_what_its_lines_would_still_give() -> None:
    bought = purchase(line(1), line(2), paid_fen=2000)
    bought.promise(uuid4(), 1, Loss())

    assert bought.owed_for(2, Loss()) == Owed(1200, 200)


def test_a_cancelled_order_takes_no_claims_and_pays_no_refunds() -> None:
    bought = purchase()
    bought.cancel(SOLD_AT)

    with pytest.raises(OrderWasCancelled):
        bought.lodge(uuid4())
    with pytest.raises(OrderWasCancelled):
        bought.promise(uuid4(), 1, Loss())


@dataclass(frozen=True)
class Ask:
    line_no: int
    loss: Loss
    discount: int


lines = st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 9999)), min_size=1, max_size=3).map(
    lambda rows: [line(no, grams, fen) for no, (grams, fen) in enumerate(rows, 1)]
)
losses = st.one_of(
    st.builds(Loss),
    st.builds(Loss, quantity=st.integers(1, 5000)),
    st.builds(Loss, percent=st.integers(1, 100)),
)


@given(
    sold=lines,
    short=st.integers(0, 500),
    asks=st.lists(st.builds(Ask, st.integers(1, 3), losses, st.integers(0, 20)), max_size=12),
)
def test_promises_never_exceed_line_order_or_quantity(
    sold: list[SoldLine], short: int, asks: list[Ask]
) -> None:
    paid = max(0, sum(one.net_fen for one in sold) - short)
    bought = purchase(*sold, paid_fen=paid)
    promised: dict[int, list[Owed]] = {one.line_no: [] for one in sold}

    for ask in asks:
        try:
            owed = bought.owed_for(ask.line_no, ask.loss)
            amount = max(0, owed.amount_fen - ask.discount)
            promised[ask.line_no].append(bought.promise(uuid4(), ask.line_no, ask.loss, amount))
        except (LineUnknown, MoreThanBought, MoreThanLeft):
            continue

    for one in sold:
        assert sum(owed.amount_fen for owed in promised[one.line_no]) <= one.net_fen
        assert sum(owed.quantity for owed in promised[one.line_no]) <= one.quantity
        assert all(owed.amount_fen > 0 for owed in promised[one.line_no])
    assert sum(owed.amount_fen for each in promised.values() for owed in each) <= paid


def test_a_purchase_has_the_same_id_wherever_it_is_first_needed() -> None:
    order_id = UUID("7f1c0c9e-3a83-4a0f-9d5f-0d1f8f8f2b11")

    assert Purchase.id_for(order_id) == Purchase.id_for(order_id)
    assert Purchase.id_for(order_id) != order_id
