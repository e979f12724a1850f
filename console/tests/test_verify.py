"""Each check finds what it is there for, and nothing in a day where all is well."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from pomona_console.verify_chain import Chains, Once
from pomona_console.verify_events import Check, Event, Tally, event_of
from pomona_console.verify_money import Drawers, Receipts, Refunds
from pomona_console.verify_points import Points
from pomona_console.verify_reporting import Lots, Sales
from pomona_console.verify_stock import Allocations, Claims, LotBalances, Transfers

DAY = "2020-07-01"
STOCK = {"store_id": "s1", "product_id": "p1", "unit": "g", "business_date": DAY}


def part(quantity: int, on_hand: int, lot: str = "l1") -> dict[str, Any]:
    return {"lot_id": lot, "quantity": quantity, "on_hand": on_hand}


def a_day() -> list[dict[str, Any]]:
    """One sale of two lines, one return at the till, a claim, a transfer and some shrinkage."""
    line = {
        "line_no": 1,
        "product_id": "p1",
        "unit": "g",
        "quantity": 1250,
        "price_fen": 1299,
        "total_fen": 1624,
        "net_fen": 1621,
    }
    short = {**line, "line_no": 2, "quantity": 250, "total_fen": 325, "net_fen": 324}
    orders = [
        ("shift_opened", {"shift_id": "h1", "store_id": "s1", "float_fen": 500}),
        (
            "order_paid",
            {
                "order_id": "o1",
                "receipt_no": "1",
                "store_id": "s1",
                "shift_id": "h1",
                "business_date": DAY,
                "customer_id": "u1",
                "lines": [line, short],
                "total_fen": 1949,
                "rounding_fen": 4,
                "tenders": [
                    {"kind": "card", "amount_fen": 945},
                    {"kind": "cash", "amount_fen": 2000},
                ],
                "change_fen": 1000,
            },
        ),
        ("order_paid", _second_sale()),
        (
            "order_cancelled",
            {
                "order_id": "o2",
                "store_id": "s1",
                "business_date": DAY,
                "lines": _second_sale()["lines"],
            },
        ),
        (
            "goods_returned",
            {
                "return_id": "r1",
                "store_id": "s1",
                "shift_id": "h1",
                "business_date": DAY,
                "lines": [
                    {
                        "line_no": 1,
                        "product_id": "p1",
                        "unit": "g",
                        "quantity": 100,
                        "price_fen": 1299,
                        "refund_fen": 130,
                    }
                ],
                "refund_fen": 130,
                "tender": "cash",
            },
        ),
        (
            "refund_paid",
            {
                "refund_id": "f1",
                "claim_id": "c1",
                "order_id": "o1",
                "line_no": 1,
                "shift_id": "h1",
                "amount_fen": 400,
                "cash_fen": 0,
                "card_fen": 400,
            },
        ),
        (
            "shift_closed",
            {
                "shift_id": "h1",
                "expected_cash_fen": 1370,
                "counted_cash_fen": 1360,
                "difference_fen": -10,
                "card_fen": 545,
            },
        ),
    ]
    inventory = [
        ("lot_received", {**STOCK, "lot_id": "l1", "quantity": 1400, "on_hand": 1400}),
        ("transfer_sent", {**STOCK, **_between(), "lots": [part(200, 1200)]}),
        ("transfer_received", {**STOCK, **_between(), "lots": [part(200, 200)]}),
        (
            "stock_sold",
            {
                **STOCK,
                "order_id": "o2",
                "lines": [
                    {"line_no": 1, "quantity": 100, "shortfall": 0, "lots": [part(100, 1100)]}
                ],
            },
        ),
        (
            "stock_put_back",
            {**STOCK, "order_id": "o2", "lots": [part(100, 1200)], "shortfall": 0},
        ),
        (
            "stock_sold",
            {
                **STOCK,
                "order_id": "o1",
                "lines": [
                    {"line_no": 1, "quantity": 1250, "shortfall": 50, "lots": [part(1200, 0)]},
                    {"line_no": 2, "quantity": 250, "shortfall": 250, "lots": []},
                ],
            },
        ),
        (
            "stock_returned",
            {
                **STOCK,
                "cause": "till",
                "cause_id": "r1",
                "line_no": 1,
                "lots": [part(100, 100)],
            },
        ),
        ("stock_shrunk", {**STOCK, "shrinkage_id": "k1", "lots": [part(100, 0)]}),
        ("lot_claimed", {"lot_id": "l1", "claim_id": "c1", "claims": 1}),
    ]
    crm = [
        ("points_earned", {"customer_id": "u1", "order_id": "o1", "points": 19}),
        ("points_reversed", {"customer_id": "u1", "order_id": "o1", "points": 4}),
    ]
    aftersales = [
        (
            "claim_approved",
            {"claim_id": "c1", "refund_id": "f1", "order_id": "o1", "amount_fen": 400},
        ),
        ("claim_settled", {"claim_id": "c1", "refund_id": "f1", "amount_fen": 400}),
    ]
    return [
        {
            "id": f"{source}-{position}",
            "type": f"pomona.{source}.{name}.v1",
            "position": position,
            "previous": position - 1,
            "data": data,
        }
        for source, happened in (
            ("orders", orders),
            ("inventory", inventory),
            ("aftersales", aftersales),
            ("crm", crm),
        )
        for position, (name, data) in enumerate(happened, start=1)
    ]


def _second_sale() -> dict[str, Any]:
    """Return a sale that is cancelled before the customer leaves."""
    line = {
        "line_no": 1,
        "product_id": "p1",
        "unit": "g",
        "quantity": 100,
        "price_fen": 1000,
        "total_fen": 100,
        "net_fen": 100,
    }
    return {
        "order_id": "o2",
        "receipt_no": "2",
        "store_id": "s1",
        "shift_id": "h1",
        "business_date": DAY,
        "customer_id": None,
        "lines": [line],
        "total_fen": 100,
        "rounding_fen": 0,
        "tenders": [{"kind": "cash", "amount_fen": 100}],
        "change_fen": 0,
    }


def _between() -> dict[str, str]:
    return {"transfer_id": "t1", "from_store_id": "s1", "to_store_id": "s2", "store_id": ""}


def checks() -> list[Check]:
    return [
        Chains(),
        Once(),
        Receipts(),
        Drawers(),
        Refunds(),
        LotBalances(),
        Allocations(),
        Transfers(),
        Claims(),
        Points(),
    ]


def broken(envelopes: list[dict[str, Any]]) -> set[str]:
    """Return the codes of the checks that do not hold."""
    events = [event_of(envelope) for envelope in envelopes]
    found: list[Tally] = []
    for check in checks():
        for event in events:
            check.see(event)
        found += check.tallies()
    return {tally.code for tally in found if not tally.holds}


def find(envelopes: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the data of the first such event, of the first order where there are several."""
    return next(
        one["data"]
        for one in envelopes
        if one["type"].split(".")[2] == name
        and (name != "stock_sold" or one["data"]["order_id"] == "o1")
    )


def test_a_day_where_all_is_well_breaks_nothing() -> None:
    assert broken(a_day()) == set()


def lose_an_event(day: list[dict[str, Any]]) -> None:
    del day[4]


def forget_to_put_back(day: list[dict[str, Any]]) -> None:
    find(day, "stock_put_back")["lots"] = [part(99, 1199)]


def keep_the_money_of_a_cancelled_sale(day: list[dict[str, Any]]) -> None:
    find(day, "order_cancelled")["order_id"] = "o3"


def sell_twice(day: list[dict[str, Any]]) -> None:
    again = deepcopy(day[1])
    again["position"], again["previous"], again["id"] = 8, 7, "orders-8"
    day.insert(7, again)


def misprice(day: list[dict[str, Any]]) -> None:
    find(day, "order_paid")["lines"][0]["price_fen"] = 1298


def miss_a_fen_of_change(day: list[dict[str, Any]]) -> None:
    find(day, "order_paid")["change_fen"] = 999


def count_the_drawer_wrong(day: list[dict[str, Any]]) -> None:
    find(day, "shift_closed")["expected_cash_fen"] = 1369


def refund_more_than_was_paid(day: list[dict[str, Any]]) -> None:
    for name in ("refund_paid", "claim_approved", "claim_settled"):
        find(day, name)["amount_fen"] = 1622
    find(day, "refund_paid")["card_fen"] = 1622
    find(day, "shift_closed")["card_fen"] = 945 - 1622


def refund_without_approval(day: list[dict[str, Any]]) -> None:
    find(day, "claim_approved")["amount_fen"] = 399


def lose_a_gram(day: list[dict[str, Any]]) -> None:
    find(day, "lot_received")["quantity"] = 1401


def hide_a_shortfall(day: list[dict[str, Any]]) -> None:
    find(day, "stock_sold")["lines"][0]["shortfall"] = 0


def forget_a_line(day: list[dict[str, Any]]) -> None:
    del find(day, "stock_sold")["lines"][1]


def steal_from_a_transfer(day: list[dict[str, Any]]) -> None:
    find(day, "transfer_received")["lots"] = [part(199, 199)]


def skip_a_claim(day: list[dict[str, Any]]) -> None:
    find(day, "lot_claimed")["claims"] = 2


def earn_too_much(day: list[dict[str, Any]]) -> None:
    find(day, "points_earned")["points"] = 20


def keep_points_of_a_refund(day: list[dict[str, Any]]) -> None:
    day.pop()


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (lose_an_event, {"chains_unbroken", "shift_cash", "sales_allocated"}),
        (
            sell_twice,
            {
                "applied_once",
                "receipt_numbers_unique",
                "sales_allocated",
                "shift_open",
            },
        ),
        (forget_to_put_back, {"sales_allocated", "lot_balances"}),
        (keep_the_money_of_a_cancelled_sale, {"shift_cash", "sales_allocated"}),
        (misprice, {"line_totals"}),
        (miss_a_fen_of_change, {"tenders", "shift_cash"}),
        (count_the_drawer_wrong, {"shift_cash"}),
        (refund_more_than_was_paid, {"refunds_capped"}),
        (refund_without_approval, {"refunds_approved"}),
        (lose_a_gram, {"lot_balances"}),
        (hide_a_shortfall, {"allocations_add_up"}),
        (forget_a_line, {"sales_allocated"}),
        (steal_from_a_transfer, {"transfers_arrive"}),
        (skip_a_claim, {"lot_claims"}),
        (earn_too_much, {"points"}),
        (keep_points_of_a_refund, {"points"}),
    ],
)
def test_what_goes_wrong_is_found(
    harm: Callable[[list[dict[str, Any]]], None], found: set[str]
) -> None:
    day = a_day()
    harm(day)

    assert found <= broken(day)


def seen(check: Sales | Lots) -> None:
    for envelope in a_day():
        check.see(event_of(envelope))


def test_reported_sales_must_equal_the_events() -> None:
    sales = Sales()
    seen(sales)
    row = {
        "store_id": "s1",
        "business_date": DAY,
        "product_id": "p1",
        "unit": "g",
        "quantity": 1500,
        "returned": 100,
        "takings_fen": 1949 - 130,
    }

    assert sales.compared([row]).holds
    assert not sales.compared([{**row, "takings_fen": 1818}]).holds
    assert not sales.compared([]).holds
    assert not sales.compared([row, {**row, "store_id": "s2"}]).holds


def test_reported_lots_must_equal_the_events() -> None:
    lots = Lots()
    seen(lots)
    here = {
        "lot_id": "l1",
        "store_id": "s1",
        "unit": "g",
        "received": 1400,
        "moved_in": 0,
        "moved_out": 200,
        "sold": 1200,
        "returned": 100,
        "shrunk": 100,
        "on_hand": 0,
        "unexplained": 0,
    }
    there = dict.fromkeys(here, 0) | {
        "lot_id": "l1",
        "store_id": "s2",
        "unit": "g",
        "moved_in": 200,
        "on_hand": 200,
    }

    assert all(tally.holds for tally in lots.compared([here, there]))
    assert not lots.compared([here, {**there, "on_hand": 199}])[0].holds
    assert not lots.compared([here, {**there, "unexplained": 1}])[1].holds


def test_a_tally_keeps_a_few_places_and_counts_all() -> None:
    tally = Tally("code", "中文", "English")
    for number in range(9):
        tally.that(False, number)

    assert (tally.checked, tally.broken, len(tally.examples)) == (9, 9, 5)


def test_an_envelope_is_read_without_its_version() -> None:
    event = event_of(a_day()[0])

    assert isinstance(event, Event)
    assert (event.source, event.name, event.position) == ("orders", "shift_opened", 1)
