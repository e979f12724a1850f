"""A session: somebody logged in at one terminal, until they log out or it is ended."""

from datetime import datetime, timedelta
from typing import Final, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from identity.domain.errors import SessionOver

LONGEST_SESSION: Final = timedelta(days=14)


class Session(Aggregate):
    class Opened(Aggregate.Created):
        staff_no: str
        terminal_id: UUID
        opened_at: datetime

    class Ended(Aggregate.Event):
        ended_at: datetime

    def __init__(self, staff_no: str, terminal_id: UUID, opened_at: datetime) -> None:
        self.staff_no = staff_no
        self.terminal_id = terminal_id
        self.opened_at = opened_at
        self.ended = False

    @classmethod
    def open(cls, *, session_id: UUID, staff_no: str, terminal_id: UUID, at: datetime) -> Self:
        return cls._create(
            cls.Opened, id=session_id, staff_no=staff_no, terminal_id=terminal_id, opened_at=at
        )

    def must_be_open(self, *, at: datetime) -> None:
        if self.ended or at >= self.opened_at + LONGEST_SESSION:
            raise SessionOver

    def end(self, *, at: datetime) -> None:
        if self.ended:
            raise SessionOver
        self._ended(at)

    @event(Ended)
    def _ended(self, ended_at: datetime) -> None:
        self.ended = True
