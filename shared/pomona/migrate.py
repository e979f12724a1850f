"""Makes the tables of one service: `python -m pomona.migrate orders`. Safe to run again."""

import importlib
import sys

import psycopg
from psycopg.sql import SQL, Identifier

from pomona import eventstore, ledger, operations, personal, timelines, trust
from pomona.application import Application
from pomona.config import Misconfigured, databases_of, service_class_of
from pomona.eventstore import environment
from pomona.host import Host, Reader
from pomona.running_role import let_it_run

LOCK = "pomona.migrate"


def migrate(service: str, dsn: str, keys_dsn: str | None = None) -> None:
    """Create what is missing in the service's databases, one migration at a time."""
    module, _, name = service_class_of(service).partition(":")
    cls = getattr(importlib.import_module(module), name)
    (host,) = [found for found in vars(cls).values() if isinstance(found, Host | Reader)]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", (LOCK,))
        connection.execute(ledger.SCHEMA)
        connection.execute(trust.SCHEMA)
        connection.execute(operations.SCHEMA)
        if isinstance(host, Host):
            connection.execute(eventstore.SCHEMA)
            _make_event_tables(host.application_class, dsn)
            connection.execute(
                SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS cause jsonb").format(
                    Identifier(f"{service}_events")
                )
            )
            timelines.watch(connection, f"{service}_events")
        with connection.transaction():
            connection.execute(host.schema)
        let_it_run(connection, append_only=_append_only(service, host))
        if keys_dsn is not None:
            with psycopg.connect(keys_dsn, autocommit=True) as keys:
                keys.execute(personal.SCHEMA)
                let_it_run(keys)


def _append_only(service: str, host: Host | Reader) -> tuple[str, ...]:
    events = (f"{service}_events", "commands", "timelines") if isinstance(host, Host) else ()
    return ("operations", *events, *host.append_only)


def _make_event_tables(application: type[Application], dsn: str) -> None:
    application(environment(dsn, pool_size=1) | {"CREATE_TABLE": "y"}).close()


def main() -> int:
    if len(sys.argv) != 2:  # noqa: PLR2004 - the service
        sys.stderr.write("usage: python -m pomona.migrate SERVICE, for example: orders\n")
        return 2
    service = sys.argv[1]
    try:
        migrate(service, *databases_of(service))
    except Misconfigured as error:
        sys.stderr.write(f"{service}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
