"""Turns at what many change at once: the losers of a conflict would lose again and again."""

import threading
import time
from collections.abc import Iterable
from uuid import UUID

CALM_SECONDS = 1.0
PATIENCE_SECONDS = 1.0


class Turns:
    """Lets those who want a fought-over aggregate have it one after the other, in this process.

    Only for fairness and speed: what is right is decided at the commit, so nobody waits long for
    a turn, and whoever waits for two at a time cannot be stuck.
    """

    def __init__(self) -> None:
        self._fought_over: dict[UUID, tuple[threading.Lock, float]] = {}

    def fight(self, aggregate_ids: Iterable[UUID]) -> None:
        """Note a conflict: from now on, and until it has been calm for a while, turns count."""
        now = time.monotonic()
        for each in [each for each, (_, until) in self._fought_over.items() if until < now]:
            self._fought_over.pop(each, None)
        for each in aggregate_ids:
            lock, _ = self._fought_over.get(each) or (threading.Lock(), 0.0)
            self._fought_over[each] = (lock, now + CALM_SECONDS)

    def take(self, aggregate_id: UUID) -> "threading.Lock | None":
        """Wait for our turn where turns count; release what is returned."""
        if not self._fought_over:
            return None
        lock, until = self._fought_over.get(aggregate_id) or (None, 0.0)
        if lock is None or until < time.monotonic():
            return None
        return lock if lock.acquire(timeout=PATIENCE_SECONDS) else None
