"""A service process goes on, or ends in time, whatever happens to its broker and its callers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from tests.integration.raw_caller import eventually, metric

from pomona.errors import Refused, Unavailable
from pomona.identity import SKEW
from pomona_console.stack import Stack, temporary_stack, terminal_for

pytestmark = pytest.mark.integration

STOPS_WITHIN = 25.0
RECOVERS_WITHIN = 30.0
COOPERATES = """
import os, sys
if sys.argv[2] == "told":
    from pomona import run
else:
    import eventlet
    eventlet.monkey_patch()
    os.environ.pop("PSYCOPG_WAIT_FUNC", None)
    import psycopg
    from pomona import run
import eventlet, psycopg, time
from types import SimpleNamespace

def sleep():
    with psycopg.connect(sys.argv[1]) as connection:
        connection.execute("SELECT pg_sleep(0.4)")

started = time.monotonic()
sleepers = [eventlet.spawn(sleep) for _ in range(5)]
for sleeper in sleepers:
    sleeper.wait()
print(time.monotonic() - started)
run.assert_cooperative(SimpleNamespace(database=sys.argv[1]))
print("cooperative")
"""


STARVED = """
import sys
from pomona import run
import eventlet.patcher, psycopg
from types import SimpleNamespace

execute, stalls = psycopg.Connection.execute, [0.2, 0.2]

def slow_at_first(*given):
    if not stalls:
        return execute(*given)
    eventlet.patcher.original("time").sleep(stalls.pop())

psycopg.Connection.execute = slow_at_first
run.assert_cooperative(SimpleNamespace(database=sys.argv[1]))
print("cooperative")
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    armed = tmp_path_factory.mktemp("armed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POMONA_FAILPOINTS", str(armed))
        with temporary_stack(tmp_path_factory.mktemp("own"), services=("orders",)) as running:
            yield running


@contextmanager
def slow_commands(seconds: float) -> Iterator[None]:
    """Let every command of orders take so long, for the block."""
    order = Path(os.environ["POMONA_FAILPOINTS"], "orders.command.before_load")
    order.write_text(f"sleep {seconds}")
    try:
        yield
    finally:
        order.unlink()


def rabbitmqctl(stack: Stack, *command: str) -> None:
    given = psutil.Process(stack.refreshed().state["amqp"]["pid"]).environ()
    subprocess.run(
        ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-n", given["RABBITMQ_NODENAME"], *command],
        env=given,
        check=True,
        capture_output=True,
        timeout=120,
    )


def a_store() -> dict[str, str]:
    code = f"S{uuid4().hex[:8].upper()}"
    where = {"zone": "Asia/Shanghai", "cut_off": "04:00"}
    return {"store_id": str(uuid4()), "code": code, "name": "东湖店", **where}


def in_its_last_minute(timeout: float) -> dict[str, str]:
    """Return a command whose expiry and the grace after it end when its caller gives up."""
    expires_at = datetime.now(UTC) + timedelta(seconds=timeout) - SKEW
    return {**a_store(), "command_id": str(uuid4()), "expires_at": expires_at.isoformat()}


def stores(stack: Stack) -> list[str]:
    with terminal_for(stack, role="head_office") as office:
        answer = office.ask("orders", "list_stores", timeout=2, patience=90)
    return [store["store_id"] for store in answer["stores"]]


def gives_up(stack: Stack, after: float) -> str:
    with terminal_for(stack, role="head_office") as office:
        try:
            office.ask("orders", "list_stores", timeout=after)
        except (Unavailable, Refused):
            return "gave up"
    return "answered"


def late(stack: Stack) -> float:
    counted = {"method": "open_store", "outcome": "timeout"}
    return metric(stack.refreshed(), "orders", "pomona_rpc_requests_total", **counted)


def in_hand(stack: Stack) -> float:
    return metric(stack.refreshed(), "orders", "pomona_rpc_in_progress")


def cooperates(dsn: str, told: str, script: str = COOPERATES) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, dsn, told],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_queries_wait_side_by_side(servers):
    done = cooperates(servers.admin_dsn, "told")

    assert done.returncode == 0, done.stderr
    seconds, said = done.stdout.splitlines()
    assert float(seconds) < 5 * 0.4
    assert said == "cooperative"


def test_a_process_that_is_starved_for_a_moment_starts_all_the_same(servers):
    done = cooperates(servers.admin_dsn, "", STARVED)

    assert done.stdout == "cooperative\n", done.stderr


def test_a_process_whose_queries_would_stop_all_others_refuses_to_start(servers):
    done = cooperates(servers.admin_dsn, "not told")

    assert float(done.stdout.splitlines()[0]) >= 5 * 0.4
    assert done.returncode != 0
    assert "PSYCOPG_WAIT_FUNC came too late" in done.stderr


def stopped_after(pid: int) -> float:
    """Ask a process to stop and return how long that took."""
    process = psutil.Process(pid)
    started = time.monotonic()
    process.terminate()
    eventually(lambda: ended(process), seconds=2 * STOPS_WITHIN)
    return time.monotonic() - started


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def restarted(stack: Stack, restarts: int) -> dict:
    """Wait until the supervisor has started orders again and it takes calls."""
    eventually(lambda: stack.refreshed().service("orders")["restarts"] == restarts)

    def connected() -> bool:
        try:
            return metric(stack.refreshed(), "orders", "pomona_amqp_connected", purpose="rpc") == 1
        except OSError:
            return False

    eventually(connected, seconds=60)
    return stack.refreshed().service("orders")


def test_work_that_passes_its_deadline_ends_and_frees_its_worker(own):
    before, store = late(own), a_store()
    with slow_commands(60), terminal_for(own, role="head_office") as office:
        started = time.monotonic()
        with pytest.raises((Unavailable, Refused)):
            office.command("orders", "open_store", store, timeout=2)
        assert time.monotonic() - started < 2 + 1

        eventually(lambda: late(own) == before + 1)
        assert in_hand(own) == 0

    assert store["store_id"] not in stores(own)


def test_calls_that_ran_out_of_time_waiting_for_the_database_cost_it_no_connection(own):
    stores(own)
    postgres = psutil.Process(own.refreshed().state["postgres"]["pid"])
    halted = [postgres, *postgres.children(recursive=True)]
    for process in halted:
        process.suspend()
    try:
        with ThreadPoolExecutor(24) as callers:
            outcomes = list(callers.map(lambda _: gives_up(own, after=2.0), range(48)))
    finally:
        for process in halted:
            process.resume()

    assert set(outcomes) == {"gave up"}
    began = time.monotonic()
    stores(own)
    assert time.monotonic() - began < RECOVERS_WITHIN


def test_callers_that_vanish_hold_no_worker(own):
    before = late(own)
    with slow_commands(60):
        for _ in range(30):  # three times as many as there are workers
            gone = terminal_for(own, role="head_office")
            own_id = {"command_id": str(uuid4()), "expires_at": "2099-01-01T00:00:00+00:00"}
            gone.send("orders", "open_store", {**a_store(), **own_id}, timeout=3)
            gone.close()

        eventually(lambda: in_hand(own) == 0 and late(own) > before)
    assert isinstance(stores(own), list)


@pytest.mark.feature("SYS-03")
def test_a_restart_of_the_broker_with_calls_in_flight_ends_no_service(own):
    service, store = own.refreshed().service("orders"), a_store()
    restarts = own.refreshed().state["amqp"]["restarts"]
    with terminal_for(own, role="head_office") as office, ThreadPoolExecutor(1) as caller:
        with slow_commands(2):
            answer = caller.submit(office.command, "orders", "open_store", store, patience=90)
            eventually(lambda: in_hand(own) == 1)
            os.kill(own.refreshed().state["amqp"]["pid"], signal.SIGKILL)
            eventually(lambda: own.refreshed().state["amqp"]["restarts"] == restarts + 1)
        assert answer.result() == {"store_id": store["store_id"]}

    assert own.refreshed().service("orders")["pid"] == service["pid"]
    assert stores(own).count(store["store_id"]) == 1


@pytest.mark.feature("SYS-03")
def test_while_the_broker_takes_nothing_no_caller_waits_longer_than_it_said(own):
    before = set(stores(own))
    rabbitmqctl(own, "set_disk_free_limit", "100000000000000")
    try:
        with terminal_for(own, role="head_office") as office:
            for _ in range(3):
                started = time.monotonic()
                with pytest.raises(Unavailable):
                    office.call("orders", "open_store", in_its_last_minute(2), timeout=2)
                assert time.monotonic() - started < 2 + 1
    finally:
        rabbitmqctl(own, "set_disk_free_limit", "50000000")

    kept = a_store()
    with terminal_for(own, role="head_office") as office:
        office.command("orders", "open_store", kept, timeout=5, patience=60)
    # what was given up on, and its minute of grace over, is not carried out later
    assert set(stores(own)) == before | {kept["store_id"]}


def test_a_queue_that_an_operator_deleted_is_declared_again(own):
    pid = own.refreshed().service("orders")["pid"]
    rabbitmqctl(own, "delete_queue", "-p", "pomona", "rpc-orders")

    assert isinstance(stores(own), list)
    assert own.refreshed().service("orders")["pid"] == pid


def test_an_inbox_whose_queue_the_broker_has_lost_makes_it_anew(own):
    def connected() -> float:
        return metric(own, "orders", "pomona_amqp_connected", purpose="inbox.aftersales")

    eventually(lambda: connected() == 1)
    lost = "{'pomona_orders.from.aftersales', node()}"
    rabbitmqctl(own, "eval", f"ra:force_delete_server(quorum_queues, {lost}).")
    rabbitmqctl(own, "close_all_connections", "--vhost", "pomona", "as after a restart")
    eventually(lambda: connected() == 0)

    eventually(lambda: connected() == 1, seconds=60)


def test_two_services_never_share_a_port(own):
    service = own.refreshed().service("orders")
    second = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "pomona.run", "orders"],
        env=psutil.Process(service["pid"]).environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert second.returncode != 0
    assert "Address already in use" in second.stderr
    assert own.refreshed().service("orders")["pid"] == service["pid"]


def test_calls_in_flight_are_answered_before_a_service_stops(own):
    service, store = own.refreshed().service("orders"), a_store()
    with terminal_for(own, role="head_office") as office, ThreadPoolExecutor(1) as caller:
        with slow_commands(3):
            answer = caller.submit(office.command, "orders", "open_store", store)
            eventually(lambda: in_hand(own) == 1)
            assert stopped_after(service["pid"]) < STOPS_WITHIN
        assert answer.result(1) == {"store_id": store["store_id"]}

    restarted(own, service["restarts"] + 1)


def test_an_idle_service_stops_at_once(own):
    service = own.refreshed().service("orders")

    assert stopped_after(service["pid"]) < STOPS_WITHIN

    restarted(own, service["restarts"] + 1)


@pytest.mark.feature("SYS-03")
def test_a_terminal_that_had_nothing_to_ask_notices_no_restart_of_the_broker(own):
    with terminal_for(own, role="head_office") as terminal:
        terminal.ask("orders", "list_stores", patience=20)
        broker = own.refreshed().state["amqp"]
        os.kill(broker["pid"], signal.SIGKILL)
        eventually(lambda: own.refreshed().state["amqp"]["restarts"] == broker["restarts"] + 1)
        with terminal_for(own, role="head_office") as other:
            other.ask("orders", "list_stores", timeout=2, patience=60)

        assert "stores" in terminal.ask("orders", "list_stores")


@pytest.mark.feature("SYS-03")
def test_a_service_stops_although_the_broker_answers_nothing(own):
    pid = restarted(own, own.refreshed().service("orders")["restarts"])["pid"]
    broker = own.refreshed().state["amqp"]["pid"]
    os.kill(broker, signal.SIGSTOP)
    try:
        assert stopped_after(pid) < STOPS_WITHIN
    finally:
        os.kill(broker, signal.SIGCONT)
