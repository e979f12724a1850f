"""The envelope is the same, byte for byte, however often it is made, and nothing else is read."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pomona import wire
from pomona.envelope import Malformed, seal, unseal

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
EXTENSIONS = ("actor", "correlationid", "causationid", "traceparent")
SEALED = st.builds(
    lambda service, name, position, gap, data, cause, at: {
        "service": service,
        "type": f"pomona.{service}.{name}.v1",
        "subject": "s-1",
        "time": at,
        "position": position,
        "previous": max(0, position - gap),
        "data": data,
        "cause": cause,
    },
    NAMES,
    NAMES,
    st.integers(1, 2**62),
    st.integers(1, 1000),
    st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**63 - 1), max_size=5),
    st.dictionaries(st.sampled_from(EXTENSIONS), st.text(max_size=20)),
    st.datetimes(timezones=st.just(UTC)),
)


def example(**changes):
    sealed = seal(
        service="orders",
        type="pomona.orders.order_paid.v1",
        subject="s-1",
        time=datetime(2026, 11, 21, tzinfo=UTC),
        position=7,
        previous=3,
        data={"store_id": "st-1", "total_fen": 1280},
        cause={"actor": "cashier-1", "correlationid": "c", "causationid": "k", "traceparent": ""},
    )
    return {**json.loads(sealed.raw), **changes}


@given(SEALED)
def test_an_event_seals_to_the_same_bytes_and_is_read_back(given_event):
    envelope = seal(**given_event)
    again = seal(**given_event)

    read = unseal(envelope.raw)

    assert again.raw == envelope.raw
    assert read == envelope
    assert read.raw == envelope.raw
    assert wire.encode(wire.decode(envelope.raw, limit=2**30)) == envelope.raw


@given(SEALED)
def test_an_effect_passes_on_who_and_from_what(given_event):
    cause = unseal(seal(**given_event).raw).cause

    assert cause["causationid"] == f"{given_event['service']}-{given_event['position']}"
    assert cause["correlationid"] == given_event["cause"].get("correlationid", "")
    assert cause["actor"] == given_event["cause"].get("actor", "")


@pytest.mark.feature("SYS-02")
def test_an_event_is_a_cloudevent():
    message = example()

    assert message == {
        "specversion": "1.0",
        "id": "orders-7",
        "source": "pomona/orders",
        "type": "pomona.orders.order_paid.v1",
        "subject": "s-1",
        "time": "2026-11-21T00:00:00+00:00",
        "datacontenttype": "application/json",
        "position": 7,
        "previous": 3,
        "storeid": "st-1",
        "actor": "cashier-1",
        "correlationid": "c",
        "causationid": "k",
        "data": {"store_id": "st-1", "total_fen": 1280},
    }
    assert unseal(json.dumps(message).encode()).routing_key == "order_paid.v1"


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "0.3"},
        {"source": "orders"},
        {"source": 7},
        {"type": "pomona.inventory.order_paid.v1"},
        {"type": None},
        {"subject": None},
        {"time": 0},
        {"position": 0, "previous": 0},
        {"position": 3},
        {"position": True, "previous": 0},
        {"position": 7.0},
        {"position": "7"},
        {"previous": -1},
        {"previous": None},
        {"data": []},
        {"data": None},
    ],
    ids=str,
)
def test_what_only_looks_like_an_envelope_is_refused(changes):
    with pytest.raises(Malformed):
        unseal(json.dumps(example(**changes)).encode())


@pytest.mark.parametrize("raw", [b"[]", b"null", b"1", b'"x"', b"{}"])
def test_other_json_is_no_envelope(raw):
    with pytest.raises(Malformed):
        unseal(raw)


@given(st.binary(max_size=100))
def test_any_other_bytes_are_refused(raw):
    with pytest.raises((Malformed, wire.Undecodable)):
        unseal(raw)


VERSIONS = [
    # told in, reads, takes
    ((1,), {"order_paid.v1"}, 1),
    ((1, 2), {"order_paid.v1"}, 1),
    ((1, 2), {"order_paid.v2"}, 2),
    ((1, 2), {"order_paid.v1", "order_paid.v2"}, 2),
    ((1, 2), {"order_cancelled.v1"}, 2),
    ((2, 3), {"order_paid.v1"}, 3),
]


@pytest.mark.parametrize(("told", "reads", "takes"), VERSIONS)
def test_a_reader_takes_one_version_of_an_event_the_newest_it_knows(told, reads, takes):
    envelopes = [
        seal(
            service="orders",
            type=f"pomona.orders.order_paid.v{version}",
            subject="s-1",
            time=datetime(2026, 11, 21, tzinfo=UTC),
            position=7,
            previous=3,
            data={},
            cause={},
            other_versions=[other for other in told if other != version],
        )
        for version in told
    ]
    types = {f"pomona.orders.{name}" for name in reads}

    chosen = [unseal(each.raw) for each in envelopes if unseal(each.raw).is_chosen(types)]

    assert [each.version for each in chosen] == [takes]
    assert len({json.loads(each.raw)["id"] for each in envelopes}) == len(told)
    assert [each.cause["causationid"] for each in chosen] == ["orders-7"]


@pytest.mark.parametrize("others", [1, "x", "1,", "0", "01", "-1", "1;2", "１", "9" * 99])
def test_other_versions_are_numbers_or_it_is_no_envelope(others):
    with pytest.raises(Malformed):
        unseal(json.dumps(example(otherversions=others)).encode())
