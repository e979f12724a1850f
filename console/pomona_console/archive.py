"""Backups of a private cluster and the log between them: all that going back in time needs."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pomona_console.layout import Layout, read_json
from pomona_console.postgres import Postgres
from pomona_console.processes import Ports
from pomona_console.trouble import Trouble

KEPT = 7
_RECOVERED_WITHIN = 1800.0
_STOPPED_WITHIN = 60.0
_NOTHING_LATER = "recovery ended before configured recovery target was reached"

Tell = Callable[[str], None]
"""Told each step of a restore: copying, replaying."""


@dataclass(frozen=True)
class Backup:
    """A verified copy of the whole cluster, good for every moment after its end."""

    name: str
    ended_at: datetime
    bytes: int


@dataclass(frozen=True)
class Restored:
    """What a restore came to."""

    backup: str
    last_commit: datetime | None
    timeline: str
    set_aside: Path


class Archive:
    """Where a cluster's backups and its log lie: beside its data, in its own directory."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._backups = postgres.home / "backups"

    @classmethod
    def of(cls, layout: Layout) -> "Archive":
        """Return the archive of a stack's private cluster. Raises `Trouble` where it has none."""
        ports = read_json(layout.ports) or {}
        running = read_json(layout.state) or {}
        elsewhere = "postgres" in running and running["postgres"]["data"] is None
        if "postgres" not in ports or elsewhere:
            raise Trouble(
                "没有私有的 PostgreSQL。请先执行 make up；外部服务器请用它自己的备份。",
                "There is no private PostgreSQL. Run `make up` first; back up a server of "
                "your own by its own means (docs/runbooks.md).",
            )
        port = Ports(ports).taken["postgres"]
        password = layout.password("postgres")
        log = layout.log("postgres")
        return cls(Postgres.below(layout.directory, port=port, password=password, log=log))

    def backups(self) -> list[Backup]:
        """Return the backups there are, oldest first."""
        found = (read_json(path) for path in sorted(self._backups.glob("*.json")))
        return [
            Backup(each["name"], datetime.fromisoformat(each["ended_at"]), each["bytes"])
            for each in found
        ]

    def take(self) -> Backup:
        """Copy the running cluster, verify the copy, and forget the oldest ones."""
        for folder in (self._backups, self._postgres.wal):
            self._run("mkdir", "-p", folder)
        name = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%fZ")
        copy = self._backups / f"{name}.new"
        where = conninfo_to_dict(self._postgres.dsn)
        password = str(where.pop("password"))
        dsn = make_conninfo("", **where)
        self._run(
            self._postgres.binaries / "pg_basebackup",
            f"--dbname={dsn}",
            f"--pgdata={copy}",
            "--wal-method=stream",
            "--checkpoint=fast",
            password=password,
        )
        self._run(self._postgres.binaries / "pg_verifybackup", "--quiet", copy)
        backup = Backup(name, datetime.now(UTC), sum(_sizes(copy)))
        copy.rename(self._backups / name)
        told = {"name": name, "ended_at": backup.ended_at.isoformat(), "bytes": backup.bytes}
        (self._backups / f"{name}.json").write_text(json.dumps(told))
        self._forget_the_oldest()
        return backup

    def best_for(self, at: datetime | None) -> Backup:
        """Return the newest backup that ended before a moment. Raises `Trouble`."""
        backups = self.backups()
        fit = [backup for backup in backups if at is None or backup.ended_at <= at]
        if fit:
            return fit[-1]
        first = f"{backups[0].ended_at:%Y-%m-%d %H:%M:%S} UTC" if backups else "-"
        raise Trouble(
            f"没有早于该时刻的备份（最早的完成于 {first}）。请选择更晚的时刻。",
            f"No backup ended before that moment (the first ended at {first}). "
            "Choose a later moment.",
        )

    def restore(self, at: datetime | None, tell: Tell) -> Restored:
        """Put the cluster back to a moment, or to the end of its log, and end on a new timeline.

        The cluster must not run. What it held before is set aside, not deleted.
        """
        backup = self.best_for(at)
        tell("copying")
        before = self._postgres.home / "data.before"
        if self._postgres.data.exists():
            shutil.rmtree(before, ignore_errors=True)
            self._postgres.data.rename(before)
        self._run("cp", "-a", self._backups / backup.name, self._postgres.data)
        self._bring_what_was_not_archived(before)
        tell("replaying")
        self._prepare_recovery(at)
        try:
            return self._recover(backup, before)
        except _NothingLater:
            # the log ends before that moment, so its end is that moment
            self._prepare_recovery(None)
            return self._recover(backup, before)

    def remove(self) -> None:
        """Delete the cluster with its backups and its log."""
        self._postgres.remove()

    def _bring_what_was_not_archived(self, before: Path) -> None:
        """Copy the end of the log, which waits for its segment to be full."""
        for segment in sorted((before / "pg_wal").glob("[0-9A-F]" * 24)):
            if not (self._postgres.wal / segment.name).exists():
                self._run("cp", "-a", segment, self._postgres.data / "pg_wal" / segment.name)

    def _prepare_recovery(self, at: datetime | None) -> None:
        settings = {"restore_command": f'cp "{self._postgres.wal}/%f" "%p"'}
        if at is not None:
            settings["recovery_target_time"] = at.astimezone(UTC).isoformat()
            settings["recovery_target_action"] = "promote"
        lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
        # written over: of ours there is nothing else in it
        (self._postgres.data / "postgresql.auto.conf").write_text("".join(lines))
        (self._postgres.data / "recovery.signal").touch()

    def _recover(self, backup: Backup, before: Path) -> Restored:
        log = self._postgres.log
        begins = log.stat().st_size if log.exists() else 0
        with self._running() as process:
            deadline = time.monotonic() + _RECOVERED_WITHIN
            while not (state := self._state()):
                if process.poll() is not None or time.monotonic() > deadline:
                    with log.open("rb") as file:
                        file.seek(begins)
                        said = file.read().decode(errors="replace")
                    if _NOTHING_LATER in said:
                        raise _NothingLater
                    raise Trouble(
                        f"恢复失败。原数据在 {before}，原因见 {log}。",
                        f"The restore failed. The data from before is in {before}; {log} says why.",
                    )
                time.sleep(0.1)
        (self._postgres.data / "postgresql.auto.conf").write_text("")
        return Restored(backup.name, state["last_commit"], state["timeline"], before)

    def _state(self) -> dict[str, Any]:
        """Return where the cluster stands once it is open for writing, nothing before."""
        try:
            with psycopg.connect(self._postgres.dsn, connect_timeout=2) as connection:
                row = connection.execute(
                    "SELECT pg_last_xact_replay_timestamp(),"
                    " left(pg_walfile_name(pg_current_wal_lsn()), 8)"
                    " WHERE NOT pg_is_in_recovery()"
                ).fetchone()
        except psycopg.Error:
            return {}
        return {"last_commit": row[0], "timeline": row[1]} if row else {}

    @contextmanager
    def _running(self) -> Iterator[subprocess.Popen[bytes]]:
        process = self._postgres.start()
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_STOPPED_WITHIN)

    def _forget_the_oldest(self) -> None:
        backups = self.backups()
        for backup in backups[:-KEPT]:
            (self._backups / f"{backup.name}.json").unlink()
            shutil.rmtree(self._backups / backup.name)
        label = (self._backups / backups[-KEPT:][0].name / "backup_label").read_text()
        needed = label.partition("(file ")[2].partition(")")[0]
        self._run(self._postgres.binaries / "pg_archivecleanup", self._postgres.wal, needed)

    def _run(self, *command: str | Path, password: str = "") -> None:
        user = self._postgres.user
        done = subprocess.run(  # noqa: S603 - the commands are ours
            command,
            cwd=self._postgres.home,
            env=self._postgres.environment() | {"PGPASSWORD": password},
            capture_output=True,
            check=False,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
        if done.returncode:
            name, why = Path(command[0]).name, done.stderr.decode(errors="replace").strip()
            raise Trouble(
                f"{name} 失败：{why}。请检查磁盘空间以及系统是否在运行（pomona status）。",
                f"{name} failed: {why}. Check the disk, and that the stack runs (pomona status).",
            )


class _NothingLater(Exception):  # noqa: N818 - what PostgreSQL found
    pass


def _sizes(folder: Path) -> Iterator[int]:
    return (path.stat().st_size for path in folder.rglob("*") if path.is_file())
