"""The stock of one product in one store, told as a shopkeeper would."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from inventory.domain.allocation import ArrivingLot
from inventory.domain.errors import (
    LotNotInStore,
    LotPastBestBefore,
    NotEnoughInLot,
    NotEnoughInStore,
    SameStore,
)
from inventory.domain.stock import Stock
from pomona.values import stable_id

TODAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)
STORE, OTHER_STORE, PRODUCT, SUPPLIER = (UUID(int=n) for n in (1, 2, 3, 4))
OLD, NEW = UUID(int=10), UUID(int=11)


def arriving(lot: UUID, quantity: int, best_before: date | None = None) -> ArrivingLot:
    return {
        "lot_id": str(lot),
        "quantity": quantity,
        "supplier_id": str(SUPPLIER),
        "best_before": best_before,
        "received_at": NOON,
    }


def part(lot: UUID | str, quantity: int, on_hand: int) -> dict[str, object]:
    return {"lot_id": str(lot), "quantity": quantity, "on_hand": on_hand}


def happened(stock: Stock) -> list[Any]:
    """Return the events since the last look."""
    return list(stock.collect_events())


@pytest.fixture
def stock() -> Stock:
    """A kilogram that keeps for one day more, and two that keep for three."""
    stock = Stock(store_id=STORE, product_id=PRODUCT, unit="g")
    stock.take_in(arriving(NEW, 2000, TODAY + timedelta(days=3)), TODAY)
    stock.take_in(arriving(OLD, 1000, TODAY + timedelta(days=1)), TODAY)
    happened(stock)
    return stock


def test_stock_is_found_again_by_store_and_product(stock: Stock) -> None:
    assert stock.id == stable_id("stock", str(STORE), str(PRODUCT))


@pytest.mark.feature("INV-15")
def test_goods_that_arrive_lie_on_the_shelf_by_lot(stock: Stock) -> None:
    stock.take_in(arriving(UUID(int=12), 500), TODAY)

    assert stock.on_hand == 3500
    assert len(stock.lots) == 3


@pytest.mark.feature("INV-01")
def test_a_sale_spans_lots_where_one_is_not_enough(stock: Stock) -> None:
    stock.sell(uuid4(), {1: 1200}, TODAY)

    (sold,) = happened(stock)
    assert sold.lines == [
        {
            "line_no": 1,
            "quantity": 1200,
            "shortfall": 0,
            "lots": [part(OLD, 1000, 0), part(NEW, 200, 1800)],
        }
    ]
    assert stock.on_hand == 1800
    assert stock.lots.keys() == {str(NEW)}


def test_two_lines_of_one_product_are_taken_one_after_the_other_in_one_event(stock: Stock) -> None:
    stock.sell(uuid4(), {1: 600, 2: 600}, TODAY)

    (sold,) = happened(stock)
    assert [line["lots"] for line in sold.lines] == [
        [part(OLD, 600, 400)],
        [part(OLD, 400, 0), part(NEW, 200, 1800)],
    ]


def test_what_no_lot_covers_is_written_down_as_a_shortfall(stock: Stock) -> None:
    stock.sell(uuid4(), {1: 3500, 2: 100}, TODAY)

    (sold,) = happened(stock)
    assert [line["shortfall"] for line in sold.lines] == [500, 100]
    assert sold.lines[1]["lots"] == []
    assert (stock.on_hand, stock.shortfall) == (0, 600)


@pytest.mark.feature("INV-09")
def test_expired_fruit_that_was_sold_all_the_same_is_taken_last(stock: Stock) -> None:
    stock.sell(uuid4(), {1: 2500}, TODAY + timedelta(days=2))

    (sold,) = happened(stock)
    assert sold.lines[0]["lots"] == [part(NEW, 2000, 0), part(OLD, 500, 500)]


def test_a_cancelled_order_gives_its_grams_back_to_the_same_lots(stock: Stock) -> None:
    order = uuid4()
    stock.sell(order, {1: 3100}, TODAY)
    happened(stock)

    stock.put_back(
        order,
        [
            arriving(OLD, 1000, TODAY + timedelta(days=1)),
            arriving(NEW, 2000, TODAY + timedelta(days=3)),
        ],
        100,
        TODAY,
    )

    (put_back,) = happened(stock)
    assert [(lot["lot_id"], lot["on_hand"]) for lot in put_back.lots] == [
        (str(OLD), 1000),
        (str(NEW), 2000),
    ]
    assert (stock.on_hand, stock.shortfall) == (3000, 0)
    assert stock.lots[str(OLD)]["best_before"] == TODAY + timedelta(days=1)


def test_shrinkage_of_a_named_lot_comes_from_that_lot(stock: Stock) -> None:
    stock.shrink(uuid4(), "spoiled", 300, NEW, TODAY)

    (shrunk,) = happened(stock)
    assert shrunk.lots == [part(NEW, 300, 1700)]
    assert shrunk.reason == "spoiled"


def test_shrinkage_without_a_lot_comes_from_what_expires_first_even_if_expired(
    stock: Stock,
) -> None:
    stock.shrink(uuid4(), "expired", 1100, None, TODAY + timedelta(days=2))

    (shrunk,) = happened(stock)
    assert shrunk.lots == [part(OLD, 1000, 0), part(NEW, 100, 1900)]


@pytest.mark.parametrize(
    ("lot", "quantity", "refusal"),
    [(OLD, 1001, NotEnoughInLot), (None, 3001, NotEnoughInStore), (uuid4(), 1, LotNotInStore)],
)
def test_more_than_there_is_cannot_be_lost(
    stock: Stock, lot: UUID | None, quantity: int, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        stock.shrink(uuid4(), "spoiled", quantity, lot, TODAY)

    assert happened(stock) == []


@pytest.mark.feature("INV-17")
@pytest.mark.feature("AFT-09")
def test_goods_taken_back_are_booked_back_in_proportion_and_disposed_of_at_once(
    stock: Stock,
) -> None:
    claim = uuid4()
    stock.sell(uuid4(), {1: 1500}, TODAY)
    happened(stock)

    stock.take_back(
        "claim",
        claim,
        1,
        300,
        sold_from={str(OLD): 1000, str(NEW): 500},
        untraceable=0,
        disposal="returned_discarded",
        business_date=TODAY,
    )

    returned, shrunk = happened(stock)
    assert returned.lots == [part(OLD, 200, 200), part(NEW, 100, 1600)]
    assert returned.known
    assert shrunk.lots == [part(OLD, 200, 0), part(NEW, 100, 1500)]
    assert shrunk.reason == "returned_discarded"
    assert stock.on_hand == 1500


def test_goods_returned_without_receipt_are_laid_to_the_lot_last_sold_from(stock: Stock) -> None:
    stock.sell(uuid4(), {1: 1500}, TODAY)
    happened(stock)

    back_without_receipt(stock, 200)

    returned, shrunk = happened(stock)
    assert returned.lots == [part(NEW, 200, 1700)]
    assert not returned.known
    assert shrunk.lots == [part(NEW, 200, 1500)]


def test_goods_returned_to_a_store_that_never_sold_any_balance_on_a_lot_of_their_own() -> None:
    stock = Stock(store_id=STORE, product_id=PRODUCT, unit="g")
    happened(stock)

    back_without_receipt(stock, 200)

    returned, shrunk = happened(stock)
    origin = stable_id("returned without receipt", str(STORE), str(PRODUCT))
    assert returned.lots == [part(str(origin), 200, 200)]
    assert shrunk.lots == [part(str(origin), 200, 0)]
    assert stock.on_hand == 0


def test_two_returns_in_a_row_are_two_disposals(stock: Stock) -> None:
    back_without_receipt(stock, 200)
    back_without_receipt(stock, 200)

    _, first, _, second = happened(stock)
    assert first.shrinkage_id != second.shrinkage_id


def back_without_receipt(stock: Stock, quantity: int) -> None:
    stock.take_back(
        "till",
        uuid4(),
        1,
        quantity,
        sold_from={},
        untraceable=0,
        disposal="returned_discarded",
        business_date=TODAY,
    )


def test_goods_sent_away_leave_the_shelf(stock: Stock) -> None:
    stock.send(uuid4(), OTHER_STORE, 1200, None, TODAY)

    (sent,) = happened(stock)
    assert sent.lots == [part(OLD, 1000, 0), part(NEW, 200, 1800)]


def test_expired_goods_are_not_passed_on_to_another_store(stock: Stock) -> None:
    later = TODAY + timedelta(days=2)

    with pytest.raises(LotPastBestBefore):
        stock.send(uuid4(), OTHER_STORE, 1, OLD, later)
    with pytest.raises(NotEnoughInStore) as refusal:
        stock.send(uuid4(), OTHER_STORE, 2001, None, later)
    assert refusal.value.facts == {"left": 2000}


def test_goods_are_not_sent_to_where_they_lie(stock: Stock) -> None:
    with pytest.raises(SameStore):
        stock.send(uuid4(), STORE, 1, None, TODAY)


@pytest.mark.feature("INV-03")
def test_low_stock_is_told_once_per_crossing_and_again_after_recovery(stock: Stock) -> None:
    stock.set_reorder_point(1000, TODAY)
    happened(stock)

    stock.sell(uuid4(), {1: 1999}, TODAY)
    assert [type(e) for e in happened(stock)] == [Stock.Sold]
    stock.sell(uuid4(), {1: 1}, TODAY)
    _, low = happened(stock)
    assert isinstance(low, Stock.FellLow)
    assert (low.on_hand, low.reorder_point) == (1000, 1000)
    stock.sell(uuid4(), {1: 100}, TODAY)
    assert [type(e) for e in happened(stock)] == [Stock.Sold]
    stock.take_in(arriving(uuid4(), 101), TODAY)
    assert [type(e) for e in happened(stock)] == [Stock.Stocked, Stock.Recovered]
    stock.shrink(uuid4(), "spoiled", 1, None, TODAY)
    assert [type(e) for e in happened(stock)] == [Stock.Shrunk, Stock.FellLow]


@pytest.mark.feature("INV-03")
def test_goods_under_way_count_before_anyone_reorders(stock: Stock) -> None:
    transfer = uuid4()
    stock.set_reorder_point(2500, TODAY)
    stock.expect(transfer, 1000, TODAY)
    happened(stock)

    stock.sell(uuid4(), {1: 1000}, TODAY)
    assert [type(e) for e in happened(stock)] == [Stock.Sold]

    stock.receive_transfer(transfer, OTHER_STORE, [arriving(uuid4(), 1000)], TODAY)
    assert [type(e) for e in happened(stock)] == [Stock.Arrived]
    assert (stock.on_hand, stock.incoming) == (3000, 0)


@pytest.mark.feature("INV-03")
def test_expired_goods_do_not_keep_the_alert_away(stock: Stock) -> None:
    stock.set_reorder_point(2000, TODAY)
    happened(stock)

    stock.sell(uuid4(), {1: 1}, TODAY + timedelta(days=2))

    _, low = happened(stock)
    assert isinstance(low, Stock.FellLow)
    assert (low.on_hand, low.available) == (2999, 1999)


def test_stock_comes_back_from_its_events_and_from_a_snapshot(stock: Stock) -> None:
    stock.sell(uuid4(), {1: 3500}, TODAY)
    stock.set_reorder_point(10, TODAY)

    again = Stock.Snapshot.take(stock).mutate(None)
    assert isinstance(again, Stock)

    assert again.lots == stock.lots
    assert (again.shortfall, again.low) == (500, True)
