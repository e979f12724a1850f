"""The golden messages are loaded quickly, and as marshmallow alone would load them."""

import pytest

from pomona.contracts import loader_of

from .test_consumers import READ, by_reader, message_of


@pytest.mark.parametrize("read", READ, ids=by_reader)
def test_a_golden_message_loads_as_marshmallow_loads_it(read):
    _, consumed = read

    quickly = loader_of(consumed.schema)(message_of(consumed))

    assert quickly == consumed.schema().load(message_of(consumed))
