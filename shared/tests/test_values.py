"""Money and weight are exact, and a moment belongs to one business day."""

from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pomona.values import business_date, half_up, line_total, share_out, stable_id

FEN = st.integers(-(10**12), 10**12)
MOMENTS = st.integers(0, 36_000).flatmap(
    lambda day: st.times(timezones=st.just(UTC)).map(
        lambda at: datetime.combine(date(2001, 1, 1) + timedelta(days=day), at)
    )
)
SHANGHAI = "Asia/Shanghai"
BERLIN = "Europe/Berlin"


@given(FEN, st.integers(1, 10**9))
def test_rounding_is_never_off_by_more_than_a_half_and_a_half_goes_away_from_zero(amount, by):
    exact = Fraction(amount, by)

    rounded = half_up(amount, by)

    assert abs(rounded - exact) <= Fraction(1, 2)
    if abs(rounded - exact) == Fraction(1, 2):
        assert abs(rounded) > abs(exact)


@given(FEN, st.integers(1, 10**9))
def test_a_refund_rounds_like_the_sale_it_takes_back(amount, by):
    assert half_up(-amount, by) == -half_up(amount, by)


@pytest.mark.parametrize(
    ("price_fen", "grams", "total_fen"),
    [
        (1999, 500, 1000),
        (1999, 250, 500),
        (1, 499, 0),
        (1, 500, 1),
        (3, 500, 2),
        (1280, 1235, 1581),
    ],
)
def test_a_weighed_line_is_rounded_once_half_up(price_fen, grams, total_fen):
    assert line_total(price_fen, grams, "g") == total_fen


@given(st.integers(0, 10**7), st.integers(1, 10**6))
def test_pieces_cost_their_price_each(price_fen, pieces):
    assert line_total(price_fen, pieces, "piece") == price_fen * pieces


@given(FEN, st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_shares_sum_to_what_was_shared_out(amount, weights):
    assert sum(share_out(amount, weights)) == amount


@given(FEN, st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any))
def test_a_share_is_at_most_one_fen_from_its_exact_part(amount, weights):
    total = sum(weights)

    for share, weight in zip(share_out(amount, weights), weights, strict=True):
        assert abs(share - Fraction(amount * weight, total)) < 1


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=2, max_size=12).filter(any))
def test_a_larger_weight_never_has_the_smaller_share(amount, weights):
    ordered = sorted(zip(weights, share_out(amount, weights), strict=True))

    for (lighter, less), (heavier, more) in pairwise(ordered):
        assert lighter == heavier or less <= more


def test_equal_weights_give_the_odd_fen_to_the_first():
    assert share_out(10, [1, 1, 1]) == [4, 3, 3]
    assert share_out(-10, [1, 1, 1]) == [-4, -3, -3]


def test_nothing_to_weigh_by_gives_all_to_the_first():
    assert share_out(7, [0, 0]) == [7, 0]
    assert share_out(7, []) == []


@pytest.mark.parametrize(
    ("local", "day"),
    [
        ("2026-11-21T03:59:59+08:00", date(2026, 11, 20)),
        ("2026-11-21T04:00:00+08:00", date(2026, 11, 21)),
        ("2026-11-21T23:59:59+08:00", date(2026, 11, 21)),
        ("2027-01-01T00:30:00+08:00", date(2026, 12, 31)),
    ],
)
def test_the_day_changes_at_the_cut_off_of_the_store(local, day):
    at = datetime.fromisoformat(local).astimezone(UTC)

    assert business_date(at, SHANGHAI, time(4)) == day


def test_a_store_abroad_has_its_own_day():
    at = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)

    assert business_date(at, SHANGHAI, time(4)) == date(2026, 11, 21)
    assert business_date(at, "America/New_York", time(4)) == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("at", "day"),
    [
        # 2026-03-29: clocks jump from 02:00 to 03:00; 2026-10-25: 02:30 comes twice
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), date(2026, 3, 28)),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), date(2026, 10, 25)),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), date(2026, 10, 25)),
    ],
)
def test_a_cut_off_inside_the_hour_that_clocks_change_still_splits_the_days(at, day):
    assert business_date(at, BERLIN, time(2, 30)) == day


@given(
    MOMENTS,
    st.sampled_from([SHANGHAI, BERLIN, "America/New_York", "Pacific/Auckland"]),
    st.times(),
)
def test_a_business_day_is_the_local_day_or_the_one_before(at, zone, cut_off):
    local_day = at.astimezone(ZoneInfo(zone)).date()

    assert local_day - business_date(at, zone, cut_off) in (timedelta(0), timedelta(1))


def test_a_natural_key_has_one_id_on_every_machine():
    assert stable_id("stock", "a", "b") == UUID("5bb261f8-1eac-5d30-b529-42cd0facb3b6")
    assert stable_id("a", "bc") != stable_id("ab", "c")
