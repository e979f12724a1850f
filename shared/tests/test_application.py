"""One call in, one commit out - here on the library's store in memory."""

from datetime import UTC, date, datetime
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from eventsourcing import popo
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError
from eventsourcing.utils import get_topic, resolve_topic
from hypothesis import given
from hypothesis import strategies as st

from pomona.application import Application, Command, request_hash
from pomona.identity import Actor

TERMINAL = UUID(int=9)


class Lot(Aggregate):
    class Received(Aggregate.Created):
        grams: int
        best_before: date

    class Sold(Aggregate.Event):
        grams: int

    @event(Received)
    def __init__(self, grams, best_before):
        self.grams = grams
        self.best_before = best_before

    @event(Sold)
    def sell(self, grams):
        self.grams -= grams


class Till(Aggregate):
    pass


class Recorder(popo.POPOApplicationRecorder):
    """Does what belongs to a commit within it, like the real one."""

    def __init__(self):
        super().__init__()
        self.causes = []

    def append(self, entry):
        self._assert_uniqueness(entry.events)
        if entry.within is not None:
            entry.within(self)
        self.causes.extend(entry.causes)
        self.insert_events(entry.events)
        entry.committed()


class Factory(popo.POPOFactory):
    def application_recorder(self):
        return Recorder()


class Shop(Application):
    name = "shop_in_memory"
    aggregates: ClassVar = {"Lot": Lot, "Till": Till}


class Once:
    """A cause that can be settled once."""

    def __init__(self):
        self.answers = []

    within = None

    def stamp(self):
        return {"actor": "p-1"}

    def row(self, answer):
        if self.answers:
            raise IntegrityError
        self.answers.append(dict(answer))


@pytest.fixture
def shop():
    remembered = []
    woken = []
    shop = Shop(
        {"PERSISTENCE_MODULE": __name__},
        remember=lambda happening, _cursor: remembered.append(happening),
        committed=lambda: woken.append(True),
    )
    shop.remembered, shop.woken = remembered, woken
    return shop


def test_everything_of_a_command_is_committed_together(shop):
    lot, till = Lot(1000, date(2026, 11, 30)), Till()
    lot.sell(300)
    cause = Once()

    answer = shop.commit(cause, lot, till, answer={"left": 700})

    assert answer == {"left": 700}
    assert cause.answers == [{"left": 700}]
    assert shop.recorder.causes == [{"actor": "p-1"}] * 3
    assert [type(happening) for happening in shop.remembered] == [
        Lot.Received,
        Lot.Sold,
        Till.Created,
    ]
    assert shop.get(Lot, lot.id).grams == 700
    assert shop.get(Lot, lot.id).best_before == date(2026, 11, 30)
    assert shop.woken == [True]


def test_a_cause_that_was_settled_before_changes_nothing(shop):
    cause = Once()
    shop.commit(cause, Till())
    lot = Lot(1000, date(2026, 11, 30))

    with pytest.raises(IntegrityError):
        shop.commit(cause, lot)

    assert shop.get(Lot, lot.id) is None
    assert shop.woken == [True]


def test_a_command_that_changes_nothing_is_still_settled(shop):
    cause = Once()

    assert shop.commit(cause) == {}
    assert cause.answers == [{}]
    assert shop.woken == []


def test_two_who_changed_the_same_thing_do_not_both_win(shop):
    lot = Lot(1000, date(2026, 11, 30))
    shop.commit(Once(), lot)
    mine, yours = shop.get(Lot, lot.id), shop.get(Lot, lot.id)
    mine.sell(600)
    yours.sell(600)
    shop.commit(Once(), mine)

    with pytest.raises(IntegrityError):
        shop.commit(Once(), yours)

    assert shop.get(Lot, lot.id).grams == 400


def test_an_id_of_something_else_is_nothing(shop):
    till = Till()
    shop.commit(Once(), till)

    assert shop.get(Lot, till.id) is None
    assert shop.get(Till, uuid4()) is None


def test_stored_names_outlive_the_modules_they_stand_in():
    assert get_topic(Lot.Sold) == "shop_in_memory.Lot.Sold"
    assert get_topic(Lot) == "shop_in_memory.Lot"
    assert resolve_topic("shop_in_memory.Lot.Received") is Lot.Received
    assert get_topic(Till.Created) == "shop_in_memory.Till.Created"


def test_a_caller_is_the_person_and_the_terminal():
    def sent_by(actor):
        at = datetime(2026, 11, 21, tzinfo=UTC)
        return Command(uuid4(), "sell", {}, actor, None, at, "c", b"").caller

    assert sent_by(Actor("p", "head_office")) != sent_by(
        Actor("p", "head_office", terminal_id=TERMINAL)
    )
    assert sent_by(Actor("p", "head_office")) == sent_by(Actor("p", "head_office"))


REQUEST = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.integers(0, 9) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)


def backwards(value):
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [backwards(inner) for inner in value]
    return value


@given(REQUEST)
def test_the_same_request_has_the_same_hash_however_its_fields_are_ordered(request):
    assert request_hash("sell", backwards(request)) == request_hash("sell", request)


@given(REQUEST, REQUEST)
def test_another_request_has_another_hash(one, other):
    assert (request_hash("sell", one) == request_hash("sell", other)) == (one == other)
    assert request_hash("sell", one) != request_hash("buy", one)


def test_a_repeat_may_expire_later():
    one, later = {"a": 1, "expires_at": "x"}, {"a": 1, "expires_at": "y"}

    assert request_hash("sell", one) == request_hash("sell", later)
