"""Stores and their tills."""

from datetime import time
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from orders.domain.errors import ShiftStillOpen


class Store(Aggregate):
    """A shop with the zone and the cut-off that its business days follow (R-35)."""

    class Opened(Aggregate.Created):
        code: str
        label: str
        zone: str
        cut_off: str

    @event(Opened)
    def __init__(self, id: UUID, code: str, label: str, zone: str, cut_off: str) -> None:
        self._id = id
        self.code = code
        self.label = label
        self.zone = zone
        self.cut_off = cut_off

    @property
    def day_ends_at(self) -> time:
        return time.fromisoformat(self.cut_off)


class Till(Aggregate):
    """A registered terminal of a store. It has at most one open shift."""

    class Registered(Aggregate.Created):
        store_id: UUID
        code: str

    class ShiftStarted(Aggregate.Event):
        shift_id: UUID

    class ShiftEnded(Aggregate.Event):
        shift_id: UUID

    @event(Registered)
    def __init__(self, id: UUID, store_id: UUID, code: str) -> None:
        self._id = id
        self.store_id = store_id
        self.code = code
        self.shifts = 0
        self.open_shift: UUID | None = None

    def start_shift(self, shift_id: UUID) -> int:
        """Return the running number of the shift at this till."""
        if self.open_shift is not None:
            raise ShiftStillOpen
        self._shift_started(shift_id)
        return self.shifts

    def end_shift(self, shift_id: UUID) -> None:
        self._shift_ended(shift_id)

    @event(ShiftStarted)
    def _shift_started(self, shift_id: UUID) -> None:
        self.shifts += 1
        self.open_shift = shift_id

    @event(ShiftEnded)
    def _shift_ended(self, shift_id: UUID) -> None:
        del shift_id
        self.open_shift = None
