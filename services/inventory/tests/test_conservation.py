"""Nothing appears or vanishes: every command in every state, and the balance per store and lot."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid5

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inventory.domain.allocation import ArrivingLot
from inventory.domain.errors import InventoryError
from inventory.domain.stock import Stock
from inventory.domain.transfer import Transfer

TODAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)
PRODUCT, SUPPLIER, NAMES = UUID(int=1), UUID(int=2), UUID(int=3)
STORES = [UUID(int=100), UUID(int=101)]

stores = st.sampled_from(STORES)
quantities = st.integers(1, 1500)
days = st.integers(0, 4).map(lambda n: TODAY + timedelta(days=n))


class Shops(RuleBasedStateMachine):
    """Two stores that trade one product; the ledger is kept from events alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stocks = {
            store: Stock(store_id=store, product_id=PRODUCT, unit="g") for store in STORES
        }
        for stock in self.stocks.values():
            stock.collect_events()
        self.arrivals: dict[str, ArrivingLot] = {}
        self.sales: list[Stock.Sold] = []
        self.under_way: list[tuple[Transfer, int]] = []
        self.ledger: Counter[tuple[UUID, str]] = Counter()
        self.told: dict[tuple[UUID, str], int] = {}
        self.shortfall: Counter[UUID] = Counter()
        self.alerts: dict[UUID, list[type]] = {store: [] for store in STORES}
        self.ids = 0

    def new_id(self) -> UUID:
        self.ids += 1
        return uuid5(NAMES, str(self.ids))

    def lots_like(self, quantities: dict[str, int]) -> list[ArrivingLot]:
        return [{**self.arrivals[lot], "quantity": n} for lot, n in quantities.items()]

    def book(self, stock: Stock) -> None:
        """Enter what the stock tells into the ledger, as analytics would."""
        for event in stock.collect_events():
            sign = 1
            parts = getattr(event, "lots", [])
            if isinstance(event, Stock.Sold):
                self.sales.append(event)
                parts = [part for line in event.lines for part in line["lots"]]
                for line in event.lines:
                    assert line["quantity"] == line["shortfall"] + sum(
                        part["quantity"] for part in line["lots"]
                    )
                    self.shortfall[stock.store_id] += line["shortfall"]
            elif isinstance(event, Stock.PutBack):
                self.shortfall[stock.store_id] -= event.shortfall
            elif isinstance(event, Stock.FellLow | Stock.Recovered):
                self.alerts[stock.store_id].append(type(event))
            if isinstance(event, Stock.Sold | Stock.Shrunk | Stock.Sent):
                sign = -1
            for part in parts:
                key = (stock.store_id, part["lot_id"])
                assert part["quantity"] > 0
                self.ledger[key] += sign * part["quantity"]
                self.told[key] = part["on_hand"]
                assert part["on_hand"] == self.ledger[key]

    @rule(store=stores, quantity=quantities, keeps=st.none() | st.integers(0, 3), on=days)
    def receive_goods(self, store: UUID, quantity: int, keeps: int | None, on: date) -> None:
        lot = str(self.new_id())
        self.arrivals[lot] = {
            "lot_id": lot,
            "quantity": quantity,
            "supplier_id": str(SUPPLIER),
            "best_before": None if keeps is None else on + timedelta(days=keeps),
            "received_at": NOON + timedelta(minutes=self.ids),
        }
        self.stocks[store].take_in(self.arrivals[lot], on)
        self.book(self.stocks[store])

    @rule(store=stores, lines=st.lists(quantities, min_size=1, max_size=3), on=days)
    def sell(self, store: UUID, lines: list[int], on: date) -> None:
        self.stocks[store].sell(self.new_id(), dict(enumerate(lines, start=1)), on)
        self.book(self.stocks[store])

    @precondition(lambda self: self.sales)
    @rule(which=st.integers(0, 1000), on=days)
    def cancel(self, which: int, on: date) -> None:
        sale = self.sales.pop(which % len(self.sales))
        lots: Counter[str] = Counter()
        for line in sale.lines:
            for part in line["lots"]:
                lots[part["lot_id"]] += part["quantity"]
        stock = self.stocks[sale.store_id]
        stock.put_back(
            sale.order_id,
            self.lots_like(dict(lots)),
            sum(line["shortfall"] for line in sale.lines),
            on,
        )
        self.book(stock)

    @precondition(lambda self: self.sales)
    @rule(which=st.integers(0, 1000), share=st.integers(1, 100), on=days)
    def take_back(self, which: int, share: int, on: date) -> None:
        sale = self.sales[which % len(self.sales)]
        line = sale.lines[which % len(sale.lines)]
        stock = self.stocks[sale.store_id]
        stock.take_back(
            "claim",
            self.new_id(),
            line["line_no"],
            max(1, line["quantity"] * share // 100),
            sold_from={part["lot_id"]: part["quantity"] for part in line["lots"]},
            untraceable=line["shortfall"],
            disposal="returned_discarded",
            business_date=on,
        )
        self.book(stock)

    @rule(store=stores, quantity=quantities, on=days)
    def take_back_without_receipt(self, store: UUID, quantity: int, on: date) -> None:
        self.stocks[store].take_back(
            "till",
            self.new_id(),
            1,
            quantity,
            sold_from={},
            untraceable=0,
            disposal="returned_donated",
            business_date=on,
        )
        self.book(self.stocks[store])

    @rule(store=stores, quantity=quantities, which=st.none() | st.integers(0, 1000), on=days)
    def shrink(self, store: UUID, quantity: int, which: int | None, on: date) -> None:
        stock = self.stocks[store]
        before = stock.on_hand
        try:
            stock.shrink(self.new_id(), "spoiled", quantity, self.some_lot(which), on)
        except InventoryError:
            assert stock.on_hand == before
            assert not stock.pending_events
        else:
            assert stock.on_hand == before - quantity
        self.book(stock)

    @rule(
        store=stores,
        other=stores,
        quantity=quantities,
        which=st.none() | st.integers(0, 1000),
        on=days,
    )
    def send(self, store: UUID, other: UUID, quantity: int, which: int | None, on: date) -> None:
        stock = self.stocks[store]
        transfer_id = self.new_id()
        try:
            parts = stock.send(transfer_id, other, quantity, self.some_lot(which), on)
        except InventoryError:
            assert not stock.pending_events
            return
        self.stocks[other].expect(transfer_id, quantity, on)
        transfer = Transfer.send(
            transfer_id,
            from_store_id=store,
            to_store_id=other,
            product_id=PRODUCT,
            parts=parts,
            business_date=on,
        )
        self.under_way.append((transfer, quantity))
        self.book(stock)
        self.book(self.stocks[other])

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 1000), on=days)
    def receive_transfer(self, which: int, on: date) -> None:
        transfer, _ = self.under_way.pop(which % len(self.under_way))
        transfer.receive(transfer.to_store_id, on)
        stock = self.stocks[transfer.to_store_id]
        stock.receive_transfer(
            transfer.id, transfer.from_store_id, self.lots_like(transfer.lots), on
        )
        self.book(stock)

    @rule(store=stores, reorder_point=st.integers(0, 2000), on=days)
    def set_reorder_point(self, store: UUID, reorder_point: int, on: date) -> None:
        self.stocks[store].set_reorder_point(reorder_point, on)
        self.book(self.stocks[store])

    @rule(store=stores)
    def come_back_from_a_snapshot(self, store: UUID) -> None:
        again = Stock.Snapshot.take(self.stocks[store]).mutate(None)
        assert isinstance(again, Stock)
        self.stocks[store] = again

    def some_lot(self, which: int | None) -> UUID | None:
        if which is None or not self.arrivals:
            return None
        return UUID(list(self.arrivals)[which % len(self.arrivals)])

    @invariant()
    def every_lot_balances_in_every_store(self) -> None:
        assert self.told == dict(self.ledger)
        for store, stock in self.stocks.items():
            lying = {lot: entry["on_hand"] for lot, entry in stock.lots.items()}
            assert lying == {lot: n for (at, lot), n in self.ledger.items() if at == store and n}
            assert all(n > 0 for n in lying.values())

    @invariant()
    def shortfalls_are_remembered(self) -> None:
        for store, stock in self.stocks.items():
            assert stock.shortfall == self.shortfall[store] >= 0

    @invariant()
    def goods_under_way_lie_nowhere_but_are_expected(self) -> None:
        for store, stock in self.stocks.items():
            assert stock.incoming == sum(n for t, n in self.under_way if t.to_store_id == store)

    @invariant()
    def alerts_alternate(self) -> None:
        for told in self.alerts.values():
            assert told == [Stock.FellLow, Stock.Recovered] * (len(told) // 2) + (
                [Stock.FellLow] if len(told) % 2 else []
            )


TestConservation = Shops.TestCase
TestConservation.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
