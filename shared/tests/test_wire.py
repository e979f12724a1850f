"""Only strict JSON of a bounded size is read, and refused bytes never appear in an error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pomona import wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_what_was_encoded_is_decoded(message):
    assert wire.decode(wire.encode(message)) == message
    assert json.loads(wire.encode(message)) == message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e400",
        b"\xff",
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b"{'a': 1}",
        b'{"a": 1',
        b"[1, 2,]",
        b"01",
        b"[" * 200_000,
        b"[" * 2000 + b"]" * 2000,
        b"\x80\x04K\x01.",
        b"\xef\xbb\xbf{}",
        b"{} {}",
    ],
    ids=lambda body: ascii(body[:20]),
)
def test_what_is_not_strict_json_is_refused(body):
    with pytest.raises(wire.Undecodable, match="not_json"):
        wire.decode(body)


def test_a_large_body_is_refused_before_it_is_read():
    with pytest.raises(wire.Undecodable, match="too_large"):
        wire.decode(b'"' + b"x" * wire.MAX_BYTES + b'"')
    with pytest.raises(wire.Undecodable, match="too_large"):
        wire.decode(b"[" * (wire.MAX_BYTES + 1))

    assert wire.decode(b'"' + b"x" * (wire.MAX_BYTES - 2) + b'"')


@pytest.mark.parametrize("body", [b"13800138000 is my number", b"x" * (wire.MAX_BYTES + 1)])
def test_a_refusal_says_nothing_of_what_was_refused(body):
    with pytest.raises(wire.Undecodable) as refused:
        wire.decode(body)

    assert str(refused.value) in {"not_json", "too_large"}
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@given(st.integers(2**64, 2**200) | st.integers(-(2**200), -(2**63) - 1))
def test_a_number_that_no_field_can_hold_never_becomes_another_whole_number(number):
    assert not isinstance(wire.decode(str(number).encode()), int)


def test_nothing_in_a_message_is_revived_to_a_python_object():
    envelope = b'{"__type__": "datetime", "__value__": "2026-11-21T00:00:00"}'

    assert wire.decode(envelope) == {"__type__": "datetime", "__value__": "2026-11-21T00:00:00"}
