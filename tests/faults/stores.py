"""What the event stores hold, read as their administrator: commands, events, positions."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from pomona_console.stack import Stack

WRITERS = ("orders", "inventory", "crm", "aftersales")
OF_A_COMMAND = "^[0-9a-f]{8}-"  # what another event caused names that event instead


@contextmanager
def reading(stack: Stack, service: str) -> Iterator[psycopg.Cursor[dict[str, Any]]]:
    """Give a cursor on a service's database that no failing service can disturb."""
    name = conninfo_to_dict(stack.databases[service])["dbname"]
    dsn = make_conninfo(stack.admin_dsn, dbname=name)
    with (
        psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def commands_of(stack: Stack, service: str) -> dict[UUID, Mapping[str, Any]]:
    """Return the answers of all commands that a service has carried out, by their ids."""
    with reading(stack, service) as cursor:
        cursor.execute("SELECT command_id, answer FROM commands")
        return {row["command_id"]: row["answer"] for row in cursor}


def effects_of(stack: Stack, service: str, topics: Iterable[str]) -> list[tuple[UUID, str]]:
    """Return which command caused which event, for every event under one of the topics."""
    with reading(stack, service) as cursor:
        cursor.execute(
            f"SELECT cause->>'causationid' AS cause, topic FROM {service}_events"
            " WHERE topic = ANY(%s) AND cause->>'causationid' ~ %s",
            (list(topics), OF_A_COMMAND),
        )
        return [(UUID(row["cause"]), row["topic"]) for row in cursor]


def row(stack: Stack, service: str, statement: str) -> dict[str, Any]:
    """Return the one row of a statement."""
    with reading(stack, service) as cursor:
        cursor.execute(statement)
        found = cursor.fetchone()
    assert found is not None
    return found
