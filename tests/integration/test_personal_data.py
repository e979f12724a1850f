"""No word of a person lies about, and nothing opens what was sealed once they are erased."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from analytics.rebuild import rebuild
from pomona.broker_access import DEAD_LETTERS
from pomona.errors import Refused
from pomona_console.erasure_proof import prove
from pomona_console.stack import Stack, terminal_for
from pomona_console.verify_positions import wait_until_caught_up

from .raw_caller import RawCaller

pytestmark = pytest.mark.integration

PATIENCE = 30.0


@dataclass(frozen=True)
class Person:
    """Somebody whose words nobody else uses."""

    id: UUID
    told: dict[str, str]
    note: str

    @property
    def words(self) -> dict[str, str]:
        return {**self.told, "note": self.note}


def somebody() -> Person:
    number = uuid4().int
    phone = f"139{number % 10**8:08}"
    told = {
        "name": f"欧阳{number % 10**9}",
        "phone": phone,
        "birthday": f"19{number % 90 + 10}-02-2{number % 8}",
        "address": f"静安区南京西路{number % 10**6}号",
    }
    return Person(uuid4(), told, f"我叫{told['name']}，请打{phone}")


class Shop:
    """A store with one till, where somebody buys and complains."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.store, self.till, self.shift, self.product = (uuid4() for _ in range(4))
        self.office = terminal_for(stack, role="head_office", person="office")
        self.clerk = terminal_for(
            stack,
            role="store_manager",
            store_id=self.store,
            terminal_id=self.till,
            person="clerk-1",
        )

    def open(self) -> None:
        code = self.store.hex[:8].upper()
        self.tell(
            "orders", "open_store", store_id=self.store, code=code, name="一店",
            zone="Asia/Shanghai", cut_off="04:00",
        )  # fmt: skip
        self.tell(
            "orders", "register_terminal", terminal_id=self.till, store_id=self.store, code=code
        )
        apple = {"product_id": str(self.product), "code": code, "name": "苹果", "category": "fruit"}
        self.tell("orders", "list_products", products=[{**apple, "unit": "g"}])
        prices = [{"product_id": str(self.product), "price_fen": 1000}]
        self.tell("orders", "set_prices", store_id=self.store, prices=prices)
        self.serve("orders", "open_shift", shift_id=self.shift, terminal_time=now(), float_fen=0)

    def register(self, person: Person) -> None:
        self.serve("crm", "register_customer", customer_id=person.id, **person.told)

    def sell(self, person: Person) -> UUID:
        order = uuid4()
        line = {"product_id": str(self.product), "quantity": 2000, "price_fen": 1000}
        self.serve(
            "orders", "place_order", order_id=order, shift_id=self.shift, terminal_time=now(),
            customer_id=person.id, lines=[line], tenders=[{"kind": "card", "amount_fen": 2000}],
        )  # fmt: skip
        wait_until_caught_up(self.office.ask)
        return order

    def complain(self, person: Person, order: UUID) -> UUID:
        claim = uuid4()
        self.serve(
            "aftersales", "open_claim", claim_id=claim, order_id=order, line_no=1,
            channel="clerk", reason="rotten", bad_quantity=100, note=person.note,
        )  # fmt: skip
        return claim

    def tell(self, service: str, method: str, **request: Any) -> dict[str, Any]:
        return self.office.command(service, method, plain(request), patience=PATIENCE)

    def serve(self, service: str, method: str, **request: Any) -> dict[str, Any]:
        return self.clerk.command(service, method, plain(request), patience=PATIENCE)

    def points(self, person: Person) -> dict[str, Any]:
        return self.office.ask("crm", "points_of", {"customer_id": str(person.id)})


def plain(request: dict[str, Any]) -> dict[str, Any]:
    return {name: str(v) if isinstance(v, UUID) else v for name, v in request.items()}


def now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    shop = Shop(stack)
    with shop.office, shop.clerk:
        shop.open()
        yield shop


@pytest.fixture
def console(stack: Stack) -> Any:
    """The command line, as an operator of this stack uses it."""

    def run(*arguments: str, told: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name("pomona"), "personal", *arguments],
            env={**os.environ, "POMONA_RUN": str(stack.layout.directory)},
            input=told,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.feature("CRM-25")
def test_a_person_leaves_no_word_behind_and_is_forgotten_for_good(shop, console):
    person = somebody()
    shop.register(person)
    shop.clerk.ask("crm", "find_customer", {"phone": person.told["phone"]})
    shop.serve("crm", "correct_customer", customer_id=person.id, address=person.told["address"])
    order = shop.sell(person)
    claim = shop.complain(person, order)
    wait_until_caught_up(shop.office.ask)
    go_wrong_in_every_way(shop, person)
    points = shop.points(person)
    assert points["pending"] > 0

    before = json.loads(console("proof", str(person.id), "--json").stdout)
    assert before["found"] == []
    assert (before["erased_at"], before["keys"]) == (None, ["crm", "aftersales"])
    assert not before["holds"]

    erased = console("erase", str(person.id), "--json", "--also", person.note)
    after = json.loads(erased.stdout)
    assert (erased.returncode, erased.stderr) == (0, "")
    assert (after["holds"], after["keys"], after["found"]) == (True, [], [])
    assert {"tables", "postgres", "rabbitmq", "logs"} <= set(after["searched"])

    shown = shop.office.ask("crm", "get_customer", {"customer_id": str(person.id)})
    assert shown["erased"]
    assert [shown[field] for field in person.told] == [None] * 4
    story = shop.office.ask("aftersales", "get_claim", {"claim_id": str(claim)})
    assert (story["note"], story["refund"]["amount_fen"]) == (None, 100)
    assert shop.office.ask("orders", "get_order", {"order_id": str(order)})["total_fen"] == 2000
    assert shop.points(person) == points
    with pytest.raises(Refused, match="customer_erased"):
        shop.serve("crm", "correct_customer", customer_id=person.id, name="王五")
    digests = rebuild(shop.stack.databases["analytics"], lambda _done, _total: None)
    assert all(digest.before == digest.after for digest in digests.values())


def go_wrong_in_every_way(shop: Shop, person: Person) -> None:
    """Send the person's words where they are refused, buried and repeated."""
    words = plain({"customer_id": person.id, **person.told})
    for request in (
        {**words, "customer_id": str(uuid4())},  # the phone is taken
        {**words, "nickname": person.told["name"]},
        {**words, "phone": person.note},
        {**words, "name": person.told["name"] * 50},
    ):
        with pytest.raises(Refused) as refused:
            shop.clerk.command("crm", "register_customer", request)
        assert not any(word in str(refused.value) for word in person.words.values())
    with RawCaller(shop.stack) as stranger:
        stranger.forget_dead_letters()
        body = json.dumps({"args": [], "kwargs": words}, ensure_ascii=False).encode()
        stranger.send(body, key="crm.register_customer", reply_to="nobody")
        stranger.send(body[:-9], key="crm.register_customer", content_type="text/plain")
        letters = [stranger.dead_letter() for _ in range(2)]
    assert not any(letter.body for letter in letters)


@pytest.mark.feature("CRM-25")
def test_the_search_finds_a_word_wherever_it_is_planted(stack, tmp_path):
    """Otherwise finding nothing would prove nothing."""
    canary = somebody()
    name = canary.told["name"].encode()
    log = stack.layout.log("orders")
    with psycopg.connect(stack.databases["crm"], autocommit=True) as connection:
        connection.execute("CREATE TABLE planted (word bytea, filler text)")
        connection.execute("INSERT INTO planted VALUES (%s, repeat('x', 100))", (name,))
    with RawCaller(stack) as caller:
        caller.send(name, exchange=DEAD_LETTERS, key="", delivery_mode=2)
    with log.open("ab") as file:
        file.write(canary.told["phone"].encode() + b"\n")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "archive.gz").write_bytes(gzip.compress(canary.note.encode()))

    try:
        proof = prove(stack, canary.id, canary.words, elsewhere=[tmp_path])
    finally:
        with psycopg.connect(stack.databases["crm"], autocommit=True) as connection:
            connection.execute("DROP TABLE planted")
        with RawCaller(stack) as caller:
            caller.forget_dead_letters()

    places = {place for place, _, _ in proof.found}
    assert not proof.holds
    assert any(place.endswith("_crm.public.planted") for place in places)
    assert any("/pg_wal/" in place for place in places)
    assert any("/base/" in place and "pg" not in place for place in places), "the heap"
    assert any(place.startswith("rabbitmq/") for place in places)
    assert "logs/orders.log" in places
    assert f"{tmp_path.name}/base/archive.gz" in places
    assert not any(word in str(proof) for word in canary.words.values())


def test_what_to_search_for_of_an_erased_customer_is_given_by_the_operator(shop, console):
    person = somebody()
    shop.register(person)
    shop.tell("crm", "erase_customer", customer_id=person.id)

    nothing = console("proof", str(person.id))
    given = console("proof", str(person.id), "--also", "-", told="\n".join(person.words.values()))

    assert (nothing.returncode, given.returncode) == (1, 0)
    assert "--also" in nothing.stderr
    assert "found         nothing" in given.stdout


def test_a_request_for_access_is_answered_with_all_that_is_kept(shop, console):
    person = somebody()
    shop.register(person)
    order = shop.sell(person)
    claim = shop.complain(person, order)

    told = json.loads(console("export", str(person.id)).stdout)

    assert told["customer"]["name"] == person.told["name"]
    assert [found["order_id"] for found in told["orders"]] == [str(order)]
    assert [(c["claim_id"], c["note"]) for c in told["claims"]] == [(str(claim), person.note)]
    assert told["points"]["pending"] > 0
    assert told["readings"][0]["actor"] == "operator"


def test_keys_are_changed_under_services_that_go_on(shop, console, stack):
    person = somebody()
    shop.register(person)
    claim = shop.complain(person, shop.sell(person))
    old = console("export", str(person.id)).stdout

    assert console("renew-key", str(person.id)).returncode == 0
    rotated = console("rotate-key")
    too_early = console("rotate-key", "--remove-old")

    assert rotated.returncode == 0, rotated.stderr
    assert rotated.stdout.splitlines()[-1].endswith("current")
    assert (too_early.returncode, "minute" in too_early.stderr) == (1, True)
    for dsn in stack.keys.values():
        with psycopg.connect(dsn) as connection:
            rows = connection.execute(
                "SELECT DISTINCT master FROM data_keys UNION SELECT generation::text FROM data_keys"
                " WHERE owner = %s",
                (str(person.id),),
            )
            assert {row[0] for row in rows} == {rotated.stdout.splitlines()[-1][:4], "2"}
    assert (
        json.loads(console("export", str(person.id)).stdout)["customer"]
        == json.loads(old)["customer"]
    )
    with psycopg.connect(stack.databases["crm"]) as connection:
        done = connection.execute("SELECT what FROM operations ORDER BY id").fetchall()
    assert done[-2:] == [("personal renew-key",), ("personal rotate-key",)]
    story = shop.office.ask("aftersales", "get_claim", {"claim_id": str(claim)})
    assert story["note"] == person.note
    assert console("renew-key", str(uuid4())).returncode == 1


def test_erasures_are_applied_again_as_often_as_one_likes(shop, console):
    person = somebody()
    shop.register(person)
    shop.tell("crm", "erase_customer", customer_id=person.id)

    assert [console("apply-erasures").returncode for _ in range(2)] == [0, 0]
