"""Turns at what many change at once: the losers of a conflict would lose again and again."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from uuid import UUID

CALM_SECONDS = 1.0
PATIENCE_SECONDS = 1.0


class Turn:
    """The turn at one aggregate, handed to those who wait for it in the order they came."""

    def __init__(self) -> None:
        self.counts_until = 0.0
        self._mutex = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    def take(self, patience: float) -> bool:
        """Wait for the turn; say whether we have it now."""
        with self._mutex:
            if not self._taken:
                self._taken = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        try:
            if called.wait(patience):
                return True
        except BaseException:
            if not self._leave(called):
                self.release()
            raise
        return not self._leave(called)

    def release(self) -> None:
        """Hand the turn to whoever has waited longest."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False

    def _leave(self, called: threading.Event) -> bool:
        """Wait no more; say whether we were still waiting, or else have just been called."""
        with self._mutex:
            if called not in self._waiting:
                return False
            self._waiting.remove(called)
            return True


class Turns:
    """Lets those who want a fought-over aggregate have it one after the other, in this process.

    Only for fairness and speed: what is right is decided at the commit, so nobody waits long for
    a turn, and whoever waits for two at a time cannot be stuck.
    """

    def __init__(self) -> None:
        self._fought_over: dict[UUID, Turn] = {}

    def fight(self, aggregate_ids: Iterable[UUID]) -> None:
        """Note a conflict: from now on, and until it has been calm for a while, turns count."""
        now = time.monotonic()
        for each in [each for each, turn in self._fought_over.items() if turn.counts_until < now]:
            self._fought_over.pop(each, None)
        for each in aggregate_ids:
            self._fought_over.setdefault(each, Turn()).counts_until = now + CALM_SECONDS

    def take(self, aggregate_id: UUID) -> Turn | None:
        """Wait for our turn where turns count; release what is returned."""
        turn = self._fought_over.get(aggregate_id)
        if turn is None or turn.counts_until < time.monotonic():
            return None
        return turn if turn.take(PATIENCE_SECONDS) else None
