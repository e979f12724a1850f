"""The event store: the library's table, with events, command, inbox and views in one commit."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from time import perf_counter
from typing import Any

import eventsourcing.postgres
import orjson
import psycopg
from eventsourcing.persistence import IntegrityError, StoredEvent, Transcoding
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from pomona import metrics
from pomona.append import Cursor, Entry, SingleWriter

__all__ = ["Cursor", "Factory", "Recorder", "environment"]

LOCK = "SELECT pg_advisory_xact_lock(hashtext('pomona.append'))"
APPEND = """
WITH locked AS MATERIALIZED (
    {lock}
), event AS (
    INSERT INTO {events} (originator_id, originator_version, topic, state, cause)
    SELECT e.id, e.version, e.topic, decode(e.state, 'hex'), e.cause
    FROM locked, ROWS FROM (
        json_to_recordset(%s::json)
        AS (id uuid, version bigint, topic text, state text, cause jsonb)
    ) WITH ORDINALITY AS e (id, version, topic, state, cause, nth)
    ORDER BY nth
)
INSERT INTO commands (command_id, method, caller, request_hash, answer, recorded_at)
SELECT c.command_id, c.method, c.caller, decode(c.request_hash, 'hex'), c.answer, c.recorded_at
FROM json_to_recordset(%s::json) AS c (
    command_id uuid, method text, caller text, request_hash text, answer jsonb,
    recorded_at timestamptz
)
"""
# fails by itself, so that nobody has to wait for what it finds before the rest is sent
UNCHANGED = """
SELECT 1 / (NOT EXISTS (
    SELECT FROM {events} e JOIN unnest(%s::uuid[], %s::bigint[]) AS seen (id, version)
    ON e.originator_id = seen.id AND e.originator_version = seen.version + 1
))::int
"""

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
        names = {
            "events": Identifier(self.datastore.schema, self.events_table_name),
            "lock": SQL(LOCK),
        }
        # as they are sent: composing them again for each commit is not free
        self._append = SQL(APPEND).format(**names).as_bytes()
        self._unchanged = SQL(UNCHANGED).format(**names).as_bytes()
        self._writer = SingleWriter(self._write)

    def append(self, entry: Entry) -> None:
        """Commit what belongs together; see `SingleWriter.append` for what it raises."""
        self._writer.append(entry)

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        self.append(Entry(stored_events, [{}] * len(stored_events)))
        return None

    def _write(self, entries: Sequence[Entry]) -> None:
        started = perf_counter()
        plain = not any(entry.seen or entry.within for entry in entries)
        with self.datastore.get_connection() as connection:
            if plain:
                # one statement is a transaction of its own
                connection.execute(self._append, _rows(entries))
            else:
                self._write_within(connection, entries)
        metrics.append_duration.observe(perf_counter() - started)
        topics = Counter(event.topic for entry in entries for event in entry.events)
        for topic, events in topics.items():
            metrics.events_appended.labels(topic).inc(events)

    def _write_within(
        self, connection: psycopg.Connection[dict[str, Any]], entries: Sequence[Entry]
    ) -> None:
        """Write in one round trip, unless somebody in it has to read."""
        # one of them may have seen an older version than another did
        seen = {looked_at for entry in entries for looked_at in entry.seen.items()}
        try:
            with connection.pipeline(), connection.cursor() as cursor:
                cursor.execute("BEGIN")
                if seen:
                    # before the look, not with it: what was committed while we waited is seen too
                    cursor.execute(LOCK)
                    ids, versions = zip(*seen, strict=True)
                    cursor.execute(self._unchanged, (list(ids), list(versions)))
                if any(entry.events or entry.command for entry in entries):
                    cursor.execute(self._append, _rows(entries))
                for entry in entries:
                    if entry.within is not None:
                        entry.within(cursor)
                cursor.execute("COMMIT")
        except BaseException as error:
            with suppress(psycopg.Error):
                connection.rollback()
            if isinstance(error, psycopg.errors.DivisionByZero):
                raise IntegrityError("an aggregate was changed meanwhile") from None
            raise


def _rows(entries: Sequence[Entry]) -> tuple[str, str]:
    """Return the events and the commands of some entries, each as one JSON text."""
    events = [
        {
            "id": event.originator_id,
            "version": event.originator_version,
            "topic": event.topic,
            "state": event.state.hex(),
            "cause": cause,
        }
        for entry in entries
        for event, cause in zip(entry.events, entry.causes, strict=True)
    ]
    commands = [entry.command for entry in entries if entry.command is not None]
    return orjson.dumps(events).decode(), orjson.dumps(commands).decode()


TLS = ("sslmode", "sslrootcert")


class Factory(eventsourcing.postgres.PostgresFactory):
    """Makes the library's infrastructure with our recorder."""

    application_recorder_class = Recorder

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        # of the session: set within a statement it would come after that statement's own locks
        options = f"-c lock_timeout={self.datastore.lock_timeout}s"
        # and how the server proves who it is, which the library has no setting for
        tls = {name: value for name in TLS if (value := env.get(f"POSTGRES_{name.upper()}"))}
        given: Any = self.datastore.pool.kwargs
        self.datastore.pool.kwargs = {**given, "options": options, **tls}


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
        **{f"POSTGRES_{name.upper()}": str(parts[name]) for name in TLS if name in parts},
    }
