"""Where an inbox stands: the position it has applied, and the events it has set aside."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pomona.envelope import Envelope, unseal
from pomona.eventstore import Cursor

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    source     text PRIMARY KEY,
    position   bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS parked (
    source     text NOT NULL,
    position   bigint NOT NULL,
    subject    text NOT NULL,
    envelope   bytea NOT NULL,
    error      text NOT NULL,
    attempts   integer NOT NULL,
    parked_at  timestamptz NOT NULL,
    retry_at   timestamptz NOT NULL,
    PRIMARY KEY (source, position)
);
"""

LONGEST_RETRY_SECONDS = 60

Reading = Callable[[], AbstractContextManager[Cursor]]


class PositionMoved(Exception):  # noqa: N818 - somebody else was faster
    """The inbox does not stand where this reader thought: another replica applied the event."""


class Settlement(Protocol):
    """How an applied event is marked as applied, in the transaction of its effect."""

    def settle(self, cursor: Cursor) -> None:
        """Write the mark. Raises `PositionMoved` where it stands already."""


@dataclass(frozen=True)
class Advance:
    """The inbox moves from one position to a later one."""

    source: str
    expected: int
    position: int

    def settle(self, cursor: Cursor) -> None:
        cursor.execute(
            "UPDATE inbox SET position = %s WHERE source = %s AND position = %s RETURNING position",
            (self.position, self.source, self.expected),
        )
        if cursor.fetchone() is None:
            raise PositionMoved


@dataclass(frozen=True)
class Unpark:
    """A parked event leaves the table."""

    source: str
    position: int

    def settle(self, cursor: Cursor) -> None:
        cursor.execute(
            "DELETE FROM parked WHERE source = %s AND position = %s RETURNING position",
            (self.source, self.position),
        )
        if cursor.fetchone() is None:
            raise PositionMoved


@dataclass(frozen=True)
class Parked:
    """An event that was set aside, and how often it has been tried since."""

    envelope: Envelope
    attempts: int


class Ledger:
    """The rows of one source in the tables `inbox` and `parked`."""

    def __init__(self, source: str, reading: Reading) -> None:
        self._source = source
        self._reading = reading

    def position(self) -> int:
        """Return the position of the last event applied or set aside, 0 at first."""
        with self._reading() as cursor:
            cursor.execute(
                "INSERT INTO inbox (source, position) VALUES (%s, 0) ON CONFLICT DO NOTHING",
                (self._source,),
            )
            cursor.execute("SELECT position FROM inbox WHERE source = %s", (self._source,))
            row = cursor.fetchone()
        return int(row["position"]) if row else 0

    def parked(self) -> Counter[str]:
        """Return how many events are set aside, by subject."""
        with self._reading() as cursor:
            cursor.execute("SELECT subject FROM parked WHERE source = %s", (self._source,))
            return Counter(row["subject"] for row in cursor.fetchall())

    def park(self, envelope: Envelope, advance: Advance, reason: str) -> None:
        """Set an event aside and move past it. Raises `PositionMoved`."""
        with self._reading() as cursor, cursor.connection.transaction():
            cursor.execute(
                "INSERT INTO parked (source, position, subject, envelope, error, attempts,"
                " parked_at, retry_at)"
                " VALUES (%s, %s, %s, %s, %s, 0, now(), now() + interval '1s')",
                (self._source, envelope.position, envelope.subject, envelope.raw, reason),
            )
            advance.settle(cursor)

    def due(self) -> Sequence[Parked]:
        """Return the oldest parked event of each subject, where it is time to try it again."""
        with self._reading() as cursor:
            cursor.execute(
                "SELECT envelope, attempts FROM ("
                "SELECT DISTINCT ON (subject) position, envelope, attempts, retry_at"
                " FROM parked WHERE source = %s ORDER BY subject, position"
                ") AS oldest WHERE retry_at <= now() ORDER BY position",
                (self._source,),
            )
            rows = cursor.fetchall()
        return [Parked(unseal(bytes(row["envelope"])), row["attempts"]) for row in rows]

    def postpone(self, parked: Parked, reason: str) -> None:
        """Note that a parked event failed again, and wait twice as long as before."""
        pause = min(2 ** (parked.attempts + 1), LONGEST_RETRY_SECONDS)
        with self._reading() as cursor:
            cursor.execute(
                "UPDATE parked SET attempts = attempts + 1, error = %s,"
                " retry_at = now() + make_interval(secs => %s)"
                " WHERE source = %s AND position = %s",
                (reason, pause, self._source, parked.envelope.position),
            )
