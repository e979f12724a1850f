"""What happened on a claim is told in the agreed shape, and others' words are understood."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from marshmallow import ValidationError

from aftersales.contracts import CONSUMED, PUBLISHED, DecideClaim, OpenClaim
from aftersales.domain.claim import Claim, Complaint
from aftersales.domain.purchase import Loss, Purchase, SoldLine
from aftersales.domain.terms import NO_FAULT_FOUND, SMALL_CLAIM

GOLDEN = Path(__file__).parents[3] / "tests" / "contract" / "aftersales"
SOLD_AT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
NOW = SOLD_AT + timedelta(hours=5)


def steps_of_two_claims() -> dict[type[Any], Any]:
    bought = Purchase.record(
        order_id=uuid4(),
        store_id=uuid4(),
        customer_id=uuid4(),
        business_date=date(2026, 11, 21),
        sold_at=SOLD_AT,
        paid_fen=1800,
        lines=[SoldLine(1, uuid4(), "g", 1200, 1800)],
    )
    complaint = Complaint(1, "app", "rotten", Loss(quantity=300), goods_expected=True)
    refused = Claim.open(claim_id=uuid4(), purchase=bought, complaint=complaint, by="clerk", at=NOW)
    refused.refuse(NO_FAULT_FOUND, by="manager", at=NOW)
    claim = Claim.open(claim_id=uuid4(), purchase=bought, complaint=complaint, by="clerk", at=NOW)
    claim.approve(SMALL_CLAIM, bought, by="terms", at=NOW)
    claim.take_goods_back(
        disposition="discard", quantity=None, business_date=date(2026, 11, 21), by="clerk", at=NOW
    )
    assert claim.refund_id is not None
    claim.settle(refund_id=claim.refund_id, amount_fen=450, at=NOW)
    return {type(step): step for step in (*refused.pending_events, *claim.pending_events)}


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: str(published.name))
def test_a_step_is_told_in_the_shape_of_its_example(published: Any) -> None:
    golden = json.loads((GOLDEN / f"{published.routing_key}.json").read_text("utf-8"))
    schema = published.schema()

    told = schema.dump(published.data(steps_of_two_claims()[published.event]))

    assert list(told) == list(golden)
    assert schema.validate(told) == {}
    assert schema.dump(schema.load(golden)) == golden


def consumed(name: str) -> Any:
    return next(one for one in CONSUMED if one.type == name)


def test_what_was_paid_is_what_was_tendered_less_the_change() -> None:
    paid = consumed("pomona.orders.order_paid.v1").read(
        {
            "order_id": str(uuid4()),
            "store_id": str(uuid4()),
            "customer_id": None,
            "business_date": "2026-11-21",
            "sold_at": "2026-11-21T10:30:00+08:00",
            "lines": [
                {
                    "line_no": 1,
                    "product_id": str(uuid4()),
                    "unit": "piece",
                    "quantity": 2,
                    "net_fen": 998,
                    "something": "new",
                }
            ],
            "tenders": [{"kind": "cash", "amount_fen": 2000}, {"kind": "card", "amount_fen": 8}],
            "change_fen": 1010,
            "hour": 10,
        }
    )

    assert paid.paid_fen == 998
    assert paid.lines[0].quantity == 2
    assert isinstance(paid.lines[0].product_id, UUID)


COMPLAINT = {
    "claim_id": str(uuid4()),
    "order_id": str(uuid4()),
    "line_no": 1,
    "channel": "kiosk",
    "reason": "rotten",
}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"bad_quantity": 300, "bad_share_percent": 50}, "bad_share_percent"),
        ({"bad_share_percent": 101}, "bad_share_percent"),
        ({"bad_quantity": 0.5}, "bad_quantity"),
        ({"bad_quantity": -1}, "bad_quantity"),
        ({"reason": "because"}, "reason"),
        ({"channel": "pigeon"}, "channel"),
        ({"note": "x" * 501}, "note"),
        ({"store_id": str(uuid4())}, "store_id"),
    ],
)
def test_a_complaint_that_makes_no_sense_is_refused_by_field(
    wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        OpenClaim().load({**COMPLAINT, **wrong})

    assert list(refusal.value.messages) == [field]


def test_a_refusal_names_no_amount() -> None:
    with pytest.raises(ValidationError, match="amount_fen"):
        DecideClaim().load(
            {"claim_id": str(uuid4()), "clause": "no_fault_found", "amount_fen": 100}
        )
