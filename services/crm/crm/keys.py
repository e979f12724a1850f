"""Each person's own key: what it seals can be read until the key is deleted, and never after.

The keys, and the one with which phone numbers are looked up, live in tables of their own, outside
the event store and its views: what is deleted here is gone, and events need not change for it.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from os import urandom
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pomona.eventstore import Cursor

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12

SCHEMA = """
CREATE TABLE IF NOT EXISTS person_keys (
    customer_id    uuid PRIMARY KEY,
    key            bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS phone_index_key (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    key            bytea NOT NULL
);
-- The server's strong random numbers, 244 bits of them; made once for each database.
INSERT INTO phone_index_key (key)
SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS phone_index (
    digest         bytea PRIMARY KEY,
    customer_id    uuid NOT NULL UNIQUE
);
"""


class PersonKey:
    """Seals and opens the fields of one person."""

    def __init__(self, customer_id: UUID, key: bytes) -> None:
        self._customer_id = customer_id
        self._key = key
        self._cipher = AESGCM(key)

    @classmethod
    def new(cls, customer_id: UUID) -> "PersonKey":
        return cls(customer_id, urandom(KEY_BYTES))

    def keep(self, cursor: Cursor) -> None:
        cursor.execute(
            "INSERT INTO person_keys (customer_id, key) VALUES (%s, %s)",
            (self._customer_id, self._key),
        )

    def seal(self, fields: Mapping[str, str | None]) -> dict[str, str | None]:
        """Encrypt every field that has something in it."""
        return {name: text and self.seal_field(name, text) for name, text in fields.items()}

    def open(self, sealed: Mapping[str, str | None]) -> dict[str, str | None]:
        return {name: text and self.open_field(name, text) for name, text in sealed.items()}

    def seal_field(self, name: str, text: str) -> str:
        nonce = urandom(NONCE_BYTES)
        return b64encode(
            nonce + self._cipher.encrypt(nonce, text.encode(), self._place(name))
        ).decode("ascii")

    def open_field(self, name: str, sealed: str) -> str:
        raw = b64decode(sealed)
        return self._cipher.decrypt(
            raw[:NONCE_BYTES], raw[NONCE_BYTES:], self._place(name)
        ).decode()

    def _place(self, name: str) -> bytes:
        # Bound to its owner and field, a sealed text cannot be moved to another.
        return f"{self._customer_id}/{name}".encode()


def key_of(cursor: Cursor, customer_id: UUID) -> PersonKey | None:
    """Return a person's key, or None when there is none any more."""
    cursor.execute("SELECT key FROM person_keys WHERE customer_id = %s", (customer_id,))
    row = cursor.fetchone()
    return None if row is None else PersonKey(customer_id, bytes(row["key"]))


def forget(cursor: Cursor, customer_id: UUID) -> None:
    """Delete a person's key, and every trace by which a guess about the person could be proved."""
    cursor.execute("DELETE FROM person_keys WHERE customer_id = %s", (customer_id,))
    cursor.execute("DELETE FROM phone_index WHERE customer_id = %s", (customer_id,))
    # The hash of a request that named the person: try all phone numbers, and one fits.
    cursor.execute(
        "UPDATE commands SET request_hash = '' WHERE answer ->> 'customer_id' = %s",
        (str(customer_id),),
    )


def index_phone(cursor: Cursor, customer_id: UUID, phone: str) -> None:
    """Let a customer be found by phone; the number itself is not kept."""
    cursor.execute(
        "INSERT INTO phone_index (digest, customer_id) VALUES (%s, %s)"
        " ON CONFLICT (customer_id) DO UPDATE SET digest = excluded.digest",
        (_digest(cursor, phone), customer_id),
    )


def customer_with(cursor: Cursor, phone: str) -> UUID | None:
    """Return the customer who has a phone number."""
    cursor.execute(
        "SELECT customer_id FROM phone_index WHERE digest = %s", (_digest(cursor, phone),)
    )
    row = cursor.fetchone()
    return row["customer_id"] if row else None


def _digest(cursor: Cursor, phone: str) -> bytes:
    cursor.execute("SELECT key FROM phone_index_key")
    row = cursor.fetchone()
    if row is None:
        raise LookupError("the phone index has no key: run the migration of crm")
    return hmac.digest(bytes(row["key"]), phone.encode(), "sha256")
