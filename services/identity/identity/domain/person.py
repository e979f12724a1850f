"""A person who works for the chain: what they may do, and at which store."""

from datetime import datetime
from typing import Final, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from identity.domain.errors import PersonUnknown, StoreDoesNotFit
from pomona.values import stable_id

AT_A_STORE: Final = ("cashier", "store_manager")


class Person(Aggregate):
    """Known by a staff number, which is never given to anybody else; names are not kept here."""

    class Hired(Aggregate.Created):
        staff_no: str
        role: str
        store_id: UUID | None
        hired_at: datetime

    class CredentialSet(Aggregate.Event):
        """The secret itself, and its hash, stand in no event."""

        staff_no: str
        set_at: datetime

    class Moved(Aggregate.Event):
        staff_no: str
        role: str
        store_id: UUID | None
        moved_at: datetime

    class Left(Aggregate.Event):
        staff_no: str
        left_at: datetime

    def __init__(self, staff_no: str, role: str, store_id: UUID | None, hired_at: datetime) -> None:
        self.staff_no = staff_no
        self.role = role
        self.store_id = store_id
        self.changed_at = hired_at
        self.left = False

    @staticmethod
    def id_for(staff_no: str) -> UUID:
        return stable_id("person", staff_no)

    @classmethod
    def hire(cls, *, staff_no: str, role: str, store_id: UUID | None, at: datetime) -> Self:
        _must_fit(role, store_id)
        return cls._create(
            cls.Hired,
            id=cls.id_for(staff_no),
            staff_no=staff_no,
            role=role,
            store_id=store_id,
            hired_at=at,
        )

    def set_credential(self, *, at: datetime) -> None:
        """Take a new PIN or password; whoever is logged in with the old one is logged out."""
        self._must_work_here()
        self._credential_set(self.staff_no, at)

    def move(self, *, role: str, store_id: UUID | None, at: datetime) -> None:
        """Give another role or store; what was open under the old one ends."""
        self._must_work_here()
        _must_fit(role, store_id)
        self._moved(self.staff_no, role, store_id, at)

    def leave(self, *, at: datetime) -> None:
        self._must_work_here()
        self._left(self.staff_no, at)

    def _must_work_here(self) -> None:
        if self.left:
            raise PersonUnknown

    @event(CredentialSet)
    def _credential_set(self, staff_no: str, set_at: datetime) -> None:
        self.changed_at = set_at

    @event(Moved)
    def _moved(self, staff_no: str, role: str, store_id: UUID | None, moved_at: datetime) -> None:
        self.role = role
        self.store_id = store_id
        self.changed_at = moved_at

    @event(Left)
    def _left(self, staff_no: str, left_at: datetime) -> None:
        self.left = True
        self.changed_at = left_at


def _must_fit(role: str, store_id: UUID | None) -> None:
    if (role in AT_A_STORE) != (store_id is not None):
        raise StoreDoesNotFit
