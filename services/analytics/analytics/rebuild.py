"""Build every table again from the archive, beside the live ones, and swap them in.

    python -m analytics.rebuild [--dsn DSN]

Live consumption goes on meanwhile. Only while the last events are caught up with, the old and
new tables compared and swapped, writers wait at the archive's lock.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import psycopg

from analytics import reporting, tables
from analytics.projections import project
from pomona.envelope import Envelope, unseal

CHUNK = 5000
ONE_AT_A_TIME = 0x706F6D6F  # the advisory lock that two rebuilds meet at
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Digests:
    """SHA-256 over all rows of a table in the order of its key, before and after."""

    before: str
    after: str


class ArchiveBroken(Exception):
    """An event is missing from the archive."""


def rebuild(dsn: str, progress: Callable[[int, int], None]) -> dict[str, Digests]:
    """Rebuild all tables; `progress` hears how many events of how many are done."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
        connection.execute("SET synchronous_commit = off")  # the swap's commit flushes it all
        connection.execute("DROP SCHEMA IF EXISTS rebuild CASCADE; CREATE SCHEMA rebuild")
        connection.execute("SET search_path = rebuild, public")
        connection.execute(tables.SCHEMA)
        replay = Replay(connection, progress)
        replay.run()
        for table in tables.TABLES:
            connection.execute(f"ANALYZE rebuild.{table.name}")
        connection.execute("SET synchronous_commit = on")
        with connection.transaction():
            connection.execute("LOCK TABLE public.archive IN SHARE MODE")
            replay.run()
            compared = {
                table.name: Digests(
                    digest(connection, "public", table), digest(connection, "rebuild", table)
                )
                for table in tables.TABLES
            }
            swap(connection)
    return compared


class Replay:
    """The way through the archive, source by source; it can go on where it stopped."""

    def __init__(self, connection: Connection, progress: Callable[[int, int], None]) -> None:
        self.connection = connection
        self.progress = progress
        self.reached: dict[str, int] = {}
        self.done = 0

    def run(self) -> None:
        counted = self.count()
        total = sum(counted.values())
        for source in counted:
            for chunk in self.chunks(source):
                with self.connection.transaction(), self.connection.cursor() as cursor:
                    project(chunk, cursor)
                self.done += len(chunk)
                self.progress(self.done, max(total, self.done))

    def count(self) -> dict[str, int]:
        counted = "SELECT source, count(*) FROM public.archive GROUP BY source ORDER BY source"
        return dict(self.connection.execute(counted))

    def chunks(self, source: str) -> Iterator[list[Envelope]]:
        while True:
            found = self.connection.execute(
                "SELECT envelope FROM public.archive WHERE source = %s AND position > %s"
                " ORDER BY position LIMIT %s",
                [source, self.reached.get(source, 0), CHUNK],
                binary=True,
            )
            chunk = [unseal(bytes(raw)) for (raw,) in found]
            if not chunk:
                return
            for event in chunk:
                if event.previous != self.reached.get(source, 0):
                    raise ArchiveBroken(f"{source}: nothing at position {event.previous}")
                self.reached[source] = event.position
            yield chunk


def digest(connection: Connection, schema: str, table: tables.Table) -> str:
    """Hash a table as PostgreSQL writes it out, row by row in the order of its key."""
    found = hashlib.sha256()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'UTC'")
        rows = f"SELECT * FROM {schema}.{table.name} ORDER BY {', '.join(table.key)}"  # noqa: S608 - names of this package only
        with cursor.copy(f"COPY ({rows}) TO STDOUT") as copy:
            for block in copy:
                found.update(block)
    return found.hexdigest()


def swap(connection: Connection) -> None:
    """Put the rebuilt tables in the place of the live ones and point the views at them."""
    old = ", ".join(f"public.{table.name}" for table in tables.TABLES)
    connection.execute("CREATE SCHEMA replaced")
    connection.execute(f"LOCK TABLE {old}")
    for table in tables.TABLES:
        connection.execute(f"ALTER TABLE public.{table.name} SET SCHEMA replaced")
        connection.execute(f"ALTER TABLE rebuild.{table.name} SET SCHEMA public")
    connection.execute("SET LOCAL search_path = public")
    connection.execute(reporting.SCHEMA)
    connection.execute("DROP SCHEMA replaced CASCADE; DROP SCHEMA rebuild")


def show(done: int, total: int) -> None:
    width = 40
    filled = width * done // total
    bar = "#" * filled + "." * (width - filled)
    sys.stderr.write(f"\r[{bar}] {done:,} of {total:,} events")


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the tables of analytics again.")
    parser.add_argument("--dsn", default=os.environ.get("POMONA_DATABASE_DSN"))
    dsn = parser.parse_args().dsn
    if dsn is None:
        parser.error("Give --dsn or set POMONA_DATABASE_DSN.")
    compared = rebuild(dsn, show)
    sys.stderr.write("\n")
    told = {name: asdict(digests) for name, digests in compared.items()}
    sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    return 0 if all(digests.before == digests.after for digests in compared.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
