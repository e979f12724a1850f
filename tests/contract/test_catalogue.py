"""The generated documents are fresh, and the AsyncAPI document is one."""

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT7

from pomona.envelope import seal
from pomona_console.catalogue import DOCS, documents

from .golden import CHAIN, HERE, TOLD, by_name, golden
from .test_publishers import NOW


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text("utf-8"))
    return tree


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.name))
def test_a_document_is_fresh(path):
    assert documents()[path] == path.read_text("utf-8"), "run `make docs`"


def test_the_document_follows_asyncapi_3(document):
    schema = json.loads((HERE / "asyncapi-3.0.0.schema.json").read_text("utf-8"))

    problem = best_match(Draft7Validator(schema).iter_errors(document))

    assert problem is None, f"{list(problem.path)}: {problem.message}"


def test_every_reference_leads_somewhere(document):
    for reference in references_in(document):
        at: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in at, reference
            at = at[step]


def test_every_schema_is_json_schema(document):
    for schema in document["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_every_event_and_every_request_is_in_it(document):
    requests = {f"{c.service}.{request.method}" for c in CHAIN.values() for request in c.requests}

    assert set(document["components"]["messages"]) == {
        "answer",
        *(by_name(told) for told in TOLD),
        *requests,
    }
    assert requests < set(document["operations"])


@pytest.mark.parametrize("told", TOLD, ids=by_name)
def test_what_is_sent_is_what_the_document_says(document, told):
    contracts, entry = told
    message = json.loads(
        seal(
            service=contracts.service,
            type=entry.type(contracts.service),
            subject=golden(contracts.service, entry.routing_key)[entry.subject],
            time=NOW,
            position=7,
            previous=5,
            data=golden(contracts.service, entry.routing_key),
            cause={"actor": "cashier-17", "correlationid": "c-1", "causationid": "orders-3"},
        ).raw
    )

    validator = validator_of(document, f"#/components/messages/{by_name(told)}/payload")

    assert list(validator.iter_errors(message)) == []
    message["data"]["unheard_of"] = 1
    assert list(validator.iter_errors(message)) != []


def validator_of(document: dict[str, Any], reference: str) -> Draft7Validator:
    registry = Registry().with_resource("urn:pomona", DRAFT7.create_resource(document))
    return Draft7Validator(
        {"$ref": f"urn:pomona{reference}"}, registry=registry, format_checker=FormatChecker()
    )


def references_in(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for inner in node.values() for found in references_in(inner)]
    if isinstance(node, list):
        return [found for inner in node for found in references_in(inner)]
    return []
