"""What each account may do at a real broker, and that all else is refused."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import amqp
import pytest
from amqp.exceptions import AccessRefused, NotAllowed, PreconditionFailed

from pomona.broker import connect, open_channel
from pomona.broker_access import (
    DEAD_LETTERS,
    ENROLMENT,
    RPC_EXCHANGE,
    TERMINAL_LIMITS,
    terminal_access,
    terminal_user,
)
from pomona_console.broker_definitions import (
    contracts_of_all,
    definitions,
    methods_of,
    password_hash,
)
from pomona_console.broker_management import Management
from pomona_console.layout import SERVICES
from pomona_console.stack import Stack
from pomona_console.trouble import Trouble

pytestmark = pytest.mark.integration

VHOST = "access"
CHAIN = contracts_of_all(SERVICES)
TERMINAL = terminal_user(UUID(int=1))
OFFICE = terminal_user(UUID(int=2))
GUESTS = (TERMINAL, OFFICE, ENROLMENT)
REPLY_KEY = str(UUID(int=3))
Do = Callable[[amqp.Channel], object]


def secret_of(user: str) -> str:
    return ENROLMENT if user == ENROLMENT else f"secret of {user}"


@dataclass(frozen=True)
class Broker:
    """A broker that knows every account of Pomona, and no running service."""

    address: str
    management: Management

    def connection(self, user: str) -> amqp.Connection:
        return connect(f"amqp://{user}:{quote(secret_of(user))}@{self.address}/{VHOST}")

    def lets(self, user: str, do: Do) -> bool:
        """Say whether the broker lets a user do something."""
        with closing(self.connection(user)) as connection:
            try:
                do(open_channel(connection))
            except AccessRefused:
                return False
        return True


@pytest.fixture(scope="module")
def broker(servers: Stack) -> Iterator[Broker]:
    management = Management(servers.rabbitmq_api)
    before = {user["name"] for user in management.defined()["users"]}
    made = definitions(CHAIN, vhost=VHOST, password=secret_of)
    made["users"] = [user for user in made["users"] if user["name"] not in before] + [
        user for user in made["users"] if user["name"] == ENROLMENT
    ]
    made["permissions"] += [permission(TERMINAL, "store"), permission(OFFICE, "head_office")]
    made["topic_permissions"] += [keys(TERMINAL, "store"), keys(OFFICE, "head_office")]
    made["users"] += [account(TERMINAL), account(OFFICE)]
    management.define(made)
    yield Broker(urlsplit(servers.amqp_uri).netloc.rpartition("@")[2], management)
    for user in management.defined()["users"]:
        if user["name"] not in before:
            management.forget("users", user["name"])
    management.forget("vhosts", VHOST)


def account(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "password_hash": password_hash(secret_of(name)),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
        "limits": TERMINAL_LIMITS,
    }


def permission(user: str, kind: Any) -> dict[str, str]:
    return {
        "user": user,
        "vhost": VHOST,
        **terminal_access(kind, methods_of(CHAIN)).permission(),
    }


def keys(user: str, kind: Any) -> dict[str, str]:
    return {
        "user": user,
        "vhost": VHOST,
        **terminal_access(kind, methods_of(CHAIN)).topic_permission(),
    }


def publish(exchange: str, key: str, **properties: Any) -> Do:
    def do(channel: amqp.Channel) -> None:
        channel.confirm_select()
        channel.basic_publish_confirm(amqp.Message(b"{}", **properties), exchange, key)

    return do


def test_the_broker_knows_exactly_what_the_contracts_say(broker: Broker) -> None:
    wanted = definitions(CHAIN, vhost=VHOST, password=secret_of)
    known = broker.management.defined()

    for kind, identified_by in {
        "permissions": ("user",),
        "topic_permissions": ("user", "exchange"),
        "policies": ("name",),
        "exchanges": ("name",),
        "queues": ("name",),
        "bindings": ("source", "destination", "routing_key"),
    }.items():
        there = {
            tuple(thing[part] for part in identified_by): thing
            for thing in known[kind]
            if thing["vhost"] == VHOST and thing.get("user") not in (TERMINAL, OFFICE)
        }
        for thing in wanted[kind]:
            found = there.pop(tuple(thing[part] for part in identified_by))
            assert {name: found[name] for name in thing} | untold(thing) == thing | untold(thing)
        assert there == {}
    assert "guest" not in {user["name"] for user in known["users"]}


def untold(thing: dict[str, Any]) -> dict[str, Any]:
    """Return what RabbitMQ adds by itself: every queue's type, spelled out."""
    arguments = {
        name: value for name, value in thing.get("arguments", {}).items() if name != "x-queue-type"
    }
    return {"arguments": arguments} if "arguments" in thing else {}


@pytest.mark.feature("SYS-44")
@pytest.mark.parametrize("user", GUESTS)
@pytest.mark.parametrize(
    "do",
    [
        lambda channel: channel.basic_consume("rpc-orders"),
        lambda channel: channel.basic_get("rpc-orders"),
        lambda channel: channel.basic_get(DEAD_LETTERS),
        lambda channel: channel.basic_consume("inventory.from.orders"),
        lambda channel: channel.queue_declare("", exclusive=True),
        lambda channel: channel.queue_declare("spy", durable=True),
        lambda channel: channel.queue_bind("rpc-orders", RPC_EXCHANGE, "#"),
        lambda channel: channel.queue_bind(DEAD_LETTERS, RPC_EXCHANGE, "#"),
        lambda channel: channel.exchange_bind(DEAD_LETTERS, RPC_EXCHANGE, "#"),
    ],
    ids=["consume", "get", "letters", "events", "queue", "named", "bind", "copy", "chain"],
)
def test_a_terminal_cannot_listen_to_others(broker: Broker, user: str, do: Do) -> None:
    assert not broker.lets(user, do)


@pytest.mark.parametrize("user", GUESTS)
@pytest.mark.parametrize(
    "do",
    [
        lambda channel: channel.queue_purge("rpc-orders"),
        lambda channel: channel.queue_delete("rpc-orders"),
        lambda channel: channel.queue_unbind("rpc-orders", RPC_EXCHANGE, "orders.*"),
        lambda channel: channel.exchange_delete(RPC_EXCHANGE),
        lambda channel: channel.exchange_declare(RPC_EXCHANGE, "topic", durable=True),
        lambda channel: channel.exchange_declare("mine", "topic", durable=True),
    ],
    ids=["purge", "delete queue", "unbind", "delete exchange", "declare", "own exchange"],
)
def test_a_terminal_cannot_change_anything(broker: Broker, user: str, do: Do) -> None:
    assert not broker.lets(user, do)


@pytest.mark.parametrize("user", GUESTS)
@pytest.mark.parametrize(
    ("exchange", "key"),
    [
        ("orders.events", "order_paid.v1"),
        (DEAD_LETTERS, ""),
        ("", "rpc-orders"),
        ("", "inventory.from.orders"),
        ("amq.topic", "orders.place_order"),
        (RPC_EXCHANGE, "orders.events_after.x"),
        (RPC_EXCHANGE, "orders.*"),
        (RPC_EXCHANGE, REPLY_KEY),
    ],
)
def test_a_terminal_cannot_publish_but_to_its_methods(
    broker: Broker, user: str, exchange: str, key: str
) -> None:
    assert not broker.lets(user, publish(exchange, key))


@pytest.mark.feature("SYS-44")
def test_each_terminal_may_call_what_the_roles_at_it_may_call_and_nothing_else(
    broker: Broker,
) -> None:
    roles = {
        TERMINAL: {"cashier", "store_manager", "terminal"},
        OFFICE: {"head_office", "analyst", "terminal"},
        ENROLMENT: {"enrolment"},
    }
    for user, at_it in roles.items():
        for service, methods in methods_of(CHAIN).items():
            for method, may in methods.items():
                allowed = broker.lets(user, publish(RPC_EXCHANGE, f"{service}.{method}"))
                assert allowed == bool(at_it & set(may)), (user, service, method)


@pytest.mark.feature("SYS-44")
def test_nobody_can_say_that_he_is_somebody_else(broker: Broker) -> None:
    for user in (TERMINAL, "service-orders"):
        with (
            closing(broker.connection(user)) as connection,
            pytest.raises(PreconditionFailed, match="user_id"),
        ):
            publish(RPC_EXCHANGE, "orders.positions", user_id="service-inventory")(
                open_channel(connection)
            )


@pytest.mark.parametrize("user", [*GUESTS, "service-orders"])
def test_the_management_api_is_shut_to_all_but_administrators(
    broker: Broker, servers: Stack, user: str
) -> None:
    api = urlsplit(servers.rabbitmq_api)
    address = api.netloc.rpartition("@")[2]
    login = f"{user}:{quote(secret_of(user))}"

    with pytest.raises(Trouble, match="401"):
        Management(f"http://{login}@{address}").ask("GET", "overview")


def test_a_terminal_cannot_open_more_connections_than_it_needs(broker: Broker) -> None:
    with ExitStack() as stack:
        for _ in range(TERMINAL_LIMITS["max-connections"]):
            stack.enter_context(closing(broker.connection(TERMINAL)))

        with pytest.raises(NotAllowed, match="limit"):
            broker.connection(TERMINAL)


def test_a_call_and_its_answer_pass_by_direct_reply(broker: Broker) -> None:
    broker.management.forget("queues", VHOST, "rpc-orders", "contents")
    answers: list[bytes] = []
    with (
        closing(broker.connection(TERMINAL)) as terminal,
        closing(broker.connection("service-orders")) as service,
    ):
        asking = open_channel(terminal)
        asking.basic_consume(
            "amq.rabbitmq.reply-to", no_ack=True, callback=lambda m: answers.append(m.body)
        )
        publish(
            RPC_EXCHANGE, "orders.list_stores", reply_to="amq.rabbitmq.reply-to", user_id=TERMINAL
        )(asking)
        answering = open_channel(service)
        call = answering.basic_get("rpc-orders", no_ack=True)
        answering.basic_publish(amqp.Message(b"here"), "", call.properties["reply_to"])
        while not answers:
            terminal.drain_events(timeout=10)

    assert call.properties["user_id"] == TERMINAL
    assert answers == [b"here"]


def test_a_service_publishes_its_own_events_and_nobody_elses(broker: Broker) -> None:
    for publisher in SERVICES:
        for contracts in CHAIN:
            allowed = broker.lets(
                f"service-{publisher}", publish(f"{contracts.service}.events", "x.v1")
            )
            assert allowed == (publisher == contracts.service)


def test_a_service_makes_its_own_queues_again_after_an_operator_deleted_them(
    broker: Broker,
) -> None:
    broker.management.forget("queues", VHOST, "rpc-inventory")

    def declare(channel: amqp.Channel) -> None:
        channel.queue_declare("rpc-inventory", durable=True, auto_delete=False)
        channel.queue_bind("rpc-inventory", RPC_EXCHANGE, "inventory.*")
        channel.basic_consume("rpc-inventory")

    assert broker.lets("service-inventory", declare)


@pytest.mark.parametrize(
    "do",
    [
        lambda channel: channel.basic_get("rpc-orders"),
        lambda channel: channel.basic_get("orders.from.aftersales"),
        lambda channel: channel.basic_get(DEAD_LETTERS),
        lambda channel: channel.queue_purge("rpc-orders"),
        lambda channel: channel.queue_delete("rpc-orders"),
        lambda channel: channel.queue_bind("rpc-inventory", RPC_EXCHANGE, "#"),
        lambda channel: channel.queue_bind("rpc-inventory", RPC_EXCHANGE, "orders.*"),
        lambda channel: channel.queue_bind("inventory.from.orders", "crm.events", "#"),
        lambda channel: channel.queue_declare("spy", durable=True),
        lambda channel: channel.exchange_declare("orders.events", "topic", durable=True),
        lambda channel: channel.exchange_delete(RPC_EXCHANGE),
        publish(RPC_EXCHANGE, "orders.place_order"),
    ],
    ids=[
        "calls",
        "events",
        "letters",
        "purge",
        "delete",
        "bind all",
        "bind others",
        "bind a stranger",
        "declare",
        "exchange",
        "delete exchange",
        "command",
    ],
)
def test_a_service_has_no_rights_on_what_is_not_its_own(broker: Broker, do: Do) -> None:
    assert not broker.lets("service-inventory", do)
