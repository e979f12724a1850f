"""Starts child processes that do not outlive us, and stops processes within a bound."""

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 2.0
STEADY_AFTER = 15.0


def adopt_orphans() -> None:
    """Make what our children leave behind ours to reap, as pid 1 would."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def spawn(
    command: list[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    user: str | None = None,
    directory: Path = Path("/"),
    signal_when_we_die: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a child in our session; on Linux the kernel signals it when we die, however we die."""
    parent = os.getpid()

    def follow_the_parent() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal_when_we_die)
        if os.getppid() != parent:
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the commands are ours
            command,
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # The kernel forgets the signal when the user changes, so the user changes first.
            user=user,
            group=user,
            extra_groups=[] if user else None,
            preexec_fn=follow_the_parent,  # noqa: PLW1509 - the supervisor has one thread
        )


@dataclass
class Child:
    """A process that is started again whenever it dies, after a pause that grows."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    _started: float = 0.0
    _pause: float = FIRST_PAUSE
    _again_at: float | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def launch(self) -> None:
        self._again_at = None
        self._started = time.monotonic()
        self.process = self.start()

    def keep_alive(self) -> bool:
        """Start it again if it died and its pause is over; say whether anything changed."""
        now = time.monotonic()
        if self.process is None or self.process.poll() is None:
            return False
        if self._again_at is None:
            if now - self._started > STEADY_AFTER:
                self._pause = FIRST_PAUSE
            self._again_at = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            return True
        if now < self._again_at:
            return False
        self.restarts += 1
        self.launch()
        return True


def stop(children: Iterable[Child], patience: float) -> None:
    """Ask all of them to stop, wait, and kill what is left when patience ends."""
    running = [child for child in children if child.pid is not None]
    for child in running:
        if child.process is not None:
            child.process.send_signal(child.stop_signal)
    deadline = time.monotonic() + patience
    for child in running:
        if child.process is None:
            continue
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def end(processes: Iterable[psutil.Process], patience: float) -> None:
    """Stop processes that are not our children in the same way: ask, wait, kill."""
    alive = [process for process in processes if process.is_running()]
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(alive, timeout=patience)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


@dataclass(frozen=True)
class Ports:
    """Free TCP ports, remembered so that everything comes back where it was."""

    taken: dict[str, int] = field(default_factory=dict)

    def of(self, name: str) -> int:
        port = self.taken.get(name)
        if port is None or not _is_free(port):
            port = self._any_free_port()
        self.taken[name] = port
        return port

    def _any_free_port(self) -> int:
        # Below the range from which the kernel draws ports for outgoing connections: one of those
        # could take a port while its owner is being started again.
        candidates = random.SystemRandom().sample(range(20_000, 32_000), 200)
        return next(p for p in candidates if p not in self.taken.values() and _is_free(p))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
