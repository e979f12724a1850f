"""The stack starts, heals and stops, and nothing of it outlives whoever started it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from amqp.exceptions import AMQPError
from kombu import Connection

from pomona_console.postgres import hidden_home
from pomona_console.stack import Stack, temporary_stack, terminal_for
from pomona_console.trouble import Trouble

pytestmark = pytest.mark.integration

POMONA = Path(sys.executable).with_name("pomona")
ALL_DATABASES = "SELECT array_agg(datname ORDER BY datname) FROM pg_database"
HOLD_SERVERS = """
import sys, time
from pathlib import Path
from pomona_console.postgres import hidden_home
from pomona_console.stack import temporary_stack
with temporary_stack(Path(sys.argv[1]), services=()):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def servers_to_kill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with temporary_stack(tmp_path_factory.mktemp("killed"), services=()) as running:
        yield running


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that holds a temporary stack in `tmp_path`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_SERVERS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()
    eventually(lambda: processes_of(tmp_path) == [])
    shutil.rmtree(hidden_home(tmp_path), ignore_errors=True)


def test_postgres_comes_back_after_kill_9_with_what_was_committed(servers_to_kill):
    with psycopg.connect(servers_to_kill.admin_dsn) as before:
        before.execute("CREATE TABLE sold AS SELECT 42 AS grams")

    os.kill(servers_to_kill.state["postgres"]["pid"], signal.SIGKILL)

    assert eventually(lambda: row(servers_to_kill.admin_dsn, "SELECT grams FROM sold") == (42,))
    assert servers_to_kill.refreshed().state["postgres"]["restarts"] == 1


def test_rabbitmq_comes_back_after_kill_9_on_the_same_port(servers_to_kill):
    os.kill(servers_to_kill.state["amqp"]["pid"], signal.SIGKILL)

    assert eventually(lambda: servers_to_kill.refreshed().state["amqp"]["restarts"] == 1)
    assert eventually(lambda: speaks_amqp(servers_to_kill.amqp_uri))
    assert servers_to_kill.refreshed().amqp_uri == servers_to_kill.amqp_uri


def test_nobody_gets_in_as_guest(servers):
    address = servers.amqp_uri.partition("@")[2].partition("/")[0]

    assert not speaks_amqp(f"amqp://guest:guest@{address}/pomona")


def test_passwords_and_keys_are_for_the_owner_only(servers):
    directory = servers.layout.directory

    for secret in (*servers.layout.secrets.iterdir(), servers.layout.state):
        assert secret.stat().st_mode & 0o077 == 0, secret
    assert "password" not in (directory / "rabbitmq" / "rabbitmq.conf").read_text()


def test_ctrl_c_leaves_no_process_behind(holder, tmp_path):
    assert processes_of(tmp_path)

    holder.send_signal(signal.SIGINT)

    assert holder.wait(60) != 0
    assert processes_of(tmp_path) == []


def test_kill_9_of_the_parent_leaves_no_process_behind(holder, tmp_path):
    holder.kill()

    assert eventually(lambda: processes_of(tmp_path) == [])


def test_kill_9_of_the_supervisor_leaves_no_process_behind(holder, tmp_path):
    supervisor = json.loads((tmp_path / "stack.json").read_text())["supervisor"]["pid"]

    os.kill(supervisor, signal.SIGKILL)

    assert eventually(lambda: processes_of(tmp_path) == [holder.pid])


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where `pomona up` starts a stack that the tests below share."""
    directory = tmp_path_factory.mktemp("run")
    yield directory
    ask_pomona(directory, "down")
    shutil.rmtree(hidden_home(directory), ignore_errors=True)


def test_up_starts_everything_once_and_what_dies_comes_back(run_directory):
    first = pomona(run_directory, "up", "--json")
    again = pomona(run_directory, "up", "--json")
    status = json.loads(pomona(run_directory, "status", "--json"))
    victim = next(s for s in status["services"] if s["name"] == "inventory")
    os.kill(victim["pid"], signal.SIGKILL)

    assert json.loads(first)["processes"] == json.loads(again)["processes"]
    assert all(service["ready"] for service in status["services"])
    assert set(status["databases"]) == {
        *("orders", "inventory", "crm", "aftersales", "analytics", "identity"),
        "reporting",
    }
    assert eventually(lambda: restarted(run_directory, victim))


def test_up_works_again_at_once_after_its_supervisor_was_killed(run_directory):
    killed = json.loads(pomona(run_directory, "up", "--json"))
    os.kill(killed["supervisor"]["pid"], signal.SIGKILL)

    again = json.loads(pomona(run_directory, "up", "--json"))

    assert again["postgres"]["port"] == killed["postgres"]["port"]
    assert not set(again["processes"]) & set(killed["processes"])
    services = json.loads(pomona(run_directory, "status", "--json"))["services"]
    assert all(service["ready"] for service in services)


def test_down_stops_everything(run_directory):
    pomona(run_directory, "up")
    assert processes_of(run_directory)

    pomona(run_directory, "down")

    assert processes_of(run_directory) == []
    stopped = ask_pomona(run_directory, "status")
    assert stopped.returncode == 1
    assert "make up" in stopped.stderr


def test_servers_that_are_given_are_used_and_left_as_they_were(servers, tmp_path, monkeypatch):
    before = row(servers.admin_dsn, ALL_DATABASES)
    monkeypatch.setenv("POMONA_AMQP_URI", servers.amqp_uri)
    monkeypatch.setenv("POMONA_RABBITMQ_API", servers.rabbitmq_api)
    monkeypatch.setenv("POMONA_PG_DSN", servers.admin_dsn)

    with temporary_stack(tmp_path) as guest:
        assert guest.amqp_uri == servers.amqp_uri
        assert guest.state["postgres"]["pid"] is None
        with terminal_for(guest, role="head_office") as office:
            assert office.ask("orders", "list_stores") == {"stores": []}
        with pytest.raises(Trouble, match="Another Pomona"), temporary_stack(tmp_path / "second"):
            pass

    assert row(servers.admin_dsn, ALL_DATABASES) == before
    assert speaks_amqp(servers.amqp_uri)


def restarted(directory: Path, victim: dict) -> bool:
    services = json.loads(pomona(directory, "status", "--json"))["services"]
    now = next(s for s in services if s["name"] == victim["name"])
    return now["ready"] and now["restarts"] == 1 and now["http_port"] == victim["http_port"]


def pomona(directory: Path, *arguments: str) -> str:
    done = ask_pomona(directory, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask_pomona(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [POMONA, *arguments],
        env={**os.environ, "POMONA_RUN": str(directory)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def processes_of(directory: Path) -> list[int]:
    """Pids of all that run for a stack: its directory is in their arguments or surroundings."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            about = [process.cwd(), *process.cmdline(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(directory) in text for text in about):
                found.append(process.pid)
    return found


def eventually(holds: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            if holds():
                return True
        time.sleep(0.2)
    return False


def row(dsn: str, query: str) -> tuple | None:
    with psycopg.connect(dsn, connect_timeout=2) as connection:
        return connection.execute(query).fetchone()


def speaks_amqp(uri: str) -> bool:
    with Connection(uri, connect_timeout=2) as connection:
        try:
            connection.connect()
        except (OSError, AMQPError):
            return False
        return True
