"""What is told is told exactly as its golden message says, for ever."""

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime
from importlib import import_module
from typing import Any

import pytest
from eventsourcing.domain import Aggregate
from eventsourcing.utils import get_topic

from pomona import wire
from pomona.application import Application
from pomona.contracts import Contracts, Published

from .golden import HERE, TOLD, by_name, golden, hash_of, kept, locked, path_of

NOW = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)

Loaded = dict[str, Any]

# What an event remembers and nobody is told, or is told under another name.
REMEMBERED: dict[str, Callable[[Loaded], Loaded]] = {
    "orders.store_opened.v1": lambda told: {"label": told["name"]},
    "orders.product_listed.v1": lambda told: {"label": told["name"]},
    "orders.shift_opened.v1": lambda _: {"zone": "Asia/Shanghai", "receipts": "S01-T1-0003"},
    "orders.order_paid.v1": lambda told: {
        f"{tender['kind']}_fen": tender["amount_fen"] for tender in told["tenders"]
    },
    "inventory.transfer_sent.v1": lambda told: {"store_id": told["from_store_id"]},
    "inventory.transfer_received.v1": lambda told: {"store_id": told["to_store_id"]},
    "crm.customer_registered.v1": lambda _: {"sealed": {}},
    "crm.points_earned.v1": lambda _: {"net_fen": 4500},
    "crm.points_reversed.v1": lambda _: {
        "refunded_fen": 450,
        "available_on": date(2026, 11, 28),
        "business_date": date(2026, 11, 21),
    },
    "aftersales.claim_opened.v1": lambda _: {
        "classified_by": "reason",
        "bad_quantity": 300,
        "bad_percent": None,
        "sold_on": date(2026, 11, 21),
    },
    "aftersales.claim_refused.v1": lambda _: {"unit": "g"},
    "aftersales.goods_taken_back.v1": lambda _: {"taken_by": "cashier-17"},
    "aftersales.claim_settled.v1": lambda told: {"product_id": told["order_id"], "unit": "g"},
}


OF_THE_CHAIN = {
    "orders.product_listed.v1",
    "inventory.supplier_registered.v1",
    "inventory.lot_claimed.v1",
    "crm.customer_erased.v1",
    "crm.points_earned.v1",
    "crm.points_reversed.v1",
}


def happened(contracts: Contracts, entry: Published) -> Any:
    """Make the event that the golden message tells of."""
    told = entry.schema().load(golden(contracts.service, entry.routing_key))
    own = REMEMBERED.get(by_name((contracts, entry)), lambda _: {})(told)
    head = {"originator_id": told[entry.subject], "originator_version": 1, "timestamp": NOW}
    if issubclass(entry.event, Aggregate.Created):
        head["originator_topic"] = f"{contracts.service}.{entry.event.__qualname__.split('.')[0]}"
    known = {**told, **own, **head}
    return entry.event(**{field.name: known[field.name] for field in fields(entry.event)})


def application_of(service: str) -> Application:
    """The service's application, storing in memory."""
    module = import_module(f"{service}.application")
    (cls,) = (
        found
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, Application) and found.name == service
    )
    return cls()


@pytest.mark.parametrize("told", TOLD, ids=by_name)
def test_a_stored_event_is_told_as_its_golden_message_to_the_byte(told):
    contracts, entry = told
    expected = golden(contracts.service, entry.routing_key)
    mapper = application_of(contracts.service).mapper

    stored = mapper.to_stored_event(happened(contracts, entry))
    data = entry.schema().dump(entry.data(mapper.to_domain_event(stored)))

    assert wire.encode(data) == wire.encode(expected)


@pytest.mark.parametrize("told", TOLD, ids=by_name)
def test_a_golden_message_is_valid_and_says_what_it_happened_to(told):
    contracts, entry = told
    expected = golden(contracts.service, entry.routing_key)

    assert entry.schema().validate(expected) == {}
    assert expected[entry.subject] is not None
    assert entry.schema().validate({**expected, "unheard_of": 1}) != {}


@pytest.mark.feature("SYS-06")
@pytest.mark.parametrize("told", TOLD, ids=by_name)
def test_an_event_names_its_store_unless_it_belongs_to_the_chain(told):
    _, entry = told
    named = {field for field in entry.schema().fields if field.endswith("store_id")}

    assert bool(named) != (by_name(told) in OF_THE_CHAIN)


def test_every_golden_message_belongs_to_a_published_event():
    published = {path_of(contracts.service, entry.routing_key) for contracts, entry in TOLD}

    assert set(kept()) == published


def test_an_event_is_published_under_one_name():
    names = [by_name(told) for told in TOLD]
    events = [(get_topic(entry.event), entry.version) for _, entry in TOLD]

    assert len(set(names)) == len(names)
    assert len(set(events)) == len(events)


def test_a_published_version_never_changes():
    now = {str(path.relative_to(HERE)): hash_of(path) for path in kept()}

    told = {name: digest for name, digest in locked().items() if "/stored/" not in name}
    changed = {name for name, digest in told.items() if now.get(name) != digest}
    unlocked = {name for name in now if name not in locked()}

    assert not changed, (
        f"{sorted(changed)} differ from what was published. Readers hold on to it: put the file"
        " back, and add the new shape as the next version beside it (order_paid.v2.json)."
    )
    assert not unlocked, (
        "A new message is locked by appending to tests/contract/golden.lock:\n"
        + "\n".join(f"{now[name]}  {name}" for name in sorted(unlocked))
    )
