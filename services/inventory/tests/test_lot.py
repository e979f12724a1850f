"""A lot arrives with its dates in order, and remembers who complained."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from inventory.domain.errors import ExpiredOnReceipt, HarvestedAfterReceipt
from inventory.domain.lot import Lot
from inventory.domain.supplier import Supplier

TODAY = date(2026, 11, 21)
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


def receive(harvest_date: date | None, best_before: date | None) -> Lot:
    return Lot.receive(
        UUID(int=1),
        store_id=UUID(int=2),
        product_id=UUID(int=3),
        supplier_id=UUID(int=4),
        unit="g",
        quantity=20_000,
        goods_cost_fen=10_000,
        freight_fen=800,
        origin="四川 会理",
        harvest_date=harvest_date,
        best_before=best_before,
        received_at=datetime(2026, 11, 21, 4, tzinfo=UTC),
        business_date=TODAY,
    )


@pytest.mark.feature("INV-15")
@pytest.mark.parametrize("harvest_date", [None, YESTERDAY, TODAY])
@pytest.mark.parametrize("best_before", [None, TODAY, TOMORROW])
def test_a_lot_is_received_with_its_dates_in_order(
    harvest_date: date | None, best_before: date | None
) -> None:
    lot = receive(harvest_date, best_before)

    received: Any
    (received,) = lot.collect_events()
    assert lot.id == UUID(int=1)
    assert (received.harvest_date, received.best_before) == (harvest_date, best_before)


def test_goods_cannot_be_harvested_after_they_arrived() -> None:
    with pytest.raises(HarvestedAfterReceipt) as refusal:
        receive(TOMORROW, None)
    assert refusal.value.field == "harvest_date"


@pytest.mark.feature("INV-09")
def test_goods_past_their_date_are_not_received() -> None:
    with pytest.raises(ExpiredOnReceipt) as refusal:
        receive(None, YESTERDAY)
    assert refusal.value.field == "best_before"


@pytest.mark.feature("AFT-10")
def test_each_claim_raises_the_counter_of_the_lot() -> None:
    lot = receive(None, None)

    lot.claim(uuid4(), uuid4(), 1, 300)
    lot.claim(uuid4(), uuid4(), 2, 0)

    first: Any
    second: Any
    _, first, second = lot.collect_events()
    assert (first.claims, second.claims) == (1, 2)
    assert first.supplier_id == UUID(int=4)
    assert lot.claims == 2


@pytest.mark.feature("INV-12")
def test_a_supplier_is_registered_by_name_and_code() -> None:
    supplier = Supplier.register(UUID(int=4), "会理果业", "HL01")

    assert (supplier.id, supplier.name, supplier.code) == (UUID(int=4), "会理果业", "HL01")
