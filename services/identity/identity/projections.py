"""What identity remembers of its own decisions: who is known, and what was revoked."""

from functools import singledispatch

from identity import credentials, enrolment
from identity.domain.person import Person
from identity.domain.session import Session
from identity.domain.terminal import Terminal
from identity.views import revoke
from pomona.eventstore import Cursor


@singledispatch
def remember(happening: object, cursor: Cursor) -> None:
    """Write what one of our own events means for the views."""


@remember.register
def a_terminal_was_announced(issued: Terminal.CodeIssued, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO terminals (terminal_id, store_id, state, since)"
        " VALUES (%s, %s, 'announced', %s)",
        (issued.originator_id, issued.store_id, issued.issued_at),
    )


@remember.register
def a_code_was_replaced(replaced: Terminal.CodeReplaced, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE terminals SET store_id = %s, since = %s WHERE terminal_id = %s",
        (replaced.store_id, replaced.issued_at, replaced.originator_id),
    )


@remember.register
def a_terminal_was_enrolled(enrolled: Terminal.Enrolled, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE terminals SET state = 'enrolled', since = %s WHERE terminal_id = %s",
        (enrolled.enrolled_at, enrolled.originator_id),
    )


@remember.register
def a_terminal_was_revoked(revoked: Terminal.Revoked, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE terminals SET state = 'revoked', since = %s WHERE terminal_id = %s",
        (revoked.revoked_at, revoked.originator_id),
    )
    enrolment.close_account(cursor, revoked.originator_id)
    revoke(cursor, "terminal", str(revoked.originator_id), revoked.revoked_at)


@remember.register
def somebody_was_hired(hired: Person.Hired, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO people (staff_no, role, store_id, state, since)"
        " VALUES (%s, %s, %s, 'hired', %s)",
        (hired.staff_no, hired.role, hired.store_id, hired.hired_at),
    )


@remember.register
def somebody_has_a_new_secret(changed: Person.CredentialSet, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE people SET state = 'active', since = %s WHERE staff_no = %s",
        (changed.set_at, changed.staff_no),
    )
    revoke(cursor, "person", changed.staff_no, changed.set_at)


@remember.register
def somebody_was_moved(moved: Person.Moved, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE people SET role = %s, store_id = %s, since = %s WHERE staff_no = %s",
        (moved.role, moved.store_id, moved.moved_at, moved.staff_no),
    )
    credentials.forget_unfit(cursor, moved.staff_no, moved.role)
    revoke(cursor, "person", moved.staff_no, moved.moved_at)


@remember.register
def somebody_left(left: Person.Left, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE people SET state = 'left', since = %s WHERE staff_no = %s",
        (left.left_at, left.staff_no),
    )
    credentials.forget(cursor, left.staff_no)
    revoke(cursor, "person", left.staff_no, left.left_at)


@remember.register
def a_session_ended(ended: Session.Ended, cursor: Cursor) -> None:
    revoke(cursor, "session", str(ended.originator_id), ended.ended_at)
