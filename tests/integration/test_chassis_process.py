"""A service process: no query stops the others, and SIGTERM ends it in time, broker or not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from pomona_console.stack import Stack, temporary_stack, terminal_for

from .raw_caller import eventually, metric

pytestmark = pytest.mark.integration

STOPS_WITHIN = 25.0
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


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with temporary_stack(tmp_path_factory.mktemp("own"), services=("orders",)) as running:
        yield running


def cooperates(dsn: str, told: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COOPERATES, dsn, told],
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


def test_an_idle_service_stops_at_once(own):
    assert stopped_after(own.service("orders")["pid"]) < STOPS_WITHIN

    restarted(own, 1)


@pytest.mark.feature("SYS-03")
def test_a_terminal_that_had_nothing_to_ask_notices_no_restart_of_the_broker(own):
    with terminal_for(own, role="head_office") as terminal:
        terminal.ask("orders", "list_stores", patience=20)
        os.kill(own.state["amqp"]["pid"], signal.SIGKILL)
        eventually(lambda: own.refreshed().state["amqp"]["restarts"] == 1)
        with terminal_for(own, role="head_office") as other:
            other.ask("orders", "list_stores", timeout=2, patience=60)

        assert terminal.ask("orders", "list_stores") == {"stores": []}


@pytest.mark.feature("SYS-03")
def test_a_service_stops_although_the_broker_answers_nothing(own):
    pid = restarted(own, 1)["pid"]
    broker = own.refreshed().state["amqp"]["pid"]
    os.kill(broker, signal.SIGSTOP)
    try:
        assert stopped_after(pid) < STOPS_WITHIN
    finally:
        os.kill(broker, signal.SIGCONT)
