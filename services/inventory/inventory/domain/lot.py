"""A lot: goods of one product that arrived together, with what they cost and who complained."""

from datetime import date, datetime
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from inventory.domain.errors import ExpiredOnReceipt, HarvestedAfterReceipt
from pomona.values import Unit


class Lot(Aggregate):
    class Received(Aggregate.Created):
        store_id: UUID
        product_id: UUID
        supplier_id: UUID
        unit: Unit
        quantity: int
        goods_cost_fen: int
        freight_fen: int
        origin: str
        harvest_date: date | None
        best_before: date | None
        received_at: datetime
        business_date: date

    class Claimed(Aggregate.Event):
        product_id: UUID
        supplier_id: UUID
        claim_id: UUID
        order_id: UUID
        line_no: int
        quantity: int
        claims: int

    def __init__(
        self, product_id: UUID, supplier_id: UUID, best_before: date | None, received_at: datetime
    ) -> None:
        self.product_id = product_id
        self.supplier_id = supplier_id
        self.best_before = best_before
        self.received_at = received_at
        self.claims = 0

    @classmethod
    def receive(
        cls,
        lot_id: UUID,
        *,
        store_id: UUID,
        product_id: UUID,
        supplier_id: UUID,
        unit: Unit,
        quantity: int,
        goods_cost_fen: int,
        freight_fen: int,
        origin: str,
        harvest_date: date | None,
        best_before: date | None,
        received_at: datetime,
        business_date: date,
    ) -> "Lot":
        if harvest_date is not None and harvest_date > business_date:
            raise HarvestedAfterReceipt(harvest_date=harvest_date, business_date=business_date)
        if best_before is not None and best_before < business_date:
            raise ExpiredOnReceipt(best_before=best_before, business_date=business_date)
        return cls._create(
            cls.Received,
            id=lot_id,
            store_id=store_id,
            product_id=product_id,
            supplier_id=supplier_id,
            unit=unit,
            quantity=quantity,
            goods_cost_fen=goods_cost_fen,
            freight_fen=freight_fen,
            origin=origin,
            harvest_date=harvest_date,
            best_before=best_before,
            received_at=received_at,
            business_date=business_date,
        )

    def claim(self, claim_id: UUID, order_id: UUID, line_no: int, quantity: int) -> None:
        """Count one more claim. No goods need come back for that (R-13)."""
        self.trigger_event(
            Lot.Claimed,
            product_id=self.product_id,
            supplier_id=self.supplier_id,
            claim_id=claim_id,
            order_id=order_id,
            line_no=line_no,
            quantity=quantity,
            claims=self.claims + 1,
        )

    @event(Claimed)
    def _claimed(self, claims: int) -> None:
        self.claims = claims
