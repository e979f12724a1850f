"""A cashier's shift at a till: what went into the drawer and what must be in it."""

from datetime import date, datetime
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from orders.domain.errors import ShiftClosed, ShiftOfAnotherTill


class Shift(Aggregate):
    """Opened with a float, closed with the cash counted. Its business date is fixed at opening."""

    class Opened(Aggregate.Created):
        store_id: UUID
        terminal_id: UUID
        zone: str
        business_date: date
        receipts: str
        float_fen: int
        opened_at: datetime

    class TookMoney(Aggregate.Event):
        order_id: UUID
        cash_fen: int
        card_fen: int

    class PaidOut(Aggregate.Event):
        cause_id: UUID
        cash_fen: int
        card_fen: int

    class Closed(Aggregate.Event):
        store_id: UUID
        terminal_id: UUID
        business_date: date
        closed_at: datetime
        expected_cash_fen: int
        counted_cash_fen: int
        card_fen: int

        def apply(self, aggregate: "Shift") -> None:
            aggregate.counted_cash_fen = self.counted_cash_fen

    @event(Opened)
    def __init__(
        self,
        id: UUID,
        store_id: UUID,
        terminal_id: UUID,
        zone: str,
        business_date: date,
        receipts: str,
        float_fen: int,
        opened_at: datetime,
    ) -> None:
        self._id = id
        self.store_id = store_id
        self.terminal_id = terminal_id
        self.zone = zone
        self.business_date = business_date
        self.receipts = receipts
        self.expected_cash_fen = float_fen
        self.card_fen = 0
        self.sales = 0
        self.counted_cash_fen: int | None = None

    @property
    def is_open(self) -> bool:
        return self.counted_cash_fen is None

    def require_till(self, store_id: UUID | None, terminal_id: UUID | None) -> None:
        """Refuse whoever is not at this till; without a terminal, any till of the store will do."""
        if store_id != self.store_id or terminal_id not in (None, self.terminal_id):
            raise ShiftOfAnotherTill
        if not self.is_open:
            raise ShiftClosed

    @property
    def next_receipt(self) -> str:
        """Number of the next receipt: without a gap within the shift (ORD-03)."""
        return f"{self.receipts}-{self.sales + 1:04d}"

    def take_money(self, order_id: UUID, cash_fen: int, card_fen: int) -> None:
        if not self.is_open:
            raise ShiftClosed
        self._took_money(order_id, cash_fen, card_fen)

    def pay_out(self, cause_id: UUID, cash_fen: int, card_fen: int) -> None:
        if not self.is_open:
            raise ShiftClosed
        self._paid_out(cause_id, cash_fen, card_fen)

    def close(self, counted_cash_fen: int, at: datetime) -> None:
        if not self.is_open:
            raise ShiftClosed
        self.trigger_event(
            Shift.Closed,
            store_id=self.store_id,
            terminal_id=self.terminal_id,
            business_date=self.business_date,
            closed_at=at,
            expected_cash_fen=self.expected_cash_fen,
            counted_cash_fen=counted_cash_fen,
            card_fen=self.card_fen,
        )

    @event(TookMoney)
    def _took_money(self, order_id: UUID, cash_fen: int, card_fen: int) -> None:
        del order_id
        self.sales += 1
        self.expected_cash_fen += cash_fen
        self.card_fen += card_fen

    @event(PaidOut)
    def _paid_out(self, cause_id: UUID, cash_fen: int, card_fen: int) -> None:
        del cause_id
        self.expected_cash_fen -= cash_fen
        self.card_fen -= card_fen
