"""Inventory on a real PostgreSQL: commands and facts in, views and published events out."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from inventory import contracts, policies, projections
from inventory.application import Inventory
from inventory.contracts import (
    ClaimOpened,
    GoodsLine,
    GoodsReturned,
    GoodsTakenBack,
    OrderCancelled,
    OrderPaid,
    ProductListed,
    StoreOpened,
)
from pomona.application import Command, Question
from pomona.contracts import contracts_of
from pomona.errors import NotFound, NotYet, Refusal
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor, environment
from pomona.identity import Actor
from pomona.migrate import migrate
from pomona.values import stable_id

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
DAY = NOW.date()
STORE, OTHER_STORE, MANDARINS, MELONS, SUPPLIER = (UUID(int=n) for n in range(1, 6))
CONTRACTS = contracts_of("inventory", contracts)
SCHEMAS = {request.method: request.schema for request in CONTRACTS.requests}


class Heard:
    """A fact as the cause of a commit, without a broker around it."""

    def __init__(self, fact: object) -> None:
        self._fact = fact

    def stamp(self) -> dict[str, Any]:
        return {}

    def row(self, _answer: object) -> None:
        return None

    def within(self, cursor: Cursor) -> None:
        projections.remember(self._fact, cursor)


class Shop:
    """Inventory as its doors and its inbox see it."""

    def __init__(self, dsn: str) -> None:
        self.inventory = Inventory(environment(dsn), remember=projections.remember)

    def hear(self, fact: object) -> None:
        self.inventory.commit(Heard(fact), *policies.react(fact, self.inventory))

    def do(self, method: str, *, at: UUID | None = STORE, **request: Any) -> dict[str, Any]:
        loaded = SCHEMAS[method]().load({k: _plain(v) for k, v in request.items()})
        command = Command(
            id=uuid4(),
            method=method,
            request=loaded,
            actor=Actor(id="manager-1", role="store_manager", store_id=at),
            store_id=at,
            at=NOW,
            correlation_id="",
            request_hash=b"",
        )
        answer: dict[str, Any] = getattr(self.inventory, method)(command)
        return answer

    def ask(self, method: str, *, at: UUID | None = STORE, **request: Any) -> dict[str, Any]:
        loaded = SCHEMAS[method]().load({k: _plain(v) for k, v in request.items()})
        actor = Actor(id="manager-1", role="store_manager", store_id=at)
        question = Question(loaded, actor, at, NOW, "")
        answer: dict[str, Any] = getattr(self.inventory, method)(question)
        return answer

    def receive(self, quantity: int, best_before: str, *, product: UUID = MANDARINS) -> UUID:
        lot = uuid4()
        self.do(
            "receive_goods",
            lot_id=lot,
            product_id=product,
            supplier_id=SUPPLIER,
            quantity=quantity,
            goods_cost_fen=1000,
            freight_fen=80,
            origin="四川 会理",
            best_before=best_before,
            business_date="2026-11-21",
        )
        return lot

    def sell(self, *lines: tuple[UUID, int]) -> UUID:
        order = uuid4()
        self.hear(OrderPaid(order, STORE, DAY, _goods(lines)))
        return order

    def lots(self, store: UUID = STORE, product: UUID = MANDARINS) -> dict[UUID, int]:
        found = self.ask("stock_of", at=store, product_id=product)["lots"]
        return {UUID(lot["lot_id"]): lot["on_hand"] for lot in found}

    def told(self, name: str | None = None) -> list[dict[str, Any]]:
        log = EventLog(CONTRACTS, "inventory_events", self.inventory.mapper)
        with self.inventory.reading() as cursor:
            envelopes = log.after(cursor, 0, 10_000)
        return [
            {"event": envelope.type.split(".")[2], **envelope.data}
            for envelope in envelopes
            if name in (None, envelope.type.split(".")[2])
        ]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _goods(lines: tuple[tuple[UUID, int], ...]) -> list[GoodsLine]:
    return [
        GoodsLine(line_no, product, "piece" if product == MELONS else "g", quantity)
        for line_no, (product, quantity) in enumerate(lines, start=1)
    ]


@pytest.fixture
def dsn(database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("AMQP_URI", "DATABASE_DSN", "IDENTITY_PUBLIC_KEY"):
        monkeypatch.setenv(f"POMONA_{name}", "not used here")
    made = database("inventory")
    migrate("inventory", made)
    return made


@pytest.fixture
def shop(dsn: str) -> Iterator[Shop]:
    shop = Shop(dsn)
    for store, name in ((STORE, "东湖店"), (OTHER_STORE, "南山店")):
        shop.hear(StoreOpened(store, name))
    shop.hear(ProductListed(MANDARINS, "沃柑", "g"))
    shop.hear(ProductListed(MELONS, "哈密瓜", "piece"))
    shop.do("register_supplier", at=None, supplier_id=SUPPLIER, name="会理果业", code="HL01")
    yield shop
    assert_every_lot_balances(shop)
    shop.inventory.close()


def assert_every_lot_balances(shop: Shop) -> None:
    """Received + moved in - moved out - sold + returned - shrunk = on hand, as told and as held."""
    signs = {"stock_sold": -1, "stock_shrunk": -1, "transfer_sent": -1}
    ledger: Counter[tuple[str, str]] = Counter()
    for event in shop.told():
        parts = event.get("lots", [])
        store = str(event.get("store_id") or event.get("from_store_id"))
        if event["event"] == "lot_received":
            parts = [event]
        elif event["event"] == "stock_sold":
            parts = [part for line in event["lines"] for part in line["lots"]]
        elif event["event"] == "transfer_received":
            store = event["to_store_id"]
        for part in parts:
            ledger[store, part["lot_id"]] += signs.get(event["event"], 1) * part["quantity"]
            assert ledger[store, part["lot_id"]] == part["on_hand"]
    held = {
        (stock["store_id"], lot["lot_id"]): lot["on_hand"]
        for store in (STORE, OTHER_STORE)
        for stock in shop.ask("list_stock", at=store)["stock"]
        for lot in stock["lots"]
    }
    assert held == {key: left for key, left in ledger.items() if left}


@pytest.mark.feature("INV-01")
def test_one_paid_order_takes_from_every_stock_it_touches_in_one_step(shop: Shop) -> None:
    old = shop.receive(1000, "2026-11-22")
    new = shop.receive(2000, "2026-11-25")
    melons = shop.receive(10, "2026-11-30", product=MELONS)

    order = shop.sell((MANDARINS, 700), (MELONS, 2), (MANDARINS, 600))

    assert shop.lots() == {new: 1700}
    assert shop.lots(product=MELONS) == {melons: 8}
    mandarins_sold, melons_sold = shop.told("stock_sold")
    assert [line["line_no"] for line in mandarins_sold["lines"]] == [1, 3]
    assert mandarins_sold["lines"][1]["lots"] == [
        {"lot_id": str(old), "quantity": 300, "on_hand": 0},
        {"lot_id": str(new), "quantity": 300, "on_hand": 1700},
    ]
    assert (melons_sold["order_id"], melons_sold["unit"]) == (str(order), "piece")


def test_a_cancelled_order_puts_everything_back_where_it_came_from(shop: Shop) -> None:
    old = shop.receive(1000, "2026-11-22")
    new = shop.receive(500, "2026-11-25")
    order = shop.sell((MANDARINS, 900), (MANDARINS, 800))
    assert shop.ask("stock_of", product_id=MANDARINS)["shortfall"] == 200

    shop.hear(OrderCancelled(order, DAY))

    assert shop.lots() == {old: 1000, new: 500}
    assert shop.ask("stock_of", product_id=MANDARINS)["shortfall"] == 0
    shop.sell((MANDARINS, 1))
    assert shop.lots() == {old: 999, new: 500}


@pytest.mark.feature("AFT-10")
@pytest.mark.feature("INV-10")
def test_a_claim_is_counted_on_every_lot_of_the_line(shop: Shop) -> None:
    old = shop.receive(300, "2026-11-22")
    new = shop.receive(2000, "2026-11-25")
    order = shop.sell((MANDARINS, 1200))

    shop.hear(ClaimOpened(uuid4(), order, 1, 400))

    claimed = {event["lot_id"]: event["quantity"] for event in shop.told("lot_claimed")}
    assert claimed == {str(old): 100, str(new): 300}
    lot = shop.ask("get_lot", lot_id=new)
    assert (lot["claims"], lot["supplier"], lot["cost_fen"]) == (1, "会理果业", 1080)
    assert lot["lies_in"] == [{"store_id": str(STORE), "on_hand": 1100}]


def test_a_claim_waits_for_the_sale_it_is_about(shop: Shop) -> None:
    with pytest.raises(NotYet):
        shop.hear(ClaimOpened(uuid4(), uuid4(), 1, 400))
    order = shop.sell((MANDARINS, 100))
    with pytest.raises(NotYet):
        shop.hear(GoodsTakenBack(uuid4(), order, 2, 50, "discard", DAY))


@pytest.mark.feature("INV-17")
@pytest.mark.feature("AFT-09")
def test_goods_of_a_claim_are_booked_back_and_disposed_of(shop: Shop) -> None:
    lot = shop.receive(500, "2026-11-22")
    order = shop.sell((MANDARINS, 600))

    shop.hear(GoodsTakenBack(uuid4(), order, 1, 600, "supplier_evidence", DAY))

    (returned,), (shrunk,) = shop.told("stock_returned"), shop.told("stock_shrunk")
    assert returned["known"] is False
    assert returned["lots"] == [{"lot_id": str(lot), "quantity": 600, "on_hand": 600}]
    assert (shrunk["reason"], shrunk["lots"][0]["on_hand"]) == ("returned_evidence", 0)
    assert shop.lots() == {}


@pytest.mark.feature("INV-17")
def test_returns_without_receipt_balance_even_where_nothing_was_ever_sold(shop: Shop) -> None:
    shop.hear(GoodsReturned(uuid4(), STORE, DAY, _goods(((MANDARINS, 300), (MANDARINS, 200)))))

    lots = {part["lot_id"] for event in shop.told("stock_returned") for part in event["lots"]}
    assert lots == {str(stable_id("returned without receipt", str(STORE), str(MANDARINS)))}
    assert [event["reason"] for event in shop.told("stock_shrunk")] == ["returned_discarded"] * 2
    assert shop.ask("stock_of", product_id=MANDARINS)["on_hand"] == 0


def test_goods_between_two_stores_lie_in_neither(shop: Shop) -> None:
    lot = shop.receive(1000, "2026-11-25")
    transfer = uuid4()
    sent: dict[str, Any] = {
        "transfer_id": transfer,
        "product_id": MANDARINS,
        "business_date": "2026-11-21",
    }

    shop.do("send_transfer", to_store_id=OTHER_STORE, quantity=400, **sent)

    assert (shop.lots(), shop.lots(OTHER_STORE)) == ({lot: 600}, {})
    assert shop.ask("stock_of", at=OTHER_STORE, product_id=MANDARINS)["incoming"] == 400
    received: dict[str, Any] = {"transfer_id": transfer, "business_date": "2026-11-21"}
    with pytest.raises(Refusal) as refusal:
        shop.do("receive_transfer", **received)
    assert refusal.value.code == "transfer_for_another_store"

    shop.do("receive_transfer", at=OTHER_STORE, **received)

    assert (shop.lots(), shop.lots(OTHER_STORE)) == ({lot: 600}, {lot: 400})
    (arrived,) = shop.told("transfer_received")
    assert arrived["lots"][0]["supplier_id"] == str(SUPPLIER)
    with pytest.raises(Refusal) as refusal:
        shop.do("receive_transfer", at=None, **received)
    assert refusal.value.code == "transfer_already_received"


@pytest.mark.feature("INV-03")
def test_the_alert_is_told_to_others_once(shop: Shop) -> None:
    shop.receive(1000, "2026-11-25")
    shop.do(
        "set_reorder_point", product_id=MANDARINS, reorder_point=500, business_date="2026-11-21"
    )

    shop.sell((MANDARINS, 500))
    shop.sell((MANDARINS, 100))

    (low,) = shop.told("stock_fell_low")
    assert (low["on_hand"], low["reorder_point"]) == (500, 500)
    assert shop.ask("stock_of", product_id=MANDARINS)["low"] is True
    shop.receive(1000, "2026-11-25")
    assert len(shop.told("stock_recovered")) == 1


@pytest.mark.feature("SYS-04")
@pytest.mark.parametrize("field", ["store_id", "product_id", "supplier_id"])
def test_what_is_unknown_is_refused_by_its_field(shop: Shop, field: str) -> None:
    receipt = {
        "lot_id": uuid4(),
        "product_id": MANDARINS,
        "supplier_id": SUPPLIER,
        "quantity": 1,
        "goods_cost_fen": 0,
        "origin": "四川",
        "business_date": "2026-11-21",
    }
    stranger = uuid4()
    at = stranger if field == "store_id" else STORE

    with pytest.raises(NotFound) as refusal:
        shop.do("receive_goods", at=at, **(receipt | {field: stranger}))

    assert refusal.value.field == field
    assert shop.told("lot_received") == []


def test_an_id_is_used_once(shop: Shop) -> None:
    lot = shop.receive(1000, "2026-11-25")
    loss: dict[str, Any] = {
        "shrinkage_id": uuid4(),
        "product_id": MANDARINS,
        "quantity": 10,
        "reason": "spoiled",
        "business_date": "2026-11-21",
    }
    shop.do("record_shrinkage", **loss)

    with pytest.raises(Refusal, match="already"):
        shop.do("record_shrinkage", **loss)
    with pytest.raises(Refusal, match="already"):
        shop.do("register_supplier", supplier_id=SUPPLIER, name="别家", code="X1")
    with pytest.raises(Refusal, match="another supplier"):
        shop.do("register_supplier", supplier_id=uuid4(), name="别家", code="HL01")
    receipt: dict[str, Any] = {
        "product_id": MANDARINS,
        "supplier_id": SUPPLIER,
        "goods_cost_fen": 0,
    }
    with pytest.raises(Refusal, match="already"):
        shop.do(
            "receive_goods",
            lot_id=lot,
            quantity=1,
            origin="四川",
            business_date="2026-11-21",
            **receipt,
        )
    transfer: dict[str, Any] = {
        "transfer_id": uuid4(),
        "to_store_id": OTHER_STORE,
        "product_id": MANDARINS,
        "quantity": 90,
        "business_date": "2026-11-21",
    }
    shop.do("send_transfer", **transfer)
    with pytest.raises(Refusal, match="already"):
        shop.do("send_transfer", **transfer)
    assert shop.lots() == {lot: 900}


def test_what_nobody_has_seen_is_answered_with_nothing_or_refused(shop: Shop) -> None:
    never_seen = shop.ask("stock_of", product_id=MELONS)
    assert (never_seen["product"], never_seen["on_hand"], never_seen["lots"]) == ("哈密瓜", 0, [])
    assert never_seen.keys() == stocked_keys(shop)

    with pytest.raises(NotFound, match="lot_id"):
        shop.ask("get_lot", lot_id=uuid4())
    with pytest.raises(NotFound, match="transfer_id"):
        shop.do("receive_transfer", transfer_id=uuid4(), business_date="2026-11-21")
    with pytest.raises(Refusal, match="store_id"):
        shop.ask("list_stock", at=None)


def stocked_keys(shop: Shop) -> Any:
    shop.receive(1, "2026-11-25")
    return shop.ask("stock_of", product_id=MANDARINS).keys()


@pytest.mark.feature("INV-12")
def test_suppliers_are_listed_by_code(shop: Shop) -> None:
    other = uuid4()
    shop.do("register_supplier", supplier_id=other, name="蒲江果业", code="AA01")

    listed = shop.ask("list_suppliers", at=None)["suppliers"]

    assert [supplier["code"] for supplier in listed] == ["AA01", "HL01"]
    assert listed[0] == {"supplier_id": str(other), "code": "AA01", "name": "蒲江果业"}


def test_a_busy_stock_comes_back_from_its_snapshot(shop: Shop, dsn: str) -> None:
    shop.receive(500, "2026-11-22")
    new = shop.receive(1000, "2026-11-25")
    for _ in range(130):
        shop.sell((MANDARINS, 7))

    restarted = Shop(dsn)
    restarted.sell((MANDARINS, 7))

    assert restarted.lots() == {new: 1500 - 131 * 7}
    stock = restarted.inventory.stock(STORE, MANDARINS, "g")
    assert restarted.inventory.snapshots is not None
    assert len(list(restarted.inventory.snapshots.get(stock.id))) == 1
    restarted.inventory.close()
