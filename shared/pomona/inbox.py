"""The inbox: each event of a source applied once, in order, whatever the broker does."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Protocol

import amqp
import psycopg
from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    PersistenceError,
)

from pomona import metrics
from pomona.broker import ConnectionLost, Consumer, body_of, fits, is_fatal
from pomona.envelope import Envelope, Malformed, unseal
from pomona.errors import NotYet, Refused
from pomona.eventstore import Cursor
from pomona.journal import logger
from pomona.wire import Undecodable

log = logger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    source     text PRIMARY KEY,
    position   bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS parked (
    source     text NOT NULL,
    position   bigint NOT NULL,
    subject    text NOT NULL,
    envelope   bytea NOT NULL,
    error      text NOT NULL,
    attempts   integer NOT NULL,
    parked_at  timestamptz NOT NULL,
    retry_at   timestamptz NOT NULL,
    PRIMARY KEY (source, position)
);
"""

PAUSES = (0.05, 0.2, 0.5)  # seconds between the tries before an event is parked
CONFLICT_TRIES = 20
PULSE_SECONDS = 2.0
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60
REFILL = 500

DatabaseLost = (psycopg.OperationalError, psycopg.InterfaceError, OperationalError, InterfaceError)


class PositionMoved(Exception):  # noqa: N818 - somebody else was faster
    """The inbox does not stand where this reader thought: another replica applied the event."""


class Settlement(Protocol):
    """How an applied event is marked as applied, in the transaction of its effect."""

    def settle(self, cursor: Cursor) -> None: ...


@dataclass(frozen=True)
class Advance:
    """The inbox moves from one position to a later one."""

    source: str
    expected: int
    position: int

    def settle(self, cursor: Cursor) -> None:
        cursor.execute(
            "UPDATE inbox SET position = %s WHERE source = %s AND position = %s RETURNING position",
            (self.position, self.source, self.expected),
        )
        if cursor.fetchone() is None:
            raise PositionMoved


@dataclass(frozen=True)
class Unpark:
    """A parked event leaves the table."""

    source: str
    position: int

    def settle(self, cursor: Cursor) -> None:
        cursor.execute(
            "DELETE FROM parked WHERE source = %s AND position = %s RETURNING position",
            (self.source, self.position),
        )
        if cursor.fetchone() is None:
            raise PositionMoved


Apply = Callable[[Sequence[Envelope], Settlement], None]
Reading = Callable[[], AbstractContextManager[Cursor]]


class Source(Protocol):
    """The log of the publishing service, asked over RPC."""

    def after(self, position: int, limit: int) -> tuple[list[Envelope], int]:
        """Return events after a position, and how many there are after it in all."""


class Inbox:
    """Reads one source for one service.

    `apply` must do the effect of the given events and call the settlement in the same
    transaction. With a window of 1 every event is a transaction of its own; analytics takes
    hundreds at a time.
    """

    def __init__(
        self,
        *,
        service: str,
        source: str,
        amqp_uri: str,
        reading: Reading,
        apply: Apply,
        log_of_source: Source,
        window: int = 1,
        linger: float = 0.0,
    ) -> None:
        self.service = service
        self.source = source
        self._amqp_uri = amqp_uri
        self._reading = reading
        self._apply = apply
        self._log = log_of_source
        self._window = window
        self._linger = linger
        self._stopping = threading.Event()
        self._parked: Counter[str] = Counter()
        self._next_pulse = 0.0
        self._lagging_since_pulse = False
        self.position = 0
        self.connected = False
        for outcome in ("applied", "parked"):
            metrics.messages_handled.labels(source, outcome)
        metrics.message_duplicates.labels(source)
        metrics.inbox_gaps.labels(source)

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Read until stopped. Raises only what trying again cannot mend."""
        while not self._stopping.is_set():
            try:
                self._read()
            except PositionMoved:
                log.info("inbox_moved", source=self.source)
            except (*ConnectionLost, *DatabaseLost, PersistenceError, psycopg.Error) as error:
                if is_fatal(error):
                    raise
                log.warning("inbox_interrupted", source=self.source, error=type(error).__name__)
                self._stopping.wait(RETRY_SECONDS)
            finally:
                self._set_connected(False)

    def _read(self) -> None:
        self._load()
        consumer = Consumer(self._amqp_uri, self.service, self.source, max(self._window, 20))
        try:
            self._set_connected(True)
            while not self._stopping.is_set():
                arrived = consumer.collect(patience=0.5, linger=self._linger)
                if arrived:
                    self.receive([env for _, message in arrived if (env := self._open(message))])
                    consumer.done(arrived[-1][0])
                self._pulse(idle=not arrived)
        finally:
            consumer.close()

    def receive(self, envelopes: Sequence[Envelope]) -> None:
        """Apply what is new, in order; fetch what is missing from the source's log first."""
        run: list[Envelope] = []
        position = self.position
        for envelope in sorted(envelopes, key=lambda arrived: arrived.position):
            if envelope.previous > position:
                self._apply_run(run)
                run = []
                metrics.inbox_gaps.labels(self.source).inc()
                log.info("inbox_gap", source=self.source, after=position, upto=envelope.previous)
                self._refill(upto=envelope.previous)
                position = self.position
            # the log may have given this very event, and those that wait behind it
            if envelope.position <= position:
                metrics.message_duplicates.labels(self.source).inc()
                continue
            run.append(envelope)
            position = envelope.position
        self._apply_run(run)

    def _refill(self, upto: int) -> None:
        while self.position < upto:
            missing, _ = self._log.after(self.position, REFILL)
            if not missing:
                # the source does not know its own past, as after a restore to an earlier time
                raise TimeoutError(f"{self.source} has no events after {self.position}")
            self._apply_run(missing)

    def _apply_run(self, run: Sequence[Envelope]) -> None:
        for batch in self._batches(run):
            if len(batch) > 1:
                try:
                    self._settle(batch)
                    continue
                except (*DatabaseLost, PositionMoved):
                    raise
                except Exception as error:  # noqa: BLE001 - one of them fails: find it alone
                    log.warning("batch_split", source=self.source, error=type(error).__name__)
            for envelope in batch:
                self._apply_alone(envelope)

    def _batches(self, run: Sequence[Envelope]) -> Iterator[Sequence[Envelope]]:
        """Cut a run into windows that hold no subject with parked events."""
        batch: list[Envelope] = []
        for envelope in run:
            if envelope.subject in self._parked:
                if batch:
                    yield batch
                    batch = []
                yield [envelope]
                continue
            batch.append(envelope)
            if len(batch) == self._window:
                yield batch
                batch = []
        if batch:
            yield batch

    def _settle(self, batch: Sequence[Envelope]) -> None:
        last = batch[-1].position
        self._apply(batch, Advance(self.source, self.position, last))
        self.position = last
        metrics.inbox_position.labels(self.source).set(last)
        metrics.messages_handled.labels(self.source, "applied").inc(len(batch))

    def _apply_alone(self, envelope: Envelope) -> None:
        if envelope.subject in self._parked:
            self._park(envelope, "behind a parked event of the same subject")
            return
        conflicts = 0
        pauses = iter(PAUSES)
        while True:
            try:
                self._settle([envelope])
            except (*DatabaseLost, PositionMoved):
                raise
            except IntegrityError:
                # a command changed the same aggregate meanwhile: load it again
                conflicts += 1
                metrics.append_conflicts.inc()
                if conflicts > CONFLICT_TRIES:
                    raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the rest
                pause = next(pauses, None)
                if pause is None:
                    self._park(envelope, _reason(error))
                    return
                self._stopping.wait(pause)
            else:
                return

    def _park(self, envelope: Envelope, reason: str) -> None:
        advance = Advance(self.source, self.position, envelope.position)
        with self._reading() as cursor, cursor.connection.transaction():
            cursor.execute(
                "INSERT INTO parked (source, position, subject, envelope, error, attempts,"
                " parked_at, retry_at)"
                " VALUES (%s, %s, %s, %s, %s, 0, now(), now() + interval '1s')",
                (self.source, envelope.position, envelope.subject, envelope.raw, reason),
            )
            advance.settle(cursor)
        self.position = envelope.position
        metrics.inbox_position.labels(self.source).set(self.position)
        metrics.messages_handled.labels(self.source, "parked").inc()
        self._parked[envelope.subject] += 1
        metrics.parked_events.labels(self.source).set(self._parked.total())
        log.warning("event_parked", source=self.source, position=envelope.position, reason=reason)

    def _retry_parked(self) -> None:
        """Try the oldest parked event of each subject whose time has come."""
        with self._reading() as cursor:
            cursor.execute(
                "SELECT DISTINCT ON (subject) position, subject, envelope, attempts,"
                " retry_at <= now() AS due FROM parked WHERE source = %s"
                " ORDER BY subject, position",
                (self.source,),
            )
            heads = [row for row in cursor.fetchall() if row["due"]]
        for row in sorted(heads, key=lambda head: int(head["position"])):
            envelope = unseal(bytes(row["envelope"]))
            try:
                self._apply([envelope], Unpark(self.source, row["position"]))
            except (*DatabaseLost, PositionMoved, IntegrityError):
                continue
            except Exception as error:  # noqa: BLE001 - it stays parked, with its newest reason
                pause = min(2 ** (row["attempts"] + 1), LONGEST_RETRY_SECONDS)
                with self._reading() as cursor:
                    cursor.execute(
                        "UPDATE parked SET attempts = attempts + 1, error = %s,"
                        " retry_at = now() + make_interval(secs => %s)"
                        " WHERE source = %s AND position = %s",
                        (_reason(error), pause, self.source, row["position"]),
                    )
            else:
                metrics.messages_handled.labels(self.source, "applied").inc()
        self._load_parked()

    def _pulse(self, *, idle: bool) -> None:
        """Now and then: measure the lag, heal what the broker lost, try parked events again."""
        if time.monotonic() < self._next_pulse:
            return
        self._next_pulse = time.monotonic() + PULSE_SECONDS
        if self._parked:
            self._retry_parked()
        with suppress(Refused, TimeoutError):
            _, pending = self._log.after(self.position, 0)
            metrics.inbox_lag.labels(self.source).set(pending)
            # quiet twice although the log goes on: the broker lost it, or we joined late
            if pending and idle and self._lagging_since_pulse:
                missing, _ = self._log.after(self.position, REFILL)
                log.info("inbox_heals", source=self.source, events=len(missing))
                self._apply_run(missing)
                self._next_pulse = 0.0
            self._lagging_since_pulse = bool(pending) and idle

    def _open(self, message: amqp.Message) -> Envelope | None:
        reason = fits(message, ("application/cloudevents+json",))
        if reason is None:
            try:
                envelope = unseal(body_of(message))
            except (Undecodable, Malformed) as error:
                reason = str(error)
            else:
                if envelope.source == self.source:
                    return envelope
                reason = "foreign_source"
        # the log has the real event, if there is one: the gap will be seen and filled
        metrics.messages_dead_lettered.labels(reason).inc()
        log.warning("event_unreadable", source=self.source, reason=reason)
        return None

    def _load(self) -> None:
        with self._reading() as cursor:
            cursor.execute(
                "INSERT INTO inbox (source, position) VALUES (%s, 0) ON CONFLICT DO NOTHING",
                (self.source,),
            )
            cursor.execute("SELECT position FROM inbox WHERE source = %s", (self.source,))
            row = cursor.fetchone()
        self.position = int(row["position"]) if row else 0
        metrics.inbox_position.labels(self.source).set(self.position)
        self._load_parked()

    def _load_parked(self) -> None:
        with self._reading() as cursor:
            cursor.execute("SELECT subject FROM parked WHERE source = %s", (self.source,))
            self._parked = Counter(row["subject"] for row in cursor.fetchall())
        metrics.parked_events.labels(self.source).set(self._parked.total())

    def _set_connected(self, connected: bool) -> None:
        self.connected = connected
        metrics.amqp_connected.labels(f"inbox.{self.source}").set(int(connected))


def _reason(error: Exception) -> str:
    """Return what may be stored of an error: its kind, and the words only where they are ours."""
    words = f": {error}" if isinstance(error, NotYet) else ""
    return f"{type(error).__name__}{words}"
