"""People work at one store or at none, and nothing is done for somebody who has left."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from identity.domain.errors import PersonUnknown, SessionOver, StoreDoesNotFit
from identity.domain.person import Person
from identity.domain.session import LONGEST_SESSION, Session

NOW = datetime(2026, 11, 21, 3, 10, tzinfo=UTC)
STORE = UUID(int=1)


@pytest.mark.parametrize(
    ("role", "store_id"),
    [("cashier", None), ("store_manager", None), ("head_office", STORE), ("analyst", STORE)],
)
def test_a_role_and_a_store_must_fit(role: str, store_id: UUID | None) -> None:
    with pytest.raises(StoreDoesNotFit):
        Person.hire(staff_no="1017", role=role, store_id=store_id, at=NOW)


def test_a_staff_number_is_one_person_for_ever() -> None:
    hired = [Person.hire(staff_no="1017", role="analyst", store_id=None, at=NOW) for _ in range(2)]

    assert hired[0].id == hired[1].id


@pytest.mark.parametrize(
    "change",
    [
        lambda person: person.set_credential(at=NOW),
        lambda person: person.move(role="analyst", store_id=None, at=NOW),
        lambda person: person.leave(at=NOW),
    ],
    ids=["set_credential", "move", "leave"],
)
def test_nothing_is_done_for_somebody_who_has_left(change: Callable[[Person], None]) -> None:
    person = Person.hire(staff_no="1017", role="cashier", store_id=STORE, at=NOW)
    person.leave(at=NOW)

    with pytest.raises(PersonUnknown):
        change(person)


def test_every_change_of_a_person_ends_what_was_open_before() -> None:
    person = Person.hire(staff_no="1017", role="cashier", store_id=STORE, at=NOW)

    person.set_credential(at=NOW + timedelta(hours=1))
    assert person.changed_at == NOW + timedelta(hours=1)
    person.move(role="store_manager", store_id=STORE, at=NOW + timedelta(hours=2))
    assert person.changed_at == NOW + timedelta(hours=2)


def test_a_session_ends_once_and_at_the_latest_after_two_weeks() -> None:
    session = Session.open(session_id=uuid4(), staff_no="1017", terminal_id=uuid4(), at=NOW)
    session.must_be_open(at=NOW + LONGEST_SESSION - timedelta(seconds=1))

    with pytest.raises(SessionOver):
        session.must_be_open(at=NOW + LONGEST_SESSION)
    session.end(at=NOW)
    with pytest.raises(SessionOver):
        session.end(at=NOW)
    with pytest.raises(SessionOver):
        session.must_be_open(at=NOW)
