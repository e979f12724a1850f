"""A chain is put back to a moment: what was acknowledged before it is there, and all heals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from rich.progress import Progress

from pomona_console.archive import Archive
from pomona_console.layout import SERVICES, Layout
from pomona_console.stack import Stack, running_stack, terminal_for
from pomona_console.verify import verified
from pomona_console.verify_positions import positions, wait_until_caught_up

from .corner_shop import GRAMS, CornerShop, rows

pytestmark = pytest.mark.integration

CRATE = 1_000_000
ERASED_PHONE = "13912345678"
LOGS = ("orders", "inventory", "crm", "aftersales")


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that can be stopped and started again, on servers of its own."""
    directory = tmp_path_factory.mktemp("restored")
    try:
        assert pomona(directory, "up").returncode == 0
        yield running_stack(directory)
    finally:
        pomona(directory, "down")
        Archive.of(Layout(directory)).remove()


def pomona(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("pomona"), *arguments],
        env={**os.environ, "POMONA_RUN": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


def told(directory: Path, *arguments: str) -> Any:
    done = pomona(directory, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def register(stack: Stack, phone: str) -> str:
    customer_id = str(uuid4())
    told = {"customer_id": customer_id, "name": "上官婉儿", "phone": phone}
    with terminal_for(stack, role="head_office") as office:
        office.command("crm", "register_customer", told)
    return customer_id


def erase(stack: Stack, customer_id: str) -> None:
    with terminal_for(stack, role="head_office") as office:
        office.command("crm", "erase_customer", {"customer_id": customer_id})


def customer(stack: Stack, customer_id: str) -> dict[str, Any]:
    with terminal_for(stack, role="head_office") as office:
        return office.ask("crm", "get_customer", {"customer_id": customer_id})


def settled(stack: Stack) -> None:
    with terminal_for(stack, role="head_office") as office:
        wait_until_caught_up(partial(office.ask, patience=60))


def heads(stack: Stack) -> dict[str, int]:
    statement = "SELECT max(notification_id) FROM {}_events"
    return {name: rows(stack.databases[name], statement.format(name))[0][0] or 0 for name in LOGS}


def orders_in(stack: Stack) -> set[object]:
    statement = "SELECT originator_id FROM orders_events WHERE topic = 'orders.Order.Paid'"
    return {order for (order,) in rows(stack.databases["orders"], statement)}


def test_sales_before_the_moment_are_there_and_everything_heals(stack: Stack) -> None:
    home = stack.layout.directory
    began = datetime.now(UTC)
    shop = CornerShop(stack)
    shop.open()
    shop.sell(3)
    gone, known = register(stack, ERASED_PHONE), register(stack, "13912345679")
    taken = told(home, "backup")
    assert told(home, "backups") == [taken]
    too_early = pomona(home, "restore", "--yes", "--at", began.isoformat())
    assert too_early.returncode == 1
    assert "没有早于该时刻的备份" in too_early.stderr
    assert "No backup ended before" in too_early.stderr
    shop.sell(3)
    settled(stack)
    moment = datetime.now(UTC)
    kept = set(shop.sold)

    # the broker still holds sales for inventory when they are undone
    os.kill(stack.refreshed().service("inventory")["pid"], signal.SIGSTOP)
    shop.sell(4)
    undone = shop.sold[-4:]
    erase(stack, gone)
    lost = heads(stack)
    done = told(home, "restore", "--yes", "--at", moment.isoformat())

    assert done["backup"] == taken["name"]
    assert done["last_commit"] < moment.isoformat()
    assert done["timeline"] == "00000002"
    shop.stack = again = running_stack(home)
    assert orders_in(again) == kept
    settled(again)

    # who was erased after that moment stays erased
    assert [customer(again, each)["erased"] for each in (gone, known)] == [True, False]
    assert told(home, "personal", "proof", gone, "--also", ERASED_PHONE)["holds"]

    # the till sends one of the lost sales once more, and sells on
    shop.sell(order_id=undone[0])
    shop.sell(2)
    settled(again)
    assert orders_in(again) == kept | {undone[0]} | set(shop.sold[-2:])
    first_after = "SELECT min(notification_id) FROM {}_events WHERE notification_id > {}"
    for name in ("orders", "inventory"):
        statement = first_after.format(name, lost[name])
        assert rows(again.databases[name], statement)[0][0] > 10**12
    on_hand = "SELECT sum(on_hand) FROM reporting.lot_balance"
    assert rows(again.databases["analytics"], on_hand) == [(CRATE - GRAMS * (len(kept) + 3),)]
    with terminal_for(again, role="head_office") as office:
        assert not any(positions(office.ask).parked.values())
    assert verified(again, Progress(disable=True)).holds

    # and once more, to the same moment: no position is given a third time
    lost = heads(again)
    told(home, "restore", "--yes", "--at", moment.isoformat())
    shop.stack = third = running_stack(home)
    shop.sell(1)
    settled(third)
    assert orders_in(third) == kept | {shop.sold[-1]}
    assert heads(third)["orders"] > lost["orders"]
    assert set(SERVICES) == {service["name"] for service in third.services}
