"""A contract is data: names, shapes and who may ask."""

from dataclasses import dataclass
from types import ModuleType
from uuid import UUID, uuid4

import pytest
from marshmallow import ValidationError

from pomona.contracts import Consumed, Published, Request, contracts_of
from pomona.fields import Count, EventSchema, FactSchema, Id, RequestSchema


class SoldV1(EventSchema):
    lot_id = Id(required=True)
    grams = Count(required=True)


class SoldSchema(FactSchema):
    lot_id = Id(required=True)


@dataclass(frozen=True)
class Sold:
    lot_id: UUID


PUBLISHED = Published("stock_sold", 2, Sold, SoldV1, "lot_id", "Sold.", vars)
CONSUMED = Consumed("pomona.inventory.stock_sold.v2", SoldSchema, Sold)


def test_a_published_event_is_named_by_service_event_and_version():
    assert PUBLISHED.routing_key == "stock_sold.v2"
    assert PUBLISHED.type("inventory") == CONSUMED.type
    assert CONSUMED.source == "inventory"


def test_a_fact_holds_only_what_its_reader_needs():
    lot = uuid4()

    assert CONSUMED.read({"lot_id": str(lot), "grams": 500, "new_in_v2": True}) == Sold(lot)


def test_a_fact_that_misses_what_its_reader_needs_is_refused():
    with pytest.raises(ValidationError):
        CONSUMED.read({"grams": 500})


def test_what_is_published_has_exactly_its_shape():
    with pytest.raises(ValidationError):
        SoldV1().load({"lot_id": str(uuid4()), "grams": 5, "more": 1})


def test_contracts_of_a_service_are_collected_from_its_module():
    module = ModuleType("shop.contracts")
    module.REQUESTS = (Request("sell", SoldV1, ("cashier",), "Sell.", "command"),)
    module.CONSUMED = (CONSUMED, Consumed("pomona.crm.a.v1", SoldSchema, Sold), CONSUMED)

    contracts = contracts_of("shop", module)

    assert contracts.sources == ("crm", "inventory")
    assert contracts.published == ()
    assert [request.method for request in contracts.requests] == ["sell"]


@pytest.mark.parametrize("roles", [(), ("owner",)])
def test_a_method_that_does_not_say_who_may_call_it_cannot_be_written_down(roles):
    with pytest.raises(TypeError):
        Request("sell", RequestSchema, roles, "Sell.", "command")
