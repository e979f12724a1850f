"""A transfer: goods under way from one store to another, on neither shelf (R-19)."""

from collections.abc import Iterable
from datetime import date
from typing import ClassVar
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from inventory.domain.allocation import LotPart
from inventory.domain.errors import TransferAlreadyReceived, TransferForAnotherStore


class Transfer(Aggregate):
    """Sent, then received in full; what was lost on the way is shrinkage of the receiving store."""

    TRANSITIONS: ClassVar[dict[tuple[str, str], str]] = {("sent", "receive"): "received"}

    class Sent(Aggregate.Created):
        from_store_id: UUID
        to_store_id: UUID
        product_id: UUID
        lots: dict[str, int]
        business_date: date

    class Received(Aggregate.Event):
        business_date: date

    def __init__(
        self, from_store_id: UUID, to_store_id: UUID, product_id: UUID, lots: dict[str, int]
    ) -> None:
        self.from_store_id = from_store_id
        self.to_store_id = to_store_id
        self.product_id = product_id
        self.lots = lots
        self.state = "sent"

    @classmethod
    def send(
        cls,
        transfer_id: UUID,
        *,
        from_store_id: UUID,
        to_store_id: UUID,
        product_id: UUID,
        parts: Iterable[LotPart],
        business_date: date,
    ) -> "Transfer":
        return cls._create(
            cls.Sent,
            id=transfer_id,
            from_store_id=from_store_id,
            to_store_id=to_store_id,
            product_id=product_id,
            lots={part["lot_id"]: part["quantity"] for part in parts},
            business_date=business_date,
        )

    def receive(self, by_store_id: UUID, business_date: date) -> None:
        if by_store_id != self.to_store_id:
            raise TransferForAnotherStore
        if (self.state, "receive") not in self.TRANSITIONS:
            raise TransferAlreadyReceived
        self.trigger_event(Transfer.Received, business_date=business_date)

    @event(Received)
    def _received(self) -> None:
        self.state = self.TRANSITIONS[self.state, "receive"]
