"""The shop floor on a real PostgreSQL: from the first price to the cash counted."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError

from orders import contracts, policies, projections
from orders.application import Orders
from orders.contracts import ClaimApproved
from orders.domain.errors import (
    AlreadyExists,
    ClockAhead,
    NoPrice,
    OrderNotCancellable,
    PriceChanged,
    RefundOverPaid,
    ShiftClosed,
    ShiftOfAnotherTill,
    ShiftStillOpen,
    UnknownOrder,
    UnknownProduct,
    UnknownRefund,
    UnknownShift,
    UnknownTerminal,
)
from pomona.application import Command, Question
from pomona.contracts import contracts_of
from pomona.errors import Refusal
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor, environment
from pomona.identity import Actor
from pomona.migrate import migrate

pytestmark = pytest.mark.integration

NOW = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
STORE, OTHER_STORE, TILL, OTHER_TILL, APPLES, MELONS, PEARS = (UUID(int=n) for n in range(1, 8))
CONTRACTS = contracts_of("orders", contracts)
SCHEMAS = {request.method: request.schema for request in CONTRACTS.requests}


class Heard:
    """A fact as the cause of a commit, without a broker around it."""

    def stamp(self) -> dict[str, Any]:
        return {}

    def row(self, _answer: object) -> None:
        return None

    def within(self, cursor: Cursor) -> None:
        pass


class Floor:
    """Orders as its doors and its inbox see it."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.orders = Orders(environment(dsn), remember=projections.remember)
        self.log = EventLog(CONTRACTS, "orders_events", self.orders.mapper)

    def do(
        self, method: str, *, till: UUID | None = TILL, store: UUID | None = STORE, **request: Any
    ) -> dict[str, Any]:
        return getattr(self.orders, method)(self.command(method, till, store, request))

    def command(
        self, method: str, till: UUID | None, store: UUID | None, request: dict[str, Any]
    ) -> Command:
        return Command(
            id=uuid4(),
            method=method,
            request=SCHEMAS[method]().load(plain(request)),
            actor=Actor("lin", "cashier" if store else "head_office", store, till),
            store_id=store or request.get("store_id"),
            at=NOW,
            correlation_id="",
            request_hash=b"",
        )

    def head_office(self, method: str, **request: Any) -> dict[str, Any]:
        return self.do(method, till=None, store=None, **request)

    def hear(self, fact: object) -> None:
        self.orders.commit(Heard(), *policies.react(fact, self.orders))

    def told(self, name: str) -> list[dict[str, Any]]:
        with self.orders.reading() as cursor:
            return [dict(e.data) for e in self.log.after(cursor, 0, 1000) if name in e.type]

    def open_shift(self, **changes: Any) -> UUID:
        shift_id = uuid4()
        self.do("open_shift", shift_id=shift_id, terminal_time=NOW, float_fen=20_000, **changes)
        return shift_id

    def sell(self, in_shift: UUID, /, *lines: tuple[UUID, int, int], **changes: Any) -> UUID:
        order_id = uuid4()
        request: dict[str, Any] = {
            "order_id": order_id,
            "shift_id": in_shift,
            "terminal_time": NOW,
            "lines": [
                {"product_id": product, "quantity": quantity, "price_fen": price}
                for product, quantity, price in lines
            ],
            "tenders": [{"kind": "cash", "amount_fen": 100_000}],
        }
        self.do("place_order", **(request | changes))
        return order_id

    def close(self) -> None:
        self.orders.close()


@pytest.fixture
def floor(database: Callable[[str], str]) -> Any:
    dsn = database("orders")
    migrate("orders", dsn)
    floor = Floor(dsn)
    floor.head_office(
        "open_store", store_id=STORE, code="S1", name="一店", zone="Asia/Shanghai", cut_off="04:00"
    )
    for till, code in ((TILL, "T1"), (OTHER_TILL, "T2")):
        floor.head_office("register_terminal", terminal_id=till, store_id=STORE, code=code)
    floor.head_office(
        "list_products",
        products=[
            {"product_id": APPLES, "code": "A", "name": "苹果", "category": "仁果", "unit": "g"},
            {"product_id": MELONS, "code": "M", "name": "蜜瓜", "category": "瓜", "unit": "piece"},
            {"product_id": PEARS, "code": "P", "name": "梨", "category": "仁果", "unit": "g"},
        ],
    )
    floor.head_office(
        "set_prices",
        store_id=STORE,
        prices=[
            {"product_id": APPLES, "price_fen": 1280},
            {"product_id": MELONS, "price_fen": 1990},
        ],
    )
    yield floor
    floor.close()


@pytest.fixture
def replica(floor: Floor) -> Any:
    replica = Floor(floor.dsn)
    yield replica
    replica.close()


@pytest.mark.feature("ORD-01")
def test_a_basket_of_weighed_and_counted_fruit_is_rung_up(floor: Floor) -> None:
    shift_id = floor.open_shift()

    floor.sell(shift_id, (APPLES, 503, 1280), (MELONS, 2, 1990), (APPLES, 1, 1280))

    (paid,) = floor.told("order_paid")
    assert [line["total_fen"] for line in paid["lines"]] == [644, 3980, 1]
    assert paid["total_fen"] == 4625
    assert paid["change_fen"] == 100_000 - 4625
    assert paid["hour"] == 12
    assert paid["receipt_no"] == "S1-T1-0001-0001"


@pytest.mark.feature("ORD-27")
def test_the_ledger_of_the_day_is_the_sum_of_its_events(floor: Floor) -> None:
    shift_id = floor.open_shift()
    floor.sell(shift_id, (APPLES, 500, 1280))
    cancelled = floor.sell(shift_id, (MELONS, 1, 1990))
    floor.do("cancel_order", order_id=cancelled, shift_id=shift_id, reason="changed his mind")
    floor.do(
        "return_goods",
        return_id=uuid4(),
        shift_id=shift_id,
        terminal_time=NOW,
        reason="mouldy",
        tender="cash",
        lines=[{"product_id": APPLES, "quantity": 100, "price_fen": 1280}],
    )

    closed = floor.do("close_shift", shift_id=shift_id, terminal_time=NOW, counted_cash_fen=20_500)

    assert closed["expected_cash_fen"] == 20_000 + 640 - 128
    assert closed["difference_fen"] == -12
    with floor.orders.reading() as cursor:
        cursor.execute("SELECT * FROM business_days")
        (day,) = cursor.fetchall()
    assert day["business_date"] == date(2026, 7, 1)
    assert (day["orders"], day["sales_fen"]) == (2, 640 + 1990)
    assert (day["cancelled"], day["cancelled_fen"]) == (1, 1990)
    assert day["returns_fen"] == 128


@pytest.mark.feature("SYS-04")
@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"lines": [{"product_id": PEARS, "quantity": 1, "price_fen": 1}]}, NoPrice, "lines.0"),
        (
            {"lines": [{"product_id": STORE, "quantity": 1, "price_fen": 1}]},
            UnknownProduct,
            "lines.0.product_id",
        ),
        (
            {"lines": [{"product_id": APPLES, "quantity": 1, "price_fen": 1}]},
            PriceChanged,
            "lines.0.price_fen",
        ),
        ({"shift_id": uuid4()}, UnknownShift, "shift_id"),
        ({"till": OTHER_TILL}, ShiftOfAnotherTill, "shift_id"),
        ({"terminal_time": NOW + timedelta(hours=1)}, ClockAhead, "terminal_time"),
    ],
)
def test_a_wrong_sale_is_refused_with_its_field_and_nothing_is_stored(
    floor: Floor, changes: dict[str, Any], refusal: type[Refusal], field: str
) -> None:
    shift_id = floor.open_shift()
    before = floor.told("order_paid")

    with pytest.raises(refusal) as refused:
        floor.sell(shift_id, (APPLES, 1, 1280), **changes)

    assert str(refused.value.field).startswith(field)
    assert floor.told("order_paid") == before


def test_a_closed_shift_takes_no_sale_and_its_till_may_open_the_next(floor: Floor) -> None:
    shift_id = floor.open_shift()
    with pytest.raises(ShiftStillOpen):
        floor.open_shift()
    floor.do("close_shift", shift_id=shift_id, terminal_time=NOW, counted_cash_fen=20_000)

    with pytest.raises(ShiftClosed):
        floor.sell(shift_id, (APPLES, 1, 1280))

    floor.sell(floor.open_shift(), (APPLES, 100, 1280))
    assert floor.told("order_paid")[0]["receipt_no"] == "S1-T1-0002-0001"


def test_an_unregistered_terminal_opens_no_shift(floor: Floor) -> None:
    with pytest.raises(UnknownTerminal):
        floor.open_shift(till=uuid4())
    with pytest.raises(UnknownTerminal):
        floor.open_shift(store=OTHER_STORE)


def test_an_approved_claim_is_paid_back_once_and_within_what_was_paid(floor: Floor) -> None:
    shift_id = floor.open_shift()
    order_id = floor.sell(shift_id, (APPLES, 1000, 1280))
    refund_id = uuid4()
    approved = ClaimApproved(uuid4(), refund_id, order_id, 1, 500)
    with pytest.raises(UnknownRefund):
        floor.do("pay_refund", refund_id=refund_id, shift_id=shift_id)

    floor.hear(approved)
    floor.hear(approved)
    with pytest.raises(RefundOverPaid):
        floor.hear(ClaimApproved(uuid4(), uuid4(), order_id, 1, 781))
    paid = floor.do("pay_refund", refund_id=refund_id, shift_id=shift_id)

    assert paid == {"amount_fen": 500, "cash_fen": 500, "card_fen": 0}
    (told,) = floor.told("refund_paid")
    assert (told["amount_fen"], told["tender"]) == (500, "cash")
    with pytest.raises(OrderNotCancellable):
        floor.do("cancel_order", order_id=order_id, shift_id=shift_id, reason="too late")


def test_ids_are_never_taken_twice(floor: Floor) -> None:
    with pytest.raises(AlreadyExists) as refused:
        floor.head_office(
            "list_products",
            products=[
                {"product_id": APPLES, "code": "B", "name": "b", "category": "b", "unit": "g"}
            ],
        )

    assert refused.value.field == "products.0.product_id"


@pytest.mark.feature("ORD-12")
def test_an_order_is_shown_to_its_own_store_only(floor: Floor) -> None:
    order_id = floor.sell(floor.open_shift(), (APPLES, 250, 1280))

    def ask(store: UUID | None) -> dict[str, Any]:
        actor = Actor("lin", "cashier", store, None)
        return floor.orders.show_order(Question({"order_id": order_id}, actor, store, NOW, ""))

    assert ask(STORE)["total_fen"] == ask(None)["total_fen"] == 320
    with pytest.raises(UnknownOrder):
        ask(OTHER_STORE)


def test_the_same_command_again_changes_nothing_and_answers_as_before(floor: Floor) -> None:
    shift_id = floor.open_shift()
    request = {
        "order_id": uuid4(),
        "shift_id": shift_id,
        "terminal_time": NOW,
        "lines": [{"product_id": APPLES, "quantity": 100, "price_fen": 1280}],
        "tenders": [{"kind": "card", "amount_fen": 128}],
    }
    command = floor.command("place_order", TILL, STORE, request)
    first = floor.orders.place_order(command)

    with pytest.raises((AlreadyExists, IntegrityError)):
        floor.orders.place_order(command)

    assert floor.orders.answer_to(command) == first
    assert len(floor.told("order_paid")) == 1


def plain(value: Any) -> Any:
    """Write a request as it comes over the wire."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def test_a_price_that_was_changed_through_another_replica_holds_from_the_next_sale_on(
    floor: Floor, replica: Floor
) -> None:
    shift_id = floor.open_shift()
    with floor.orders.attempt():
        floor.sell(shift_id, (APPLES, 500, 1280))
    replica.head_office(
        "set_prices", store_id=STORE, prices=[{"product_id": APPLES, "price_fen": 1300}]
    )

    with floor.orders.attempt(), pytest.raises(IntegrityError):
        floor.sell(shift_id, (APPLES, 500, 1280))
    with floor.orders.attempt(afresh=True), pytest.raises(PriceChanged):
        floor.sell(shift_id, (APPLES, 500, 1280))
    with floor.orders.attempt(afresh=True):
        floor.sell(shift_id, (APPLES, 500, 1300))
    with floor.orders.attempt():
        floor.sell(shift_id, (APPLES, 500, 1300))

    assert [paid["total_fen"] for paid in floor.told("order_paid")] == [640, 650, 650]


def test_a_product_that_was_listed_since_the_last_sale_can_be_sold(
    floor: Floor, replica: Floor
) -> None:
    shift_id = floor.open_shift()
    with floor.orders.attempt():
        floor.sell(shift_id, (APPLES, 500, 1280))
    plums = UUID(int=77)
    replica.head_office(
        "list_products",
        products=[
            {"product_id": plums, "code": "L", "name": "李", "category": "核果", "unit": "g"}
        ],
    )
    replica.head_office(
        "set_prices", store_id=STORE, prices=[{"product_id": plums, "price_fen": 990}]
    )

    with floor.orders.attempt():
        floor.sell(shift_id, (plums, 1000, 990))

    assert [paid["total_fen"] for paid in floor.told("order_paid")] == [640, 990]
