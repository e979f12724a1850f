"""The demo's tills enrol and its cashiers log in with a PIN, as in any shop."""

from typing import Any
from uuid import UUID, uuid4

from pomona.session import Credentials, enrol, hash_of_code, log_in, new_code
from pomona_console.day_crew import Crew, Worker

_PIN = "836201"


def take_on(office: Worker, staff_no: str, *, store_id: UUID) -> None:
    """Make a cashier known, with a PIN."""
    hired = {"staff_no": staff_no, "works_as": "cashier", "store_id": str(store_id)}
    office.do("identity", "hire", hired, uuid4())
    office.do("identity", "set_credential", {"staff_no": staff_no, "pin": _PIN}, uuid4())


def code_for(office: Worker, terminal_id: UUID, *, store_id: UUID) -> str:
    """Have a code issued for a till."""
    code = new_code()
    asked: dict[str, Any] = {"terminal_id": str(terminal_id), "store_id": str(store_id)}
    office.do("identity", "issue_code", {**asked, "code_hash": hash_of_code(code)}, uuid4())
    return code


def open_till(crew: Crew, code: str, staff_no: str) -> None:
    """Enrol the till that the code is for, and seat the cashier at it."""
    file = crew.stack.layout.directory / f"till-{staff_no}.json"
    credentials: Credentials = crew.until_answered(
        "identity", lambda: enrol(crew.stack.amqp_uri, code, file)
    )
    session = crew.until_answered("identity", lambda: log_in(credentials, staff_no, pin=_PIN))
    crew.seat(credentials, session)
