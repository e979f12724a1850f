"""Each service's README says what its code can be asked, tells and reads."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from pomona.contracts import Contracts
from pomona_console.catalogue import whole_chain

SERVICES = Path(__file__).parents[2] / "services"
CHAIN = whole_chain()
Row = tuple[str, ...]


def by_service(contracts: Contracts) -> str:
    return contracts.service


@pytest.mark.parametrize("contracts", CHAIN, ids=by_service)
def test_the_readme_lists_every_request(contracts):
    rows = table_of(contracts.service, "Requests", ("method", "kind", "roles", "summary"))

    assert rows == [
        (request.method, request.kind, ", ".join(request.roles), request.summary)
        for request in contracts.requests
    ]


@pytest.mark.parametrize("contracts", CHAIN, ids=by_service)
def test_the_readme_lists_every_published_event(contracts):
    rows = table_of(contracts.service, "Published", ("event", "summary"))

    assert rows == [(entry.routing_key, entry.summary) for entry in contracts.published]


@pytest.mark.parametrize("contracts", CHAIN, ids=by_service)
def test_the_readme_lists_every_fact_that_is_read(contracts):
    rows = table_of(contracts.service, "Consumed", ("fact", "from"))

    assert rows == [
        (consumed.type.split(".", 2)[2], consumed.source) for consumed in contracts.consumed
    ]


def table_of(service: str, heading: str, columns: Row) -> list[Row]:
    """The rows under a heading; none where the service has no such heading."""
    text = (SERVICES / service / "README.md").read_text("utf-8")
    _, _, section = text.partition(f"\n## {heading}\n")
    section = section.partition("\n## ")[0]
    rows = list(rows_in(section.splitlines()))
    if not rows:
        return []
    head, _rule, *body = rows
    assert head == columns
    return body


def rows_in(lines: Iterable[str]) -> Iterable[Row]:
    for line in lines:
        if line.startswith("|"):
            yield tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
