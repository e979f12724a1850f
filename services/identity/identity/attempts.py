"""Failed log-ins slow the next ones down, and never shut a whole store out.

Whoever logged in at a terminal before is counted for that pair alone: nobody elsewhere can slow
them down. Somebody new at a terminal is counted for the person wherever it is tried. Every failure
also counts for the terminal, whose pauses stay short: the others at it wait a minute at most.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from identity.domain.errors import TooManyAttempts
from pomona.eventstore import Cursor

FREE_PER_PERSON: Final = 3
FREE_PER_TERMINAL: Final = 10
LONGEST_FOR_PERSON: Final = 900
LONGEST_FOR_TERMINAL: Final = 60
FORGOTTEN_AFTER: Final = timedelta(days=1)

SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
    counted_for    text PRIMARY KEY,
    failures       double precision NOT NULL,
    next_at        timestamptz NOT NULL,
    last_at        timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS known_pairs (
    terminal_id    uuid NOT NULL,
    staff_no       text NOT NULL,
    PRIMARY KEY (terminal_id, staff_no)
);
"""


@dataclass(frozen=True)
class Attempt:
    """One try of somebody to log in at a terminal."""

    terminal_id: UUID
    staff_no: str
    at: datetime

    def begin(self, cursor: Cursor) -> None:
        """Count the try as failed before it is judged, so that many at once cannot outrun it.

        Raises `TooManyAttempts` while a pause lasts; that is not counted.
        """
        cursor.execute("DELETE FROM attempts WHERE last_at < %s", (self.at - FORGOTTEN_AFTER,))
        limits = (
            (self._terminal, FREE_PER_TERMINAL, LONGEST_FOR_TERMINAL),
            (self._person(cursor), FREE_PER_PERSON, LONGEST_FOR_PERSON),
        )
        for counted_for, free, longest in limits:
            self._count(cursor, counted_for, free, longest)

    def succeed(self, cursor: Cursor) -> None:
        """Take the try back, and forgive this person's earlier ones here."""
        cursor.execute("DELETE FROM attempts WHERE counted_for = %s", (self._person(cursor),))
        cursor.execute(
            "UPDATE attempts SET failures = greatest(0, failures - 1), next_at = %s"
            " WHERE counted_for = %s",
            (self.at, self._terminal),
        )
        cursor.execute(
            "INSERT INTO known_pairs (terminal_id, staff_no) VALUES (%s, %s)"
            " ON CONFLICT DO NOTHING",
            (self.terminal_id, self.staff_no),
        )

    def _count(self, cursor: Cursor, counted_for: str, free: int, longest: int) -> None:
        cursor.execute(
            "INSERT INTO attempts (counted_for, failures, next_at, last_at)"
            " VALUES (%(name)s, 0, %(at)s, %(at)s) ON CONFLICT DO NOTHING",
            {"name": counted_for, "at": self.at},
        )
        cursor.execute(
            "SELECT failures, next_at, last_at FROM attempts WHERE counted_for = %s FOR UPDATE",
            (counted_for,),
        )
        row = cursor.fetchone() or {"failures": 0.0, "next_at": self.at, "last_at": self.at}
        if row["next_at"] > self.at:
            left = (row["next_at"] - self.at).total_seconds()
            raise TooManyAttempts(seconds=int(left) + 1)
        failures = 1 + remembered(row["failures"], self.at - row["last_at"], longest)
        cursor.execute(
            "UPDATE attempts SET failures = %s, next_at = %s, last_at = %s WHERE counted_for = %s",
            (failures, self.at + pause_after(failures, free, longest), self.at, counted_for),
        )

    @property
    def _terminal(self) -> str:
        return f"terminal {self.terminal_id}"

    def _person(self, cursor: Cursor) -> str:
        cursor.execute(
            "SELECT 1 FROM known_pairs WHERE terminal_id = %s AND staff_no = %s",
            (self.terminal_id, self.staff_no),
        )
        if cursor.fetchone():
            return f"person {self.staff_no} at {self.terminal_id}"
        return f"person {self.staff_no}"


def remembered(failures: float, since: timedelta, longest: int) -> float:
    """Forget one failure for each longest pause that has passed: people mistype now and then."""
    return max(0.0, failures - since.total_seconds() / longest)


def pause_after(failures: float, free: int, longest: int) -> timedelta:
    """Return how long to wait after so many failures: nothing at first, then ever twice as long."""
    over = round(failures) - free
    return timedelta(seconds=min(longest, 2 ** min(over, 20)) if over >= 0 else 0)
