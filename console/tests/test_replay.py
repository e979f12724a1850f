"""Which days are played, what a replay says in the end, and when it waits."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import click
import pytest

from pomona_console import verify_positions
from pomona_console.replay import chosen_days
from pomona_console.replay_plan import Scheme
from pomona_console.replay_record import Product, Record, Row
from pomona_console.report import Comparison
from pomona_console.report_outcome import Outcome, summary
from pomona_console.trouble import Trouble
from pomona_console.verify_positions import wait_until_caught_up

APPLE = Product(Scheme("r", 1, 1).id("apple"), "1", "苹果", "仁果", "g", 500)
DAYS = [date(2020, 7, 1), date(2020, 7, 2), date(2020, 7, 9)]
RECORD = Record("r", (APPLE,), {day: (Row(APPLE, 100, 50, 1000),) for day in DAYS})


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")


def test_days_are_counted_on_the_calendar_from_the_first_of_the_record() -> None:
    assert chosen_days(RECORD, None, 7) == DAYS[:2]
    assert chosen_days(RECORD, date(2020, 7, 2), 8) == DAYS[1:]
    assert chosen_days(RECORD, None, 100) == DAYS


@pytest.mark.parametrize(
    ("first", "count"),
    [(date(2020, 6, 30), 7), (date(2020, 7, 10), 1), (date(2020, 7, 3), 3)],
)
def test_a_period_without_a_day_of_the_record_is_refused(first: date, count: int) -> None:
    with pytest.raises(click.UsageError, match="runs from 2020-07-01 to 2020-07-09"):
        chosen_days(RECORD, first, count)


def test_a_day_that_is_not_over_cannot_be_played() -> None:
    ahead = date(2099, 1, 1)
    record = Record("r", (APPLE,), {ahead: RECORD.days[DAYS[0]]})

    with pytest.raises(click.UsageError, match="have not closed on 2099-01-01"):
        chosen_days(record, None, 1)


def outcome(*, quantity: int = 1000, strays: tuple[str, ...] = ()) -> Outcome:
    comparison = Comparison(
        day=DAYS[0],
        product=APPLE,
        record_quantity=900,
        rung_up_fen=90,
        lines=3,
        quantity=quantity,
        returned=100,
        takings_fen=90,
    )
    return Outcome(
        scheme=Scheme("r", 1, 1),
        shops=(Scheme("r", 1, 1).id("store", 0),),
        days=(DAYS[0],),
        counts=Counter(days=1, orders=2),
        calls=20,
        seconds=10.0,
        comparisons=(comparison,),
        strays=strays,
    )


def test_equal_figures_are_said_to_be_equal() -> None:
    assert outcome().equal
    assert "to the gram and the fen" in summary(outcome())
    assert json.loads(json.dumps(outcome().as_json()))["played"]["calls_per_second"] == 2.0


def test_a_gram_too_much_is_named_with_its_day_and_product() -> None:
    different = outcome(quantity=1001)

    assert not different.equal
    assert "2020-07-01 苹果: 901 / 900 g" in summary(different)


def test_a_row_that_nothing_accounts_for_is_a_difference() -> None:
    assert not outcome(strays=("s1 2020-07-01 pear",)).equal


def positions_told(*told: dict[str, Any]) -> verify_positions.Ask:
    """Answer every service's `positions` from one script, its last line for ever."""
    script: Iterator[dict[str, Any]] = iter(told)
    now: dict[str, Any] = {}

    def ask(service: str, method: str) -> dict[str, Any]:
        assert method == "positions"
        if service == "orders":
            now.update(next(script, now))
        inbox = {"orders": now["read"]} if service == "analytics" else {}
        return {"head": now["head"] if service == "orders" else 0, "inbox": inbox, "parked": 0}

    return ask


def test_waiting_ends_when_every_inbox_has_come_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_positions, "LOOK_EVERY", 0)
    ask = positions_told(
        {"head": 5, "read": 3},
        {"head": 5, "read": 5},
        {"head": 6, "read": 5},
        {"head": 6, "read": 6},
    )

    settled = wait_until_caught_up(ask)

    assert settled.heads["orders"] == settled.inboxes["analytics"]["orders"] == 6
    assert settled.behind == {}


def test_an_inbox_that_does_not_move_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_positions, "LOOK_EVERY", 0)
    monkeypatch.setattr(verify_positions, "STUCK_AFTER", 0.05)

    with pytest.raises(Trouble, match=r"analytics\.from\.orders"):
        wait_until_caught_up(positions_told({"head": 5, "read": 3}))
