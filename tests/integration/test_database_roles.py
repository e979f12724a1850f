"""The role that a service runs as adds events and commands, and can rewrite neither."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from analytics import tables
from analytics.rebuild import rebuild
from pomona.config import Misconfigured
from pomona.migrate import migrate
from pomona.running_role import running_role
from pomona_console.stack import Stack

pytestmark = pytest.mark.integration

ONLY_ADDED_TO = {
    "orders": ("orders_events", "commands", "timelines", "operations"),
    "analytics": ("archive",),
    "crm": ("crm_events", "commands", "customer_reads"),
}
Enter = Callable[[str], Any]


@pytest.fixture
def enter(servers: Stack, database: Callable[[str], str]) -> Enter:
    """Migrate a service's database and enter it as the role that the service runs as."""

    @contextmanager
    def open_as_running(service: str) -> Iterator[psycopg.Connection[Any]]:
        dsn = database(service)
        migrate(service, dsn)
        with psycopg.connect(running_dsn(dsn, servers), autocommit=True) as connection:
            yield connection

    return open_as_running


def running_dsn(dsn: str, servers: Stack) -> str:
    parts = urlsplit(dsn)
    role = running_role(parts.username or "")
    password = quote(servers.layout.password(role))
    return parts._replace(netloc=f"{role}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.mark.feature("SYS-45")
@pytest.mark.parametrize("service", ONLY_ADDED_TO)
def test_what_is_stored_is_read_and_added_to_but_never_changed(enter: Enter, service: str) -> None:
    with enter(service) as connection:
        for table in ONLY_ADDED_TO[service]:
            connection.execute(f"SELECT * FROM {table}")
            allowed = "SELECT has_table_privilege(%s, 'INSERT')"
            assert connection.execute(allowed, (table,)).fetchone() == (True,)
            for statement in (
                f"UPDATE {table} SET {column_of(connection, table)} = NULL",
                f"DELETE FROM {table}",
                f"TRUNCATE {table}",
                f"LOCK TABLE {table} IN EXCLUSIVE MODE",
                f"ALTER TABLE {table} ADD COLUMN more int",
                f"DROP TABLE {table}",
                f"CREATE TRIGGER spy AFTER INSERT ON {table} EXECUTE FUNCTION spy()",
            ):
                with pytest.raises(InsufficientPrivilege), connection.transaction():
                    connection.execute(statement)


def column_of(connection: psycopg.Connection[Any], table: str) -> str:
    cursor = connection.execute(f"SELECT * FROM {table} LIMIT 0")
    assert cursor.description
    return cursor.description[-1].name


def test_positions_jump_on_a_new_timeline_also_for_one_who_may_not_set_them(
    servers: Stack, database: Callable[[str], str]
) -> None:
    dsn = database("orders")
    migrate("orders", dsn)
    with psycopg.connect(dsn) as owner:
        owner.execute("UPDATE timelines SET timeline = 'FFFFFFFF'")

    with psycopg.connect(running_dsn(dsn, servers)) as connection:
        (position,) = connection.execute(
            "INSERT INTO orders_events (originator_id, originator_version, topic, state)"
            " VALUES (gen_random_uuid(), 1, 't', '') RETURNING notification_id"
        ).fetchone() or (0,)

    assert position > 10**12


def test_a_running_service_makes_no_tables_and_does_not_become_the_owner(enter: Enter) -> None:
    with enter("orders") as connection:
        owner = connection.info.user.removesuffix("_app")
        for statement in ("CREATE TABLE mine (n int)", f"SET ROLE {owner}"):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(statement)


def test_a_running_service_cannot_enter_the_database_of_another(
    servers: Stack, database: Callable[[str], str]
) -> None:
    foreign = urlsplit(database("crm"))
    migrate("orders", dsn := database("orders"))
    own = urlsplit(running_dsn(dsn, servers))

    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(own._replace(path=foreign.path).geturl())


def test_after_a_rebuild_by_the_owner_analytics_goes_on_in_the_new_tables(
    servers: Stack, database: Callable[[str], str]
) -> None:
    dsn = database("analytics")
    migrate("analytics", dsn)

    rebuild(dsn, lambda _done, _total: None)

    with psycopg.connect(running_dsn(dsn, servers)) as connection:
        rights = (
            "SELECT bool_and(has_table_privilege(t, p)) FROM unnest(%s::text[]) AS t,"
            " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p"
        )
        names = [table.name for table in tables.TABLES]
        assert connection.execute(rights, (names,)).fetchone() == (True,)
        connection.execute("SELECT * FROM reporting.stock_position")


def test_a_migration_without_the_role_that_runs_says_what_is_missing(
    servers: Stack, database: Callable[[str], str]
) -> None:
    dsn = database("orders")
    role = running_role(urlsplit(dsn).username or "")
    with psycopg.connect(servers.admin_dsn, autocommit=True) as administrator:
        administrator.execute(f"REVOKE ALL ON DATABASE {urlsplit(dsn).path[1:]} FROM {role}")
        administrator.execute(f"DROP ROLE {role}")

    with pytest.raises(Misconfigured, match=f"there is no database role {role}"):
        migrate("orders", dsn)


def test_every_service_runs_as_its_own_role(stack: Stack) -> None:
    with psycopg.connect(stack.admin_dsn) as administrator:
        connected = administrator.execute(
            "SELECT DISTINCT datname, usename FROM pg_stat_activity"
            " WHERE datname = ANY(%s) AND usename <> 'pomona'",
            ([f"pomona_{service['name']}" for service in stack.services],),
        ).fetchall()

    assert {role for _, role in connected} == {running_role(name) for name, _ in connected}
    assert len(connected) == len(stack.services)
