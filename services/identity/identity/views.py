"""The tables of identity, and the questions they answer."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pomona.eventstore import Cursor

# Longer than any token lasts: what is older is refused for its age.
REVOCATIONS_TOLD: Final = timedelta(days=1)

SCHEMA = """
CREATE TABLE IF NOT EXISTS terminals (
    terminal_id    uuid PRIMARY KEY,
    store_id       uuid,
    state          text NOT NULL,
    since          timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS people (
    staff_no       text PRIMARY KEY,
    role           text NOT NULL,
    store_id       uuid,
    state          text NOT NULL,
    since          timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS revocations (
    kind           text NOT NULL,
    id             text NOT NULL,
    revoked_at     timestamptz NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX IF NOT EXISTS revocations_by_time ON revocations (revoked_at);
"""


def revoke(cursor: Cursor, kind: str, revoked_id: str, at: datetime) -> None:
    """Have tokens of a person, terminal or session refused that were issued until now."""
    cursor.execute(
        "INSERT INTO revocations (kind, id, revoked_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (kind, id) DO UPDATE SET revoked_at = excluded.revoked_at",
        (kind, revoked_id, at),
    )


def revoked_of_late(cursor: Cursor, now: datetime) -> list[dict[str, Any]]:
    cursor.execute(
        "SELECT kind, id, revoked_at FROM revocations WHERE revoked_at > %s"
        " ORDER BY revoked_at, kind, id",
        (now - REVOCATIONS_TOLD,),
    )
    return [
        {"kind": row["kind"], "id": row["id"], "at": row["revoked_at"].isoformat()}
        for row in cursor.fetchall()
    ]


def terminals(cursor: Cursor, store_id: UUID | None) -> list[dict[str, Any]]:
    cursor.execute(
        "SELECT terminal_id, store_id, state, since FROM terminals"
        " WHERE %(store)s::uuid IS NULL OR store_id = %(store)s ORDER BY since, terminal_id",
        {"store": store_id},
    )
    return [_plain(row) for row in cursor.fetchall()]


def people(cursor: Cursor, store_id: UUID | None) -> list[dict[str, Any]]:
    cursor.execute(
        "SELECT staff_no, role, store_id, state, since FROM people"
        " WHERE %(store)s::uuid IS NULL OR store_id = %(store)s ORDER BY staff_no",
        {"store": store_id},
    )
    return [_plain(row) for row in cursor.fetchall()]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value and str(value)
        for name, value in row.items()
    }
