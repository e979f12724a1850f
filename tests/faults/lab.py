"""A running chain to be hurt: load on it, failpoints in it, and a judgement afterwards."""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from psycopg import Error

from pomona.errors import Refused, Unavailable
from pomona_console.layout import SERVICES
from pomona_console.probes import is_ready
from pomona_console.stack import Stack, temporary_stack, terminal_for
from pomona_console.trouble import Trouble
from pomona_console.verify_positions import wait_until_caught_up

from . import invariants
from .history import Sent, read
from .oracle import Findings, judged
from .shop import TILLS_OF_THE_CHAIN, clerk_at, open_chain
from .stores import WRITERS, commands_of
from .terminals import SALES, VirtualTerminal

RESENT = 25  # of the acknowledged commands; of the unknown ones, all


class Overdue(Exception):  # noqa: N818 - a property of what was waited for
    """Something that was waited for has not come."""


def eventually(holds: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Return the first true value of `holds()`. Raises `Overdue`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError, Unavailable, psutil.NoSuchProcess, Error):
            value = holds()
            if value:
                return value
        time.sleep(0.02)
    raise Overdue(f"{what}: not within {seconds:g} s")


@dataclass
class Load:
    """Terminals at work; their histories stay when they stop."""

    directory: Path
    clerks: list[VirtualTerminal]

    @property
    def acked(self) -> int:
        return sum(clerk.acked for clerk in self.clerks)

    @property
    def undecided(self) -> int:
        return sum(clerk.undecided for clerk in self.clerks)

    @property
    def refused(self) -> int:
        return sum(clerk.refused for clerk in self.clerks)

    @property
    def histories(self) -> list[Path]:
        return sorted(self.directory.glob("clerk-*.jsonl"))

    def goes_on(self, *, more: int = 5, seconds: float = 120.0) -> None:
        """Wait until this many commands more have been acknowledged."""
        wanted = self.acked + more
        eventually(lambda: self.acked >= wanted or self._crashed(), "acknowledgements", seconds)

    def answered_after(self, moment: float, service: str = "orders") -> bool:
        """Say whether a command of the service was acknowledged since a monotonic moment."""
        return any(clerk.last_ack.get(service, 0.0) > moment for clerk in self.clerks)

    def slowest(self, share: float, since: float = 0.0) -> float:
        """Return within how many seconds a share of the acknowledged calls was answered."""
        took = sorted(took for clerk in self.clerks for at, took in clerk.took if at >= since)
        return took[int(share * (len(took) - 1))] if took else 0.0

    @property
    def longest(self) -> float:
        """How long any call kept its clerk waiting, answered or not."""
        return max(clerk.longest for clerk in self.clerks)

    def stop(self) -> None:
        for clerk in self.clerks:
            clerk.stop()
        for clerk in self.clerks:
            clerk.join(60)
        self._crashed()

    def _crashed(self) -> bool:
        for clerk in self.clerks:
            if clerk.crashed is not None:
                raise clerk.crashed
        return False


@dataclass
class Judgement:
    """What the oracle found and which invariants are broken."""

    findings: Findings
    broken: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.findings.clean and not self.broken


class Lab:
    """The stack, the directory whose files arm failpoints, and everything a fault needs."""

    def __init__(self, stack: Stack, directory: Path, failpoints: Path, seed: str) -> None:
        self._stack = stack
        self.directory = directory
        self.seed = seed
        self.dead_letters = 0
        self._failpoints = failpoints
        self._loads = 0
        self._known: set[UUID] = set()
        self._restarts: Counter[str] = Counter()

    @property
    def stack(self) -> Stack:
        """The stack as it is now: pids change."""
        with suppress(Trouble):
            self._stack = self._stack.refreshed()
        return self._stack

    def pid(self, name: str) -> int:
        """Return the pid of a service, of `amqp` or of `postgres`; waits while there is none."""

        def found() -> int | None:
            state = self.stack.state
            entry = state[name] if name in ("amqp", "postgres") else self.stack.service(name)
            pid: int | None = entry["pid"]
            return pid if pid and _lives(pid) else None

        return int(eventually(found, f"a pid of {name}"))

    # -- hurting

    def kill(self, name: str) -> float:
        """Kill a service, the broker or the database as by `kill -9`; return when."""
        pid = self.pid(name)
        if name == "postgres":
            for child in psutil.Process(pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        eventually(lambda: self.pid(name) != pid, f"{name} started again")
        if name in SERVICES:
            self._restarts[name] += 1
        return killed

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stop a process as by `kill -STOP` for the block."""
        process = psutil.Process(self.pid(name))
        family = [process, *(process.children(recursive=True) if name == "postgres" else ())]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.suspend()
        try:
            yield
        finally:
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.resume()

    def arm(self, service: str, place: str, order: str = "kill") -> Path:
        """Arm a failpoint of a running service, at once."""
        file = self._failpoints / f"{service}.{place}"
        fresh = self._failpoints / "fresh"
        fresh.write_text(order)
        fresh.rename(file)
        return file

    def disarm(self) -> None:
        for file in self._failpoints.iterdir():
            file.unlink()

    def killed_at(self, service: str, place: str, seconds: float = 60.0) -> float:
        """Wait until a service has died at a place; return when it was noticed."""
        pid = self.pid(service)
        file = self.arm(service, place)
        eventually(lambda: not file.exists() and not _lives(pid), f"{service} at {place}", seconds)
        self._restarts[service] += 1
        return time.monotonic()

    def expect_restart(self, service: str) -> None:
        """Count a restart that somebody else has caused."""
        self._restarts[service] += 1

    # -- loading and judging

    @contextmanager
    def load(
        self,
        *,
        clerks: int = 4,
        actions: Sequence[str] = SALES,
        stack: Stack | None = None,
        **more: Any,
    ) -> Iterator[Load]:
        """Have clerks work through the block."""
        self._loads += 1
        directory = self.directory / f"load-{self._loads}"
        directory.mkdir(parents=True)
        seed = f"{self.seed} {self._loads}"
        terminals = [
            VirtualTerminal(
                stack or self.stack, till, directory, seed=seed, actions=actions, **more
            )
            for till in TILLS_OF_THE_CHAIN[:clerks]
        ]
        load = Load(directory, terminals)
        for terminal in terminals:
            terminal.start()
        try:
            yield load
        finally:
            load.stop()

    def ready(self, seconds: float = 120.0) -> None:
        """Wait until every service is ready."""
        for service in SERVICES:
            eventually(
                lambda name=service: is_ready(self.stack.service(name)["http_port"]),  # type: ignore[misc]
                f"{service} ready",
                seconds,
            )

    def settle(self) -> None:
        """Wait, by positions, until nothing is under way any more."""
        self.ready()
        with terminal_for(self.stack, role="head_office", person="faults") as office:
            ask = partial(office.ask, patience=60)
            # an event that came before another that it builds on waits for its next try
            with suppress(Overdue):
                eventually(
                    lambda: not any(wait_until_caught_up(ask).parked.values()),
                    "none set aside",
                    150,
                )

    def judge(self, *loads: Load, counted: bool = True) -> Judgement:
        """Resend what was left open, wait for quiet, and compare everything (I1 to I7)."""
        self.settle()
        sent = read(path for load in loads for path in load.histories)
        repeated = list(self._resend(sent))
        self.settle()
        findings = judged(self.stack, sent, self._known)
        self._known |= sent.keys()
        broken = [
            *repeated,
            *invariants.broken(
                self.stack,
                restarts=dict(self._restarts) if counted else None,
                dead_letters=self.dead_letters,
            ),
        ]
        if not counted:
            self.count_restarts()
        return Judgement(findings, broken)

    def count_restarts(self) -> None:
        """Take the restarts so far as expected."""
        self._restarts = Counter({s["name"]: s["restarts"] for s in self.stack.services})

    def remember_strangers(self) -> None:
        """Take what is stored so far as sent by somebody who keeps no history."""
        for service in WRITERS:
            self._known |= commands_of(self.stack, service).keys()

    def _resend(self, sent: dict[UUID, Sent]) -> Iterator[str]:
        """I2: a command sent again under its id is answered as before."""
        stored: dict[UUID, Any] = {}
        for service in WRITERS:
            stored |= commands_of(self.stack, service)
        acked = [command for command in sent.values() if command.fate == "acked"]
        unknown = [command for command in sent.values() if command.fate == "unknown"]
        for command in [*unknown, *acked[-RESENT:]]:
            with clerk_at(self.stack, TILLS_OF_THE_CHAIN[command.till]) as clerk:
                for _ in range(2):
                    try:
                        answer = clerk.command(
                            command.service,
                            command.method,
                            command.request,
                            command_id=command.id,
                            patience=60,
                        )
                    except Refused as refused:
                        if command.id in stored:
                            yield f"I2 {command.method} {command.id}: {refused.code}"
                        break
                    if stored.setdefault(command.id, answer) != answer:
                        yield f"I2 {command.method} {command.id}: another answer"


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def open_lab(directory: Path, seed: str) -> Iterator[Lab]:
    """Start a stack of our own whose services obey failpoints, and open the chain in it."""
    failpoints = directory / "failpoints"
    shutil.rmtree(directory, ignore_errors=True)
    failpoints.mkdir(parents=True)
    before = os.environ.get("POMONA_FAILPOINTS")
    os.environ["POMONA_FAILPOINTS"] = str(failpoints)
    try:
        with temporary_stack(directory / "stack") as stack:
            open_chain(stack)
            lab = Lab(stack, directory, failpoints, seed)
            lab.settle()
            lab.remember_strangers()
            yield lab
    finally:
        if before is None:
            del os.environ["POMONA_FAILPOINTS"]
        else:
            os.environ["POMONA_FAILPOINTS"] = before
