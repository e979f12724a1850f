"""What a service believes of identity: its keys and revocations, asked often and kept at home."""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from pomona import metrics
from pomona.append import DatabaseLost
from pomona.errors import Refused, Unavailable
from pomona.eventstore import Cursor
from pomona.identity import Identities
from pomona.journal import logger
from pomona.terminal import Terminal

log = logger(__name__)

ASK_EVERY_SECONDS = 15.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS trust (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    document     jsonb NOT NULL,
    learned_at   timestamptz NOT NULL
);
"""


class Trust:
    """Keeps `identities` up to date.

    A service starts with the keys it was given and those it learned before, whether or not
    identity is there; from identity's first answer on, that answer alone counts.
    """

    def __init__(
        self,
        pinned: Mapping[str, str],
        reading: Callable[[], AbstractContextManager[Cursor]],
        identity: Terminal,
    ) -> None:
        self.identities = Identities(pinned)
        self._pinned = pinned
        self._reading = reading
        self._identity = identity
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Ask now and then until stopped; what was learned outlives a restart."""
        self._recall()
        while not self._stopping.is_set():
            self._learn()
            self._stopping.wait(ASK_EVERY_SECONDS)

    def _recall(self) -> None:
        try:
            with self._reading() as cursor:
                cursor.execute(
                    "SELECT document, extract(epoch FROM learned_at)::float8 AS at FROM trust"
                )
                row = cursor.fetchone()
        except DatabaseLost:
            return
        if row is not None:
            believe(self.identities, row["document"], beside=self._pinned)
            metrics.trust_learned.set(row["at"])

    def _learn(self) -> None:
        try:
            document = self._identity.ask("identity", "trust")
            believe(self.identities, document)
            metrics.trust_learned.set_to_current_time()
            with self._reading() as cursor:
                cursor.execute(
                    "INSERT INTO trust (document, learned_at) VALUES (%s, now()) ON CONFLICT"
                    " (only_row) DO UPDATE SET document = excluded.document, learned_at = now()",
                    (Jsonb(document),),
                )
        except (Refused, Unavailable, *DatabaseLost) as error:
            log.info("trust_not_learned", reason=type(error).__name__)


def believe(
    identities: Identities,
    document: Mapping[str, Any],
    *,
    beside: Mapping[str, str] | None = None,
) -> None:
    """Trust what a document of identity says, and the keys `beside` it."""
    keys = {key["kid"]: key["public_key"] for key in document["keys"]}
    revoked = {
        (entry["kind"], entry["id"]): datetime.fromisoformat(entry["at"]).timestamp()
        for entry in document["revoked"]
    }
    identities.trust({**(beside or {}), **keys}, revoked)
