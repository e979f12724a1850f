"""A terminal: a machine that head office let in once, until it is revoked."""

from datetime import datetime, timedelta
from typing import Final, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from identity.domain.errors import AlreadyEnrolled, CodeNotValid, TerminalRevoked

CODE_LASTS: Final = timedelta(hours=24)


class Terminal(Aggregate):
    """Store terminals belong to one store, those of head office to none."""

    class CodeIssued(Aggregate.Created):
        store_id: UUID | None
        issued_at: datetime

    class CodeReplaced(Aggregate.Event):
        store_id: UUID | None
        issued_at: datetime

    class Enrolled(Aggregate.Event):
        enrolled_at: datetime

    class Revoked(Aggregate.Event):
        revoked_at: datetime

    def __init__(self, store_id: UUID | None, issued_at: datetime) -> None:
        self.store_id = store_id
        self.code_issued_at = issued_at
        self.enrolled = False
        self.revoked = False

    @classmethod
    def announce(cls, *, terminal_id: UUID, store_id: UUID | None, at: datetime) -> Self:
        """Issue the first code for a terminal that is to come."""
        return cls._create(cls.CodeIssued, id=terminal_id, store_id=store_id, issued_at=at)

    def replace_code(self, *, store_id: UUID | None, at: datetime) -> None:
        """Issue another code, as when the first one expired or was lost; that one is void."""
        self._must_not_be_revoked()
        if self.enrolled:
            raise AlreadyEnrolled
        self._code_replaced(store_id, at)

    def enrol(self, *, at: datetime) -> None:
        if self.enrolled or self.revoked or at >= self.code_expires_at:
            raise CodeNotValid
        self._enrolled(at)

    def revoke(self, *, at: datetime) -> None:
        self._must_not_be_revoked()
        self._revoked(at)

    @property
    def code_expires_at(self) -> datetime:
        return self.code_issued_at + CODE_LASTS

    @property
    def is_ours(self) -> bool:
        return self.enrolled and not self.revoked

    def _must_not_be_revoked(self) -> None:
        if self.revoked:
            raise TerminalRevoked

    @event(CodeReplaced)
    def _code_replaced(self, store_id: UUID | None, issued_at: datetime) -> None:
        self.store_id = store_id
        self.code_issued_at = issued_at

    @event(Enrolled)
    def _enrolled(self, enrolled_at: datetime) -> None:
        self.enrolled = True

    @event(Revoked)
    def _revoked(self, revoked_at: datetime) -> None:
        self.revoked = True
