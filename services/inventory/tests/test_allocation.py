"""First expired, first out - as examples and as properties."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.allocation import (
    LyingLot,
    allocate,
    as_sold,
    balances,
    book_back,
    first_expired_first_out,
    pick,
    still_good,
    total,
)
from inventory.domain.errors import LotNotInStore, NotEnoughInLot, NotEnoughInStore

TODAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)

lying_lots = st.builds(
    lambda on_hand, best_in, hours: LyingLot(
        on_hand=on_hand,
        best_before=None if best_in is None else TODAY + timedelta(days=best_in),
        received_at=NOON + timedelta(hours=hours),
    ),
    st.integers(1, 5000),
    st.none() | st.integers(-3, 3),
    st.integers(0, 5),
)
shelves = st.dictionaries(st.uuids().map(str), lying_lots, max_size=6)


def lying(on_hand: int, best_before: date | None, hour: int = 0) -> LyingLot:
    return LyingLot(
        on_hand=on_hand, best_before=best_before, received_at=NOON + timedelta(hours=hour)
    )


@pytest.mark.feature("INV-09")
def test_what_expires_first_goes_first_then_what_arrived_first_and_undated_lots_last() -> None:
    shelf = {
        "undated": lying(1, None, 0),
        "late": lying(1, TODAY + timedelta(days=2), 0),
        "second": lying(1, TODAY, 2),
        "first": lying(1, TODAY, 1),
    }

    assert first_expired_first_out(shelf) == ["first", "second", "late", "undated"]


@pytest.mark.feature("INV-09")
def test_a_sale_is_assumed_to_have_taken_expired_lots_last() -> None:
    shelf = {
        "expired": lying(1, TODAY - timedelta(days=1)),
        "last day": lying(1, TODAY),
        "undated": lying(1, None),
    }

    assert as_sold(shelf, TODAY) == ["last day", "undated", "expired"]
    assert still_good(shelf, TODAY).keys() == {"last day", "undated"}


@given(shelves, st.integers(0, 40_000))
def test_an_allocation_takes_what_is_asked_or_all_there_is(
    shelf: dict[str, LyingLot], quantity: int
) -> None:
    left = balances(shelf)

    parts = allocate(quantity, first_expired_first_out(shelf), left)

    assert total(parts) == min(quantity, sum(balances(shelf).values()))
    assert all(part["quantity"] > 0 for part in parts)
    for part in parts:
        assert part["on_hand"] == shelf[part["lot_id"]]["on_hand"] - part["quantity"]
        assert part["on_hand"] == left[part["lot_id"]]


@given(shelves, st.integers(1, 40_000))
def test_no_lot_is_begun_before_those_ahead_of_it_are_empty(
    shelf: dict[str, LyingLot], quantity: int
) -> None:
    order = as_sold(shelf, TODAY)

    parts = allocate(quantity, order, balances(shelf))

    assert [part["lot_id"] for part in parts] == order[: len(parts)]
    assert all(part["on_hand"] == 0 for part in parts[:-1])


@given(shelves, st.integers(1, 40_000))
def test_a_pick_is_exact_or_refused(shelf: dict[str, LyingLot], quantity: int) -> None:
    enough = quantity <= sum(balances(shelf).values())

    if enough:
        assert total(pick(quantity, None, shelf)) == quantity
    else:
        with pytest.raises(NotEnoughInStore):
            pick(quantity, None, shelf)


def test_a_named_lot_gives_only_what_it_has() -> None:
    lot = UUID(int=1)
    shelf = {str(lot): lying(500, TODAY), str(UUID(int=2)): lying(500, None)}

    assert pick(200, lot, shelf) == [{"lot_id": str(lot), "quantity": 200, "on_hand": 300}]
    with pytest.raises(NotEnoughInLot) as refusal:
        pick(501, lot, shelf)
    assert refusal.value.field == "quantity"
    assert "500" in refusal.value.sentence("zh-CN")
    with pytest.raises(LotNotInStore):
        pick(1, UUID(int=3), shelf)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3000), max_size=4),
    st.integers(0, 3000),
    st.integers(1, 6000),
)
def test_returned_goods_are_shared_out_to_the_gram(
    sold_from: dict[str, int], untraceable: int, quantity: int
) -> None:
    back, known = book_back(quantity, sold_from, untraceable, "guess")

    assert sum(back.values()) == quantity
    assert all(share > 0 for share in back.values())
    assert known == ("guess" not in back)


def test_returned_goods_never_exceed_what_each_lot_of_the_sale_gave() -> None:
    back, known = book_back(500, {"a": 300, "b": 200}, 0, "guess")

    assert back == {"a": 300, "b": 200}
    assert known
