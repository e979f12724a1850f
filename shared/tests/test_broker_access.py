"""Who may do what at the broker: every permission says so by name, and nothing by accident."""

import re

import pytest

from pomona.broker_access import (
    RPC_EXCHANGE,
    enrolment_access,
    service_access,
    terminal_access,
)

METHODS = {
    "orders": {
        "pay": ("cashier", "store_manager"),
        "list_stores": ("cashier", "store_manager", "head_office", "analyst"),
        "events_after": ("head_office", "service"),
    },
    "identity": {
        "enrol_terminal": ("enrolment",),
        "log_in": ("terminal",),
        "trust": ("service",),
    },
}
REPLY = "5f0c2a3e-8a3b-4c55-9d0a-0123456789ab"


def may(access, kind, name):
    return re.search(access.permission()[kind], name) is not None


def may_call(access, key):
    return re.search(access.topic_permission()["write"], key) is not None


def test_a_terminal_of_a_store_calls_what_its_people_may_call():
    access = terminal_access("store", METHODS)

    assert may_call(access, "orders.pay")
    assert may_call(access, "orders.list_stores")
    assert may_call(access, "identity.log_in")
    assert not may_call(access, "orders.events_after")
    assert not may_call(access, "identity.trust")
    assert not may_call(access, "identity.enrol_terminal")


def test_a_terminal_of_head_office_sells_nothing():
    access = terminal_access("head_office", METHODS)

    assert may_call(access, "orders.events_after")
    assert may_call(access, "identity.log_in")
    assert not may_call(access, "orders.pay")


@pytest.mark.parametrize(
    "key", ["orders.payment", "xorders.pay", "orders.pay.x", "orders_pay", "", "#", "*", REPLY]
)
def test_a_key_that_only_resembles_an_allowed_one_is_not_allowed(key):
    assert not may_call(terminal_access("store", METHODS), key)


@pytest.mark.parametrize("access", [terminal_access("store", METHODS), enrolment_access(METHODS)])
def test_a_guest_of_the_broker_only_publishes_and_only_calls(access):
    for name in (RPC_EXCHANGE, "rpc-orders", "orders.events", "amq.gen-x", "amq.default"):
        assert not may(access, "configure", name)
        assert not may(access, "read", name)
        assert may(access, "write", name) == (name == RPC_EXCHANGE)
    assert access.topic_permission()["read"] == "^$"


def test_an_unpacked_terminal_can_only_enrol():
    access = enrolment_access(METHODS)

    assert may_call(access, "identity.enrol_terminal")
    assert not may_call(access, "identity.log_in")
    assert not may_call(access, "orders.list_stores")


def test_a_service_makes_its_own_things_and_reads_its_sources():
    access = service_access("inventory", ("orders",), METHODS)

    for own in ("rpc-inventory", "inventory.events", "inventory.from.orders"):
        assert may(access, "configure", own)
        assert may(access, "write", own)
    for foreign in ("rpc-orders", "orders.events", "orders.from.inventory", "nameko-rpc", "x"):
        assert not may(access, "configure", foreign)
    assert not may(access, "write", "orders.events")
    assert not may(access, "write", "rpc-orders")
    assert may(access, "read", "orders.events")
    assert not may(access, "read", "crm.events")
    assert not may(access, "read", "rpc-orders")
    assert not may(access, "read", "dead-letters")


def test_a_service_hears_only_its_own_calls():
    reads = service_access("inventory", ("orders",), METHODS).topic_permission()["read"]

    assert re.search(reads, "inventory.*")
    for key in ("#", "orders.*", "*.*", "inventory.#", "orders.pay", REPLY):
        assert not re.search(reads, key)


def test_a_service_calls_what_services_may_call_and_answers_whoever_asked():
    access = service_access("inventory", ("orders",), METHODS)

    assert may_call(access, "orders.events_after")
    assert may_call(access, "identity.trust")
    assert may_call(access, REPLY)
    assert not may_call(access, "orders.pay")
    assert not may_call(access, "identity.log_in")
