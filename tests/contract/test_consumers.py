"""What is read is read from what its publisher really tells."""

from typing import Any

import pytest

from pomona.contracts import Consumed, Contracts

from .golden import CHAIN, TOLD, golden

READ = [(contracts, entry) for contracts in CHAIN.values() for entry in contracts.consumed]


def by_reader(read: tuple[Contracts, Consumed]) -> str:
    contracts, consumed = read
    return f"{contracts.service}<-{consumed.type}"


def message_of(consumed: Consumed) -> dict[str, Any]:
    return golden(consumed.source, consumed.type.split(".", 2)[2])


def enriched(value: Any) -> Any:
    """The same with a field more in every object."""
    if isinstance(value, dict):
        return {**{key: enriched(inner) for key, inner in value.items()}, "unheard_of": 1}
    if isinstance(value, list):
        return [enriched(inner) for inner in value]
    return value


@pytest.mark.feature("SYS-02")
@pytest.mark.parametrize("read", READ, ids=by_reader)
def test_a_reader_understands_its_publishers_golden_message(read):
    _, consumed = read

    fact = consumed.read(message_of(consumed))

    assert isinstance(fact, consumed.fact)


@pytest.mark.feature("SYS-02")
@pytest.mark.parametrize("read", READ, ids=by_reader)
def test_a_reader_does_not_mind_what_it_does_not_need(read):
    _, consumed = read

    assert consumed.read(enriched(message_of(consumed))) == consumed.read(message_of(consumed))


def test_every_event_that_is_read_is_published_by_somebody_else():
    published = {entry.type(contracts.service) for contracts, entry in TOLD}

    for contracts, consumed in READ:
        assert consumed.type in published
        assert consumed.source != contracts.service


def test_every_service_reads_an_event_once():
    for contracts in CHAIN.values():
        types = [consumed.type for consumed in contracts.consumed]

        assert len(set(types)) == len(types)


def test_analytics_listens_to_every_service_that_tells_anything():
    # its queues take every event of a source, and its archive keeps also what no view uses
    telling = {contracts.service for contracts, _ in TOLD}

    assert set(CHAIN["analytics"].sources) == telling
