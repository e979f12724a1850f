"""However a record looks, the stores' baskets add up to it to the gram."""

from collections import Counter
from datetime import date
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from pomona.values import Unit, line_total, stable_id
from pomona_console.baskets import OPENING, cut
from pomona_console.replay_plan import Scheme, StoreDay, plan_day
from pomona_console.replay_record import Product, Row

QUICK = settings(max_examples=40, deadline=None)
DAY = date(2020, 7, 1)


LOSS_RATES = (0, 1, 943, 2925, 9999)


def product(number: int) -> Product:
    unit: Unit = "piece" if number % 3 == 0 else "g"
    code = f"{number:04}"
    return Product(
        stable_id("product", code, f"果{number}", "水果", unit),
        code,
        f"果{number}",
        "水果",
        unit,
        LOSS_RATES[number % len(LOSS_RATES)],
    )


ROWS = st.lists(
    st.builds(
        Row,
        product=st.builds(product, st.integers(0, 8)),
        price_fen=st.integers(0, 20_000),
        wholesale_fen=st.integers(1, 9_000),
        quantity=st.integers(-300, 4_000),
    ),
    min_size=1,
    max_size=15,
)
SCHEMES = st.builds(
    Scheme, record=st.just("r"), stores=st.integers(1, 5), seed=st.integers(0, 10**6)
)


def played(days: list[StoreDay]) -> tuple[Counter[str], Counter[str]]:
    """Sum what the stores sell less what comes back, and the money for it, by product."""
    names = {product(number).id: product(number).name for number in range(9)}
    quantity: Counter[str] = Counter()
    takings: Counter[str] = Counter()
    for day in days:
        for phase in day.phases:
            for till in phase.tills:
                for basket in till:
                    for line in basket.lines:
                        quantity[names[line.product_id]] += line.quantity
                        takings[names[line.product_id]] += line.total_fen
            for back in phase.returns:
                quantity[back.product.name] -= back.quantity
                takings[back.product.name] -= back.refund_fen
    return quantity, takings


@QUICK
@given(SCHEMES, ROWS)
def test_the_stores_together_sell_exactly_what_the_record_says(
    scheme: Scheme, rows: list[Row]
) -> None:
    quantity, _ = played(plan_day(scheme, DAY, rows))

    record: Counter[str] = Counter()
    for row in rows:
        record[row.product.name] += row.quantity
    assert {name: sum_ for name, sum_ in quantity.items() if sum_} == {
        name: sum_ for name, sum_ in record.items() if sum_
    }


@QUICK
@given(SCHEMES, ROWS)
def test_takings_stay_within_half_a_fen_a_line_of_price_times_weight(
    scheme: Scheme, rows: list[Row]
) -> None:
    days = plan_day(scheme, DAY, rows)

    _, takings = played(days)
    lines = Counter(
        line.product_id
        for day in days
        for phase in day.phases
        for till in phase.tills
        for basket in till
        for line in basket.lines
    )
    for made in {row.product for row in rows}:
        exact = sum(
            row.price_fen * row.quantity * (1000 if made.unit == "piece" else 1)
            for row in rows
            if row.product == made
        )
        returns = sum(row.quantity < 0 for row in rows if row.product == made)
        assert abs(takings[made.name] * 1000 - exact) <= 500 * (lines[made.id] + returns)


@QUICK
@given(SCHEMES, ROWS)
def test_prices_are_set_before_anything_is_sold_at_them(scheme: Scheme, rows: list[Row]) -> None:
    for day in plan_day(scheme, DAY, rows):
        in_force: dict[object, int] = {}
        for phase in day.phases:
            in_force |= {made.id: price for made, price in phase.prices}
            assert all(
                in_force[line.product_id] == line.price_fen
                for till in phase.tills
                for basket in till
                for line in basket.lines
            )
            assert all(in_force[back.product.id] == back.price_fen for back in phase.returns)


@QUICK
@given(SCHEMES, ROWS)
def test_lots_cover_what_is_sold_and_lost(scheme: Scheme, rows: list[Row]) -> None:
    for day in plan_day(scheme, DAY, rows):
        left = Counter({lot.product.id: lot.quantity for lot in day.lots})
        for phase in day.phases:
            for till in phase.tills:
                for basket in till:
                    for line in basket.lines:
                        left[line.product_id] -= line.quantity
        for made, lost in day.shrinkage:
            left[made.id] -= lost
        assert all(0 <= quantity < 1000 for quantity in left.values())


@QUICK
@given(SCHEMES, ROWS)
def test_every_basket_has_1_to_12_lines_paid_in_full_on_its_day(
    scheme: Scheme, rows: list[Row]
) -> None:
    for day in plan_day(scheme, DAY, rows):
        for phase in day.phases:
            for till in phase.tills:
                assert [basket.at for basket in till] == sorted(basket.at for basket in till)
                for basket in till:
                    given_ = sum(amount for _, amount in basket.tenders)
                    card = sum(amount for kind, amount in basket.tenders if kind == "card")
                    assert 1 <= len(basket.lines) <= 12
                    assert all(line.quantity > 0 for line in basket.lines)
                    assert all(amount > 0 for _, amount in basket.tenders)
                    assert given_ >= basket.total_fen - basket.rounding_fen >= card
                    assert basket.cash_kept_fen >= 0
                    assert basket.at.date() == DAY
                    assert basket.at.time() >= OPENING


@QUICK
@given(SCHEMES, ROWS)
def test_the_same_seed_plays_the_same_day(scheme: Scheme, rows: list[Row]) -> None:
    assert plan_day(scheme, DAY, rows) == plan_day(scheme, DAY, rows)


@QUICK
@given(st.integers(1, 40_000), st.sampled_from(get_args(Unit)), st.integers(0, 99))
def test_the_parts_of_a_cut_sum_to_the_whole(quantity: int, unit: Unit, seed: int) -> None:
    parts = cut(quantity, unit, Scheme("r", 1, seed).dice())

    assert sum(parts) == quantity
    assert min(parts) > 0


def test_seven_grams_at_a_fen_a_kilogram_still_come_out_even() -> None:
    row = Row(product(1), 1, 1, 7)

    quantity, takings = played(plan_day(Scheme("r", 3, 1), DAY, [row]))

    assert quantity["果1"] == 7
    assert takings["果1"] == line_total(1, 7, "g") == 0
