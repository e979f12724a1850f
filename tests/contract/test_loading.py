"""The golden messages are loaded and dumped quickly, and as marshmallow alone would do it."""

import pytest

from pomona.contracts import loader_of
from pomona.loading import dumper

from .golden import TOLD, by_name, golden
from .test_consumers import READ, by_reader, message_of


@pytest.mark.parametrize("read", READ, ids=by_reader)
def test_a_golden_message_loads_as_marshmallow_loads_it(read):
    _, consumed = read

    quickly = loader_of(consumed.schema)(message_of(consumed))

    assert quickly == consumed.schema().load(message_of(consumed))


@pytest.mark.parametrize("told", TOLD, ids=by_name)
def test_a_published_event_is_dumped_as_marshmallow_dumps_it(told):
    contracts, entry = told
    values = entry.schema().load(golden(contracts.service, entry.routing_key))

    quickly = dumper(entry.schema())(values)

    assert quickly == entry.schema().dump(values)
    assert list(quickly) == list(entry.schema().dump(values))
