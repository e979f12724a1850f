"""The stack as the rest of the console sees it: start it, find it, talk to it, stop it."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import psutil

from pomona.contracts import Role
from pomona.identity import Actor, issue
from pomona.signing import keys_in, signer_of
from pomona.terminal import Terminal
from pomona_console.layout import SERVICES, Layout, read_json
from pomona_console.supervisor import ANOTHER_RUNS, end_what_a_killed_supervisor_left
from pomona_console.trouble import Trouble

_LOOK_EVERY = 0.1
_STARTED_WITHIN = 600.0
_ANOTHER_COMES_WITHIN = 30.0
_STOPPED_WITHIN = 90.0
_TOKEN_LASTS = timedelta(hours=12)

Tell = Callable[[str], None]
"""Told each phase of a start: servers, databases, services, running."""


def _quietly(phase: str) -> None:
    pass


@dataclass(frozen=True)
class Stack:
    """A running stack, as its supervisor last wrote it down."""

    layout: Layout
    state: Mapping[str, Any]

    @property
    def amqp_uri(self) -> str:
        return str(self.state["amqp"]["uri"])

    @property
    def rabbitmq_api(self) -> str:
        """Return where RabbitMQ's management API is, with the operator's account."""
        return str(self.state["amqp"]["api"])

    @property
    def databases(self) -> Mapping[str, str]:
        """DSNs by service name, and `reporting` for the role that only reads reports."""
        databases: Mapping[str, str] = self.state["databases"]
        return databases

    @property
    def keys(self) -> Mapping[str, str]:
        """DSNs of the databases of keys, by the service that knows the people."""
        keys: Mapping[str, str] = self.state["keys"]
        return keys

    @property
    def admin_dsn(self) -> str:
        return str(self.state["admin_dsn"])

    @property
    def services(self) -> Sequence[Mapping[str, Any]]:
        """Name, pid, http_port and restarts of each service."""
        services: Sequence[Mapping[str, Any]] = self.state["services"]
        return services

    def service(self, name: str) -> Mapping[str, Any]:
        return next(service for service in self.services if service["name"] == name)

    def refreshed(self) -> "Stack":
        """Return the stack as it is now: pids change when something was started again."""
        return running_stack(self.layout.directory)


def default_directory() -> Path:
    """Return `.run` of this clone, or what POMONA_RUN says."""
    clone = Path(__file__).resolve().parents[2]
    home = clone if (clone / "Makefile").exists() else Path.cwd()
    return Path(os.environ.get("POMONA_RUN") or home / ".run")


def running_stack(directory: Path | None = None) -> Stack:
    """Return the stack that `pomona up` started. Raises `Trouble` where there is none."""
    layout = Layout(directory or default_directory())
    state = read_json(layout.state)
    if state is None or not _supervisor_lives(state):
        raise Trouble(
            "系统没有运行。请先执行 make up。",
            "The stack is not running. Start it with `make up`.",
        )
    if state["phase"] != "running":
        raise Trouble(
            "系统正在启动或停止。请稍候再试，或用 make up 等待就绪。",
            "The stack is starting or stopping. Try again shortly; `make up` waits until ready.",
        )
    return Stack(layout, state)


def up(directory: Path | None = None, tell: Tell = _quietly) -> Stack:
    """Start what is missing and return when everything is ready; a running stack is left alone."""
    layout = Layout(directory or default_directory())
    with contextlib.suppress(Trouble):
        return running_stack(layout.directory)
    supervisor = _start_supervisor(layout, SERVICES)
    try:
        return _wait_until_running(layout, supervisor, tell)
    except (KeyboardInterrupt, SystemExit):
        supervisor.terminate()
        supervisor.wait()
        raise


def down(directory: Path | None = None) -> bool:
    """Stop everything; say whether there was anything to stop."""
    layout = Layout(directory or default_directory())
    state = read_json(layout.state)
    if state is None or not _supervisor_lives(state):
        end_what_a_killed_supervisor_left(layout)
        layout.state.unlink(missing_ok=True)
        return False
    pid = state["supervisor"]["pid"]
    try:
        supervisor = psutil.Process(pid)
        supervisor.terminate()
        supervisor.wait(_STOPPED_WITHIN)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        raise Trouble(
            f"停止超时（进程 {pid}）。请查看 {layout.log('supervisor')} 后重试 make down。",
            f"Stopping takes too long (pid {pid}). Look at {layout.log('supervisor')} "
            "and try `make down` again.",
        ) from None
    return True


@contextlib.contextmanager
def temporary_stack(
    directory: Path | None = None,
    *,
    services: Sequence[str] = SERVICES,
    tell: Tell = _quietly,
) -> Iterator[Stack]:
    """Start a fresh stack of our own, stopped and emptied when the block ends or this process dies.

    Without a directory it lies beside that of `pomona up`, which may be running as well.
    """
    layout = Layout(directory or default_directory() / "temporary")
    supervisor = _start_supervisor(layout, services, temporary=True)
    try:
        yield _wait_until_running(layout, supervisor, tell)
    finally:
        if supervisor.stdin:
            supervisor.stdin.close()
        _wait_patiently(supervisor)


def terminal_for(
    stack: Stack,
    *,
    role: Role,
    store_id: UUID | None = None,
    terminal_id: UUID | None = None,
    person: str = "console",
    locale: str = "zh-CN",
) -> Terminal:
    """Return a terminal signed in as this person, with the stack's own signing key."""
    actor = Actor(id=person, role=role, store_id=store_id, terminal_id=terminal_id)
    return Terminal(stack.amqp_uri, token_for(stack, actor), locale=locale)


def token_for(stack: Stack, actor: Actor, valid_for: timedelta = _TOKEN_LASTS) -> str:
    """Sign a token that only the operator's own broker account can present."""
    key = signer_of(keys_in(stack.layout.signing_keys), datetime.now(UTC))
    via = unquote(urlsplit(stack.amqp_uri).username or "")
    return issue(key, actor, valid_for, via=via)


def _start_supervisor(
    layout: Layout, services: Sequence[str], *, temporary: bool = False
) -> subprocess.Popen[bytes]:
    layout.make()
    command = [sys.executable, "-m", "pomona_console.supervisor", str(layout.directory)]
    command += [f"--service={service}" for service in services]
    if temporary:
        command += ["--tied", "--temporary"]
        if os.environ.get("POMONA_PG_DSN"):  # somebody else's server: use names nobody has
            command.append(f"--prefix=pomona_{secrets.token_hex(4)}")
    with layout.log("supervisor").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the command is ours
            command,
            stdin=subprocess.PIPE if temporary else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_running(layout: Layout, supervisor: subprocess.Popen[bytes], tell: Tell) -> Stack:
    told = None
    shared = supervisor.stdin is None  # the stack of `pomona up`: another `up` may start it for us
    began = time.monotonic()
    while time.monotonic() < began + _STARTED_WITHIN:
        status = supervisor.poll()
        state = read_json(layout.state) or {}
        if status == ANOTHER_RUNS and not (shared and _comes_or_lives(state, began)):
            raise Trouble(
                f"{layout.directory} 正被另一个进程使用。请等它结束后重试。",
                f"{layout.directory} is in use by another process. Try again when it has ended.",
            )
        if status not in (None, ANOTHER_RUNS):
            raise _why_it_failed(layout, state)
        phase = state.get("phase")
        if phase == "running" and _supervisor_lives(state):
            return Stack(layout, state)
        if phase != told and phase in {"servers", "databases", "services"}:
            told = phase
            tell(phase)
        time.sleep(_LOOK_EVERY)
    raise _why_it_failed(layout, {})


def _comes_or_lives(state: Mapping[str, Any], since: float) -> bool:
    return _supervisor_lives(state) or time.monotonic() < since + _ANOTHER_COMES_WITHIN


def _why_it_failed(layout: Layout, state: Mapping[str, Any]) -> Trouble:
    if "error" in state:
        return Trouble(state["error"]["zh"], state["error"]["en"])
    log = layout.log("supervisor")
    return Trouble(
        f"启动被中断。请查看 {log} 后重试 make up。",
        f"The start was interrupted. Look at {log}, then try `make up` again.",
    )


def _wait_patiently(supervisor: subprocess.Popen[bytes]) -> None:
    """Wait for an orderly stop; an impatient second Ctrl-C must not leave it half done."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        supervisor.wait(_STOPPED_WITHIN)
    finally:
        signal.signal(signal.SIGINT, before)


def _supervisor_lives(state: Mapping[str, Any]) -> bool:
    supervisor = state.get("supervisor")
    if not supervisor:
        return False
    try:
        process = psutil.Process(supervisor["pid"])
        same = abs(process.create_time() - supervisor["created"]) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
