"""The single writer of an event store: callers queue, one of them writes for all who wait."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    StoredEvent,
)

from pomona import metrics
from pomona.journal import logger

Cursor = psycopg.Cursor[dict[str, Any]]
Version = tuple[Any, int]  # of an aggregate: its id and a number

MOST_ENTRIES = 64
MOST_EVENTS = 2000

# nobody knows whether what was being written has been committed
DatabaseLost = (psycopg.OperationalError, psycopg.InterfaceError, OperationalError, InterfaceError)

log = logger(__name__)


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Entry:
    """What one caller wants committed, as a whole or not at all.

    `causes` holds one cause per event; `command` is the row of the command that is carried out.
    `seen` gives the version of each aggregate that was looked at and not changed: nobody may have
    changed it meanwhile. `within` writes whatever else belongs into the transaction; `committed`
    is called right after it.
    """

    events: Sequence[StoredEvent]
    causes: Sequence[Mapping[str, Any]]
    command: Mapping[str, Any] | None = None
    seen: Mapping[UUID, int] = field(default_factory=dict)
    within: Callable[[Cursor], None] | None = None
    committed: Callable[[], None] = _nothing

    @property
    def versions(self) -> list[Version]:
        return [(event.originator_id, event.originator_version) for event in self.events]

    @property
    def successors(self) -> list[Version]:
        """The versions that nobody before us may write."""
        return [*self.versions, *((seen, version + 1) for seen, version in self.seen.items())]


class _Turn:
    """A caller's place in the queue: it waits until it is called, to lead or to hear the outcome.

    A bare lock that is opened once, since an event costs more to make than an entry to write.
    """

    __slots__ = ("_gate", "called", "entry", "error", "written")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.error: BaseException | None = None
        self.written = False
        self.called = False
        self._gate: threading.Lock | None = None

    def close(self) -> None:
        """Be one who waits."""
        self._gate = threading.Lock()
        self._gate.acquire()

    def wait(self) -> None:
        if self._gate is not None:
            self._gate.acquire()

    def call(self) -> None:
        if not self.called:
            self.called = True
            if self._gate is not None:
                self._gate.release()


class SingleWriter:
    """Lets one caller at a time write, for itself and for all who queued up meanwhile.

    So many commits share one transaction and one flush of the write-ahead log. An entry that
    fails takes nobody with it: the others are written again one by one. Several processes keep
    out of each other's way by a lock in the database, which `write` takes.
    """

    def __init__(self, write: Callable[[Sequence[Entry]], None]) -> None:
        self._write = write
        self._queue: list[_Turn] = []
        self._mutex = threading.Lock()
        self._busy = False

    def append(self, entry: Entry) -> None:
        """Return when the entry is committed.

        Raises IntegrityError on a conflict, one of `DatabaseLost` where it is unknown whether it
        was committed, and whatever `within` raises.
        """
        turn = _Turn(entry)
        with self._mutex:
            self._queue.append(turn)
            if self._busy:
                turn.close()
            self._busy = True
        try:
            turn.wait()
            if not turn.written and turn.error is None:
                self._lead()
        except BaseException:
            self._leave(turn)
            raise
        if turn.error is not None:
            raise turn.error

    def _lead(self) -> None:
        """Write for those at the head of the queue, then call the next one to lead."""
        batch, late = self._take()
        try:
            self._commit(batch)
        except BaseException as interrupted:
            # our own caller gave up in the middle, and nobody knows what the database has done
            for turn in batch:
                if not turn.written:
                    turn.error = OperationalError(type(interrupted).__name__)
            raise
        finally:
            for turn, winner in late:
                turn.error = _lost_to(winner)
            for turn in (*batch, *(turn for turn, _ in late)):
                turn.call()
            self._call_next()

    def _take(self) -> tuple[list[_Turn], list[tuple[_Turn, _Turn]]]:
        """Take a batch off the queue, and those who stand on what one in it changes."""
        batch: list[_Turn] = []
        late: list[tuple[_Turn, _Turn]] = []
        taken: dict[Version, _Turn] = {}
        events = 0
        with self._mutex:
            while self._queue and len(batch) < MOST_ENTRIES:
                turn = self._queue[0]
                versions = turn.entry.versions
                winner = next((taken[v] for v in turn.entry.successors if v in taken), None)
                events += len(versions) if winner is None else 0
                if batch and events > MOST_EVENTS:
                    break
                del self._queue[0]
                if winner is None:
                    batch.append(turn)
                    taken.update(dict.fromkeys(versions, turn))
                else:
                    late.append((turn, winner))
        return batch, late

    def _commit(self, batch: Sequence[_Turn]) -> None:
        metrics.append_batch.observe(len(batch))
        try:
            self._write([turn.entry for turn in batch])
        except DatabaseLost as lost:
            # perhaps committed, perhaps not: each caller looks its own command up
            for turn in batch:
                turn.error = lost
        except Exception as error:  # noqa: BLE001 - raised where it belongs
            if len(batch) == 1:
                batch[0].error = error
                return
            log.info("append_split", entries=len(batch), error=type(error).__name__)
            for turn in batch:
                self._commit([turn])
        else:
            for turn in batch:
                turn.written = True
                turn.entry.committed()

    def _call_next(self) -> None:
        with self._mutex:
            if self._queue:
                self._queue[0].call()
            else:
                self._busy = False

    def _leave(self, turn: _Turn) -> None:
        """Leave the queue without a trace; who was called to lead calls the next one."""
        with self._mutex:
            if turn not in self._queue:
                return
            self._queue.remove(turn)
        if turn.called:
            self._call_next()


def _lost_to(winner: _Turn) -> BaseException:
    if winner.error is None or not isinstance(winner.error, DatabaseLost):
        # also where the winner failed: to look again costs less than to queue again
        return IntegrityError("an aggregate was changed meanwhile")
    return winner.error
