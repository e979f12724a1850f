"""The event store: the library's table, with events, command, inbox and views in one commit."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from time import perf_counter
from typing import Any

import eventsourcing.postgres
import orjson
import psycopg
from eventsourcing.persistence import StoredEvent, Transcoding
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from pomona import metrics

Cursor = psycopg.Cursor[dict[str, Any]]
Within = Callable[[Cursor], None]

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
    it has just written; here the caller is told, and looks its command up first. The table lock
    makes positions appear in order, so that nobody who tails the log misses one. There is no
    NOTIFY: it takes a second, cluster-wide lock, and readers are woken otherwise.
    """

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        cause: Mapping[str, Any] = kwargs["cause"]
        within: Within = kwargs["within"]
        started = perf_counter()
        with (
            self.datastore.get_connection() as connection,
            connection.pipeline() as pipeline,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            if stored_events:
                for statement in self.lock_table_statements:
                    cursor.execute(statement)
                self._append(cursor, stored_events, cause)
            within(cursor)
            # an error shows here, under its own name, and not in the commit
            pipeline.sync()
        metrics.append_duration.observe(perf_counter() - started)
        for event in stored_events:
            metrics.events_appended.labels(event.topic).inc()
        return None

    def _append(
        self, cursor: Cursor, stored_events: Sequence[StoredEvent], cause: Mapping[str, Any]
    ) -> None:
        cursor.execute(
            SQL(
                "INSERT INTO {table} (originator_id, originator_version, topic, state, cause) "
                "SELECT e.id, e.version, e.topic, e.state, %s "
                "FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::bytea[]) "
                "WITH ORDINALITY AS e (id, version, topic, state, nth) ORDER BY nth"
            ).format(table=Identifier(self.datastore.schema, self.events_table_name)),
            (
                Jsonb(cause, dumps=orjson.dumps),
                [event.originator_id for event in stored_events],
                [event.originator_version for event in stored_events],
                [event.topic for event in stored_events],
                [event.state for event in stored_events],
            ),
        )


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
        "AGGREGATE_CACHE_MAXSIZE": "2000",
    }
