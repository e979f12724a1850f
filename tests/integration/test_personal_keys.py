"""Keys of people on a real PostgreSQL: erased for good also by a restore, and wrapped anew."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from cryptography.exceptions import InvalidTag

from aftersales import views as claims
from crm import views as customers
from pomona import personal
from pomona.application import Command
from pomona.identity import Actor
from pomona.master_keys import MasterKeyMissing, MasterKeys
from pomona.migrate import migrate
from pomona.personal import People, PersonErased
from pomona_console.byte_search import Needles, Search
from pomona_console.erasures import applications, apply_erasures, people_of
from pomona_console.layout import KNOW_PEOPLE, Layout
from pomona_console.postgres import find_binaries

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
TOLD = {"name": "上官婉儿", "phone": "13912345678"}
SAID = "我是上官婉儿"


@dataclass(frozen=True)
class Place:
    """The databases and files of crm and aftersales, without their services."""

    databases: dict[str, str]
    keys: dict[str, str]
    layout: Layout

    @property
    def dsns(self) -> list[str]:
        return [*self.databases.values(), *self.keys.values()]

    def register(self) -> UUID:
        customer_id = uuid4()
        with applications(self.databases, self.keys, self.layout) as (crm, aftersales):
            crm.register_customer(command("register_customer", customer_id=customer_id, **TOLD))
            key = aftersales.people.key_for(customer_id)
            note = claims.Note(uuid4(), customer_id, key.seal_field("note", SAID))
            with aftersales.reading() as cursor:
                claims.keep_note(cursor, note)
        return customer_id

    def erase(self, customer_id: UUID) -> None:
        with applications(self.databases, self.keys, self.layout) as (crm, _):
            crm.erase_customer(command("erase_customer", customer_id=customer_id))
        apply_erasures(self.databases, self.keys, self.layout)

    def shown(self, customer_id: UUID) -> dict[str, Any]:
        with (
            applications(self.databases, self.keys, self.layout) as (crm, _),
            crm.reading() as cursor,
        ):
            return customers.customer(cursor, crm.people, customer_id)


def command(method: str, **request: Any) -> Command:
    return Command(
        id=uuid4(),
        method=method,
        request=request,
        actor=Actor(id="staff-1", role="head_office"),
        store_id=None,
        at=NOW,
        correlation_id="",
        request_hash=b"",
    )


@pytest.fixture
def place(database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    names = ("AMQP_URI", "DATABASE_DSN", "IDENTITY_PUBLIC_KEY", "KEYS_DSN")
    for name in (*names, "MASTER_KEYS", "ERASURE_JOURNAL"):
        monkeypatch.setenv(f"POMONA_{name}", "not used here")
    layout = Layout(tmp_path)
    layout.make()
    MasterKeys(layout.master_keys).make()
    databases = {name: database(name) for name in KNOW_PEOPLE}
    keys = {name: database(f"{name}_keys") for name in KNOW_PEOPLE}
    for name in KNOW_PEOPLE:
        migrate(name, databases[name], keys[name])
    return Place(databases, keys, layout)


@pytest.fixture
def people(place: Place) -> Iterator[People]:
    with people_of("crm", place.keys, place.layout) as people:
        yield people


def run(program: str, *arguments: str) -> bytes:
    binaries = find_binaries()
    assert binaries is not None
    return subprocess.run(
        [str(binaries / program), *arguments], capture_output=True, check=True
    ).stdout


def test_who_was_erased_stays_erased_when_a_backup_from_before_is_restored(place, tmp_path):
    person = place.register()
    backup = tmp_path / "backup"
    backup.mkdir()
    for number, dsn in enumerate(place.dsns):
        (backup / str(number)).write_bytes(run("pg_dump", "--clean", "--if-exists", dsn))
    place.erase(person)

    for number, dsn in enumerate(place.dsns):
        run("psql", "--quiet", "--no-psqlrc", f"--file={backup / str(number)}", dsn)
    assert place.shown(person)["name"] == TOLD["name"], "a restore alone brings the person back"

    assert apply_erasures(place.databases, place.keys, place.layout) == 1
    assert apply_erasures(place.databases, place.keys, place.layout) == 1

    shown = place.shown(person)
    assert (shown["erased_at"], shown["name"], shown["phone"]) == (NOW.isoformat(), None, None)
    search = Search(Needles.of({**TOLD, "note": SAID}))
    search.files("backup", backup)
    for dsn in place.dsns:
        search.tables(dsn, dsn)
    assert not search.found
    for service in KNOW_PEOPLE:
        with people_of(service, place.keys, place.layout) as known, pytest.raises(PersonErased):
            known.key_for(person)


def test_wrapping_anew_goes_on_where_it_was_cut_short(place, people, monkeypatch):
    monkeypatch.setattr(personal, "REWRAPPED_AT_ONCE", 2)
    everybody = [uuid4() for _ in range(7)]
    sealed = {person: people.key_for(person).seal({"name": "上官"}) for person in everybody}
    newest = MasterKeys(place.layout.master_keys).make()

    cut_short = people.rewrap()
    assert [next(cut_short), next(cut_short)] == [(0, 7), (2, 7)]
    cut_short.close()

    assert people.masters_in_use() == {"0001", newest}
    assert list(people.rewrap())[-1] == (5, 5)
    assert people.masters_in_use() == {newest}
    for person in everybody:
        assert people.key_of(person).open(sealed[person]) == {"name": "上官"}


def test_a_backup_of_the_keys_opens_nothing_once_its_master_key_is_gone(place, people):
    person = uuid4()
    sealed = people.key_for(person).seal({"name": "上官"})
    backup = run("pg_dump", "--clean", "--if-exists", place.keys["crm"])
    masters = MasterKeys(place.layout.master_keys)
    masters.make()
    list(people.rewrap())
    masters.remove("0001")
    assert people.key_of(person).open(sealed) == {"name": "上官"}

    binaries = find_binaries()
    subprocess.run(
        [str(binaries / "psql"), "--quiet", "--no-psqlrc", place.keys["crm"]],
        input=backup,
        check=True,
    )

    with (
        people_of("crm", place.keys, place.layout) as restored,
        pytest.raises(MasterKeyMissing, match="0001"),
    ):
        restored.key_of(person)


def test_of_two_who_make_the_key_of_one_person_both_get_the_same(place, people):
    person = uuid4()
    with people_of("crm", place.keys, place.layout) as another:
        another._make(str(person), generation=1)
        people._make(str(person), generation=1)
        sealed = people.key_for(person).seal({"name": "上官"})

        assert another.key_for(person).open(sealed) == {"name": "上官"}


def test_no_key_is_made_beside_an_erasure(place, people):
    """The one waits for the other: else the erasure could miss a key that is not there yet."""
    person = uuid4()
    with psycopg.connect(place.keys["crm"]) as erasing, ThreadPoolExecutor() as threads:
        erasing.execute("SELECT pg_advisory_xact_lock(%s)", (personal.MAKING_OR_ERASING,))
        making = threads.submit(people.key_for, person)
        wait_until_somebody_waits(place.keys["crm"])
        erasing.execute("INSERT INTO erased_people VALUES (%s, now())", (person,))
        erasing.commit()

        with pytest.raises(PersonErased):
            making.result()


def wait_until_somebody_waits(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as watching:
        while not watching.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            pass


def test_a_renewed_key_opens_what_is_kept_and_the_old_one_nothing_new(people):
    person = uuid4()
    old = people.key_for(person)
    kept = old.seal({"name": "上官"})

    def reseal(key):
        kept.update(key.seal(key.open(kept)))

    people.renew(person, reseal)

    assert people.key_of(person).open(kept) == {"name": "上官"}
    with pytest.raises(InvalidTag):
        old.open(kept)


def test_a_renewal_that_is_cut_short_loses_nothing_and_is_done_again(people):
    person = uuid4()
    kept = people.key_for(person).seal({"name": "上官"})

    def crash(key):
        kept.update(key.seal(key.open(kept)))
        raise SystemExit

    with pytest.raises(SystemExit):
        people.renew(person, crash)
    assert people.key_of(person).open(kept) == {"name": "上官"}

    people.renew(person, lambda key: kept.update(key.seal(key.open(kept))))

    assert people.key_of(person).open(kept) == {"name": "上官"}
