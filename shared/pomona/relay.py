"""The relay: from the event store to the broker, in order, each event at least once."""

import threading
import time
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from pomona import metrics
from pomona.broker import ConnectionLost, Publisher, is_fatal
from pomona.envelope import Envelope
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor
from pomona.failpoints import reach
from pomona.journal import logger

log = logger(__name__)
WINDOW = 500
IDLE_SECONDS = 0.5
GATHER_SECONDS = 0.02
SAVE_SECONDS = 0.2
RETRY_SECONDS = 1.0
STOP_SECONDS = 2.0
LOCK = "pomona.relay"


class Relay:
    """Publishes what the service stored. One replica leads; the others wait for its lock.

    The saved position moves only after the broker confirmed, now and then: whatever dies, events go
    out again from there, and readers drop what they know.
    """

    def __init__(self, amqp_uri: str, dsn: str, events: EventLog) -> None:
        self._amqp_uri = amqp_uri
        self._dsn = dsn
        self._log = events
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._ended.set()
        self.leading = False
        self._pending = 0

    def wake(self) -> None:
        """Say that something was committed."""
        self._wake.set()

    def stop(self) -> None:
        """Stop, and let the position be saved first, unless that takes too long."""
        self._stopping.set()
        self._wake.set()
        self._ended.wait(STOP_SECONDS)

    def run(self) -> None:
        """Relay until stopped. Raises only what trying again cannot mend."""
        self._ended.clear()
        try:
            self._run()
        finally:
            self._ended.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(
                    self._dsn, autocommit=True, row_factory=dict_row, connect_timeout=3
                ) as connection:
                    if self._lead(connection):
                        self._relay(connection)
            except (psycopg.Error, *ConnectionLost) as error:
                if is_fatal(error):
                    raise
                log.warning("relay_interrupted", error=type(error).__name__)
            finally:
                self.leading = False
                _measure(0, None)
            self._stopping.wait(RETRY_SECONDS)

    def _lead(self, connection: psycopg.Connection[dict[str, Any]]) -> bool:
        row = connection.execute(
            "SELECT pg_try_advisory_lock(hashtext(%s)) AS leading", (LOCK,)
        ).fetchone()
        self.leading = bool(row and row["leading"])
        return self.leading

    def _relay(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        with connection.cursor() as cursor:
            position = self._position(cursor)
            # measured before the broker is there: a broker that is away must show
            self._next(cursor, position)
            with Publisher(self._amqp_uri, self._log.service) as publisher:
                log.info("relay_leads", position=position)
                self._publish(cursor, publisher, position)

    def _publish(self, cursor: Cursor, publisher: Publisher, position: int) -> None:
        envelopes: list[Envelope] = []
        previous: int | None = None
        saved, save_at = position, 0.0
        while True:
            if not envelopes:
                self._wake.clear()
                envelopes = self._next(cursor, position, previous)
            stopping = self._stopping.is_set()
            # to save costs a flush to disk, and what is published twice for it is dropped
            if position > saved and (stopping or not envelopes or time.monotonic() > save_at):
                self._save(cursor, position)
                saved, save_at = position, time.monotonic() + SAVE_SECONDS
            if stopping:
                return
            if not envelopes:
                publisher.keep_alive()
                self._wake.wait(IDLE_SECONDS)
                continue
            reach("relay.selected")
            publisher.send(envelopes)
            position = previous = envelopes[-1].position
            # while the broker writes these, read those that follow
            following = self._next(cursor, position, previous) if len(envelopes) >= WINDOW else []
            publisher.confirm()
            reach("relay.confirmed")
            metrics.event_store_position.set(position)
            envelopes = following
            if not envelopes:
                # what is committed close together goes out together
                self._stopping.wait(GATHER_SECONDS)

    def _save(self, cursor: Cursor, position: int) -> None:
        cursor.execute(
            "UPDATE relay SET position = %s WHERE log = %s", (position, self._log.service)
        )

    def _next(self, cursor: Cursor, position: int, previous: int | None = None) -> list[Envelope]:
        envelopes = self._log.after(cursor, position, WINDOW, previous=previous)
        waiting = len({envelope.position for envelope in envelopes})
        if waiting < WINDOW:
            self._pending = waiting
        elif self._pending <= WINDOW:
            self._pending = self._log.count_after(cursor, position)
        else:
            # counting a long backlog again for every window would cost its square
            self._pending -= WINDOW
        _measure(self._pending, envelopes[0] if envelopes else None)
        return envelopes

    def _position(self, cursor: Cursor) -> int:
        cursor.execute(
            "INSERT INTO relay (log, position) VALUES (%s, 0)"
            " ON CONFLICT (log) DO UPDATE SET position = relay.position RETURNING position",
            (self._log.service,),
        )
        row = cursor.fetchone()
        return int(row["position"]) if row else 0


def _measure(pending: int, oldest: Envelope | None) -> None:
    metrics.outbox_pending.set(pending)
    since = datetime.fromisoformat(oldest.time).timestamp() if oldest is not None else 0
    metrics.outbox_oldest_pending.set(since)
