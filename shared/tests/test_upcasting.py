"""An event that was stored by an earlier version is read as if it had been stored today."""

from typing import Any, ClassVar
from uuid import uuid4

from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import StoredEvent
from hypothesis import given
from hypothesis import strategies as st

from pomona.application import Application
from pomona_console.contract_lock import stored_events


class Crate(Aggregate):
    """Its weight was in kilograms at first, then in grams; then it got an origin."""

    class Packed(Aggregate.Created):
        grams: int
        origin: str

        class_version = 3

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            state["grams"] = state["kilograms"] * 1000

        @staticmethod
        def upcast_v2_v3(state: dict[str, Any]) -> None:
            state["origin"] = "unknown"

    @event(Packed)
    def __init__(self, grams: int, origin: str) -> None:
        self.grams = grams
        self.origin = origin


class Packing(Application):
    name = "packing"
    aggregates: ClassVar = {"Crate": Crate}


MAPPER = Packing().mapper


def stored_as(version: int, kilograms: int) -> StoredEvent:
    """Return what each version would have stored of the same crate."""
    native = MAPPER.to_stored_event(
        Crate(grams=kilograms * 1000, origin="unknown").collect_events()[0]
    )
    state = MAPPER.transcoder.decode(native.state)
    if version < 3:
        del state["origin"], state["class_version"]
    if version == 2:
        state["class_version"] = 2
    if version == 1:
        state["kilograms"] = state.pop("grams") // 1000
    return StoredEvent(uuid4(), 1, native.topic, MAPPER.transcoder.encode(state))


def fold(stored: StoredEvent) -> dict[str, Any]:
    crate: Any = MAPPER.to_domain_event(stored).mutate(None)
    return {"grams": crate.grams, "origin": crate.origin, "version": crate.version}


@given(st.integers(0, 10**6), st.sampled_from([1, 2]))
def test_upcast_then_fold_is_fold_of_what_is_stored_today(kilograms, version):
    assert fold(stored_as(version, kilograms)) == fold(stored_as(3, kilograms))


@given(st.integers(0, 10**6))
def test_what_was_upcast_once_is_stored_natively_from_then_on(kilograms):
    upcast = MAPPER.to_domain_event(stored_as(1, kilograms))

    natively = MAPPER.to_stored_event(upcast)

    assert MAPPER.transcoder.decode(natively.state)["class_version"] == 3
    assert fold(natively) == fold(stored_as(3, kilograms))


def test_a_topic_is_a_name_and_no_place():
    assert stored_as(3, 1).topic == "packing.Crate.Packed"
    assert set(stored_events(Packing)) == {"packing.Crate.Packed"}
