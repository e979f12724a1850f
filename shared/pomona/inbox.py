"""The inbox: each event of a source applied once, in order, whatever the broker does."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

import amqp
import psycopg
from eventsourcing.persistence import IntegrityError, PersistenceError

from pomona import metrics
from pomona.append import DatabaseLost
from pomona.broker import (
    ConnectionLost,
    Consumer,
    body_of,
    fits,
    is_fatal,
    is_of_the_queue,
)
from pomona.broker_access import OPERATOR, service_user
from pomona.envelope import Envelope, Malformed, unseal
from pomona.errors import NotYet, Refused, SourceForgot
from pomona.failpoints import reach
from pomona.journal import logger
from pomona.ledger import Advance, Ledger, Parked, PositionMoved, Settlement, Unpark
from pomona.wire import Undecodable

log = logger(__name__)

PAUSES = (0.05, 0.2, 0.5)  # seconds between the tries before an event is parked
CONFLICT_TRIES = 20
PULSE_SECONDS = 2.0
RETRY_SECONDS = 1.0
DEFECTS = 5  # of its queue, one after the other, before an inbox makes the queue anew
ESTRANGED_SECONDS = 5.0
REFILL = 1000

Apply = Callable[[Sequence[Envelope], Settlement], None]


class Source(Protocol):
    """The log of the publishing service, asked over RPC."""

    def after(self, position: int, limit: int) -> tuple[list[Envelope], int]:
        """Return events after a position, and how many there are after it in all.

        Raises `SourceForgot` where there is no event at that position any more.
        """


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
        ledger: Ledger,
        apply: Apply,
        log_of_source: Source,
        reads: Container[str] = (),
        window: int = 1,
        linger: float = 0.0,
    ) -> None:
        self.service = service
        self.source = source
        self._amqp_uri = amqp_uri
        self._ledger = ledger
        self._apply = apply
        self._log = log_of_source
        self._reads = reads
        self._window = window
        self._linger = linger
        self._stopping = threading.Event()
        self._parked: Counter[str] = Counter()
        self._defects = 0
        self._next_pulse = 0.0
        self._lagging_since_pulse = False
        self.position = 0
        self.connected = False
        self.estranged = False
        for outcome in ("applied", "parked"):
            metrics.messages_handled.labels(source, outcome)
        metrics.message_duplicates.labels(source)
        metrics.inbox_gaps.labels(source)
        metrics.inbox_estranged.labels(source)

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Read until stopped. Raises only what trying again cannot mend."""
        while not self._stopping.is_set():
            try:
                self._read()
            except PositionMoved:
                log.info("inbox_moved", source=self.source)
            except SourceForgot:
                self._set_estranged(True)
                log.warning("source_forgot", source=self.source, position=self.position)
                self._stopping.wait(ESTRANGED_SECONDS)
            except (
                *ConnectionLost,
                *DatabaseLost,
                PersistenceError,
                psycopg.Error,
                Refused,
            ) as error:
                if is_fatal(error):
                    raise
                self._defects = self._defects + 1 if is_of_the_queue(error) else 0
                log.warning("inbox_interrupted", source=self.source, error=type(error).__name__)
                self._stopping.wait(RETRY_SECONDS)
            finally:
                self._set_connected(False)

    def _read(self) -> None:
        self.load()
        # RabbitMQ 3.10 forgets a quorum queue that was made a second before a kill -9 and goes on
        # naming it. What was in it is in the log of the source, so a new one does.
        consumer = Consumer(
            self._amqp_uri,
            self.service,
            self.source,
            max(self._window, 20),
            afresh=self._defects >= DEFECTS,
        )
        self._defects = 0
        try:
            self._set_connected(True)
            while not self._stopping.is_set():
                arrived = consumer.collect(patience=0.5, linger=self._linger)
                if arrived:
                    self.receive([env for _, message in arrived if (env := self._open(message))])
                    reach("inbox.before_ack")
                    consumer.done(arrived[-1][0])
                self._pulse(idle=not arrived)
        finally:
            consumer.close()

    def receive(self, envelopes: Sequence[Envelope]) -> None:
        """Apply what is new, in order; fetch what is missing from the source's log first."""
        run: list[Envelope] = []
        position = self.position
        for envelope in sorted(self._chosen(envelopes), key=lambda arrived: arrived.position):
            if envelope.previous > position:
                self._apply_run(run)
                run = []
                metrics.inbox_gaps.labels(self.source).inc()
                log.info("inbox_gap", source=self.source, after=position, upto=envelope.previous)
                self._refill(upto=envelope.previous)
                position = self.position
                if position < envelope.previous:
                    # the source does not know what came before it: it is none of its events
                    self._unreadable("unknown_past")
                    continue
            # the log may have given this very event, and those that wait behind it
            if envelope.position <= position:
                metrics.message_duplicates.labels(self.source).inc()
                continue
            if envelope.previous < position:
                # the chain passes over what we have: does the source still know it?
                self._apply_run(run)
                run = []
                self._log.after(position, 0)
            run.append(envelope)
            position = envelope.position
        self._apply_run(run)

    def _refill(self, upto: int) -> None:
        while self.position < upto:
            missing, _ = self._log.after(self.position, REFILL)
            if not missing:
                return
            self._apply_run(self._chosen(missing))

    def _chosen(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Leave out the versions of an event that are for others."""
        return [envelope for envelope in envelopes if envelope.is_chosen(self._reads)]

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
            except IntegrityError as error:
                # a command changed the same aggregate meanwhile: load it again
                conflicts += 1
                metrics.append_conflicts.inc()
                if conflicts > CONFLICT_TRIES:
                    self._park(envelope, _reason(error))
                    return
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the rest
                pause = next(pauses, None)
                if pause is None:
                    self._park(envelope, _reason(error))
                    return
                self._stopping.wait(pause)
            else:
                return

    def _park(self, envelope: Envelope, reason: str) -> None:
        self._ledger.park(envelope, Advance(self.source, self.position, envelope.position), reason)
        self.position = envelope.position
        metrics.inbox_position.labels(self.source).set(self.position)
        metrics.messages_handled.labels(self.source, "parked").inc()
        self._parked[envelope.subject] += 1
        metrics.parked_events.labels(self.source).set(self._parked.total())
        log.warning("event_parked", source=self.source, position=envelope.position, reason=reason)

    def _retry_parked(self) -> None:
        """Try parked events whose time has come, the oldest of each subject first."""
        while sum(self._retry(parked) for parked in self._ledger.due()):
            pass  # each one that went through lets the next of its subject be tried
        self._count_parked()

    def _retry(self, parked: Parked) -> bool:
        envelope = parked.envelope
        try:
            self._apply([envelope], Unpark(self.source, envelope.position))
        except (*DatabaseLost, PositionMoved):
            return False
        except Exception as error:  # noqa: BLE001 - it stays parked, with its newest reason
            self._ledger.postpone(parked, _reason(error))
            return False
        metrics.messages_handled.labels(self.source, "applied").inc()
        return True

    def _pulse(self, *, idle: bool) -> None:
        """Now and then: measure the lag, heal what the broker lost, try parked events again."""
        if time.monotonic() < self._next_pulse:
            return
        self._next_pulse = time.monotonic() + PULSE_SECONDS
        if self._parked:
            self._retry_parked()
        with suppress(Refused, TimeoutError):
            _, pending = self._log.after(self.position, 0)
            self._set_estranged(False)
            metrics.inbox_lag.labels(self.source).set(pending)
            # quiet twice although the log goes on: the broker lost it, or we joined late
            if pending and idle and self._lagging_since_pulse:
                missing, _ = self._log.after(self.position, REFILL)
                log.info("inbox_heals", source=self.source, events=len(missing))
                self._apply_run(self._chosen(missing))
                self._next_pulse = 0.0
            self._lagging_since_pulse = bool(pending) and idle

    def _open(self, message: amqp.Message) -> Envelope | None:
        reason = fits(message, ("application/cloudevents+json",)) or self._foreign(message)
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
        self._unreadable(reason)
        return None

    def _foreign(self, message: amqp.Message) -> str | None:
        """Return why a message is not the source's own, or None where the broker says it is."""
        user = message.properties.get("user_id")
        return None if user in (service_user(self.source), OPERATOR) else "foreign_user"

    def _unreadable(self, reason: str) -> None:
        metrics.messages_dead_lettered.labels(reason).inc()
        log.warning("event_unreadable", source=self.source, reason=reason)

    def load(self) -> None:
        """Learn where we stand: another replica may have moved on."""
        self.position = self._ledger.position()
        metrics.inbox_position.labels(self.source).set(self.position)
        self._count_parked()

    def _count_parked(self) -> None:
        self._parked = self._ledger.parked()
        metrics.parked_events.labels(self.source).set(self._parked.total())

    def _set_estranged(self, estranged: bool) -> None:
        self.estranged = estranged
        metrics.inbox_estranged.labels(self.source).set(int(estranged))

    def _set_connected(self, connected: bool) -> None:
        self.connected = connected
        metrics.amqp_connected.labels(f"inbox.{self.source}").set(int(connected))


def _reason(error: Exception) -> str:
    """Return what may be stored of an error: its kind, and the words only where they are ours."""
    words = f": {error}" if isinstance(error, NotYet) else ""
    return f"{type(error).__name__}{words}"
