"""What crm tells holds ids, days and points; what it reads is what it needs."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from marshmallow import ValidationError

from crm.contracts import CONSUMED, PUBLISHED, REQUESTS, RegisterCustomer
from crm.domain.customer import PERSONAL, Customer
from crm.domain.loyalty import LoyaltyAccount

GOLDEN = Path(__file__).parents[3] / "tests" / "contract" / "crm"
NOW = datetime(2026, 11, 21, 3, 10, tzinfo=UTC)
DAY = date(2026, 11, 21)


def everything_that_happens() -> dict[type[Any], Any]:
    customer = Customer.register(
        customer_id=uuid4(), store_id=uuid4(), sealed={"name": "c2VhbGVk"}, at=NOW
    )
    customer.erase(at=NOW)
    account, order_id = LoyaltyAccount.open(customer.id), uuid4()
    account.earn(order_id, 4500, DAY)
    account.give_back_for_refund(order_id, 450, DAY)
    return {type(step): step for step in (*customer.pending_events, *account.pending_events)}


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: str(published.name))
def test_an_event_is_told_in_the_shape_of_its_example(published: Any) -> None:
    golden = json.loads((GOLDEN / f"{published.routing_key}.json").read_text("utf-8"))
    schema = published.schema()

    told = schema.dump(published.data(everything_that_happens()[published.event]))

    assert list(told) == list(golden)
    assert schema.validate(told) == {}
    assert schema.dump(schema.load(golden)) == golden


@pytest.mark.feature("CRM-25")
def test_nothing_that_is_told_has_room_for_a_person() -> None:
    for published in PUBLISHED:
        assert not {*published.schema().fields} & {*PERSONAL, "sealed"}


def test_points_are_earned_on_the_net_of_the_lines() -> None:
    paid = next(one for one in CONSUMED if "order_paid" in one.type).read(
        {
            "order_id": str(uuid4()),
            "customer_id": str(uuid4()),
            "business_date": "2026-11-21",
            "lines": [{"net_fen": 1250, "total_fen": 1253}, {"net_fen": 750, "line_no": 2}],
            "receipt_no": "T1-7",
        }
    )

    assert paid.net_fen == 2000


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"phone": 13800138000}, "phone"),
        ({"name": "x" * 101}, "name"),
        ({"birthday": "1990-02-30"}, "birthday"),
        ({"birthday": "19900228"}, "birthday"),
        ({"birthday": "1899-12-31"}, "birthday"),
        ({"vip": True}, "vip"),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused_by_field(
    wrong: dict[str, Any], field: str
) -> None:
    asked = {"customer_id": str(uuid4()), "name": "王小明", "phone": "13800138000"}

    with pytest.raises(ValidationError) as refusal:
        RegisterCustomer().load({**asked, **wrong})

    assert list(refusal.value.messages) == [field]


def test_analysts_see_no_person() -> None:
    assert all("analyst" not in request.roles for request in REQUESTS)
