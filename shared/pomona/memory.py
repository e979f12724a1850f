"""The aggregates that a process remembers, so that a hot one is not read again each time."""

import pickle
import threading
from collections import OrderedDict
from typing import Any
from uuid import UUID

from eventsourcing.domain import Aggregate

MOST = 5000


class Memory:
    """The newest known version of the aggregates used last, as bytes: nobody shares an object."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, tuple[int, bytes]] = OrderedDict()
        self._mutex = threading.Lock()

    def recall(self, aggregate_id: UUID) -> Any:
        """Return a copy of the aggregate as it was last known here, or None."""
        with self._mutex:
            known = self._known.get(aggregate_id)
            if known is None:
                return None
            self._known.move_to_end(aggregate_id)
        return pickle.loads(known[1])  # noqa: S301 - our own bytes, which never leave the process

    def keep(self, aggregate: Aggregate) -> None:
        """Remember an aggregate as it stands, unless a later version is known."""
        state = pickle.dumps(aggregate, pickle.HIGHEST_PROTOCOL)
        with self._mutex:
            known = self._known.get(aggregate.id)
            if known is None or known[0] < aggregate.version:
                self._known[aggregate.id] = (aggregate.version, state)
            if len(self._known) > MOST:
                self._known.popitem(last=False)

    def forget(self, aggregate_id: UUID, version: int) -> None:
        """Forget an aggregate that turned out to be older than the stored one."""
        with self._mutex:
            known = self._known.get(aggregate_id)
            if known is not None and known[0] <= version:
                del self._known[aggregate_id]
