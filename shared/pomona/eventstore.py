"""The event store: the library's table, with events, command, inbox and views in one commit."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from time import perf_counter
from typing import Any

import eventsourcing.postgres
import psycopg
from eventsourcing.persistence import IntegrityError, StoredEvent, Transcoding
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier, Literal

from pomona import metrics
from pomona.append import Cursor, Entry, SingleWriter

__all__ = ["Cursor", "Factory", "Recorder", "environment"]

LOCK = "pomona.append"

SCHEMA = """
CREATE TABLE IF NOT EXISTS commands (
    command_id   uuid PRIMARY KEY,
    method       text NOT NULL,
    caller       text NOT NULL,
    request_hash bytea NOT NULL,
    answer       jsonb NOT NULL,
    recorded_at  timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS relay (
    log          text PRIMARY KEY,
    position     bigint NOT NULL
);
"""


class Recorder(eventsourcing.postgres.PostgresApplicationRecorder):
    """Appends events and everything that belongs to them in one transaction, tried once.

    The library's own insert tries again after a lost connection and then collides with the row
    it has just written; here the caller is told, and looks its command up first. A lock that
    every writer takes makes positions appear in order, so that nobody who tails the log misses
    one; it is an advisory lock, since locking the table takes the right to change its rows.
    There is no NOTIFY: it takes a second, cluster-wide lock, and readers are woken otherwise.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        table = Identifier(self.datastore.schema, self.events_table_name)
        self._insert = SQL(
            "INSERT INTO {} (originator_id, originator_version, topic, state, cause)"
            " SELECT e.id, e.version, e.topic, e.state, e.cause::jsonb"
            " FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::bytea[], %s::text[])"
            " WITH ORDINALITY AS e (id, version, topic, state, cause, nth) ORDER BY nth"
        ).format(table)
        self._changed = SQL(
            "SELECT 1 FROM {} e JOIN unnest(%s::uuid[], %s::bigint[]) AS seen (id, version)"
            " ON e.originator_id = seen.id AND e.originator_version = seen.version + 1 LIMIT 1"
        ).format(table)
        self._lock = SQL(
            "SELECT set_config('lock_timeout', {}, true), pg_advisory_xact_lock(hashtext({}))"
        ).format(Literal(f"{self.datastore.lock_timeout}s"), Literal(LOCK))
        self._writer = SingleWriter(self._write)

    def append(self, entry: Entry) -> None:
        """Commit what belongs together; see `SingleWriter.append` for what it raises."""
        self._writer.append(entry)

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        causes = [b"{}"] * len(stored_events)
        self.append(Entry(stored_events, causes, {}, lambda _cursor: None))
        return None

    def _write(self, entries: Sequence[Entry]) -> None:
        started = perf_counter()
        with self.datastore.get_connection() as connection:
            try:
                # one round trip, unless somebody in it has to read
                with connection.pipeline(), connection.cursor() as cursor:
                    self._fill(cursor, entries)
            except BaseException:
                with suppress(psycopg.Error):
                    connection.rollback()
                raise
        metrics.append_duration.observe(perf_counter() - started)
        for entry in entries:
            for event in entry.events:
                metrics.events_appended.labels(event.topic).inc()

    def _fill(self, cursor: Cursor, entries: Sequence[Entry]) -> None:
        cursor.execute("BEGIN")
        events = [event for entry in entries for event in entry.events]
        if events:
            cursor.execute(self._lock)
        for entry in entries:
            if entry.seen:
                cursor.execute(self._changed, (list(entry.seen), list(entry.seen.values())))
                if cursor.fetchone() is not None:
                    raise IntegrityError("an aggregate was changed meanwhile")
        if events:
            cursor.execute(
                self._insert,
                (
                    [event.originator_id for event in events],
                    [event.originator_version for event in events],
                    [event.topic for event in events],
                    [event.state for event in events],
                    [cause.decode() for entry in entries for cause in entry.causes],
                ),
            )
        for entry in entries:
            entry.within(cursor)
        cursor.execute("COMMIT")


class Factory(eventsourcing.postgres.PostgresFactory):
    """Makes the library's infrastructure with our recorder."""

    application_recorder_class = Recorder


class DateAsText(Transcoding):
    type = date
    name = "date"

    def encode(self, obj: date) -> str:
        return obj.isoformat()

    def decode(self, data: str) -> date:
        return date.fromisoformat(data)


def environment(dsn: str, *, pool_size: int = 5) -> dict[str, str]:
    """Return the library's settings for a database: bounded waits, tables made elsewhere."""
    parts = conninfo_to_dict(dsn)
    return {
        "PERSISTENCE_MODULE": "pomona.eventstore",
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts.get("port") or 5432),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts.get("password") or ""),
        "POSTGRES_POOL_SIZE": str(pool_size),
        "POSTGRES_MAX_OVERFLOW": str(pool_size),
        "POSTGRES_CONNECT_TIMEOUT": "3",
        "POSTGRES_LOCK_TIMEOUT": "2",
        "POSTGRES_IDLE_IN_TRANSACTION_SESSION_TIMEOUT": "5",
        "CREATE_TABLE": "n",
    }
