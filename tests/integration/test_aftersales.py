"""After-sales on a real PostgreSQL: from the complaint to the refund, and back to the supplier."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError

from aftersales import contracts, policies, projections, views
from aftersales.application import Aftersales
from aftersales.contracts import (
    CustomerErased,
    LotReceived,
    LotTaken,
    OrderCancelled,
    OrderPaid,
    RefundPaid,
    StockSold,
    StockSoldLine,
    SupplierRegistered,
)
from aftersales.domain.claim import Claim
from aftersales.domain.errors import (
    ClaimExists,
    ClaimUnknown,
    MoreThanLeft,
    OrderUnknown,
    OrderWasCancelled,
    OtherStore,
    WrongState,
)
from aftersales.domain.purchase import SoldLine
from pomona.application import Command
from pomona.contracts import contracts_of
from pomona.erasures import ErasureJournal
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor, environment
from pomona.identity import Actor
from pomona.master_keys import MasterKeys
from pomona.migrate import migrate
from pomona.personal import People

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
SOLD_AT = NOW - timedelta(hours=3)
DAY = date(2026, 11, 21)
STORE, OTHER_STORE, MANDARINS, LOT, OLDER_LOT, SUPPLIER = (UUID(int=n) for n in range(1, 7))
CONTRACTS = contracts_of("aftersales", contracts)
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


class Desk:
    """After-sales as its doors and its inbox see it."""

    def __init__(self, dsn: str, people: People) -> None:
        self.people = people
        self.aftersales = Aftersales(environment(dsn), remember=projections.remember, people=people)

    def hear(self, *facts: object) -> None:
        for fact in facts:
            changed = tuple(policies.react(fact, self.aftersales))
            self.aftersales.commit(Heard(fact), *changed)

    def do(self, method: str, *, at: UUID | None = STORE, **request: Any) -> dict[str, Any]:
        role = "head_office" if at is None else "store_manager"
        command = Command(
            id=uuid4(),
            method=method,
            request=SCHEMAS[method]().load({k: _plain(v) for k, v in request.items()}),
            actor=Actor(id="staff-1", role=role, store_id=at),
            store_id=at,
            at=NOW,
            correlation_id="",
            request_hash=b"",
        )
        answer: dict[str, Any] = getattr(self.aftersales, method)(command)
        return answer

    def complain(self, order: UUID, reason: str = "rotten", **more: Any) -> dict[str, Any]:
        request = {"claim_id": uuid4(), "line_no": 1, "channel": "clerk", **more}
        if "bad_share_percent" not in more:
            request.setdefault("bad_quantity", 300)
        return self.do("open_claim", order_id=order, reason=reason, **request)

    def sell(self, net_fen: int = 1800, customer: UUID | None = None) -> UUID:
        order = uuid4()
        line = SoldLine(1, MANDARINS, "g", 1200, net_fen)
        self.hear(OrderPaid(order, STORE, customer, DAY, SOLD_AT, net_fen, [line]))
        return order

    def pay_out(self, claim: str) -> None:
        refund = self.story(claim)["refund"]
        paid = RefundPaid(UUID(claim), UUID(refund["refund_id"]), refund["amount_fen"], NOW)
        self.hear(paid)

    def story(self, claim: str) -> dict[str, Any]:
        with self.aftersales.reading() as cursor:
            return views.claim(cursor, self.people, UUID(claim))

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        log = EventLog(CONTRACTS, "aftersales_events", self.aftersales.mapper)
        with self.aftersales.reading() as cursor:
            return [(e.type.split(".")[2], e.data) for e in log.after(cursor, 0, 1000)]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


@pytest.fixture
def desk(
    database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Desk]:
    names = ("AMQP_URI", "DATABASE_DSN", "IDENTITY_PUBLIC_KEY", "KEYS_DSN")
    for name in (*names, "MASTER_KEYS", "ERASURE_JOURNAL"):
        monkeypatch.setenv(f"POMONA_{name}", "not used here")
    dsn, keys_dsn = database("aftersales"), database("aftersales_keys")
    migrate("aftersales", dsn, keys_dsn)
    masters = MasterKeys(tmp_path)
    masters.make()
    desk = Desk(dsn, People(keys_dsn, masters, ErasureJournal(tmp_path)))
    yield desk
    desk.aftersales.close()


@pytest.mark.feature("AFT-06")
@pytest.mark.feature("AFT-20")
def test_a_small_claim_goes_from_complaint_to_refund_without_goods(desk):
    claim = desk.complain(desk.sell())
    desk.pay_out(claim["claim_id"])

    story = desk.story(claim["claim_id"])
    assert (claim["state"], claim["clause"], claim["refund_fen"]) == (
        "approved",
        "small_claim",
        450,
    )
    assert story["state"] == "settled"
    assert story["refund"]["state"] == "paid"
    assert story["clause"]["en"].startswith("Claims of up to 30 yuan")
    assert [(step["step"], step["by"]) for step in story["timeline"]] == [
        ("opened", "staff-1"),
        ("approved", "terms"),
        ("settled", "orders"),
    ]
    assert [name for name, _ in desk.told()] == ["claim_opened", "claim_approved", "claim_settled"]


@pytest.mark.feature("AFT-10")
def test_a_claim_leads_back_to_its_lots_and_their_supplier(desk):
    order = desk.sell()
    lots = [LotTaken(LOT, 900), LotTaken(OLDER_LOT, 300)]
    desk.hear(
        SupplierRegistered(SUPPLIER, "HL01", "会理果业"),
        LotReceived(LOT, SUPPLIER, "四川 会理", date(2026, 11, 18), SOLD_AT),
        StockSold(order, "assumed", [StockSoldLine(1, lots)]),
    )

    found = desk.story(desk.complain(order)["claim_id"])["lots"]

    assert [(lot["lot_id"], lot["quantity"], lot["certainty"]) for lot in found] == [
        (str(LOT), 900, "assumed"),
        (str(OLDER_LOT), 300, "assumed"),
    ]
    assert found[0]["supplier_name"] == "会理果业"
    assert found[0]["harvest_date"] == "2026-11-18"
    assert found[1]["supplier_id"] is None, "what is not known yet is shown as unknown"


@pytest.mark.feature("AFT-01")
def test_every_channel_makes_the_same_claim_and_is_kept(desk):
    channels = ("website", "app", "kiosk", "clerk")
    claims = {channel: desk.complain(desk.sell(), channel=channel) for channel in channels}

    opened = [data for name, data in desk.told() if name == "claim_opened"]
    assert {data["channel"]: data["claim_id"] for data in opened} == {
        channel: claim["claim_id"] for channel, claim in claims.items()
    }
    assert len({(data["kind"], data["priority"], data["opened_by"]) for data in opened}) == 1


@pytest.mark.feature("AFT-12")
def test_a_large_claim_waits_for_the_manager_who_names_a_clause(desk):
    claim = desk.complain(desk.sell(20_000), bad_share_percent=50)

    assert (claim["state"], claim["clause"]) == ("under_review", "large_claim")
    decided = desk.do(
        "decide_claim", claim_id=claim["claim_id"], clause="goodwill", amount_fen=5000
    )
    assert (decided["state"], decided["clause"], decided["refund_fen"]) == (
        "approved",
        "goodwill",
        5000,
    )


def test_a_refused_claim_is_settled_at_once(desk):
    claim = desk.complain(desk.sell(), reason="severe_allergy")
    desk.do("decide_claim", claim_id=claim["claim_id"], clause="no_fault_found")

    assert claim["priority"] == 1
    assert desk.story(claim["claim_id"])["state"] == "rejected"
    assert [name for name, _ in desk.told()] == ["claim_opened", "claim_refused", "claim_settled"]


@pytest.mark.feature("AFT-09")
def test_goods_come_back_before_or_after_the_money(desk):
    claim = desk.complain(desk.sell(), goods_expected=True)
    assert claim["state"] == "goods_expected"

    desk.pay_out(claim["claim_id"])
    back = desk.do(
        "take_goods_back",
        claim_id=claim["claim_id"],
        disposition="discard",
        business_date="2026-11-21",
    )

    assert back["state"] == "closed"
    taken = dict(desk.told())["goods_taken_back"]
    assert (taken["quantity"], taken["disposition"], taken["refund_fen"]) == (300, "discard", 450)


def test_two_claims_cannot_be_paid_more_than_the_line(desk):
    order = desk.sell(20_000)
    first = desk.complain(order, bad_quantity=1200)
    second = desk.complain(order, bad_quantity=1200)
    desk.do("decide_claim", claim_id=first["claim_id"], clause="fault_confirmed")

    with pytest.raises(MoreThanLeft):
        desk.do("decide_claim", claim_id=second["claim_id"], clause="fault_confirmed")
    third = desk.complain(order)
    assert (third["state"], third["clause"]) == ("rejected", "nothing_left")


def while_deciding(desk: Desk, otherwise: Callable[[], object]) -> None:
    """Let something else be committed between the loading and the saving of the next command."""
    commit = desk.aftersales.commit

    def slower(cause, *aggregates, answer=None):
        desk.aftersales.commit = commit
        otherwise()
        return commit(cause, *aggregates, answer=answer)

    desk.aftersales.commit = slower


def test_two_managers_at_once_cannot_both_promise_the_same_money(desk):
    order = desk.sell(20_000)
    first, second = (desk.complain(order, bad_quantity=1200)["claim_id"] for _ in range(2))
    while_deciding(desk, lambda: desk.do("decide_claim", claim_id=second, clause="fault_confirmed"))

    with pytest.raises(IntegrityError):
        desk.do("decide_claim", claim_id=first, clause="fault_confirmed")

    assert desk.story(first)["state"] == "under_review"
    assert desk.story(second)["state"] == "approved"


def test_a_claim_cannot_slip_past_the_cancellation_of_its_order(desk):
    order = desk.sell()
    while_deciding(desk, lambda: desk.hear(OrderCancelled(order, NOW)))

    with pytest.raises(IntegrityError):
        desk.complain(order)

    with pytest.raises(OrderWasCancelled):
        desk.complain(order)


def test_often_means_a_person_looks_at_it(desk):
    customer = uuid4()
    clauses = [desk.complain(desk.sell(customer=customer))["clause"] for _ in range(4)]

    assert clauses == ["small_claim"] * 3 + ["frequent_claims"]


def test_a_cancelled_order_ends_its_claims_and_takes_no_more(desk):
    order = desk.sell()
    approved = desk.complain(order)["claim_id"]
    waiting = desk.complain(order, reason="illness")["claim_id"]

    desk.hear(OrderCancelled(order, NOW))

    for claim in (approved, waiting):
        story = desk.story(claim)
        assert (story["state"], story["clause"]["code"]) == ("rejected", "order_cancelled")
        assert story["refund"] == {"state": "none", "refund_id": None, "amount_fen": 0}
    with pytest.raises(OrderWasCancelled):
        desk.complain(order)


def test_an_order_that_is_not_known_yet_is_refused_with_a_remedy(desk):
    with pytest.raises(OrderUnknown) as refusal:
        desk.complain(uuid4())

    assert (refusal.value.code, refusal.value.field) == ("not_found", "order_id")
    assert "try again" in refusal.value.sentence("en")


def test_a_claim_id_is_used_once_and_an_unknown_one_is_named(desk):
    order, claim_id = desk.sell(), uuid4()
    desk.complain(order, claim_id=claim_id)

    with pytest.raises(ClaimExists):
        desk.complain(order, claim_id=claim_id)
    with pytest.raises(ClaimUnknown):
        desk.do("withdraw_claim", claim_id=uuid4())


def test_another_store_cannot_decide(desk):
    claim = desk.complain(desk.sell(20_000), bad_quantity=1200)["claim_id"]

    with pytest.raises(OtherStore):
        desk.do("decide_claim", at=OTHER_STORE, claim_id=claim, clause="goodwill")
    assert (
        desk.do("decide_claim", at=None, claim_id=claim, clause="goodwill")["state"] == "approved"
    )


def test_a_customer_may_change_their_mind_until_somebody_decided(desk):
    order = desk.sell(20_000)
    claim = desk.complain(order, bad_quantity=1200)["claim_id"]

    assert desk.do("withdraw_claim", claim_id=claim)["state"] == "withdrawn"
    with pytest.raises(WrongState):
        desk.do("decide_claim", claim_id=claim, clause="goodwill")


SAID = "我是王小明，电话 13800138000"


@pytest.mark.feature("CRM-25")
def test_what_a_customer_said_is_stored_sealed_and_goes_with_the_customer(desk):
    customer = uuid4()
    claim = desk.complain(desk.sell(customer=customer), note=SAID)
    assert desk.story(claim["claim_id"])["note"] == SAID
    with desk.aftersales.reading() as cursor:
        cursor.execute("SELECT string_agg(state, ''::bytea) AS states FROM aftersales_events")
        stored = bytes(cursor.fetchone()["states"]).decode()
        cursor.execute("SELECT sealed FROM claim_words")
        stored += cursor.fetchone()["sealed"]
    assert "王小明" not in stored

    desk.hear(CustomerErased(customer, NOW))

    assert desk.story(claim["claim_id"])["note"] is None
    assert desk.people.key_of(customer) is None


def test_a_note_outlives_its_key_as_nothing(desk):
    """Between the end of the key and the event of the erasure there is nothing to read."""
    customer = uuid4()
    claim = desk.complain(desk.sell(customer=customer), note=SAID)

    desk.people.erase(customer, NOW)

    assert desk.story(claim["claim_id"])["note"] is None


def test_a_claim_of_an_erased_customer_is_taken_without_the_words(desk):
    customer = uuid4()
    order = desk.sell(customer=customer)
    desk.hear(CustomerErased(customer, NOW))

    claim = desk.complain(order, note=SAID)

    assert (claim["state"], desk.story(claim["claim_id"])["note"]) == ("approved", None)


def test_an_anonymous_customers_words_have_a_key_of_their_own(desk):
    claim = desk.complain(desk.sell(), note=SAID)

    assert desk.story(claim["claim_id"])["note"] == SAID
    assert desk.people.key_of(UUID(claim["claim_id"])) is not None


def test_notes_of_0_1_0_are_sealed_at_the_first_start(desk):
    claim = desk.complain(desk.sell(customer=uuid4()))
    with desk.aftersales.reading() as cursor:
        cursor.execute("CREATE TABLE claim_notes (claim_id uuid PRIMARY KEY, note text NOT NULL)")
        cursor.execute("INSERT INTO claim_notes VALUES (%s, %s)", (claim["claim_id"], SAID))

    desk.aftersales.catch_up()

    assert desk.story(claim["claim_id"])["note"] == SAID
    with desk.aftersales.reading() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM claim_notes) AS n, sealed FROM claim_words")
        assert cursor.fetchone() == {"n": 0, "sealed": ANY}


def test_after_a_restore_the_erasure_journal_silences_the_erased_again(desk):
    customer = uuid4()
    claim = desk.complain(desk.sell(customer=customer), note=SAID)
    desk.people.journal.write(customer, NOW)

    desk.aftersales.catch_up()

    assert desk.people.key_of(customer) is None
    assert desk.story(claim["claim_id"])["note"] is None
    with desk.aftersales.reading() as cursor:
        cursor.execute("SELECT count(*) AS n FROM claim_words")
        assert cursor.fetchone()["n"] == 0


@pytest.mark.feature("AFT-05")
def test_the_most_urgent_claim_is_listed_first(desk):
    for reason in ("crushed_packaging", "rotten", "severe_allergy"):
        desk.complain(desk.sell(20_000), reason=reason, bad_quantity=1200)

    with desk.aftersales.reading() as cursor:
        late = NOW + timedelta(minutes=11)
        listed = views.claims(
            cursor, store_id=STORE, order_id=None, decision="under_review", limit=50, at=late
        )
    assert [(claim["kind"], claim["overdue"]) for claim in listed] == [
        ("health", True),
        ("quality", False),
        ("packaging", False),
    ]


def test_the_view_shows_what_the_aggregate_is(desk):
    order = desk.sell(20_000)
    claims = [desk.complain(order, bad_quantity=quantity)["claim_id"] for quantity in (100, 600)]
    desk.do("decide_claim", claim_id=claims[1], clause="no_fault_found")
    desk.pay_out(claims[0])

    for claim in claims:
        assert desk.story(claim)["state"] == desk.aftersales.get(Claim, UUID(claim)).state
