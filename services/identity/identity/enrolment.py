"""Enrolment codes and the broker accounts that come of them; both are kept as hashes only."""

import hashlib
from typing import Final
from uuid import UUID

from pomona.eventstore import Cursor

# Crockford's alphabet has no I, L, O or U; people type them all the same.
_MISREAD: Final = str.maketrans("ILO", "110", "- ")

SCHEMA = """
CREATE TABLE IF NOT EXISTS enrolment_codes (
    terminal_id    uuid PRIMARY KEY,
    code_hash      text NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS broker_accounts (
    terminal_id    uuid PRIMARY KEY,
    password_hash  text NOT NULL,
    wanted         boolean NOT NULL DEFAULT true
);
"""


def code_hash(code: str) -> str:
    """Return the hash of a code, however it was typed."""
    return hashlib.sha256(code.upper().translate(_MISREAD).encode()).hexdigest()


def keep_code(cursor: Cursor, terminal_id: UUID, hashed: str) -> None:
    cursor.execute(
        "INSERT INTO enrolment_codes (terminal_id, code_hash) VALUES (%s, %s)"
        " ON CONFLICT (terminal_id) DO UPDATE SET code_hash = excluded.code_hash",
        (terminal_id, hashed),
    )


def terminal_with(cursor: Cursor, code: str) -> UUID | None:
    cursor.execute(
        "SELECT terminal_id FROM enrolment_codes WHERE code_hash = %s", (code_hash(code),)
    )
    row = cursor.fetchone()
    return row["terminal_id"] if row else None


def open_account(cursor: Cursor, terminal_id: UUID, password_hash: str) -> None:
    """Want a broker account for the terminal; its code is used up."""
    cursor.execute(
        "INSERT INTO broker_accounts (terminal_id, password_hash) VALUES (%s, %s)",
        (terminal_id, password_hash),
    )
    forget_code(cursor, terminal_id)


def close_account(cursor: Cursor, terminal_id: UUID) -> None:
    cursor.execute(
        "UPDATE broker_accounts SET wanted = false WHERE terminal_id = %s", (terminal_id,)
    )
    forget_code(cursor, terminal_id)


def forget_code(cursor: Cursor, terminal_id: UUID) -> None:
    cursor.execute("DELETE FROM enrolment_codes WHERE terminal_id = %s", (terminal_id,))
