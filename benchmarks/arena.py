"""Where cells are played: private servers, fresh databases, and a process for each contender."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from benchmarks.rounds import Figures, Played, Tell, Turn, Void, play, weather_in
from benchmarks.scale import Scale
from pomona_console.stack import Stack

SETTINGS = (
    "server_version",
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
    "commit_delay",
)
STOPPED_WITHIN = 20

Place = Mapping[str, Any]
Under = Literal["threads", "eventlet"]


@dataclass(frozen=True)
class Arena:
    """Servers with nothing in them, how much to do there, and whom to tell.

    What several cells need is opened once, under its name in `shared`, and closed with `kept`.
    """

    stack: Stack
    scale: Scale
    tell: Tell
    kept: ExitStack = field(default_factory=ExitStack)
    shared: dict[str, Any] = field(default_factory=dict)

    def play(self, contenders: Mapping[str, Turn]) -> Played:
        directory = Path(self.setting("data_directory"))
        return play(contenders, weather_in(directory), rounds=self.scale.rounds, tell=self.tell)

    def settings(self) -> dict[str, str]:
        """Return the settings that a durable write depends on. Raises `Void` where one is off."""
        found = {name: self.setting(name) for name in SETTINGS}
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            if found[name] != "on":
                raise Void(f"{name} is {found[name]}: nothing written here is durable")
        return found

    def setting(self, name: str) -> str:
        with psycopg.connect(self.stack.admin_dsn) as connection:
            row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
        return str(row[0]) if row else ""

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make a fresh database and give its DSN; it is gone afterwards."""
        name = f"bench_{uuid4().hex[:12]}"
        with psycopg.connect(self.stack.admin_dsn, autocommit=True) as server:
            server.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            try:
                yield make_conninfo(self.stack.admin_dsn, dbname=name)
            finally:
                server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    @contextmanager
    def contender(
        self, function: str, place: Place, *, under: Under = "threads"
    ) -> Iterator[Callable[..., Figures]]:
        """Start a contender in its own process; what is given takes one turn with it."""
        command = contender_command(function, place, under)
        with tempfile.TemporaryFile() as said, started(command, said) as process:

            def heard() -> str:
                assert process.stdout is not None  # noqa: S101 - it is a pipe
                line = process.stdout.readline().decode()
                if not line:
                    said.seek(0)
                    raise Void(f"{function} died: {said.read().decode()[-2000:]}")
                return line

            def take_turn(**turn: Any) -> Figures:
                assert process.stdin is not None  # noqa: S101 - as above
                process.stdin.write(json.dumps(turn).encode() + b"\n")
                process.stdin.flush()
                figures: Figures = json.loads(heard())
                return figures

            heard()
            yield take_turn


def contender_command(function: str, place: Place, under: Under) -> list[str]:
    return [sys.executable, "-m", "benchmarks.contender", function, under, json.dumps(place)]


@contextmanager
def started(
    command: Sequence[str],
    log: Any,
    *,
    env: Mapping[str, str] | None = None,
    says: int = subprocess.PIPE,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process of the suite for as long as the block lasts."""
    process = subprocess.Popen(  # noqa: S603 - the command is ours
        command, stdin=subprocess.PIPE, stdout=says, stderr=log, cwd=HOME, env=env
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


HOME = Path(__file__).resolve().parents[1]
