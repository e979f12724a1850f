"""Who may call what, and that a command takes effect once, whatever is lost on the way."""

import importlib
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import OperationalError
from marshmallow import Schema, fields

from orders import projections
from orders.application import Orders
from pomona.application import Attempt, Command
from pomona.call import Call
from pomona.contracts import PERSON_ROLES, ROLES, Request, Role
from pomona.errors import (
    CommandIdReused,
    Forbidden,
    ForeignStore,
    Refusal,
    Refused,
    Unauthenticated,
)
from pomona.eventstore import environment
from pomona.everywhere import EVENTS_AFTER, POSITIONS
from pomona.fields import Bool, Choice, Day, Id, Moment, Text, Whole
from pomona.identity import STORE_ROLES, Actor, Identities, issue
from pomona.migrate import migrate
from pomona.signing import SigningKey, new_private_key
from pomona.terminal import Terminal
from pomona_console.layout import SERVICES
from pomona_console.stack import Stack, terminal_for

from .raw_caller import metric, token

SOON = timedelta(minutes=5)
DAY = timedelta(days=1)  # they are made when tests are collected, long before they are used
OWN_STORE, FOREIGN_STORE = UUID(int=1), UUID(int=2)
KEY = SigningKey(datetime.now(UTC), new_private_key())
USERS: dict[Role, str] = {
    **dict.fromkeys(PERSON_ROLES, "pomona"),
    "service": "service-orders",
    "terminal": f"terminal-{UUID(int=3)}",
    "enrolment": "enrolment",
}
TOKENS = {
    role: issue(
        KEY, Actor("p", role, OWN_STORE if role in STORE_ROLES else None), DAY, via="pomona"
    )
    for role in PERSON_ROLES
}


def requests_of(service: str) -> list[Request]:
    return [*importlib.import_module(f"{service}.contracts").REQUESTS, POSITIONS, EVENTS_AFTER]


METHODS = [
    pytest.param(request, id=f"{service}.{request.method}")
    for service in SERVICES
    for request in requests_of(service)
]


def with_roles(chosen: Callable[[Request, Role], bool]) -> list[Any]:
    return [
        pytest.param(contract, role, id=f"{given.id}-{role}")
        for given in METHODS
        for role in ROLES
        if chosen(contract := given.values[0], role)
    ]


def may_name_a_store(contract: Request, role: Role) -> bool:
    store_bound = role in STORE_ROLES and role in contract.roles
    return store_bound and "store_id" in contract.schema().fields


class Untouchable:
    """Whoever reads anything before the caller is checked, trips here."""

    @contextmanager
    def attempt(self, *, afresh: bool) -> Iterator[Attempt]:
        yield Attempt(afresh=afresh)

    def hash_of(self, *_asked: Any) -> bytes:
        return b""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was touched")


def call(contract: Request, role: Role, kwargs: dict[str, Any], *, application: Any = None) -> Call:
    """Return a call as it stands before the door, without a broker around it."""
    spine: Any = SimpleNamespace(
        identities=Identities({KEY.kid: KEY.public_pem}), application=application or Untouchable()
    )
    return Call(
        contract=contract,
        spine=spine,
        headers={"nameko.token": TOKENS.get(role)},
        kwargs=kwargs,
        broker_user=USERS[role],
    )


def enter(contract: Request, role: Role, kwargs: dict[str, Any]) -> None:
    """Go through the door as far as the application."""

    def reached(_command: Any) -> dict[str, Any]:
        return {}

    arrived = call(contract, role, kwargs)
    if contract.kind == "command":
        arrived.exactly_once(reached)
    else:
        arrived.question()


def example(schema: Schema) -> dict[str, Any]:
    """Return a request that the schema takes, as far as its fields can say."""
    return {name: example_of(field) for name, field in schema.fields.items() if field.required}


def example_of(field: fields.Field[Any]) -> Any:
    if isinstance(field, fields.List):
        return [example_of(field.inner)]
    if isinstance(field, fields.Nested):
        return example(field.schema)
    now = datetime.now(UTC)
    makers: dict[type[Any], Callable[[Any], Any]] = {
        Id: lambda _: str(uuid4()),
        Whole: lambda whole: max(1, whole.min),
        Moment: lambda _: now.isoformat(),
        Day: lambda _: now.date().isoformat(),
        Choice: lambda choice: choice.choices[0],
        Text: lambda text: EXAMPLE_TEXTS.get(text.name, "A1"),
        Bool: lambda _: True,
    }
    return next(make(field) for kind, make in makers.items() if isinstance(field, kind))


EXAMPLE_TEXTS = {"zone": "Asia/Shanghai", "cut_off": "04:00", "phone": "13800138000"}


def envelope_of(contract: Request) -> dict[str, str]:
    if contract.kind == "question":
        return {}
    return {"command_id": str(uuid4()), "expires_at": (datetime.now(UTC) + SOON).isoformat()}


@pytest.mark.parametrize(("contract", "role"), with_roles(lambda c, role: role not in c.roles))
def test_a_role_that_may_not_call_is_refused_before_anything_is_read(contract, role):
    # a terminal that speaks for nobody may still become somebody by logging in
    refused = Unauthenticated if role == "terminal" else Forbidden
    for request in ({}, {"store_id": str(FOREIGN_STORE)}, {"nonsense": 1}):
        with pytest.raises(refused):
            enter(contract, role, request)


@pytest.mark.feature("SYS-06")
@pytest.mark.parametrize(("contract", "role"), with_roles(may_name_a_store))
def test_nobody_at_a_store_reaches_another_store(contract, role):
    request = {**example(contract.schema()), **envelope_of(contract)}

    with pytest.raises(ForeignStore) as refused:
        enter(contract, role, {**request, "store_id": str(FOREIGN_STORE)})

    assert refused.value.field == "store_id"
    enter(contract, role, {**request, "store_id": str(OWN_STORE)})


@pytest.mark.parametrize("contract", METHODS)
def test_a_request_never_says_who_is_calling(contract):
    said = set(contract.schema().fields)

    assert not said & {"actor", "person", "cashier_id", "role", "command_id", "expires_at"}


@pytest.mark.parametrize("contract", METHODS)
def test_a_method_says_who_may_call_it_and_what_for(contract):
    assert contract.roles
    assert set(contract.roles) <= set(ROLES)
    assert contract.summary.endswith(".")
    assert contract.kind == "question" or "analyst" not in contract.roles


@pytest.mark.parametrize("service", SERVICES)
def test_every_method_of_a_service_has_a_contract_and_every_contract_a_method(service):
    module = importlib.import_module(f"{service}.service")
    (cls,) = [
        found
        for found in vars(module).values()
        if hasattr(found, "__module__")
        and found.__module__ == module.__name__
        and getattr(found, "name", "") == service
    ]
    open_to_all = {
        name for name, found in vars(cls).items() if hasattr(found, "nameko_entrypoints")
    }

    declared = {
        request.method for request in importlib.import_module(f"{service}.contracts").REQUESTS
    }
    assert open_to_all - {"positions", "events_after"} == declared


# --- with a broker and a database ----------------------------------------------------------


def open_store(**changes: Any) -> dict[str, Any]:
    code = f"S{uuid4().hex[:8].upper()}"
    store = {"store_id": str(uuid4()), "code": code, "name": "东湖店", "zone": "Asia/Shanghai"}
    return {**store, "cut_off": "04:00", **changes}


@pytest.fixture
def office(stack: Stack) -> Terminal:
    with terminal_for(stack, role="head_office", person="office") as terminal:
        yield terminal


def stores(office: Terminal) -> list[str]:
    return [store["store_id"] for store in office.ask("orders", "list_stores")["stores"]]


def refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        ask()
    return refused.value.code


@pytest.mark.integration
def test_over_the_wire_too_every_method_refuses_every_role_it_is_not_for(stack):
    heads = {}
    refused = Counter()
    for role in PERSON_ROLES:
        at = OWN_STORE if role in STORE_ROLES else None
        with terminal_for(stack, role=role, store_id=at) as terminal:
            for service in SERVICES:
                heads.setdefault(service, terminal.ask(service, "positions")["head"])
                for contract in importlib.import_module(f"{service}.contracts").REQUESTS:
                    if role not in contract.roles:
                        code = refusal(
                            lambda s=service, m=contract.method, t=terminal: t.call(s, m, {})
                        )
                        refused[code] += 1
    assert set(refused) == {"forbidden"}
    assert refused.total() > 50
    with terminal_for(stack, role="head_office") as terminal:
        assert {s: terminal.ask(s, "positions")["head"] for s in SERVICES} == heads


@pytest.mark.integration
def test_a_command_sent_again_gets_the_same_answer_and_has_one_effect(stack, office):
    command_id, store = uuid4(), open_store()
    replays = metric(stack, "orders", "pomona_command_replays_total")

    first = office.command("orders", "open_store", store, command_id=command_id)
    again = office.command("orders", "open_store", store, command_id=command_id)

    assert again == first == {"store_id": store["store_id"]}
    assert stores(office).count(store["store_id"]) == 1
    assert metric(stack, "orders", "pomona_command_replays_total") == replays + 1


@pytest.mark.integration
def test_one_command_sent_by_many_at_once_has_one_effect(stack, office):
    command_id, store = uuid4(), open_store()
    together = threading.Barrier(8)

    def send(_: int) -> dict[str, Any]:
        with terminal_for(stack, role="head_office", person="office") as terminal:
            terminal.ask("orders", "positions")
            together.wait(20)
            return terminal.command("orders", "open_store", store, command_id=command_id)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))

    assert answers == [{"store_id": store["store_id"]}] * 8
    assert stores(office).count(store["store_id"]) == 1


@pytest.mark.integration
def test_a_command_id_belongs_to_one_request_of_one_caller(stack, office):
    command_id, store = uuid4(), open_store()
    conflicts = metric(stack, "orders", "pomona_command_key_conflicts_total")
    office.command("orders", "open_store", store, command_id=command_id)

    def send(terminal: Terminal, request: dict[str, Any]) -> str:
        return refusal(
            lambda: terminal.command("orders", "open_store", request, command_id=command_id)
        )

    assert send(office, {**store, "name": "南山店"}) == "command_id_reused"
    assert send(office, open_store()) == "command_id_reused"
    with terminal_for(stack, role="head_office", person="somebody else") as other:
        assert send(other, store) == "command_id_reused"
        assert send(other, open_store()) == "command_id_reused"
    assert metric(stack, "orders", "pomona_command_key_conflicts_total") == conflicts + 4
    assert len(stores(office)) == len(set(stores(office)))


@pytest.mark.integration
@pytest.mark.feature("SYS-04")
def test_an_expired_command_is_refused_and_not_carried_out(office):
    late = {"command_id": str(uuid4()), "expires_at": "2026-01-01T00:00:00+00:00"}
    store = open_store()

    with pytest.raises(Refused) as refused:
        office.call("orders", "open_store", {**store, **late})

    assert (refused.value.code, refused.value.field) == ("expired", "expires_at")
    assert store["store_id"] not in stores(office)


@pytest.mark.integration
@pytest.mark.feature("SYS-04")
def test_a_refusal_names_the_field_in_the_language_of_the_caller(stack):
    for locale, word in (("zh-CN", "整数"), ("en", "whole number")):
        with terminal_for(stack, role="head_office", locale=locale) as office:
            with pytest.raises(Refused) as refused:
                office.ask("orders", "events_after", {"position": 1.5})
            assert refused.value.field == "position"
            assert word in refused.value.message
            assert refused.value.correlation_id


STOCK_CLIENT = """
import warnings
warnings.simplefilter("ignore")
import eventlet
eventlet.monkey_patch()
import sys
from nameko.standalone.rpc import ClusterRpcProxy
context = {"token": sys.argv[2], "locale": "en"}
with ClusterRpcProxy({"AMQP_URI": sys.argv[1]}, context_data=context, timeout=20) as cluster:
    try:
        cluster.orders.list_stores()
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.integration
@pytest.mark.feature("SYS-01")
def test_the_stock_client_of_nameko_is_answered_but_not_let_in(stack):
    """It cannot say which account of the broker it speaks for, so nobody vouches for it."""
    done = subprocess.run(
        [sys.executable, "-c", STOCK_CLIENT, stack.amqp_uri, token(stack)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "unauthenticated" in done.stdout, done.stderr


# --- a connection that is lost around the commit --------------------------------------------


class Interrupted(Orders):
    """Loses every connection to the database before or after its first commits."""

    name = "orders"
    dsn = ""
    lose: tuple[str, ...] = ()
    tried = attempts = 0

    def commit(self, cause: Any, *aggregates: Any, **more: Any) -> dict[str, Any]:
        self.tried += 1
        when = self.lose[self.tried - 1] if self.tried <= len(self.lose) else ""
        if when == "before":
            end_connections(self.dsn)
        answer = super().commit(cause, *aggregates, **more)
        if when == "after":
            end_connections(self.dsn)
            raise OperationalError
        return answer


def end_connections(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as killer:
        killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def interrupted(database, monkeypatch):
    for name in ("AMQP_URI", "DATABASE_DSN", "IDENTITY_PUBLIC_KEY"):
        monkeypatch.setenv(f"POMONA_{name}", "not used here")
    dsn = database("orders")
    migrate("orders", dsn)
    orders = Interrupted(environment(dsn), remember=projections.remember)
    orders.dsn = dsn
    yield orders
    orders.close()


OPEN_STORE = next(r for r in requests_of("orders") if r.method == "open_store")


def send(orders: Interrupted, request: dict[str, Any], role: Role = "head_office") -> Any:
    def attempt(command: Command) -> dict[str, Any]:
        orders.attempts += 1
        return orders.open_store(command)

    return call(OPEN_STORE, role, request, application=orders).exactly_once(attempt)


def count(orders: Interrupted, table: str) -> int:
    with orders.reading() as cursor:
        cursor.execute(f"SELECT count(*) AS n FROM {table}")
        return cursor.fetchone()["n"]


@pytest.mark.integration
@pytest.mark.feature("SYS-03")
@pytest.mark.parametrize(
    ("lose", "tries"),
    [(("after",), 1), (("before",), 2), (("before", "after"), 2), (("before", "before"), 3)],
)
def test_a_command_whose_answer_was_lost_is_looked_up_before_it_is_tried_again(
    interrupted, lose, tries
):
    interrupted.lose = lose
    store = {**open_store(), **envelope_of(OPEN_STORE)}

    answer = send(interrupted, store)

    assert answer == {"store_id": store["store_id"]}
    assert interrupted.tried == interrupted.attempts == tries
    assert count(interrupted, "commands") == count(interrupted, "orders_events") == 1
    assert send(interrupted, store) == answer


@pytest.mark.integration
def test_a_refused_command_leaves_its_id_free_for_the_corrected_one(interrupted):
    taken = {**open_store(), **envelope_of(OPEN_STORE)}
    send(interrupted, taken)
    second = {**open_store(store_id=taken["store_id"]), **envelope_of(OPEN_STORE)}
    with pytest.raises(Refusal) as refused:
        send(interrupted, second)

    assert not isinstance(refused.value, CommandIdReused)
    assert send(interrupted, {**second, "store_id": str(uuid4())})["store_id"]


@pytest.mark.integration
def test_an_expired_repeat_of_an_applied_command_is_answered_as_before(interrupted):
    store = {**open_store(), **envelope_of(OPEN_STORE)}
    answer = send(interrupted, store)

    assert send(interrupted, {**store, "expires_at": "2026-01-01T00:00:00+00:00"}) == answer
