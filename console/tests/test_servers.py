"""What is known about private servers before any of them runs."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from pomona_console import missing_servers, postgres, rabbitmq
from pomona_console.broker_definitions import definitions
from pomona_console.databases import Databases
from pomona_console.given_broker import GivenBroker
from pomona_console.layout import Layout
from pomona_console.postgres import Postgres, hidden_home
from pomona_console.processes import Child, Ports, end, stop
from pomona_console.rabbitmq import RabbitMQ
from pomona_console.trouble import Trouble


def test_a_port_stays_the_same_while_it_is_free():
    ports = Ports()

    assert ports.of("amqp") == ports.of("amqp")
    assert ports.of("amqp") != ports.of("postgres")


def test_a_port_that_somebody_took_is_replaced():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert Ports({"amqp": port}).of("amqp") != port


def test_ports_lie_below_those_that_the_kernel_gives_to_callers():
    assert 20_000 <= Ports().of("orders") < 32_000


def test_a_password_is_made_once_and_for_the_owner_only(tmp_path):
    layout = Layout(tmp_path)
    layout.make()

    password = layout.password("postgres")

    assert layout.password("postgres") == password
    assert len(password) >= 32
    assert layout.password("rabbitmq") != password
    (kept, _) = sorted(layout.secrets.glob("*.password"))
    assert kept.stat().st_mode & 0o777 == 0o600


def test_identity_keys_are_made_once(tmp_path):
    layout = Layout(tmp_path)
    layout.make()
    layout.make_identity_keys()
    (first,) = layout.signing_keys.iterdir()
    public = layout.public_key.read_text()

    layout.make_identity_keys()

    assert [*layout.signing_keys.iterdir()] == [first]
    assert layout.public_key.read_text() == public
    assert first.stat().st_mode & 0o777 == 0o600


def test_two_clones_hide_their_clusters_in_different_places(tmp_path):
    assert hidden_home(tmp_path / "a") != hidden_home(tmp_path / "b")


def test_the_newest_packaged_postgres_is_taken(tmp_path, monkeypatch):
    for version in ("9.6", "15", "17"):
        folder = tmp_path / "postgresql" / version / "bin"
        folder.mkdir(parents=True)
        (folder / "initdb").touch()
        (folder / "postgres").touch()
    monkeypatch.setattr(postgres, "_BINARY_FOLDERS", (f"{tmp_path}/postgresql/*/bin",))
    monkeypatch.setattr(postgres.shutil, "which", lambda _: None)

    assert postgres.find_binaries() == tmp_path / "postgresql" / "17" / "bin"


def test_servers_that_are_given_are_not_missed(monkeypatch):
    monkeypatch.setattr(missing_servers, "find_binaries", lambda: None)
    monkeypatch.setattr(missing_servers, "find_server", lambda: None)
    monkeypatch.delenv("POMONA_PG_DSN", raising=False)
    monkeypatch.delenv("POMONA_AMQP_URI", raising=False)
    assert missing_servers.missing_servers() == ["postgresql", "rabbitmq-server"]

    monkeypatch.setenv("POMONA_PG_DSN", "postgresql://admin@db/postgres")

    assert missing_servers.missing_servers() == ["rabbitmq-server"]


def test_the_broker_reads_its_users_from_a_file_for_the_owner_only(tmp_path, monkeypatch):
    monkeypatch.setattr(rabbitmq, "find_server", lambda: Path("/rabbitmq-server"))
    wanted = definitions((), vhost="shop", password=lambda name: f"secret of {name}")
    broker = RabbitMQ.below(
        tmp_path, ports=Ports(), password="secret", definitions=wanted, log=tmp_path / "log"
    )

    broker.prepare()

    kept = tmp_path / "rabbitmq" / "definitions.json"
    assert json.loads(kept.read_text()) == wanted
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "secret" not in kept.read_text()


def test_a_given_broker_without_its_management_is_explained_with_the_next_step():
    with pytest.raises(Trouble, match="Set it to the management API"):
        GivenBroker.at("amqp://admin@broker/", None, ())


def test_a_child_that_dies_is_started_again_after_a_pause_that_grows():
    def crash() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
        process.wait()
        return process

    child = Child("crashing", crash)
    child.launch()
    began = time.monotonic()

    while child.restarts < 3:
        child.keep_alive()
        time.sleep(0.01)

    assert time.monotonic() - began >= 0.2 + 0.4 + 0.8


def test_a_child_that_does_not_listen_is_killed_in_the_end():
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); "
    child = Child(
        "deaf",
        lambda: subprocess.Popen(
            [sys.executable, "-c", deaf + "signal.pause()"], stdout=subprocess.PIPE
        ),
    )
    child.launch()
    child.process.stdout.readline()

    stop([child], patience=0.3)

    assert child.process.returncode == -9
    child.process.stdout.close()


def test_ending_nothing_takes_no_time():
    began = time.monotonic()

    end([], patience=60)

    assert time.monotonic() - began < 30


def test_a_missing_postgres_is_explained_with_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "find_binaries", lambda: None)

    with pytest.raises(Trouble, match="make demo"):
        Postgres.below(tmp_path, port=1, password="", log=tmp_path)


def test_a_missing_rabbitmq_is_explained_with_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setattr(rabbitmq, "find_server", lambda: None)

    with pytest.raises(Trouble, match="make demo"):
        RabbitMQ.below(tmp_path, ports=Ports(), password="", definitions={}, log=tmp_path)


@pytest.mark.parametrize(
    ("administrator", "expected"),
    [
        (
            "postgresql://admin:pw@db.example:6543/postgres?sslmode=require",
            "@db.example:6543/shop_orders?sslmode=require",
        ),
        ("host=db.example user=admin", "@db.example:5432/shop_orders"),
        ("postgresql://admin@[::1]:5433/postgres", "@[::1]:5433/shop_orders"),
        ("host=/run/postgresql user=admin", "@%2Frun%2Fpostgresql:5432/shop_orders"),
    ],
)
def test_a_service_reaches_its_database_the_way_the_administrator_does(
    tmp_path, administrator, expected
):
    layout = Layout(tmp_path)
    layout.make()

    dsn = Databases(administrator, "shop", layout).dsn("orders")

    assert dsn.startswith("postgresql://shop_orders:")
    assert dsn.endswith(expected)
    assert conninfo_to_dict(dsn)["password"] == layout.password("shop_orders")
