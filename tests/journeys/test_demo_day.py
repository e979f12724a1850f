"""One trading day of the demo's chain, from the first delivery to the last drawer."""

import json

import pytest
from rich.console import Console
from rich.progress import Progress

from pomona_console.demo import play_demo
from pomona_console.demo_catalogue import COCONUT, STORES
from pomona_console.demo_findings import Findings
from pomona_console.demo_summary import bar, summary
from pomona_console.stack import Stack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def findings(stack: Stack) -> Findings:
    return play_demo(stack, Progress(console=Console(stderr=True), disable=True))


def test_every_invariant_holds_after_the_day(findings: Findings) -> None:
    assert [tally.code for tally in findings.verdict.tallies if not tally.holds] == []
    assert findings.verdict.positions.behind == {}


@pytest.mark.feature("SYS-06")
def test_three_stores_sold_all_day(findings: Findings) -> None:
    rows = findings.hours

    assert {row["store_id"] for row in rows} == {str(store.id) for store in STORES}
    assert sum(row["receipts"] for row in rows) >= 60
    assert sum(row["cancelled"] for row in rows) == 1


@pytest.mark.feature("AFT-10")
def test_a_complaint_is_refunded_and_traced_to_its_supplier(findings: Findings) -> None:
    claim, trace = findings.claims[0], findings.claimed_line

    assert claim["state"] == "settled"
    assert claim["refund"]["state"] == "paid"
    assert trace["lots"][0]["lot_id"] == findings.bad_lot["lot"]["lot_id"]
    assert trace["lots"][0]["supplier"] == findings.bad_lot["lot"]["supplier"]
    assert findings.bad_lot["claims"][0]["claim_id"] == claim["claim_id"]


@pytest.mark.feature("AFT-09")
def test_goods_that_came_back_were_booked_and_disposed_of(findings: Findings) -> None:
    claim = findings.claims[1]

    assert claim["state"] == "closed"
    assert claim["goods"] == {
        "expected": True,
        "taken": 600,
        "disposition": "supplier_evidence",
    }


@pytest.mark.feature("INV-03")
def test_low_stock_was_told_once_and_recovered_by_a_transfer(findings: Findings) -> None:
    told = [
        alert["event"]
        for alert in findings.stock_alerts
        if (alert["store_id"], alert["product_id"]) == (str(STORES[2].id), str(COCONUT.id))
    ]

    assert told == ["stock_fell_low", "stock_recovered"]


@pytest.mark.feature("CRM-10")
def test_members_have_points_that_wait_for_the_claim_window(findings: Findings) -> None:
    assert all(row["pending"] > 0 for row in findings.points)
    assert all(row["available"] == 0 for row in findings.points)


def test_one_drawer_is_two_yuan_short(findings: Findings) -> None:
    differences = [drawer["difference_fen"] for drawer in findings.drawers]

    assert sorted(differences) == [-200, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("language", ["zh_CN.UTF-8", "en_US.UTF-8"])
def test_the_summary_can_be_read_in_both_languages(
    findings: Findings, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", language)
    screen = Console(width=100, record=True, quiet=True)

    with screen.capture():
        screen.print(summary(findings))

    assert json.dumps(findings.as_json())


def test_a_bar_fills_its_width_at_most() -> None:
    assert bar(0, 100, 4) == "    "
    assert bar(100, 100, 4) == "████"
    assert bar(50, 100, 1) == "▌"
