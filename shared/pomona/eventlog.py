"""The log of a service: its stored events, read in order and made public on purpose."""

from collections import defaultdict
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Mapper, StoredEvent
from eventsourcing.utils import get_topic
from psycopg.sql import SQL, Composed, Identifier

from pomona.contracts import Contracts, Published
from pomona.envelope import Envelope, seal
from pomona.eventstore import Cursor
from pomona.loading import Dump, dumper


class EventLog:
    """Published events by position. The same event always gives the same envelope."""

    def __init__(self, contracts: Contracts, table: str, mapper: Mapper[UUID]) -> None:
        self.service = contracts.service
        self._published: dict[str, list[tuple[Published, Dump]]] = defaultdict(list)
        for entry in contracts.published:
            self._published[get_topic(entry.event)].append((entry, dumper(entry.schema())))
        self._topics = list(self._published)
        self._table = Identifier(table)
        self._mapper = mapper

    def after(
        self, cursor: Cursor, position: int, limit: int, *, previous: int | None = None
    ) -> list[Envelope]:
        """Return up to `limit` published events after a position, oldest first.

        An event that is told in several versions has an envelope for each. `previous` is the last
        published event up to that position, where the caller knows it.
        """
        cursor.execute(
            self._sql(
                "SELECT notification_id, originator_id, originator_version, topic, state, cause"
                " FROM {table} WHERE notification_id > %s AND topic = ANY(%s)"
                " ORDER BY notification_id LIMIT %s"
            ),
            (position, self._topics, limit),
        )
        rows = cursor.fetchall()
        if previous is None:
            previous = self.head(cursor, upto=position) if rows else 0
        envelopes = []
        for row in rows:
            envelopes += self._seal(row, previous)
            previous = row["notification_id"]
        return envelopes

    def head(self, cursor: Cursor, *, upto: int = 2**63 - 1) -> int:
        """Return the position of the last published event (up to a position), 0 for none."""
        cursor.execute(
            self._sql(
                "SELECT notification_id FROM {table} WHERE notification_id <= %s"
                " AND topic = ANY(%s) ORDER BY notification_id DESC LIMIT 1"
            ),
            (upto, self._topics),
        )
        row = cursor.fetchone()
        return int(row["notification_id"]) if row else 0

    def knows(self, cursor: Cursor, position: int) -> bool:
        """Say whether there is an event at a position: a log that was restored may have lost it."""
        cursor.execute(
            self._sql("SELECT FROM {table} WHERE notification_id = %s LIMIT 1"), (position,)
        )
        return position == 0 or cursor.fetchone() is not None

    def count_after(self, cursor: Cursor, position: int) -> int:
        """Return how many published events lie after a position."""
        cursor.execute(
            self._sql(
                "SELECT count(*) AS n FROM {table} WHERE notification_id > %s AND topic = ANY(%s)"
            ),
            (position, self._topics),
        )
        row = cursor.fetchone()
        return int(row["n"]) if row else 0

    def _sql(self, statement: str) -> Composed:
        return SQL(statement).format(table=self._table)

    def _seal(self, row: dict[str, Any], previous: int) -> list[Envelope]:
        event: Any = self._mapper.to_domain_event(
            StoredEvent(
                originator_id=row["originator_id"],
                originator_version=row["originator_version"],
                topic=row["topic"],
                state=bytes(row["state"]),
            )
        )
        versions = self._published[row["topic"]]
        envelopes = []
        for published, dump in versions:
            data = dump(published.data(event))
            envelope = seal(
                service=self.service,
                type=published.type(self.service),
                subject=str(data[published.subject]),
                time=event.timestamp,
                position=row["notification_id"],
                previous=previous,
                data=data,
                cause=row["cause"] or {},
                other_versions=[
                    other.version for other, _ in versions if other.version != published.version
                ],
            )
            envelopes.append(envelope)
        return envelopes
