"""Every door has a contract that says who may come in and with what, and opens on the code."""

from importlib import import_module
from typing import Any

import pytest
from marshmallow import fields

from pomona.call import CommandSchema
from pomona.contracts import ROLES, Contracts, Request
from pomona.doors import Door
from pomona.fields import RequestSchema
from pomona.identity import STORE_ROLES
from pomona_console.asyncapi import COMMAND
from pomona_console.json_schema import json_schema

from .golden import CHAIN

ASKED = [(contracts, request) for contracts in CHAIN.values() for request in contracts.requests]
FROM_IDENTITY = {"person", "person_id", "cashier_id", "operator_id", "actor", "role", "token"}


def by_method(asked: tuple[Contracts, Request]) -> str:
    contracts, request = asked
    return f"{contracts.service}.{request.method}"


def service_class(service: str) -> type[Any]:
    module = import_module(f"{service}.service")
    (cls,) = (
        found
        for found in vars(module).values()
        if isinstance(found, type) and found.__module__ == module.__name__
    )
    return cls


def is_door(method: Any) -> bool:
    return any(isinstance(each, Door) for each in getattr(method, "nameko_entrypoints", ()))


@pytest.mark.parametrize("service", CHAIN)
def test_every_door_has_a_contract_and_every_contract_a_door(service):
    doors = {name for name, method in vars(service_class(service)).items() if is_door(method)}

    contracts = [request.method for request in CHAIN[service].requests]

    assert len(set(contracts)) == len(contracts)
    assert doors == set(contracts)


@pytest.mark.parametrize("asked", ASKED, ids=by_method)
def test_every_method_says_who_may_call_it(asked):
    _, request = asked

    assert request.roles
    assert len(set(request.roles)) == len(request.roles)
    assert set(request.roles) <= set(ROLES)


@pytest.mark.parametrize("asked", ASKED, ids=by_method)
def test_every_method_says_in_one_sentence_what_it_is_for(asked):
    _, request = asked

    assert request.kind in {"command", "question"}
    assert request.summary[0].isupper()
    assert request.summary.endswith(".")
    assert "\n" not in request.summary


@pytest.mark.parametrize("asked", ASKED, ids=by_method)
def test_a_request_with_an_unknown_field_is_refused(asked):
    _, request = asked
    schema = request.schema()

    assert isinstance(schema, RequestSchema)
    assert "unheard_of" in schema.validate({"unheard_of": 1})
    for nested in nested_in(schema):
        assert "unheard_of" in nested.validate({"unheard_of": 1})


@pytest.mark.parametrize("asked", ASKED, ids=by_method)
def test_who_calls_and_when_is_not_for_the_request_to_say(asked):
    _, request = asked

    assert not set(request.schema().fields) & (FROM_IDENTITY | set(CommandSchema().fields))


@pytest.mark.parametrize("asked", ASKED, ids=by_method)
def test_nobody_who_works_in_a_store_has_to_name_it(asked):
    _, request = asked
    store = request.schema().fields.get("store_id")

    assert store is None or not store.required or not STORE_ROLES & set(request.roles)


def test_the_documents_say_what_every_command_carries():
    head = json_schema(CommandSchema())

    assert head["properties"] == COMMAND
    assert head["required"] == list(COMMAND)


def test_analytics_changes_nothing_by_being_asked():
    assert {request.kind for request in CHAIN["analytics"].requests} == {"question"}


def nested_in(schema: Any) -> list[Any]:
    found = []
    for field in schema.fields.values():
        inner = field.inner if isinstance(field, fields.List) else field
        if isinstance(inner, fields.Nested):
            found += [inner.schema, *nested_in(inner.schema)]
    return found
