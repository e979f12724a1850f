"""Personal data: sealed with each person's own key, which is kept apart and can be destroyed.

The keys lie in a database of their own, wrapped by a master key from a file. The events without
the keys open nothing, the keys without the master key open nothing, and what was wrapped by a
master key that no longer exists is gone from every disk, log and backup at once.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from os import urandom
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from pomona import metrics
from pomona.config import PersonalData
from pomona.erasures import Erasure, ErasureJournal
from pomona.eventstore import Cursor
from pomona.failpoints import reach
from pomona.master_keys import KEY_BYTES, MasterKeys, decrypt, encrypt

SCHEMA = """
CREATE TABLE IF NOT EXISTS data_keys (
    owner          text NOT NULL,
    generation     integer NOT NULL,
    master         text NOT NULL,
    wrapped        bytea NOT NULL,
    PRIMARY KEY (owner, generation)
);
-- An erased person gets no new key, whoever asks for one and however late.
CREATE TABLE IF NOT EXISTS erased_people (
    person_id      uuid PRIMARY KEY,
    erased_at      timestamptz NOT NULL
);
"""

# Keys are made side by side, but never beside an erasure, which must not miss one.
MAKING_OR_ERASING: Final = 0x706572736F6E
REWRAPPED_AT_ONCE: Final = 500


class PersonErased(Exception):  # noqa: N818 - reads as what it is
    """There is no key for this person any more, and there will be none."""


class PersonKey:
    """Seals the words of one person with the newest of the person's keys, and opens with any."""

    def __init__(self, person_id: UUID, *newest_first: bytes) -> None:
        self._person_id = person_id
        self._ciphers = [AESGCM(key) for key in newest_first]

    def seal(self, fields: Mapping[str, str | None]) -> dict[str, str | None]:
        """Encrypt every field that has something in it."""
        return {name: text and self.seal_field(name, text) for name, text in fields.items()}

    def open(self, sealed: Mapping[str, str | None]) -> dict[str, str | None]:
        return {name: text and self.open_field(name, text) for name, text in sealed.items()}

    def seal_field(self, name: str, text: str) -> str:
        sealed = encrypt(self._ciphers[0], text.encode(), self._place(name))
        return b64encode(sealed).decode("ascii")

    def open_field(self, name: str, sealed: str) -> str:
        """Open a field. Raises `InvalidTag` where it is another person's or another field."""
        for cipher in self._ciphers:  # there are two only while one replaces the other
            try:
                return decrypt(cipher, b64decode(sealed), self._place(name)).decode()
            except InvalidTag:
                continue
        raise InvalidTag

    def _place(self, name: str) -> str:
        # Bound to its owner and field, a sealed text cannot be moved to another.
        return f"{self._person_id}/{name}"


class People:
    """The keys of everybody whom one service knows."""

    def __init__(self, dsn: str, masters: MasterKeys, journal: ErasureJournal) -> None:
        self.journal = journal
        self._masters = masters
        self._pool: ConnectionPool[Any] = ConnectionPool(
            dsn,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                # the event that needs a key must not outlive it
                "options": "-c synchronous_commit=on",
            },
            min_size=0,
            max_size=4,
            timeout=3,
            open=True,
        )
        self._shared: dict[str, bytes] = {}

    def close(self) -> None:
        self._pool.close()

    def key_of(self, person_id: UUID) -> PersonKey | None:
        """Return a person's key, or None where there is none, or none any more."""
        keys = self._keys(str(person_id))
        return PersonKey(person_id, *keys) if keys else None

    def key_for(self, person_id: UUID) -> PersonKey:
        """Return a person's key, made where there is none; it is stored before it is used.

        Should the event that needs it never follow, what is left is a key without a lock, which
        harms nobody and serves the next attempt. Raises `PersonErased`.
        """
        key = self.key_of(person_id)
        if key is None:
            self._make(str(person_id), generation=1)
            reach("personal.after_key")
            key = self.key_of(person_id)
        if key is None:
            raise PersonErased
        return key

    def must_know(self, person_id: UUID) -> PersonKey:
        """Return the key of somebody who must have one. Raises `PersonErased`, or LookupError."""
        key = self.key_of(person_id)
        if key is None and self.has_erased(person_id):
            raise PersonErased
        if key is None:
            raise LookupError("a key is missing: was the database of keys restored to the end?")
        return key

    def has_erased(self, person_id: UUID) -> bool:
        with self._cursor() as cursor:
            cursor.execute("SELECT 1 FROM erased_people WHERE person_id = %s", (person_id,))
            return cursor.fetchone() is not None

    def adopt(self, person_id: UUID, key: bytes) -> None:
        """Keep a key that was made elsewhere as this person's first. Safe to repeat."""
        self._keep(str(person_id), 1, key)

    def renew(self, person_id: UUID, reseal: Callable[[PersonKey], None]) -> None:
        """Replace a key that may have leaked: `reseal` seals anew what is worth keeping.

        Old and new exist until it returns; cut short, it is simply done again.
        """
        owner = str(person_id)
        with self._cursor() as cursor:
            cursor.execute("SELECT max(generation) AS n FROM data_keys WHERE owner = %s", (owner,))
            row = cursor.fetchone()
        if row is None or row["n"] is None:
            raise PersonErased
        self._make(owner, row["n"] + 1)
        reseal(self.key_for(person_id))
        with self._cursor() as cursor:
            cursor.execute(
                "DELETE FROM data_keys WHERE owner = %s AND generation <= %s", (owner, row["n"])
            )

    def erase(self, person_id: UUID, at: datetime) -> None:
        """Destroy a person's key for good; written down first, so that no restore undoes it."""
        self.journal.write(person_id, at)
        reach("personal.after_journal")
        self.destroy([Erasure(person_id, at)])
        metrics.erasures.labels("asked").inc()
        reach("personal.after_erasure")

    def destroy(self, erasures: Sequence[Erasure]) -> int:
        """Delete the keys of erased people, and say how many keys there were. Safe to repeat."""
        ids = [erasure.person_id for erasure in erasures]
        with self._cursor() as cursor, cursor.connection.transaction():
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MAKING_OR_ERASING,))
            cursor.execute(
                "INSERT INTO erased_people (person_id, erased_at)"
                " SELECT * FROM unnest(%s::uuid[], %s::timestamptz[]) ON CONFLICT DO NOTHING",
                (ids, [erasure.at for erasure in erasures]),
            )
            cursor.execute(
                "DELETE FROM data_keys WHERE owner = ANY(%s)", ([str(id_) for id_ in ids],)
            )
            return cursor.rowcount

    def digest(self, purpose: str, text: bytes) -> bytes:
        """Return a keyed hash: without its key, trying every phone number finds none."""
        return hmac.digest(self._shared_key(purpose), text, "sha256")

    def rewrap(self) -> Iterator[tuple[int, int]]:
        """Wrap every key with the newest master key; yield how many are done, and of how many.

        Each batch is committed on its own: cut short, it goes on where it stopped.
        """
        newest = self._masters.newest()
        with self._cursor() as cursor:
            cursor.execute("SELECT count(*) AS n FROM data_keys WHERE master <> %s", (newest,))
            row = cursor.fetchone()
        total, done = (row["n"] if row else 0), 0
        yield done, total
        while batch := self._rewrap_some(newest):
            done += batch
            yield done, max(done, total)

    def masters_in_use(self) -> set[str]:
        with self._cursor() as cursor:
            cursor.execute("SELECT DISTINCT master FROM data_keys")
            return {row["master"] for row in cursor.fetchall()}

    def _rewrap_some(self, newest: str) -> int:
        with self._cursor() as cursor, cursor.connection.transaction():
            cursor.execute(
                "SELECT * FROM data_keys WHERE master <> %s ORDER BY owner LIMIT %s FOR UPDATE",
                (newest, REWRAPPED_AT_ONCE),
            )
            rows = cursor.fetchall()
            for row in rows:
                master, wrapped = self._masters.wrap(self._unwrapped(row), row["owner"])
                cursor.execute(
                    "UPDATE data_keys SET master = %s, wrapped = %s"
                    " WHERE owner = %s AND generation = %s",
                    (master, wrapped, row["owner"], row["generation"]),
                )
        return len(rows)

    def _shared_key(self, purpose: str) -> bytes:
        """Return a key that belongs to no person, made at first use."""
        if purpose not in self._shared:
            if not self._keys(purpose):
                self._make(purpose, generation=1)
            (self._shared[purpose],) = self._keys(purpose)
        return self._shared[purpose]

    def _keys(self, owner: str) -> list[bytes]:
        with self._cursor() as cursor:
            cursor.execute(
                "SELECT * FROM data_keys WHERE owner = %s ORDER BY generation DESC", (owner,)
            )
            return [self._unwrapped(row) for row in cursor.fetchall()]

    def _unwrapped(self, row: Mapping[str, Any]) -> bytes:
        return self._masters.unwrap(row["master"], bytes(row["wrapped"]), row["owner"])

    def _make(self, owner: str, generation: int) -> None:
        self._keep(owner, generation, urandom(KEY_BYTES))

    def _keep(self, owner: str, generation: int, key: bytes) -> None:
        master, wrapped = self._masters.wrap(key, owner)
        with self._cursor() as cursor, cursor.connection.transaction():
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (MAKING_OR_ERASING,))
            cursor.execute(
                "INSERT INTO data_keys (owner, generation, master, wrapped)"
                " SELECT %(owner)s, %(generation)s, %(master)s, %(wrapped)s WHERE NOT EXISTS"
                " (SELECT FROM erased_people WHERE person_id::text = %(owner)s)"
                " ON CONFLICT DO NOTHING",
                {"owner": owner, "generation": generation, "master": master, "wrapped": wrapped},
            )

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        with self._pool.connection() as connection, connection.cursor() as cursor:
            yield cursor


def people_of(settings: PersonalData) -> People:
    """Return the people of a service as its settings say."""
    return People(
        settings.keys, MasterKeys(settings.master_keys), ErasureJournal(settings.erasures)
    )
