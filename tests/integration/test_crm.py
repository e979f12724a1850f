"""Crm on a real PostgreSQL: people who can be forgotten, and points that cannot be lost."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from os import urandom
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError
from psycopg.types.json import Jsonb

from crm import contracts, policies, projections, views
from crm.application import Crm
from crm.contracts import OrderCancelled, OrderPaid, RefundPaid
from crm.domain.errors import CustomerExists, CustomerUnknown, NobodyHasThisPhone, PhoneTaken
from crm.domain.loyalty import LoyaltyAccount
from crm.domain.phone import normalised_phone
from pomona.application import Command, Question, request_hash
from pomona.contracts import contracts_of
from pomona.erasures import ErasureJournal
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor, environment
from pomona.identity import Actor
from pomona.master_keys import MasterKeys
from pomona.migrate import migrate
from pomona.personal import People, PersonErased, PersonKey

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
DAY = date(2026, 11, 21)
STORE = UUID(int=1)
CUSTOMER = UUID(int=2)
CONTRACTS = contracts_of("crm", contracts)
SCHEMAS = {request.method: request.schema for request in CONTRACTS.requests}
PERSON = {
    "name": "王小明",
    "phone": "138 0013 8000",
    "birthday": "1990-02-28",
    "address": "中山路 1 号",
}
SECRETS = ("王小明", r"\u738b", "13800138000", "138 0013 8000", "1990-02-28", "中山路", r"\u4e2d")


class Heard:
    """A fact as the cause of a commit, without a broker around it."""

    def stamp(self) -> dict[str, Any]:
        return {}

    def row(self, _answer: object) -> None:
        return None

    def within(self, cursor: Cursor) -> None:
        pass


class Desk:
    """Crm as its doors and its inbox see it."""

    def __init__(self, dsn: str, keys_dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.keys_dsn = keys_dsn
        self.people = People(keys_dsn, MasterKeys(folder / "masters"), ErasureJournal(folder))
        self.crm = Crm(environment(dsn), remember=projections.remember, people=self.people)

    def hear(self, *facts: object) -> None:
        for fact in facts:
            self.crm.commit(Heard(), *policies.react(fact, self.crm))

    def do(self, method: str, **request: Any) -> dict[str, Any]:
        plain = {k: str(v) if isinstance(v, UUID) else v for k, v in request.items()}
        command = Command(
            id=uuid4(),
            method=method,
            request=SCHEMAS[method]().load(plain),
            actor=Actor(id="staff-1", role="store_manager", store_id=STORE),
            store_id=STORE,
            at=NOW,
            correlation_id="",
            request_hash=self.crm.hash_of(method, plain),
        )
        answer: dict[str, Any] = getattr(self.crm, method)(command)
        return answer

    def register(self, customer_id: UUID | None = None, **other: Any) -> UUID:
        customer_id = customer_id or uuid4()
        self.do("register_customer", **{"customer_id": customer_id, **PERSON, **other})
        return customer_id

    def shown(self, customer_id: UUID) -> dict[str, Any]:
        with self.crm.reading() as cursor:
            return views.customer(cursor, self.people, customer_id)

    def found(self, phone: str) -> dict[str, Any]:
        number = normalised_phone(phone)
        with self.crm.reading() as cursor:
            customer_id = views.customer_with(cursor, self.crm.digest_of(number))
            return views.customer_by_phone(cursor, self.people, customer_id, number)

    def points(self, customer_id: UUID, as_of: date) -> tuple[int, int]:
        with self.crm.reading() as cursor:
            answer = views.points(cursor, customer_id, as_of)
        return answer["pending"], answer["available"]

    def count(self, table: str) -> int:
        with self.crm.reading() as cursor:
            cursor.execute(f"SELECT count(*) AS n FROM {table}")
            return int(cursor.fetchone()["n"])

    def has_key(self, customer_id: UUID) -> bool:
        return self.people.key_of(customer_id) is not None

    def everything_stored(self) -> str:
        """Every value of every table, as somebody who stole the database would read it."""
        with psycopg.connect(self.dsn) as connection:
            tables = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            ).fetchall()
            return "\n".join(
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                for (table,) in tables
                for row in connection.execute(f"SELECT * FROM {table}").fetchall()
                for value in row
            )

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        log = EventLog(CONTRACTS, "crm_events", self.crm.mapper)
        with self.crm.reading() as cursor:
            return [(e.type.split(".")[2], e.data) for e in log.after(cursor, 0, 1000)]


@pytest.fixture
def desk(
    database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Desk]:
    names = ("AMQP_URI", "DATABASE_DSN", "IDENTITY_PUBLIC_KEY", "KEYS_DSN")
    for name in (*names, "MASTER_KEYS", "ERASURE_JOURNAL"):
        monkeypatch.setenv(f"POMONA_{name}", "not used here")
    dsn, keys_dsn = database("crm"), database("crm_keys")
    migrate("crm", dsn, keys_dsn)
    (tmp_path / "masters").mkdir()
    MasterKeys(tmp_path / "masters").make()
    desk = Desk(dsn, keys_dsn, tmp_path)
    yield desk
    desk.crm.close()


@pytest.mark.feature("CRM-01")
def test_a_customer_is_registered_found_corrected_and_shown(desk):
    customer_id = desk.register()
    desk.do("correct_customer", customer_id=customer_id, phone="+1 415 555 0123", birthday=None)

    shown = desk.shown(customer_id)
    assert (shown["name"], shown["phone"]) == ("王小明", "+14155550123")
    assert (shown["birthday"], shown["address"]) == (None, "中山路 1 号")
    assert desk.found("001 (415) 555-0123") == {
        "customer_id": str(customer_id),
        "name": "王小明",
        "phone": "+141****0123",
    }
    with pytest.raises(NobodyHasThisPhone):
        desk.found("13800138000")


@pytest.mark.feature("CRM-25")
def test_nothing_about_a_person_is_stored_or_told_in_clear(desk):
    desk.register()

    stored, told = desk.everything_stored(), repr(desk.told())

    assert "staff-1" not in told
    for secret in SECRETS:
        assert secret not in stored
        assert secret not in told


@pytest.mark.feature("CRM-01")
def test_an_erased_customer_cannot_be_read_or_found_and_the_totals_stay(desk):
    customer_id, order = desk.register(), uuid4()
    desk.hear(OrderPaid(order, customer_id, DAY, 4500))
    before = desk.count("crm_events")

    desk.do("erase_customer", customer_id=customer_id)

    shown = desk.shown(customer_id)
    assert (shown["erased"], shown["erased_at"]) == (True, NOW.isoformat())
    assert [shown[field] for field in PERSON] == [None] * 4
    with pytest.raises(NobodyHasThisPhone):
        desk.found(PERSON["phone"])
    assert (desk.has_key(customer_id), desk.count("phone_index")) == (False, 0)
    assert desk.count("crm_events") == before + 1
    assert desk.points(customer_id, date(2026, 11, 29)) == (0, 45)
    desk.hear(RefundPaid(order, customer_id, DAY, 450))
    assert desk.points(customer_id, date(2026, 11, 29)) == (0, 40)


def test_no_guess_about_a_customer_can_be_proved(desk):
    """A plain hash over a phone number is the number to whoever tries them all."""
    customer_id = desk.register()
    asked = {"customer_id": str(customer_id), **PERSON}

    with desk.crm.reading() as cursor:
        cursor.execute("SELECT request_hash FROM commands")
        hashes = {bytes(row["request_hash"]) for row in cursor.fetchall()}

    assert request_hash("register_customer", asked) not in hashes


def test_history_replays_after_an_erasure(desk):
    customer_id = desk.register()
    desk.do("erase_customer", customer_id=customer_id)
    log = EventLog(CONTRACTS, "crm_events", desk.crm.mapper)

    with desk.crm.reading() as cursor:
        happened = log.after(cursor, 0, 100)
        cursor.execute("TRUNCATE customers")
        for event in desk.crm.events.get(customer_id):
            projections.remember(event, cursor)

    assert [event.type for event in happened] == [
        "pomona.crm.customer_registered.v1",
        "pomona.crm.customer_erased.v1",
    ]
    assert desk.shown(customer_id)["erased"]
    assert desk.count("phone_index") == 0


def test_an_erased_customer_may_come_back_as_somebody_new(desk):
    first = desk.register()
    desk.do("erase_customer", customer_id=first)

    second = desk.register()

    assert desk.found(PERSON["phone"])["customer_id"] == str(second)


def test_one_phone_belongs_to_one_customer(desk):
    first = desk.register()
    second = desk.register(phone="13900139000")

    with pytest.raises(PhoneTaken):
        desk.register()
    with pytest.raises(PhoneTaken):
        desk.do("correct_customer", customer_id=second, phone="0086 13800138000")
    with pytest.raises(CustomerExists):
        desk.do("register_customer", customer_id=first, name="李雷", phone="13700137000")
    assert desk.found("13800138000")["customer_id"] == str(first)


def test_of_two_registrations_at_once_one_gets_the_phone(desk, monkeypatch):
    monkeypatch.setattr(desk.crm, "_must_be_free", lambda told, customer_id: None)
    first = desk.register()

    with pytest.raises(IntegrityError):
        desk.register()

    assert desk.count("customers") == 1
    assert desk.found(PERSON["phone"])["customer_id"] == str(first)


@pytest.mark.parametrize("table", ["crm_events", "phone_index", "commands"])
def test_a_crash_while_registering_leaves_a_key_that_opens_nothing(desk, table):
    """Wherever the transaction breaks, event, index and command go together; the key is reused."""
    with desk.crm.reading() as cursor:
        cursor.execute(
            "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE EXCEPTION 'crash'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER crash AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION crash()"
        )
    with pytest.raises(Exception, match="crash"):
        desk.register(customer_id=CUSTOMER)

    for touched in ("crm_events", "phone_index", "customers", "commands"):
        assert desk.count(touched) == 0
    assert desk.has_key(CUSTOMER)
    with desk.crm.reading() as cursor:
        cursor.execute(f"DROP TRIGGER crash ON {table}")
    desk.register(customer_id=CUSTOMER)
    assert desk.shown(CUSTOMER)["name"] == "王小明"


def test_without_a_key_that_is_stored_there_is_no_event(desk, monkeypatch):
    def crash(*_, **__):
        raise SystemExit

    monkeypatch.setattr(desk.people, "_make", crash)
    with pytest.raises(SystemExit):
        desk.register()

    assert desk.count("crm_events") == 0


@pytest.mark.parametrize("moment", ["before_the_key", "before_the_event"])
def test_an_erasure_cut_short_is_finished_at_the_next_start(desk, monkeypatch, moment):
    customer_id = desk.register()

    def crash(*_):
        raise SystemExit

    with monkeypatch.context() as broken:
        if moment == "before_the_key":
            broken.setattr(desk.people, "destroy", crash)
        else:
            broken.setattr(Command, "row", crash)
        with pytest.raises(SystemExit):
            desk.do("erase_customer", customer_id=customer_id)

    desk.crm.catch_up()
    desk.crm.catch_up()

    shown = desk.shown(customer_id)
    assert (shown["erased_at"], shown["name"]) == (NOW.isoformat(), None)
    assert (desk.has_key(customer_id), desk.count("phone_index")) == (False, 0)
    assert [name for name, _ in desk.told()] == ["customer_registered", "customer_erased"]


def test_a_customer_whose_key_is_gone_reads_as_erased_before_the_event_says_so(desk, monkeypatch):
    customer_id = desk.register()
    monkeypatch.setattr(Command, "row", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        desk.do("erase_customer", customer_id=customer_id)

    assert (desk.shown(customer_id)["erased"], desk.shown(customer_id)["name"]) == (True, None)


def test_nobody_is_erased_whose_erasure_cannot_be_written_down(desk, tmp_path):
    customer_id = desk.register()
    (tmp_path / "erasures.jsonl").mkdir()

    with pytest.raises(OSError, match="erasures"):
        desk.do("erase_customer", customer_id=customer_id)

    assert desk.shown(customer_id)["name"] == "王小明"


def test_a_customer_whose_key_was_lost_is_neither_shown_as_erased_nor_sealed_anew(desk):
    """So it is after a restore of the keys to a moment before the events."""
    customer_id = desk.register()
    with psycopg.connect(desk.keys_dsn) as connection:
        connection.execute("DELETE FROM data_keys WHERE owner = %s", (str(customer_id),))

    with pytest.raises(LookupError, match="restored"):
        desk.shown(customer_id)
    with pytest.raises(LookupError, match="restored"):
        desk.do("correct_customer", customer_id=customer_id, name="王大明")
    assert not desk.has_key(customer_id)


def test_an_erased_customer_gets_no_key_again(desk):
    customer_id = desk.register()
    desk.do("erase_customer", customer_id=customer_id)

    with pytest.raises(PersonErased):
        desk.people.key_for(customer_id)


@pytest.mark.feature("CRM-10")
def test_points_are_pending_until_the_claim_window_closes(desk):
    customer_id, first, second = uuid4(), uuid4(), uuid4()
    desk.hear(
        OrderPaid(first, customer_id, DAY, 4599),
        OrderPaid(second, customer_id, date(2026, 11, 25), 1000),
        RefundPaid(first, customer_id, date(2026, 11, 24), 450),
    )

    assert desk.points(customer_id, date(2026, 11, 20)) == (0, 0)
    assert desk.points(customer_id, DAY) == (45, 0)
    assert desk.points(customer_id, date(2026, 11, 24)) == (41, 0)
    assert desk.points(customer_id, date(2026, 11, 28)) == (51, 0)
    assert desk.points(customer_id, date(2026, 11, 29)) == (10, 41)
    assert desk.points(customer_id, date(2026, 12, 3)) == (0, 51)


@pytest.mark.feature("CRM-10")
def test_the_ledger_says_what_the_account_holds(desk):
    customer_id = uuid4()
    orders = [uuid4() for _ in range(60)]
    for order in orders:
        desk.hear(OrderPaid(order, customer_id, DAY, 1234))
    for order in orders[::2]:
        desk.hear(RefundPaid(order, customer_id, DAY, 333))
    desk.hear(*(OrderCancelled(order, customer_id, DAY) for order in orders[::3]))

    account = desk.crm.get(LoyaltyAccount, LoyaltyAccount.id_for(customer_id))
    assert desk.count("crm_snapshots") > 0, "long streams are read from a snapshot"
    assert desk.points(customer_id, date(2026, 12, 31)) == (0, account.balance)
    told = desk.told()
    earned = sum(data["points"] for name, data in told if name == "points_earned")
    taken = sum(data["points"] for name, data in told if name == "points_reversed")
    assert earned - taken == account.balance


@pytest.mark.feature("CRM-25")
def test_head_office_sees_who_looked_at_a_customer_and_nothing_of_the_customer(desk):
    customer_id, terminal_id = desk.register(), uuid4()
    actor = Actor(id="staff-1", role="cashier", store_id=STORE, terminal_id=terminal_id)
    asked = Question(request={}, actor=actor, store_id=STORE, at=NOW, correlation_id="call-1")

    with desk.crm.reading() as cursor:
        views.note_reading(cursor, asked, "find_customer", customer_id)
        views.note_reading(cursor, asked, "find_customer", None)
        readings = views.readings_of(cursor, customer_id, 100)

    assert readings == [
        {
            "at": NOW.isoformat(),
            "method": "find_customer",
            "actor": "staff-1",
            "role": "cashier",
            "store_id": str(STORE),
            "terminal_id": str(terminal_id),
            "correlation_id": "call-1",
        }
    ]
    assert desk.count("customer_reads") == 2, "a search that finds nobody is written down too"


def test_the_keys_of_0_1_0_are_taken_over_and_their_tables_dropped(desk):
    customer_id, raw = uuid4(), urandom(32)
    sealed = PersonKey(customer_id, raw).seal({"name": "王小明", "phone": "+8613800138000"})
    with desk.crm.reading() as cursor:
        cursor.execute(
            "CREATE TABLE person_keys (customer_id uuid PRIMARY KEY, key bytea NOT NULL);"
            "CREATE TABLE phone_index_key (key bytea NOT NULL)"
        )
        cursor.execute("INSERT INTO person_keys VALUES (%s, %s)", (customer_id, raw))
        cursor.execute(
            "INSERT INTO customers (customer_id, registered_at, sealed) VALUES (%s, %s, %s)",
            (customer_id, NOW, Jsonb(sealed)),
        )
        cursor.execute("INSERT INTO phone_index VALUES ('old digest', %s)", (customer_id,))

    desk.crm.catch_up()

    assert desk.shown(customer_id)["name"] == "王小明"
    assert desk.found("13800138000")["customer_id"] == str(customer_id)
    assert desk.count("person_keys") == 0
    migrate("crm", desk.dsn, desk.keys_dsn)
    with desk.crm.reading() as cursor:
        cursor.execute("SELECT to_regclass('person_keys') AS found")
        assert cursor.fetchone()["found"] is None


def test_an_unknown_customer_is_named_as_such(desk):
    with pytest.raises(CustomerUnknown):
        desk.shown(uuid4())
    with pytest.raises(CustomerUnknown):
        desk.do("erase_customer", customer_id=uuid4())
