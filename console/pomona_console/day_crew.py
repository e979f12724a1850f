"""The people of a shop at their terminals: they call in order, and again while nobody answers."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from pomona.contracts import Role
from pomona.errors import Refused, Unavailable
from pomona.session import Credentials, Session
from pomona.terminal import Terminal
from pomona_console.report_words import in_chinese, say
from pomona_console.stack import Stack, terminal_for
from pomona_console.trouble import Trouble

_T = TypeVar("_T")

PATIENCE_SECONDS = 600.0
LONGEST_PAUSE = 2.0
SILENCE_TOLD_AFTER = 3.0
# Refusals that a later try with the same command id may not meet again.
PASSING = frozenset({"unavailable", "conflict", "expired", "internal"})
# A service that dies may answer so once; one that goes on answering so has a defect.
INTERNAL_SECONDS = 20.0


class Stopped(Exception):  # noqa: N818 - somebody asked for it
    """The crew was told to stop; what was sent was answered or can be sent again."""


class Worker:
    """One person at one terminal. Only one thread at a time may use it."""

    def __init__(self, crew: "Crew", terminal: Terminal) -> None:
        self._crew = crew
        self._terminal = terminal

    def do(
        self, service: str, method: str, request: Mapping[str, Any], command_id: UUID
    ) -> dict[str, Any]:
        """Have a command carried out once, however often it takes to hear the answer."""
        answer = self._crew.until_answered(
            service,
            lambda: self._terminal.command(service, method, request, command_id=command_id),
        )
        self._crew.count()
        return answer

    def ask(
        self, service: str, method: str, request: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return self._crew.until_answered(
            service, lambda: self._terminal.ask(service, method, request)
        )


class Crew:
    """Signs people in, counts their calls and keeps them trying while a service is away."""

    def __init__(
        self,
        stack: Stack,
        *,
        tell: Callable[[str], None],
        answered: Callable[[], None] = lambda: None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.stack = stack
        self.calls = 0
        self._tell = tell
        self._answered = answered
        self._patience = patience
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._away: dict[str, float] = {}
        self._sessions: list[Session] = []
        self._people: dict[tuple[str, UUID | None, UUID | None], tuple[Worker, Terminal]] = {}

    def person(
        self,
        name: str,
        role: Role,
        *,
        store_id: UUID | None = None,
        terminal_id: UUID | None = None,
    ) -> Worker:
        """Return the person at the terminal, signed in at first use."""
        key = (name, store_id, terminal_id)
        with self._lock:
            if key not in self._people:
                terminal = terminal_for(
                    self.stack,
                    role=role,
                    store_id=store_id,
                    terminal_id=terminal_id,
                    person=name,
                    locale="zh-CN" if in_chinese() else "en",
                )
                self._people[key] = (Worker(self, terminal), terminal)
            return self._people[key][0]

    def seat(self, credentials: Credentials, session: Session) -> None:
        """Take in somebody who logged in at a terminal of their own."""
        terminal = Terminal(
            credentials.amqp_uri, session.token, locale="zh-CN" if in_chinese() else "en"
        )
        store_id = UUID(session.store_id) if session.store_id else None
        key = (session.staff_no, store_id, UUID(credentials.terminal_id))
        with self._lock:
            self._people[key] = (Worker(self, terminal), terminal)
            self._sessions.append(session)

    def count(self) -> None:
        with self._lock:
            self.calls += 1
        self._answered()

    def until_answered(self, service: str, call: Callable[[], _T]) -> _T:
        """Call until there is an answer. Raises `Refused` where waiting would not change it."""
        pause, began = 0.1, time.monotonic()
        while not self._stop.is_set():
            try:
                answer = call()
            except (Unavailable, Refused) as error:
                waited = time.monotonic() - began
                if isinstance(error, Refused) and (
                    error.code not in PASSING
                    or (error.code == "internal" and waited > INTERNAL_SECONDS)
                ):
                    raise
                if waited > self._patience:
                    raise self._gave_up(service) from error
                self._silent(service)
            else:
                self._heard(service)
                return answer
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        raise Stopped

    def all_do(self, jobs: Iterable[Callable[[], None]]) -> None:
        """Do jobs side by side; the first failure stops the others and is raised."""
        with ThreadPoolExecutor(thread_name_prefix="crew") as pool:
            futures: list[Future[None]] = [pool.submit(job) for job in jobs]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                self._stop.set()
                raise
            failed = [error for future in done if (error := future.exception())]
            if failed:
                self._stop.set()
        for error in sorted(failed, key=lambda error: isinstance(error, Stopped)):
            raise error

    def _silent(self, service: str) -> None:
        with self._lock:
            now = time.monotonic()
            since = self._away.setdefault(service, now)
            if 0 < since < now - SILENCE_TOLD_AFTER:
                self._away[service] = -1  # told
                self._tell(
                    say(
                        f"{service} 没有应答，用同一命令编号继续重试……",
                        f"{service} does not answer; trying again with the same command ids...",
                    )
                )

    def _heard(self, service: str) -> None:
        with self._lock:
            if self._away.pop(service, 0) < 0:
                self._tell(say(f"{service} 已恢复应答。", f"{service} answers again."))

    def _gave_up(self, service: str) -> Trouble:
        minutes = round(self._patience / 60)
        return Trouble(
            f"{service} 已有 {minutes} 分钟没有应答。"
            "请查看 pomona status，恢复后重新执行同一命令。",
            f"{service} has not answered for {minutes} minutes."
            " Look at `pomona status`; when it is back, run the same command again.",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        for _, terminal in self._people.values():
            terminal.close()
        for session in self._sessions:
            session.close()
