"""What an operator sees and changes in a service's own tables; each change leaves a row behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from pomona.envelope import Envelope, unseal
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor
from pomona.relay import LOCK

SCHEMA = """
CREATE TABLE IF NOT EXISTS operations (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    who     text NOT NULL,
    what    text NOT NULL,
    details jsonb NOT NULL,
    reason  text NOT NULL
);
"""


@dataclass(frozen=True)
class ParkedEvent:
    """An event that was set aside, with all that is known of why."""

    source: str
    position: int
    subject: str
    error: str
    attempts: int
    parked_at: datetime
    retry_at: datetime
    envelope: Envelope


@dataclass(frozen=True)
class Outbox:
    """How far a service's log is published, and who publishes it."""

    position: int
    head: int
    pending: int
    oldest: str | None
    leader: int | None


def note(cursor: Cursor, who: str, what: str, details: dict[str, Any], reason: str) -> None:
    """Write down who changed what, and why."""
    cursor.execute(
        "INSERT INTO operations (who, what, details, reason) VALUES (%s, %s, %s, %s)",
        (who, what, Jsonb(details), reason),
    )


def parked_events(
    cursor: Cursor, source: str | None = None, position: int | None = None
) -> list[ParkedEvent]:
    """Return what is set aside, oldest first; of one source, or one event, where asked."""
    cursor.execute(
        "SELECT source, position, subject, envelope, error, attempts, parked_at, retry_at"
        " FROM parked WHERE source = coalesce(%s, source) AND position = coalesce(%s, position)"
        " ORDER BY source, position",
        (source, position),
    )
    return [
        ParkedEvent(**{**row, "envelope": unseal(bytes(row["envelope"]))})
        for row in cursor.fetchall()
    ]


def retry_now(
    cursor: Cursor,
    who: str,
    source: str | None = None,
    position: int | None = None,
    reason: str = "",
) -> int:
    """Let the inbox try again what is set aside, within seconds; return how many events."""
    cursor.execute(
        "UPDATE parked SET retry_at = now()"
        " WHERE source = coalesce(%s, source) AND position = coalesce(%s, position)",
        (source, position),
    )
    events = cursor.rowcount
    if events:
        details = {"source": source, "position": position, "events": events}
        note(cursor, who, "parked retry", details, reason)
    return events


def drop(cursor: Cursor, who: str, source: str, position: int, reason: str) -> bool:
    """Give up an event that is set aside: its effect will never happen here."""
    cursor.execute(
        "DELETE FROM parked WHERE source = %s AND position = %s RETURNING subject, error, attempts",
        (source, position),
    )
    dropped = cursor.fetchone()
    if dropped is not None:
        details = {"source": source, "position": position, **dropped}
        note(cursor, who, "parked drop", details, reason)
    return dropped is not None


def outbox(cursor: Cursor, log: EventLog) -> Outbox:
    """Return how far the relay is."""
    cursor.execute("SELECT position FROM relay WHERE log = %s", (log.service,))
    row = cursor.fetchone()
    position = row["position"] if row else 0
    waiting = log.after(cursor, position, 1)
    return Outbox(
        position=position,
        head=log.head(cursor),
        pending=log.count_after(cursor, position),
        oldest=waiting[0].time if waiting else None,
        leader=_leader(cursor),
    )


def inbox_positions(cursor: Cursor) -> dict[str, int]:
    """Return the position of each source that has been applied."""
    cursor.execute("SELECT source, position FROM inbox ORDER BY source")
    return {row["source"]: row["position"] for row in cursor.fetchall()}


def realign(cursor: Cursor, who: str, source: str, log: Sequence[int], reason: str) -> None:
    """Let an inbox go on from `log`: where it stood, and the last position its source still has.

    What was applied in between stays applied.
    """
    before, after = log
    cursor.execute(
        "UPDATE inbox SET position = %s WHERE source = %s AND position = %s",
        (after, source, before),
    )
    note(cursor, who, "realign", {"source": source, "from": before, "to": after}, reason)


def _leader(cursor: Cursor) -> int | None:
    """Return the database's process that serves the leading relay."""
    cursor.execute(
        "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()"
        " AND l.objid = (hashtext(%s)::bigint & 4294967295)::oid",
        (LOCK,),
    )
    row = cursor.fetchone()
    return row["pid"] if row else None
