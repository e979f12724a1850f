"""One database per service: a role that owns it, one that runs on it, and one for reports."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from pomona.running_role import running_role
from pomona_console.layout import REPORTING, Layout
from pomona_console.trouble import Trouble

_REPORT_TIMEOUT = "30s"


@dataclass(frozen=True)
class Databases:
    """The databases of one stack on a PostgreSQL where `admin_dsn` may create roles and databases.

    Names start with the prefix, so that several stacks can share one server.
    """

    admin_dsn: str
    prefix: str
    layout: Layout

    def name(self, service: str) -> str:
        return f"{self.prefix}_{service}"

    def dsn(self, service: str) -> str:
        """Return the database of a service, as its owner; or the reports, as their reader."""
        if service == REPORTING:
            return self._dsn(REPORTING, self.layout.password(REPORTING), self.name("analytics"))
        name = self.name(service)
        return self._dsn(name, self.layout.password(name), name)

    def create(self, service: str) -> str:
        """Make roles and database where they are missing; return the owner's DSN."""
        name = self.name(service)
        with self._connect() as server:
            running = running_role(name)
            _make_role(server, name, self.layout.password(name))
            _make_role(server, running, self.layout.password(running))
            _make_database(server, name)
            _let_in(server, running, name)
            if service == "analytics":
                _make_role(server, REPORTING, self.layout.password(REPORTING))
                _let_in(server, REPORTING, name)
                _limit_reader(server)
        return self.dsn(service)

    def keys_dsn(self, service: str) -> str:
        """Return where a service finds the keys of the people whom it knows."""
        return self.dsn(f"{service}_keys")

    def drop(self, service: str) -> None:
        name = self.name(service)
        with self._connect() as server:
            server.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
            for role in (running_role(name), name):
                server.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        try:
            return psycopg.connect(self.admin_dsn, autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as failure:
            raise Trouble(
                f"无法连接 PostgreSQL：{failure}。请检查 POMONA_PG_DSN 和日志。",
                f"PostgreSQL cannot be reached: {failure}. Check POMONA_PG_DSN and the logs.",
            ) from failure

    def _dsn(self, user: str, password: str, database: str) -> str:
        """Return the administrator's DSN with another user and database; TLS settings stay."""
        given = conninfo_to_dict(self.admin_dsn)
        for name in ("user", "password", "dbname"):
            given.pop(name, None)
        host = str(given.pop("host", "localhost"))
        host = f"[{host}]" if ":" in host else quote(host, safe="")
        port = given.pop("port", 5432)
        settings = f"?{urlencode(given)}" if given else ""
        return f"postgresql://{user}:{quote(password, safe='')}@{host}:{port}/{database}{settings}"


def _make_role(server: psycopg.Connection[tuple[object, ...]], name: str, password: str) -> None:
    role = sql.Identifier(name)
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
        server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    server.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))


def _make_database(server: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    database = sql.Identifier(name)
    if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        # An administrator that is no superuser gives a database only to a role it is member of.
        server.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(database))
        server.execute(
            sql.SQL("CREATE DATABASE {0} OWNER {0} ENCODING 'UTF8' TEMPLATE template0").format(
                database
            )
        )
    server.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


def _let_in(server: psycopg.Connection[tuple[object, ...]], role: str, database: str) -> None:
    server.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
            sql.Identifier(database), sql.Identifier(role)
        )
    )


def _limit_reader(server: psycopg.Connection[tuple[object, ...]]) -> None:
    reader = sql.Identifier(REPORTING)
    for setting, value in (
        ("default_transaction_read_only", "on"),
        ("statement_timeout", _REPORT_TIMEOUT),
        ("search_path", REPORTING),
    ):
        server.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(
                reader, sql.Identifier(setting), sql.Literal(value)
            )
        )
