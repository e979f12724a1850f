"""One trace from the till to the last effect, and one line in the log for every call."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from pomona import trace
from pomona_console.stack import Stack

from .chassis_shop import eventually
from .corner_shop import CornerShop, rows
from .raw_caller import RawCaller, metric

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shop(stack: Stack) -> CornerShop:
    opened = CornerShop(stack)
    opened.open()
    return opened


def lines_of(stack: Stack, service: str) -> Iterator[dict[str, Any]]:
    for line in stack.layout.log(service).read_text("utf-8").splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def cause_of(stack: Stack, service: str, topic: str, order_id: UUID) -> dict[str, str]:
    """Return why an event that speaks of an order was stored."""
    statement = (
        f"SELECT cause FROM {service}_events WHERE topic = %s AND position(%s::bytea IN state) > 0"
    )
    found: list[tuple[Any, ...]] = eventually(
        lambda: rows(stack.databases[service], statement, topic, order_id.hex.encode())
    )
    cause: dict[str, str] = found[0][0]
    return cause


def test_a_trace_goes_from_the_till_through_the_events_of_two_services(
    stack: Stack, shop: CornerShop
) -> None:
    order_id = uuid4()

    shop.sell(order_id=order_id)

    (paid,) = [
        line
        for line in lines_of(stack, "orders")
        if line["event"] == "call" and line["method"] == "place_order"
    ][-1:]
    statement = "SELECT cause, notification_id FROM orders_events WHERE originator_id = %s"
    (sale, position), *_ = rows(stack.databases["orders"], statement, order_id)
    effect = cause_of(stack, "inventory", "inventory.Stock.Sold", order_id)
    assert trace.trace_id(sale["traceparent"]) == paid["trace_id"]
    assert trace.trace_id(effect["traceparent"]) == paid["trace_id"]
    assert effect["traceparent"] != sale["traceparent"]
    assert effect["correlationid"] == sale["correlationid"] == paid["correlation_id"]
    assert effect["causationid"] == f"orders-{position}"
    assert eventually(
        lambda: [
            line
            for line in lines_of(stack, "inventory")
            if line["event"] == "event_applied" and line["trace_id"] == paid["trace_id"]
        ]
    )


def test_the_line_of_a_command_names_every_id(stack: Stack, shop: CornerShop) -> None:
    shop.sell()

    line = [line for line in lines_of(stack, "orders") if line.get("method") == "place_order"][-1]

    assert line["event"] == "call"
    assert line["actor"] == "manager-1"
    assert line["terminal_id"] == str(shop.terminal_id)
    assert line["store_id"] == str(shop.store_id)
    assert line["outcome"] == "ok"
    assert line["milliseconds"] > 0
    assert {"command_id", "correlation_id", "trace_id"} <= set(line)
    assert str(shop.product_id) not in json.dumps(line)


@pytest.mark.parametrize("header", ["nameko.traceparent", "traceparent"])
def test_a_callers_own_trace_is_continued(stack: Stack, header: str) -> None:
    given = trace.begin()

    with RawCaller(stack) as caller:
        caller.send(headers={header: given, "nameko.causation_id": "offline-queue-7"})
        assert caller.answer()["error"] is None

    (line,) = eventually(
        lambda: [
            line
            for line in lines_of(stack, "orders")
            if line.get("trace_id") == trace.trace_id(given) and line["event"] == "call"
        ]
    )
    assert line["causation_id"] == "offline-queue-7"


def test_a_call_that_is_none_counts_without_the_name_it_gave(stack: Stack) -> None:
    counted = partial(
        metric, stack, "orders", "pomona_rpc_requests_total", method="unknown", outcome="invalid"
    )
    before = counted()

    with RawCaller(stack) as caller:
        caller.send(key="orders.sell_everything")
        assert caller.code() == "unknown_method"

    assert counted() == before + 1
