"""The backlog of a terminal: commands on its own disk until a service has answered them."""

import fcntl
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

from pomona.errors import Refusal, Refused, Unavailable
from pomona.terminal import PAUSE_SECONDS, TIMEOUT, Terminal

KEPT_FOR = timedelta(days=7)  # services remember the ids of commands for longer
BUSY = ("unavailable", "conflict", "too_many_requests")
SIGNED_OUT = ("unauthenticated", "session_over")
SCHEMA = """
CREATE TABLE IF NOT EXISTS commands (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    command_id  TEXT NOT NULL UNIQUE,
    person      TEXT NOT NULL,
    service     TEXT NOT NULL,
    method      TEXT NOT NULL,
    request     TEXT NOT NULL,
    written_at  TEXT NOT NULL,
    expires_at  TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'waiting'
                CHECK (state IN ('waiting', 'answered', 'refused')),
    result      TEXT
);
CREATE INDEX IF NOT EXISTS commands_by_state ON commands (state, number);
"""

State = Literal["waiting", "answered", "refused"]


@dataclass(frozen=True)
class Kept:
    """A command as it stands on disk. `result` is its answer, or why it was refused.

    What was asked is forgotten with the answer.
    """

    number: int
    command_id: UUID
    person: str
    service: str
    method: str
    request: Mapping[str, Any]
    written_at: datetime
    expires_at: datetime
    state: State
    result: Mapping[str, Any] | None

    def sendable(self) -> dict[str, Any]:
        own = {"command_id": str(self.command_id), "expires_at": self.expires_at.isoformat()}
        return {**self.request, **own}


class AnotherFlushes(Refusal):
    code = "another_flushes"
    zh = "另一个程序正在发送积压的命令。请等它结束。"
    en = "Another program is sending the backlog. Wait until it is done."


class NotSetAside(Refusal):
    code = "not_set_aside"
    zh = "没有编号为 {number} 的被拒命令。请用 pomona terminal queue 查看。"
    en = "No refused command has the number {number}. Look with `pomona terminal queue`."


class Backlog:
    """Commands in the order in which they were given, written down before they are sent.

    Whenever the terminal is killed, what it was given is on its disk. A command whose answer was
    lost is sent again under its first id, so it still takes effect once. One that is refused is
    set aside with its refusal, for people to see; those behind it go on.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)  # it may name customers
        self._lock = path.with_suffix(".lock")
        self._lock.touch(mode=0o600)
        self._database = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode = WAL")
        # a power cut may lose nothing that we said was written down
        self._database.execute("PRAGMA synchronous = FULL")
        # what is deleted or forgotten is overwritten
        self._database.execute("PRAGMA secure_delete = ON")
        self._database.executescript(SCHEMA)

    def close(self) -> None:
        self._database.close()

    def write_down(
        self,
        service: str,
        method: str,
        request: Mapping[str, Any],
        *,
        person: str,
        command_id: UUID | None = None,
    ) -> UUID:
        """Keep a command to be sent; when this returns, it survives a power cut."""
        command_id = command_id or uuid4()
        now = datetime.now(UTC)
        self._database.execute(
            "INSERT INTO commands"
            " (command_id, person, service, method, request, written_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                str(command_id),
                person,
                service,
                method,
                _text(request),
                now.isoformat(),
                (now + KEPT_FOR).isoformat(),
            ),
        )
        return command_id

    def commands(self, *states: State) -> list[Kept]:
        """Return the commands in these states, or all, in their order."""
        rows = self._database.execute("SELECT * FROM commands ORDER BY number")
        return [_kept(row) for row in rows if not states or row["state"] in states]

    def command(self, command_id: UUID) -> Kept:
        row = self._database.execute(
            "SELECT * FROM commands WHERE command_id = ?", (str(command_id),)
        ).fetchone()
        return _kept(row)

    def flush(
        self,
        terminal_of: Callable[[str], Terminal],
        *,
        patience: float = 0.0,
        told: Callable[[Kept], None] = lambda _kept: None,
    ) -> None:
        """Send what waits, in order, and return when nothing waits any more.

        `terminal_of` gives the terminal on which a person is signed in; `told` hears of each
        command as it is answered or set aside. Raises `Unavailable` where services cannot be
        reached for longer than `patience`, `Refused` where the person must sign in again, and
        `AnotherFlushes`. What was not answered by then waits on.
        """
        with self._alone():
            try:
                while (kept := self._next()) is not None:
                    state, result = _outcome(terminal_of(kept.person), kept, patience)
                    # one that was answered needs nothing more of what it may say of a customer
                    request = {} if state == "answered" else kept.request
                    self._database.execute(
                        "UPDATE commands SET state = ?, result = ?, request = ? WHERE number = ?",
                        (state, _text(result), _text(request), kept.number),
                    )
                    told(self.command(kept.command_id))
            finally:
                self._empty_log()

    def retry(self, number: int) -> None:
        """Let a refused command wait again, when what it lacked is there. Raises `NotSetAside`."""
        self._settle(number, "UPDATE commands SET state = 'waiting', result = NULL")

    def drop(self, number: int) -> None:
        """Forget a refused command that somebody has dealt with. Raises `NotSetAside`."""
        self._settle(number, "DELETE FROM commands")
        self._empty_log()

    def _empty_log(self) -> None:
        """Leave nothing of what was forgotten in the log of changes."""
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _settle(self, number: int, change: str) -> None:
        done = self._database.execute(f"{change} WHERE number = ? AND state = 'refused'", (number,))
        if done.rowcount == 0:
            raise NotSetAside(number=number)

    def _next(self) -> Kept | None:
        row = self._database.execute(
            "SELECT * FROM commands WHERE state = 'waiting' ORDER BY number LIMIT 1"
        ).fetchone()
        return None if row is None else _kept(row)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from sending meanwhile: the lock goes when its holder dies."""
        with self._lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise AnotherFlushes from None
            yield


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _outcome(terminal: Terminal, kept: Kept, patience: float) -> tuple[State, dict[str, Any]]:
    until = time.monotonic() + patience
    while True:
        try:
            answer = terminal.call(kept.service, kept.method, kept.sendable(), timeout=TIMEOUT)
        except Unavailable:
            if time.monotonic() >= until:
                raise
        except Refused as refused:
            if refused.code in SIGNED_OUT:
                raise
            if refused.code not in BUSY:
                return "refused", {
                    "code": refused.code,
                    "field": refused.field,
                    "message": refused.message,
                    "correlation_id": refused.correlation_id,
                }
            if time.monotonic() >= until:
                raise Unavailable from None
        else:
            return "answered", answer
        time.sleep(PAUSE_SECONDS)


def _kept(row: sqlite3.Row) -> Kept:
    return Kept(
        number=row["number"],
        command_id=UUID(row["command_id"]),
        person=row["person"],
        service=row["service"],
        method=row["method"],
        request=json.loads(row["request"]),
        written_at=datetime.fromisoformat(row["written_at"]),
        expires_at=datetime.fromisoformat(row["expires_at"]),
        state=row["state"],
        result=row["result"] and json.loads(row["result"]),
    )
