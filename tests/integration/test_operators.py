"""What operators see and mend: parked events, the relay, and a reader that lost its place."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pomona import operations
from pomona.envelope import seal
from pomona.ledger import Advance, Ledger
from pomona_console.operators import Operator
from pomona_console.stack import Stack, terminal_for
from pomona_console.verify_positions import wait_until_caught_up

from .chassis_shop import (
    Because,
    Kitchen,
    Listener,
    Lot,
    eventually,
    log_of,
    make_tables,
    open_shop,
    running,
)
from .corner_shop import CornerShop, rows

pytestmark = pytest.mark.integration

SECRET = "13800138000 Ms Wang"


def pomona(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("pomona"), *arguments],
        env={**os.environ, "POMONA_RUN": str(stack.layout.directory)},
        capture_output=True,
        text=True,
        check=False,
    )


def told(stack: Stack, *arguments: str) -> Any:
    done = pomona(stack, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def parked_at(stack: Stack) -> Iterator[int]:
    """Set aside an event of orders in inventory's table, under a position nobody has."""
    position = 2**40 + uuid4().int % 2**30
    event = seal(
        service="orders",
        type="pomona.orders.order_paid.v1",
        subject=str(uuid4()),
        time=datetime.now(UTC),
        position=position,
        previous=1,
        data={"order_id": str(uuid4()), "total_fen": 450, "channel": "till", "note": SECRET},
        cause={"actor": "cashier-1"},
    )
    operator = Operator(stack)
    with operator.opened("inventory") as cursor:
        cursor.execute(
            "INSERT INTO parked (source, position, subject, envelope, error, attempts, parked_at,"
            " retry_at) VALUES ('orders', %s, %s, %s, 'ValueError', 3, now(),"
            " now() + interval '1 day')",
            (position, event.subject, event.raw),
        )
    yield position
    with operator.opened("inventory") as cursor:
        cursor.execute("DELETE FROM parked WHERE position = %s", (position,))


def test_a_parked_event_is_listed_and_shown_without_what_may_speak_of_a_person(
    stack: Stack, parked_at: int
) -> None:
    listed = [row for row in told(stack, "parked", "list") if row["position"] == parked_at]
    shown = told(stack, "parked", "show", "inventory", "orders", str(parked_at))
    words = pomona(stack, "parked", "show", "inventory", "orders", str(parked_at)).stdout
    clear = told(stack, "parked", "show", "inventory", "orders", str(parked_at), "--clear")

    assert [(row["service"], row["error"], row["attempts"]) for row in listed] == [
        ("inventory", "ValueError", 3)
    ]
    assert SECRET not in words + json.dumps(shown)
    assert (shown["data"]["total_fen"], shown["data"]["channel"]) == (450, "till")
    assert clear["data"]["note"] == SECRET
    looked = "SELECT count(*) FROM operations WHERE what = 'parked show --clear'"
    assert rows(stack.databases["inventory"], looked)[0][0] >= 1


def test_a_parked_event_is_given_up_only_with_a_reason_that_is_kept(
    stack: Stack, parked_at: int
) -> None:
    where = ("inventory", "orders", str(parked_at))

    without = pomona(stack, "parked", "drop", *where)
    blank = pomona(stack, "parked", "drop", *where, "--reason", " ")
    dropped = pomona(stack, "parked", "drop", *where, "--reason", "entered twice")
    again = pomona(stack, "parked", "drop", *where, "--reason", "entered twice")

    assert (without.returncode, blank.returncode) == (2, 2)
    assert dropped.returncode == 0, dropped.stderr
    assert again.returncode == 1
    assert "没有搁置" in again.stderr
    assert "has not parked" in again.stderr
    statement = "SELECT who, reason FROM operations WHERE (details->>'position')::bigint = %s"
    ((who, reason),) = rows(stack.databases["inventory"], statement, parked_at)
    assert who
    assert reason == "entered twice"


def test_an_unknown_service_is_named_with_those_there_are(stack: Stack) -> None:
    wrong = pomona(stack, "parked", "list", "kitchen")

    assert wrong.returncode == 1
    assert "没有服务 kitchen" in wrong.stderr
    assert "There is no service kitchen. There are identity, orders" in wrong.stderr


def test_the_relays_are_shown_with_their_leaders_and_every_readers_lag(stack: Stack) -> None:
    CornerShop(stack).open()
    with terminal_for(stack, role="head_office") as office:
        wait_until_caught_up(partial(office.ask, patience=60))

    found = told(stack, "relay", "status")

    assert set(found) >= {"orders", "inventory", "crm", "aftersales"}
    assert found["orders"]["head"] > 0
    eventually(lambda: told(stack, "relay", "status", "orders")["orders"]["pending"] == 0)
    assert found["orders"]["leader"] > 0
    assert found["orders"]["readers"]["inventory"] == 0
    assert "inventory 0" in pomona(stack, "relay", "status", "orders").stdout


def test_a_log_is_published_again_and_nobody_does_anything_twice(stack: Stack) -> None:
    shop = CornerShop(stack)
    shop.open()
    shop.sell(2)
    with terminal_for(stack, role="head_office") as office:
        wait_until_caught_up(partial(office.ask, patience=60))
    sold = "SELECT count(*) FROM inventory_events WHERE topic = 'inventory.Stock.Sold'"
    before = rows(stack.databases["inventory"], sold)

    again = told(stack, "replay-from-log", "inventory", "orders")

    assert again == {"consumer": "inventory", "source": "orders", "events": 0}
    assert rows(stack.databases["inventory"], sold) == before


def test_what_the_archive_lost_is_put_back_from_the_log(stack: Stack) -> None:
    shop = CornerShop(stack)
    shop.open()
    shop.sell(2)
    with terminal_for(stack, role="head_office") as office:
        wait_until_caught_up(partial(office.ask, patience=60))
    archive = "SELECT position, envelope FROM archive WHERE source = 'orders' ORDER BY position"
    whole = rows(stack.databases["analytics"], archive)
    with Operator(stack).opened("analytics") as cursor:
        cursor.execute(
            "DELETE FROM archive WHERE source = 'orders' AND position > %s", (whole[-4][0],)
        )

    done = told(stack, "replay-from-log", "analytics", "orders", "--from", "0")

    assert done["events"] == 3
    assert rows(stack.databases["analytics"], archive) == whole
    only = pomona(stack, "replay-from-log", "inventory", "orders", "--from", "0")
    assert only.returncode == 2


def test_who_does_not_read_a_source_cannot_replay_it(stack: Stack) -> None:
    wrong = pomona(stack, "replay-from-log", "orders", "analytics")

    assert wrong.returncode == 1
    assert "orders does not read analytics" in wrong.stderr


def test_a_reader_that_is_not_ahead_is_left_alone(stack: Stack) -> None:
    done = pomona(stack, "realign", "inventory", "orders", "--reason", "to see")

    assert done.returncode == 1
    assert "is not ahead of orders" in done.stderr


def test_a_reader_that_is_ahead_goes_on_from_what_its_source_still_has(stack: Stack) -> None:
    shop = CornerShop(stack)
    shop.open()
    with terminal_for(stack, role="head_office") as office:
        wait_until_caught_up(partial(office.ask, patience=60))
    here = "SELECT position FROM inbox WHERE source = 'orders'"
    ((position,),) = rows(stack.databases["aftersales"], here)
    with Operator(stack).opened("aftersales") as cursor:  # as if orders had lost ten events
        cursor.execute("UPDATE inbox SET position = position + 10 WHERE source = 'orders'")
    with Operator(stack).opened("orders") as cursor:
        cursor.execute("UPDATE timelines SET timeline = 'FFFFFFFF'")
    shop.sell()

    assert told(stack, "relay", "status", "orders")["orders"]["readers"]["aftersales"] is None
    done = told(stack, "realign", "aftersales", "orders", "--reason", "nothing of ours was lost")

    assert done == {"from": position + 10, "to": position}
    with terminal_for(stack, role="head_office") as office:
        wait_until_caught_up(partial(office.ask, patience=60))


def test_what_is_retried_now_is_applied_by_the_inbox(
    database: Callable[[str], str], servers: Stack
) -> None:
    dsn = database("shop")
    make_tables(dsn)
    shop = open_shop(dsn)
    kitchen = Kitchen(servers.amqp_uri, dsn, shop)
    shop.commit(Because(), Lot(grams=100))
    with shop.reading() as cursor:
        (event,) = log_of(shop).after(cursor, 0, 10)
    ledger = Ledger("shop", kitchen.reading)
    kitchen.inbox.load()
    ledger.park(event, Advance("shop", 0, event.position), "ValueError")
    with kitchen.reading() as cursor:
        cursor.execute("UPDATE parked SET retry_at = now() + interval '1 day'")

    listener = Listener(servers.amqp_uri)  # declares the exchange
    with running(kitchen.inbox):
        eventually(lambda: kitchen.inbox.connected)
        with kitchen.reading() as cursor:
            assert operations.retry_now(cursor, "ops", "shop") == 1
        eventually(lambda: kitchen.parked() == 0)

    assert kitchen.effects() == [event.position]
    listener.close()


def test_who_has_events_tried_again_is_written_down(stack: Stack, parked_at: int) -> None:
    where = ("inventory", "orders", str(parked_at))

    retried = told(stack, "parked", "retry", *where, "--reason", "version 2 is out")
    told(stack, "parked", "retry", *where[:2], str(parked_at + 1))

    assert retried == {"events": 1}
    statement = (
        "SELECT who, what, reason, details->'source', details->'events' FROM operations"
        " WHERE what = 'parked retry' AND (details->>'position')::bigint BETWEEN %s AND %s"
    )
    ((who, *noted),) = rows(stack.databases["inventory"], statement, parked_at, parked_at + 1)
    assert who
    assert noted == ["parked retry", "version 2 is out", "orders", 1]
