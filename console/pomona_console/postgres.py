"""A private PostgreSQL cluster: its own directory, its own port, TCP on 127.0.0.1 only."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import psycopg

from pomona_console.certificate import Certificate
from pomona_console.layout import write_private
from pomona_console.processes import spawn
from pomona_console.trouble import Trouble

ADMINISTRATOR = "pomona"
LOSES_AT_MOST_SECONDS = 300
# Tried again until it succeeds: a segment that is there already, whole, counts as done.
_ARCHIVE = (
    'test ! -d "{wal}" || cmp -s "%p" "{wal}/%f" || {{ test ! -e "{wal}/%f"'
    ' && cp "%p" "{wal}/%f.part" && sync "{wal}/%f.part" && mv "{wal}/%f.part" "{wal}/%f"; }}'
)
_BINARY_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # packages of postgresql.org for Fedora
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


def find_binaries() -> Path | None:
    """Return the folder of the newest initdb and postgres on this machine."""
    packaged = [
        folder for pattern in _BINARY_FOLDERS for folder in Path("/").glob(pattern.lstrip("/"))
    ]
    packaged.sort(key=_version)
    on_path = shutil.which("initdb")
    candidates = [*([Path(on_path).resolve().parent] if on_path else []), *reversed(packaged)]
    complete = (f for f in candidates if (f / "initdb").exists() and (f / "postgres").exists())
    return next(complete, None)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", folder.parent.name))


@dataclass(frozen=True)
class Postgres:
    """Where the cluster lies, as whom it runs, and how it is started, probed and cleaned up."""

    directory: Path
    home: Path
    port: int
    password: str
    binaries: Path
    user: str | None
    log: Path
    certificate: Certificate | None = None

    @classmethod
    def below(
        cls,
        directory: Path,
        *,
        port: int,
        password: str,
        log: Path,
        certificate: Certificate | None = None,
    ) -> Self:
        binaries = find_binaries()
        if binaries is None:
            raise Trouble(
                "本机没有 PostgreSQL。请运行 make demo 自动安装，或设置 POMONA_PG_DSN。",
                "PostgreSQL is not installed. Run `make demo` to install it, or set POMONA_PG_DSN.",
            )
        user = "postgres" if os.geteuid() == 0 else None
        home = directory / "postgres"
        if user and not _can_enter(user, directory):
            home = hidden_home(directory)
        return cls(directory, home, port, password, binaries, user, log, certificate)

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def wal(self) -> Path:
        """Where full segments of the log are kept, once there is a backup to replay them on."""
        return self.home / "wal"

    @property
    def dsn(self) -> str:
        dsn = f"postgresql://{ADMINISTRATOR}:{self.password}@127.0.0.1:{self.port}/postgres"
        if self.certificate is None:
            return dsn
        return f"{dsn}?sslmode=verify-full&sslrootcert={self.certificate.authority}"

    def prepare(self) -> None:
        """Make the cluster if it does not exist; an interrupted attempt counts as none."""
        self._make_home()
        (self.home / "belongs-to").write_text(f"{self.directory}\n")
        if (self.data / "PG_VERSION").exists():
            return
        attempt = self.home / "data.new"
        shutil.rmtree(attempt, ignore_errors=True)
        password_file = self.home / "password"
        write_private(password_file, self.password)
        if self.user:
            shutil.chown(password_file, self.user)
        made = subprocess.run(  # noqa: S603 - the command is ours
            [
                self.binaries / "initdb",
                f"--pgdata={attempt}",
                f"--username={ADMINISTRATOR}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--data-checksums",
            ],
            cwd=self.home,
            env=self.environment(),
            capture_output=True,
            check=False,
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
        )
        if made.returncode:
            raise Trouble(
                f"initdb 失败：{made.stderr.decode().strip()}。请检查磁盘空间和权限。",
                f"initdb failed: {made.stderr.decode().strip()}. Check disk space and permissions.",
            )
        password_file.unlink()
        attempt.rename(self.data)

    def start(self) -> subprocess.Popen[bytes]:
        self._clear_leftovers()
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "archive_mode": "on",
            "archive_timeout": str(LOSES_AT_MOST_SECONDS),
            "archive_command": _ARCHIVE.format(wal=self.wal),
        }
        if self.certificate:
            self._accept_only_tls(self.certificate)
            settings |= {"ssl": "on", "ssl_min_protocol_version": "TLSv1.2"}
        return spawn(
            [
                str(self.binaries / "postgres"),
                f"-D{self.data}",
                f"-p{self.port}",
                *(f"-c{name}={value}" for name, value in settings.items()),
            ],
            environment=self.environment(),
            log=self.log,
            user=self.user,
            directory=self.home,
            signal_when_we_die=signal.SIGINT,  # a fast, orderly shutdown
        )

    def _accept_only_tls(self, certificate: Certificate) -> None:
        """Put the certificate where the server looks, and let nobody in without it."""
        for source, name in ((certificate.chain, "server.crt"), (certificate.key, "server.key")):
            write_private(self.data / name, source.read_text("ascii"))
            if self.user:
                shutil.chown(self.data / name, self.user, self.user)
        (self.data / "pg_hba.conf").write_text("hostssl all all all scram-sha-256\n")

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.dsn, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def remove(self) -> None:
        """Delete the cluster, also where it lies outside the clone."""
        shutil.rmtree(self.home, ignore_errors=True)

    def _clear_leftovers(self) -> None:
        """Remove what a killed postmaster leaves and a new one trips on: backends, a lock file."""
        leftovers = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess, OSError):
                if Path(process.cwd()) == self.data:
                    process.kill()
                    leftovers.append(process)
        psutil.wait_procs(leftovers, timeout=5)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _make_home(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.user:
            return
        owner = self.home.lstat()
        if self.home.is_symlink() or owner.st_uid not in {0, _uid(self.user)}:
            raise Trouble(
                f"{self.home} 属于别人。请检查后删除它。",
                f"{self.home} belongs to someone else. Look at it and remove it.",
            )
        shutil.chown(self.home, self.user, self.user)

    def environment(self) -> dict[str, str]:
        """Return what a program of PostgreSQL's needs to know; nothing of ours."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(self.home)}


def hidden_home(directory: Path) -> Path:
    """Where the cluster of a clone lies that the postgres user may not enter."""
    mark = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:12]
    return Path("/var/tmp") / f"pomona-{mark}"  # noqa: S108 - mode 700, its owner is checked


def _can_enter(user: str, directory: Path) -> bool:
    try:
        asked = subprocess.run(  # noqa: S603 - the command is ours
            ["/usr/bin/test", "-x", directory],
            user=user,
            group=user,
            extra_groups=[],
            check=False,
        )
    except KeyError:
        raise Trouble(
            f"没有系统用户 {user}，而 PostgreSQL 不能以 root 运行。请以普通用户运行。",
            f"There is no system user {user}, and PostgreSQL refuses root. Run as ordinary user.",
        ) from None
    return asked.returncode == 0


def _uid(user: str) -> int:
    import pwd  # noqa: PLC0415 - exists on Unix only, and so does the need for it

    return pwd.getpwnam(user).pw_uid
