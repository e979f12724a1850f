"""Faults of the matrix that hurt service processes: stalls, wrong clocks, replicas, deploys."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from pomona.terminal import Terminal

from .lab import Lab, eventually
from .machinery import broker_away, metric, replica
from .matrix_events import relayed
from .shop import TILLS_OF_THE_CHAIN, clerk_at
from .stores import reading
from .terminals import EVERYTHING
from .trial import Trial, Unavailing, fault

TILL = """
import sys
from pathlib import Path
from uuid import uuid4
from pomona.errors import Refused
from pomona_console.stack import running_stack
from tests.faults.shop import FRUITS, TILLS_OF_THE_CHAIN, clerk_at, delivery

lot = uuid4()
with clerk_at(running_stack(Path(sys.argv[1])), TILLS_OF_THE_CHAIN[0]) as clerk:
    try:
        clerk.command("inventory", "receive_goods", delivery(lot, FRUITS[0], 10), command_id=lot)
    except Refused as refused:
        print(refused.code)
    else:
        print("ok")
"""
EXIT_SECONDS = 25.0
DAY = 86_400
FAKED_CLOCK = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
)


@fault("F18", "the event loop of a service stands still")
def stop_the_loop(trial: Trial) -> None:
    lab = trial.lab
    stalled = trial.lasting(90, least=6)
    with lab.load(actions=EVERYTHING) as load:
        load.goes_on(more=50)
        with clerk_at(lab.stack, TILLS_OF_THE_CHAIN[0]) as clerk:
            calm = _slowest_question(clerk, 3.0)
            with lab.paused("orders"):
                trial.figure("p99_of_another_service_calm_s", calm)
                busy = _slowest_question(clerk, stalled)
                trial.figure("p99_of_another_service_s", busy, at_most=max(2 * calm, 0.1))
        port = lab.stack.service("orders")["http_port"]
        eventually(lambda: metric(port, "pomona_hub_lag_seconds") > 1, "a metric that shows it", 20)
        back = time.monotonic()
        eventually(lambda: load.answered_after(back), "an answer")
        trial.back(time.monotonic() - back, within=30)
        trial.ran()
    trial.judge(load)


@fault("F19", "the clock of one process or one till is wrong")
def set_the_clock(trial: Trial) -> None:
    lab = trial.lab
    library = next((name for name in FAKED_CLOCK if Path(name).exists()), None)
    if library is None:
        raise Unavailing("libfaketime is not installed (Debian package faketime)")
    # a minute of difference is forgiven; beyond, commands have expired or tokens are of the future
    for offset, wanted in ((-50, "ok"), (50, "ok"), (-120, "expired"), (120, "unauthenticated")):
        answer = _till_with(lab, _clock(library, offset))
        trial.that(answer == wanted, f"a till {offset:+d} s off was answered {answer}")
        trial.ran(f"till {offset:+d} s")
    lab.remember_strangers()
    with lab.load(actions=EVERYTHING) as load:
        load.goes_on()
        for offset in (2 * DAY, -2 * DAY, -10):
            for service in ("orders", "inventory"):
                with replica(lab, service, **_clock(library, offset)):
                    load.goes_on(more=40)
                    trial.ran(f"{service} {offset:+d} s")
    trial.figure("calls_refused_by_wrong_clocks", load.refused)
    trial.judge(load)


@fault("F23", "a rolling deploy under load, and SIGTERM idle and without a broker")
def deploy(trial: Trial) -> None:
    lab = trial.lab
    for round_ in range(trial.times(3)):
        with replica(lab, "orders") as other, lab.load() as load:
            load.goes_on(more=20)
            trial.figure("supervised_exit_s", stopped(lab, "orders"), at_most=EXIT_SECONDS)
            lab.ready()
            load.goes_on(more=20)
            trial.figure("replica_exit_s", _exit_of(other.process.pid), at_most=EXIT_SECONDS)
            load.goes_on(more=20)
        trial.that(load.undecided == 0, f"{load.undecided} calls had no answer")
        trial.that(load.refused == 0, f"{load.refused} calls were refused")
        trial.judge(load)
        trial.ran(f"round {round_ + 1}")
    trial.figure("idle_exit_s", stopped(lab, "crm"), at_most=EXIT_SECONDS)
    lab.ready()
    with replica(lab, "crm") as other, broker_away(lab):
        seconds = _exit_of(other.process.pid)
        trial.figure("exit_without_broker_s", seconds, at_most=EXIT_SECONDS)
    trial.judge()


@fault("F27", "two replicas of the services that have a relay, inboxes and timers")
def run_two(trial: Trial) -> None:
    lab = trial.lab
    with replica(lab, "orders"), replica(lab, "inventory"), lab.load(actions=EVERYTHING) as load:
        load.goes_on(more=50)
        for _ in range(trial.times(5)):
            trial.figure("relays_that_lead", leaders(lab, "orders"), at_most=1)
            before = relayed(lab, "orders")
            killed = lab.kill("orders")
            eventually(lambda: relayed(lab, "orders") > before, "a relay goes on")  # noqa: B023 - called at once
            trial.back(time.monotonic() - killed, within=30)
            lab.ready()
            load.goes_on(more=20)
            trial.ran()
    trial.judge(load)


def leaders(lab: Lab, service: str) -> int:
    """Count who holds the lock of a service's relay."""
    with reading(lab.stack, service) as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE locktype = 'advisory' AND granted AND d.datname = current_database()"
            " AND objid::bigint = hashtext('pomona.relay') & 4294967295::bigint"
        )
        found = cursor.fetchone()
    return int(found["count"]) if found else 0


def stopped(lab: Lab, service: str) -> float:
    """Ask the supervised process to stop, as a deploy does; return how long that took."""
    seconds = _exit_of(lab.pid(service))
    lab.expect_restart(service)
    return seconds


def _exit_of(pid: int) -> float:
    process = psutil.Process(pid)
    started = time.monotonic()
    process.terminate()
    eventually(
        lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE,
        "the exit",
        2 * EXIT_SECONDS,
    )
    return time.monotonic() - started


def _clock(library: str, offset: int) -> dict[str, str]:
    """Return the environment in which a process believes it is so many seconds later."""
    return {
        "LD_PRELOAD": library,
        "FAKETIME": f"{offset:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def _till_with(lab: Lab, environment: dict[str, str]) -> str:
    """Send a command from a till of its own process; return how it was answered."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TILL, str(lab.stack.layout.directory)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip()[-200:]


def _slowest_question(clerk: Terminal, seconds: float) -> float:
    """Return the p99 of questions to inventory asked for so long."""
    took = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        started = time.monotonic()
        clerk.ask("inventory", "positions")
        took.append(time.monotonic() - started)
        time.sleep(0.02)
    return sorted(took)[int(0.99 * (len(took) - 1))]
