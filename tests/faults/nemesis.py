"""F31: a random schedule of faults, drawn from a seed alone, under load from all clerks."""

import json
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

from pomona_console.layout import SERVICES

from .lab import Lab, Overdue
from .machinery import broker_away, ctl
from .matrix_events import disordered
from .matrix_servers import behind, locked
from .proxy import Proxy
from .terminals import EVERYTHING
from .trial import Trial

PLACES = (
    *((service, place) for service in ("orders", "inventory", "aftersales") for place in (
        "command.before_load",
        "commit.before",
        "commit.after",
        "reply.before_ack",
        "relay.selected",
        "relay.publishing",
        "relay.published",
        "relay.confirmed",
        "inbox.before_ack",
    )),
    ("analytics", "inbox.before_ack"),
    ("analytics", "batch.before_commit"),
)  # fmt: skip
WEIGHTS = {
    "failpoint": 10,
    "kill_service": 5,
    "pause_service": 3,
    "kill_broker": 2,
    "pause_broker": 2,
    "broker_away": 2,
    "close_connections": 3,
    "kill_database": 2,
    "pause_database": 2,
    "terminate_backends": 3,
    "hold_lock": 2,
    "disorder": 3,
    "reset_lines": 3,
    "slow_lines": 2,
    "swallow_lines": 2,
}


@dataclass(frozen=True)
class Blow:
    """One injection: when, in seconds after the start, what, and with which figures."""

    at: float
    what: str
    target: str = ""
    place: str = ""
    seconds: float = 0.0


def schedule(seed: int, minutes: float) -> list[Blow]:
    """Draw the same blows from the same seed, on every machine."""
    dice = random.Random(f"nemesis {seed}")
    blows = []
    at = 3.0
    while at < minutes * 60:
        what = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        service, place = dice.choice(PLACES)
        target = service if what == "failpoint" else dice.choice(SERVICES)
        seconds = round(dice.uniform(1, 12), 1)
        blows.append(
            Blow(round(at, 1), what, target, place if what == "failpoint" else "", seconds)
        )
        at += dice.uniform(1, 10)
    return blows


class Nemesis:
    """Strikes by a schedule; each kind of blow is a method."""

    def __init__(self, lab: Lab, lines: Proxy, tell: Callable[[str], None]) -> None:
        self._lab = lab
        self._lines = lines
        self._tell = tell
        self._blows: Mapping[str, Callable[[Blow], Any]] = {
            name: getattr(self, f"_{name}") for name in WEIGHTS
        }
        self.struck: list[dict[str, Any]] = []

    def strike(self, blows: list[Blow]) -> None:
        """Strike all blows in order, each not before its time."""
        started = time.monotonic()
        for blow in blows:
            time.sleep(max(0.0, started + blow.at - time.monotonic()))
            self._tell(f"{blow.at:.0f} s {blow.what} {blow.target} {blow.place}")
            line = {**asdict(blow), "struck_at": round(time.monotonic() - started, 1)}
            try:
                self._blows[blow.what](blow)
            except (Overdue, psycopg.Error, RuntimeError, OSError) as missed:
                line["missed"] = f"{type(missed).__name__}: {missed}"[:200]
            self.struck.append(line)

    def _failpoint(self, blow: Blow) -> None:
        # where nothing comes by in time, the next service that does dies at it
        with suppress(Overdue):
            self._lab.killed_at(blow.target, blow.place, seconds=blow.seconds)

    def _kill_service(self, blow: Blow) -> None:
        self._lab.kill(blow.target)

    def _pause_service(self, blow: Blow) -> None:
        with self._lab.paused(blow.target):
            time.sleep(blow.seconds)

    def _kill_broker(self, _blow: Blow) -> None:
        self._lab.kill("amqp")

    def _pause_broker(self, blow: Blow) -> None:
        with self._lab.paused("amqp"):
            time.sleep(blow.seconds)

    def _broker_away(self, blow: Blow) -> None:
        with broker_away(self._lab):
            time.sleep(blow.seconds)

    def _close_connections(self, _blow: Blow) -> None:
        ctl(self._lab, "close_all_connections", "nemesis")

    def _kill_database(self, _blow: Blow) -> None:
        self._lab.kill("postgres")

    def _pause_database(self, blow: Blow) -> None:
        with self._lab.paused("postgres"):
            time.sleep(blow.seconds)

    def _terminate_backends(self, _blow: Blow) -> None:
        with psycopg.connect(self._lab.stack.admin_dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    def _hold_lock(self, blow: Blow) -> None:
        service = blow.target if blow.target != "analytics" else "orders"
        with locked(self._lab, service):
            time.sleep(blow.seconds)

    def _disorder(self, blow: Blow) -> None:
        with disordered(self._lab, "inventory", "orders"):
            time.sleep(blow.seconds)

    def _reset_lines(self, _blow: Blow) -> None:
        self._lines.reset_all()

    def _slow_lines(self, blow: Blow) -> None:
        self._lines.delay = 0.2
        time.sleep(blow.seconds)
        self._lines.heal()

    def _swallow_lines(self, blow: Blow) -> None:
        self._lines.swallows = True
        time.sleep(blow.seconds)
        self._lines.heal()
        self._lines.reset_all()  # half of a frame is lost


def run(trial: Trial, seed: int, minutes: float) -> None:
    """Strike under load, and write down schedule and histories so that the seed can be replayed."""
    lab = trial.lab
    blows = schedule(seed, minutes)
    kept = lab.directory / f"nemesis-{seed}.json"
    broker = urlsplit(lab.stack.amqp_uri)
    with (
        Proxy(str(broker.hostname), broker.port or 0) as lines,
        lab.load(actions=EVERYTHING, stack=behind(lab.stack, lines.port)) as load,
    ):
        nemesis = Nemesis(lab, lines, trial.tell)
        load.goes_on()
        try:
            nemesis.strike(blows)
            lab.disarm()
            lab.ready(180)
            load.goes_on(more=20, seconds=180)
        finally:
            kept.write_text(json.dumps(nemesis.struck, indent=1))
    trial.runs = len(blows)
    trial.judge(load, counted=False)
    trial.figures |= {"seed": seed, "minutes": minutes, "schedule": str(kept)}
