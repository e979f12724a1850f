"""What inventory tells has the agreed shape, and what others tell is understood."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from marshmallow import ValidationError

from inventory.contracts import CONSUMED, PUBLISHED, REQUESTS
from inventory.domain.allocation import ArrivingLot
from inventory.domain.lot import Lot
from inventory.domain.stock import Stock
from inventory.domain.supplier import Supplier

CONTRACTS = Path(__file__).parents[3] / "tests" / "contract"
TODAY = date(2026, 11, 21)
MORNING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)

STORE = UUID("0a4c3f52-8c51-4a43-9d5e-6f1d2c3b4a01")
OTHER_STORE = UUID("1b5d4063-9d62-4b54-8e6f-7a2e3d4c5b02")
PRODUCT = UUID("c1f2d3e4-a5b6-4c7d-8e9f-102030405060")
SUPPLIER = UUID("2f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f")
LOT = UUID("9d8c7b6a-5f4e-4d3c-8b2a-190807f6e5d4")
OLDER_LOT = UUID("8c7b6a59-4e3d-4c2b-9a19-0807f6e5d4c3")
ORDER = UUID("5d0c6b5e-7f4e-4c6a-9a39-0d5a4b7f2e10")
CLAIM = UUID("b6a3a9a1-6f7f-4f0b-8d1d-2a51b4a4c901")
SHRINKAGE = UUID("4b3a2918-0706-4f5e-9d4c-3b2a19080706")
TRANSFER = UUID("3a291807-f6e5-4d4c-8b3a-2918070605f4")


def arriving(lot: UUID, quantity: int, keeps: int) -> ArrivingLot:
    return {
        "lot_id": str(lot),
        "quantity": quantity,
        "supplier_id": str(SUPPLIER),
        "best_before": TODAY + timedelta(days=keeps),
        "received_at": MORNING,
    }


def a_day_of_mandarins() -> dict[type[Any], Any]:
    """Let everything happen once that inventory tells others."""
    supplier = Supplier.register(SUPPLIER, "会理果业", "HL01")
    lot = Lot.receive(
        LOT,
        store_id=STORE,
        product_id=PRODUCT,
        supplier_id=SUPPLIER,
        unit="g",
        quantity=20_000,
        goods_cost_fen=9_600,
        freight_fen=800,
        origin="四川 会理",
        harvest_date=TODAY - timedelta(days=1),
        best_before=TODAY + timedelta(days=5),
        received_at=MORNING,
        business_date=TODAY,
    )
    lot.claim(CLAIM, ORDER, 2, 250)
    here = Stock(store_id=STORE, product_id=PRODUCT, unit="g")
    there = Stock(store_id=OTHER_STORE, product_id=PRODUCT, unit="g")
    here.set_reorder_point(10_000, TODAY)
    here.take_in(arriving(OLDER_LOT, 200, 1), TODAY)
    here.take_in(arriving(LOT, 20_000, 5), TODAY)
    here.sell(ORDER, {2: 1_200}, TODAY)
    here.put_back(ORDER, [arriving(OLDER_LOT, 200, 1), arriving(LOT, 1_000, 5)], 0, TODAY)
    here.take_back(
        "claim",
        CLAIM,
        2,
        300,
        sold_from={str(OLDER_LOT): 200, str(LOT): 1_000},
        untraceable=0,
        disposal="returned_discarded",
        business_date=TODAY,
    )
    here.shrink(SHRINKAGE, "spoiled", 350, None, TODAY)
    here.send(TRANSFER, OTHER_STORE, 12_000, None, TODAY)
    there.receive_transfer(TRANSFER, STORE, [arriving(LOT, 12_000, 5)], TODAY)
    return {
        type(event): event
        for event in (
            *supplier.pending_events,
            *lot.pending_events,
            *here.pending_events,
            *there.pending_events,
        )
    }


def told(published: Any) -> dict[str, Any]:
    event = a_day_of_mandarins()[published.event]
    data: dict[str, Any] = published.schema().dump(published.data(event))
    return data


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.name)
def test_what_happens_is_told_exactly_as_its_example_says(published: Any) -> None:
    example = json.loads((CONTRACTS / "inventory" / f"{published.routing_key}.json").read_text())

    assert told(published) == example
    assert published.schema().validate(example) == {}
    assert published.subject in example


def test_every_example_belongs_to_an_event() -> None:
    examples = {path.stem for path in (CONTRACTS / "inventory").glob("*.json")}

    assert examples == {published.routing_key for published in PUBLISHED}


@pytest.mark.parametrize("consumed", CONSUMED, ids=lambda consumed: consumed.type)
def test_the_examples_of_others_are_understood(consumed: Any) -> None:
    example = json.loads(
        (CONTRACTS / consumed.source / f"{consumed.type.split('.', 2)[2]}.json").read_text()
    )

    fact = consumed.read({**example, "a_field_of_tomorrow": 1})

    assert isinstance(fact, consumed.fact)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", 0),
        ("quantity", -1),
        ("quantity", 1.5),
        ("quantity", True),
        ("quantity", float("nan")),
        ("lot_id", "lot-1"),
        ("best_before", "tomorrow"),
        ("origin", ""),
        ("goods_cost_fen", -1),
        ("person", "somebody"),
    ],
)
def test_a_receipt_with_a_wrong_field_is_refused_by_that_field(field: str, value: object) -> None:
    (schema,) = [request.schema for request in REQUESTS if request.method == "receive_goods"]
    receipt = {
        "lot_id": str(LOT),
        "product_id": str(PRODUCT),
        "supplier_id": str(SUPPLIER),
        "quantity": 20_000,
        "goods_cost_fen": 9_600,
        "origin": "四川 会理",
        "business_date": "2026-11-21",
    }
    schema().load(receipt)

    with pytest.raises(ValidationError) as error:
        schema().load({**receipt, field: value})

    assert list(error.value.messages_dict) == [field]
