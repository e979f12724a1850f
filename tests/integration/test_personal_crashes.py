"""Crm is killed between its two databases: nobody is half registered or half erased."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from pomona.erasures import ErasureJournal
from pomona_console.stack import Stack, temporary_stack, terminal_for

pytestmark = pytest.mark.integration

PATIENCE = 60.0
Kill = Callable[[str], None]


@pytest.fixture(scope="module")
def armed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failpoints")


@pytest.fixture(scope="module")
def alone(armed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Crm by itself, with failpoints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POMONA_FAILPOINTS", str(armed))
        with temporary_stack(tmp_path_factory.mktemp("alone"), services=("crm",)) as running:
            yield running


@pytest.fixture
def kill_at(armed: Path) -> Kill:
    def arm(place: str) -> None:
        armed.joinpath(f"crm.{place}").write_text("kill")

    return arm


class Office:
    """Head office, which asks again until crm is back."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.terminal = terminal_for(stack, role="head_office")

    def do(self, method: str, customer_id: UUID, **request: str) -> None:
        asked = {"customer_id": str(customer_id), **request}
        self.terminal.command("crm", method, asked, timeout=3, patience=PATIENCE)

    def shown(self, customer_id: UUID) -> dict[str, object]:
        asked = {"customer_id": str(customer_id)}
        return self.terminal.ask("crm", "get_customer", asked, timeout=3, patience=PATIENCE)

    def steps(self, customer_id: UUID) -> list[str]:
        with psycopg.connect(self.stack.databases["crm"]) as connection:
            rows = connection.execute(
                "SELECT topic FROM crm_events WHERE originator_id = %s ORDER BY originator_version",
                (customer_id,),
            )
            return [topic for (topic,) in rows]

    def keys(self, customer_id: UUID) -> int:
        with psycopg.connect(self.stack.keys["crm"]) as connection:
            statement = "SELECT 1 FROM data_keys WHERE owner = %s"
            return len(connection.execute(statement, (str(customer_id),)).fetchall())


@pytest.fixture
def office(alone: Stack) -> Iterator[Office]:
    office = Office(alone)
    with office.terminal:
        yield office


def somebody() -> dict[str, str]:
    return {"name": "上官婉儿", "phone": f"139{uuid4().int % 10**8:08}"}


@pytest.mark.parametrize("place", ["personal.after_key", "commit.before", "commit.after"])
def test_killed_while_registering_a_customer_is_registered_once_with_one_key(
    office: Office, kill_at: Kill, place: str
) -> None:
    customer_id, told = uuid4(), somebody()
    kill_at(place)

    office.do("register_customer", customer_id, **told)

    assert office.shown(customer_id)["name"] == told["name"]
    assert office.steps(customer_id) == ["crm.Customer.Registered"]
    assert office.keys(customer_id) == 1


@pytest.mark.parametrize(
    "place",
    ["personal.after_journal", "personal.after_erasure", "commit.before", "commit.after"],
)
def test_killed_while_erasing_a_customer_is_erased_once_and_stays_so(
    office: Office, kill_at: Kill, place: str
) -> None:
    customer_id = uuid4()
    office.do("register_customer", customer_id, **somebody())
    kill_at(place)

    office.do("erase_customer", customer_id)

    shown = office.shown(customer_id)
    assert (shown["erased"], shown["name"], shown["phone"]) == (True, None, None)
    assert office.steps(customer_id) == ["crm.Customer.Registered", "crm.Customer.Erased"]
    assert office.keys(customer_id) == 0
    written = [erasure.person_id for erasure in ErasureJournal(office.stack.layout.erasures).read()]
    assert written.count(customer_id) == 1
