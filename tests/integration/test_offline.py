"""A terminal that was cut off delivers everything once and in order, whatever dies meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pomona.errors import Refused, Unavailable
from pomona.offline import AnotherFlushes, Backlog, NotSetAside
from pomona.terminal import Terminal
from pomona_console.stack import Stack, temporary_stack, terminal_for

from .raw_caller import eventually

pytestmark = [pytest.mark.integration, pytest.mark.feature("SYS-03")]

SALES = 500
FLUSH = """
import sys
from pathlib import Path
from uuid import UUID
from pomona.offline import Backlog
from pomona_console.stack import running_stack, terminal_for

stack = running_stack(Path(sys.argv[1]))
store, till = UUID(sys.argv[3]), UUID(sys.argv[4])
terminals = {}
def terminal_of(person):
    if person not in terminals:
        terminals[person] = terminal_for(
            stack, role="cashier", store_id=store, terminal_id=till, person=person
        )
    return terminals[person]
Backlog(Path(sys.argv[2])).flush(terminal_of, patience=60)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with temporary_stack(tmp_path_factory.mktemp("offline"), services=("orders",)) as running:
        yield running


class Shop:
    """A store with a till, an open shift, and one kind of fruit for sale."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.store, self.till, self.shift, self.product = (uuid4() for _ in range(4))
        code = self.store.hex[:8].upper()
        product = {"product_id": str(self.product), "code": code, "name": "苹果", "unit": "g"}
        with terminal_for(stack, role="head_office", person="office") as office:
            tell = office.command
            own = {"store_id": str(self.store), "code": code}
            zone = {"zone": "Asia/Shanghai", "cut_off": "04:00"}
            tell("orders", "open_store", {**own, "name": "一店", **zone}, patience=30)
            tell("orders", "register_terminal", {**own, "terminal_id": str(self.till)})
            tell("orders", "list_products", {"products": [{**product, "category": "fruit"}]})
            price = {"product_id": str(self.product), "price_fen": 1000}
            tell("orders", "set_prices", {"store_id": str(self.store), "prices": [price]})
        with self.signed_in("lin") as lin:
            opening = {"terminal_time": now(), "float_fen": 0}
            lin.command("orders", "open_shift", {"shift_id": str(self.shift), **opening})

    def signed_in(self, person: str) -> Any:
        return terminal_for(
            self.stack, role="cashier", store_id=self.store, terminal_id=self.till, person=person
        )

    def sale(self, **changes: Any) -> dict[str, Any]:
        line = {"product_id": str(self.product), "quantity": 1000, "price_fen": 1000}
        return {
            "order_id": str(uuid4()),
            "shift_id": str(self.shift),
            "terminal_time": now(),
            "lines": [line],
            "tenders": [{"kind": "card", "amount_fen": 1000}],
            **changes,
        }

    def day(self) -> dict[str, Any]:
        with self.signed_in("lin") as lin:
            return lin.ask("orders", "get_shift", {"shift_id": str(self.shift)}, patience=30)


def now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.fixture(scope="module")
def shop(own: Stack) -> Shop:
    return Shop(own)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backlog.sqlite"


@pytest.fixture
def backlog(path: Path) -> Iterator[Backlog]:
    backlog = Backlog(path)
    yield backlog
    backlog.close()


def flusher(shop: Shop, path: Path) -> subprocess.Popen[bytes]:
    own = shop.stack.layout.directory
    command = [sys.executable, "-W", "ignore", "-c", FLUSH, own, path, shop.store, shop.till]
    return subprocess.Popen([str(part) for part in command])


def test_a_command_is_on_disk_before_it_is_sent_and_lives_for_seven_days(backlog, path):
    command_id = backlog.write_down("orders", "open_shift", {"float_fen": 0}, person="lin")

    other = Backlog(path)
    (kept,) = other.commands()
    other.close()
    assert (kept.command_id, kept.state, kept.person) == (command_id, "waiting", "lin")
    assert kept.expires_at - kept.written_at == timedelta(days=7)
    assert path.stat().st_mode & 0o077 == 0


def test_what_cannot_be_delivered_waits_in_its_order(shop, backlog):
    ids = [backlog.write_down("orders", "place_order", shop.sale(), person="lin") for _ in range(3)]
    broker = shop.stack.refreshed().state["amqp"]["pid"]
    os.kill(broker, signal.SIGSTOP)
    try:
        with shop.signed_in("lin") as lin, pytest.raises(Unavailable):
            backlog.flush(lambda _person: lin)
    finally:
        os.kill(broker, signal.SIGCONT)

    assert [kept.command_id for kept in backlog.commands("waiting")] == ids
    with shop.signed_in("lin") as lin:
        backlog.flush(lambda _person: lin, patience=60)
    answered = backlog.commands("answered")
    assert [kept.command_id for kept in answered] == ids
    receipts = [kept.result["receipt_no"] for kept in answered]
    assert receipts == sorted(receipts)


def test_a_refused_command_is_set_aside_with_its_reason_and_the_rest_goes_on(shop, backlog):
    unknown = shop.sale(shift_id=str(uuid4()))
    for sale in (shop.sale(), unknown, shop.sale()):
        backlog.write_down("orders", "place_order", sale, person="lin")

    with shop.signed_in("lin") as lin:
        backlog.flush(lambda _person: lin, patience=30)

    assert [kept.state for kept in backlog.commands()] == ["answered", "refused", "answered"]
    (refused,) = backlog.commands("refused")
    assert refused.result["code"]
    assert refused.result["message"]
    backlog.retry(refused.number)
    assert [kept.number for kept in backlog.commands("waiting")] == [refused.number]
    with shop.signed_in("lin") as lin:
        backlog.flush(lambda _person: lin, patience=30)
    backlog.drop(refused.number)
    assert backlog.commands("refused") == []
    with pytest.raises(NotSetAside):
        backlog.drop(refused.number)


def test_a_flush_stops_where_the_person_must_sign_in_again(shop, backlog):
    backlog.write_down("orders", "place_order", shop.sale(), person="lin")
    nobody = Terminal(shop.stack.amqp_uri, "expired")

    with nobody, pytest.raises(Refused) as refused:
        backlog.flush(lambda _person: nobody)

    assert refused.value.code == "unauthenticated"
    assert len(backlog.commands("waiting")) == 1


def test_two_programs_never_send_the_same_backlog_at_once(backlog, path):
    backlog.write_down("orders", "open_shift", {}, person="lin")

    def meanwhile(_person: str) -> Any:
        with pytest.raises(AnotherFlushes):
            Backlog(path).flush(lambda _person: None)
        raise Unavailable

    with pytest.raises(Unavailable):
        backlog.flush(meanwhile)


@pytest.mark.feature("SYS-04")
def test_500_sales_of_a_day_offline_arrive_once_although_terminal_and_broker_are_killed(
    shop, backlog, path
):
    before = shop.day()
    ids = [
        backlog.write_down("orders", "place_order", shop.sale(), person="lin") for _ in range(SALES)
    ]

    for upto in (50, 150, 300):
        flushing = flusher(shop, path)
        eventually(lambda upto=upto: len(backlog.commands("answered")) >= upto, seconds=90)
        flushing.kill()
        flushing.wait()
    os.kill(shop.stack.refreshed().state["amqp"]["pid"], signal.SIGKILL)
    assert flusher(shop, path).wait(120) == 0

    answered = backlog.commands("answered")
    assert [kept.command_id for kept in answered] == ids
    receipts = [kept.result["receipt_no"] for kept in answered]
    assert receipts == sorted(set(receipts))
    assert len(receipts) == SALES
    assert shop.day()["card_fen"] - before["card_fen"] == SALES * 1000
