"""PINs and passwords: what is good enough for one, and their hashes, outside the event store."""

import hmac
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from identity.domain.errors import WeakPassword, WeakPin, WrongKindOfSecret
from identity.domain.person import AT_A_STORE, Person
from pomona.eventstore import Cursor

PIN_DIGITS: Final = 6
SHORTEST_PASSWORD: Final = 12
FEWEST_CHARACTERS: Final = 5
_DATES: Final = ("%y%m%d", "%d%m%y", "%m%d%y", "%Y%m")

SCHEMA = """
CREATE TABLE IF NOT EXISTS credentials (
    staff_no       text PRIMARY KEY,
    kind           text NOT NULL,
    hash           text NOT NULL
);
"""


class Vault:
    """Hashes secrets with Argon2id, each mixed first with a key that is not in the database.

    Six digits are found in hours from any hash alone; without the key they are not found at all.
    """

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        # OWASP's recommendation: 19 MiB, two passes
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._nobody = self.hash("nobody's secret")

    def hash(self, secret: str) -> str:
        return self._hasher.hash(self._mixed(secret))

    def opens(self, kept: str | None, secret: str) -> bool:
        """Say whether the secret is the kept one; where none is kept it takes as long to say no."""
        with suppress(VerificationError, InvalidHashError):
            self._hasher.verify(kept or self._nobody, self._mixed(secret))
            return kept is not None
        return False

    def _mixed(self, secret: str) -> bytes:
        return hmac.digest(self._pepper, secret.encode(), "sha256")


def good_secret(person: Person, request: Mapping[str, Any]) -> str:
    """Return the secret that a person is to have. Raises a refusal that does not repeat it."""
    kind = kind_for(person.role)
    if kind not in request:
        raise WrongKindOfSecret("password" if kind == "pin" else "pin")
    secret: str = request[kind]
    if kind == "pin" and not is_good_pin(secret):
        raise WeakPin
    if kind == "password" and not is_good_password(secret, person.staff_no):
        raise WeakPassword
    return secret


def kind_for(role: str) -> str:
    """Return what somebody logs in with: at a counter there is only a keypad."""
    return "pin" if role in AT_A_STORE else "password"


def is_good_pin(pin: str) -> bool:
    """Refuse what is tried first: repeats, rows, pairs and dates."""
    if not (len(pin) == PIN_DIGITS and pin.isascii() and pin.isdigit()):
        return False
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    half = PIN_DIGITS // 2
    return (
        len(set(pin)) > 2  # noqa: PLR2004 - 112211 and the like
        and len(steps) > 1
        and pin[:half] not in (pin[half:], pin[half:][::-1])
        and not any(_is_date(pin, form) for form in _DATES)
    )


def is_good_password(password: str, staff_no: str) -> bool:
    return (
        len(password) >= SHORTEST_PASSWORD
        and len(set(password)) >= FEWEST_CHARACTERS
        and staff_no not in password.lower()
    )


def keep(cursor: Cursor, person: Person, hashed: str) -> None:
    cursor.execute(
        "INSERT INTO credentials (staff_no, kind, hash) VALUES (%s, %s, %s)"
        " ON CONFLICT (staff_no) DO UPDATE SET kind = excluded.kind, hash = excluded.hash",
        (person.staff_no, kind_for(person.role), hashed),
    )


def hash_of(cursor: Cursor, staff_no: str, kind: str) -> str | None:
    cursor.execute(
        "SELECT hash FROM credentials WHERE staff_no = %s AND kind = %s", (staff_no, kind)
    )
    row = cursor.fetchone()
    return row["hash"] if row else None


def forget(cursor: Cursor, staff_no: str) -> None:
    cursor.execute("DELETE FROM credentials WHERE staff_no = %s", (staff_no,))


def forget_unfit(cursor: Cursor, staff_no: str, role: str) -> None:
    """Forget the PIN of somebody who needs a password now, and the other way round."""
    cursor.execute(
        "DELETE FROM credentials WHERE staff_no = %s AND kind <> %s", (staff_no, kind_for(role))
    )


def _is_date(pin: str, form: str) -> bool:
    try:
        day = datetime.strptime(pin, form)  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        return False
    return form != "%Y%m" or 1900 <= day.year <= 2100  # noqa: PLR2004 - years somebody remembers
