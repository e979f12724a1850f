"""The statements that make the databases of the Compose file, on a real PostgreSQL."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from pomona_console.postgres import find_binaries
from pomona_console.stack import Stack, temporary_stack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server of its own: the statements make roles, which all databases of a server share."""
    if os.environ.get("POMONA_PG_DSN"):
        pytest.skip("the roles have fixed names: not on a server that others use")
    with temporary_stack(tmp_path_factory.mktemp("databases"), services=()) as running:
        yield running


@pytest.fixture(scope="module")
def secrets(deploy: Path, server: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets with which the statements have run, twice."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([sys.executable, deploy / "compose/make_secrets.py", folder], check=True)
    binaries = find_binaries()
    assert binaries is not None
    psql = [str(binaries / "psql"), "--no-psqlrc", "--quiet", server.admin_dsn]
    for _ in range(2):
        for file, *settings in (
            ("database.sql", "--set=name=orders"),
            ("database.sql", "--set=name=crm"),
            ("database.sql", "--set=name=analytics"),
            ("reporting.sql",),
        ):
            statements = (deploy / "compose" / file).read_text()
            here = statements.replace("/run/secrets", str(folder))
            subprocess.run([*psql, *settings], input=here, text=True, check=True)
    return folder


def dsn_of(user: str, database: str, *, secrets: Path, server: Stack) -> str:
    admin = urlsplit(server.admin_dsn)
    password = (secrets / f"{user}.password").read_text()
    host = admin.netloc.rpartition("@")[2]
    return urlunsplit((admin.scheme, f"{user}:{password}@{host}", f"/{database}", "", ""))


def test_a_service_migrates_its_own_database_through_the_entrypoint(
    deploy: Path, secrets: Path, server: Stack
) -> None:
    owner = urlsplit(dsn_of("orders", "orders", secrets=secrets, server=server))
    dsn = owner._replace(netloc=f"orders@{owner.netloc.rpartition('@')[2]}").geturl()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "POMONA_SERVICE": "orders",
        "POMONA_DATABASE_DSN": dsn,
        "POMONA_DATABASE_PASSWORD_FILE": str(secrets / "orders.password"),
    }

    subprocess.run([deploy / "docker/entrypoint", "pomona.migrate"], env=environment, check=True)

    running = dsn_of("orders_app", "orders", secrets=secrets, server=server)
    with psycopg.connect(running) as connection:
        connection.execute("SELECT * FROM orders_events, inbox")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM orders_events")


def test_a_service_cannot_enter_the_database_of_another(secrets: Path, server: Stack) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(dsn_of("crm_app", "orders", secrets=secrets, server=server))


def test_analysts_only_read_and_not_for_long(secrets: Path, server: Stack) -> None:
    with psycopg.connect(
        dsn_of("reporting", "analytics", secrets=secrets, server=server)
    ) as reader:
        limits = reader.execute(
            "SELECT current_setting('default_transaction_read_only'),"
            " current_setting('statement_timeout')"
        )
        assert limits.fetchone() == ("on", "30s")
