"""Goods that came back to the till without a receipt, at the price of the day (R-12, R-30)."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from eventsourcing.domain import Aggregate, event


class TillReturn(Aggregate):
    """Taken back by a store manager; the goods never go straight to the shelf again."""

    class Taken(Aggregate.Created):
        store_id: UUID
        terminal_id: UUID
        shift_id: UUID
        business_date: date
        returned_at: datetime
        hour: int
        channel: str
        reason: str
        lines: list[dict[str, Any]]
        refund_fen: int
        tender: str

    @event(Taken)
    def __init__(
        self,
        id: UUID,
        store_id: UUID,
        terminal_id: UUID,
        shift_id: UUID,
        business_date: date,
        returned_at: datetime,
        hour: int,
        channel: str,
        reason: str,
        lines: list[dict[str, Any]],
        refund_fen: int,
        tender: str,
    ) -> None:
        self._id = id
