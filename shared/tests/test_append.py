"""Many callers, one writer: who fails, fails alone, and nobody waits for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent

from pomona.append import Entry, SingleWriter


def entry(aggregate_id=None, version=1, *, seen=(), committed=lambda: None):
    event = StoredEvent(aggregate_id or uuid4(), version, "topic", b"{}")
    return Entry([event], [{}], seen=dict(seen), committed=committed)


class Store:
    """Takes what is written, as a database would: all of a batch or nothing."""

    def __init__(self):
        self.batches = []
        self.rows = set()
        self.refused = set()
        self.lost = None
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def write(self, entries):
        self.entered.set()
        assert self.open.wait(10)
        versions = [version for each in entries for version in each.versions]
        if self.lost is not None:
            raise self.lost
        if self.refused.intersection(versions) or self.rows.intersection(versions):
            raise IntegrityError
        self.rows.update(versions)
        self.batches.append(len(entries))


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def callers():
    with ThreadPoolExecutor(32) as pool:
        yield pool


def held(store, writer, callers, entries):
    """Let a first caller write and the others queue up behind it, in order."""
    store.open.clear()
    store.entered.clear()
    waiting = [callers.submit(writer.append, entry())]
    assert store.entered.wait(10)
    for number, each in enumerate(entries, start=1):
        waiting.append(callers.submit(writer.append, each))
        while len(writer._queue) < number:
            pass
    store.open.set()
    return [outcome(each) for each in waiting[1:]]


def outcome(waiting):
    error = waiting.exception(10)
    return "written" if error is None else type(error).__name__


def test_who_comes_while_one_writes_shares_the_next_transaction(store, callers):
    writer = SingleWriter(store.write)

    outcomes = held(store, writer, callers, [entry() for _ in range(20)])

    assert outcomes == ["written"] * 20
    assert store.batches == [1, 20]


def test_one_that_is_refused_takes_nobody_with_it(store, callers):
    writer = SingleWriter(store.write)
    entries = [entry() for _ in range(5)]
    store.refused.update(entries[2].versions)

    outcomes = held(store, writer, callers, entries)

    assert outcomes == ["written", "written", "IntegrityError", "written", "written"]
    assert len(store.rows) == 5


def test_of_those_who_write_the_same_version_the_first_wins_without_asking_the_store(
    store, callers
):
    writer = SingleWriter(store.write)
    hot = UUID(int=1)

    outcomes = held(store, writer, callers, [entry(hot, 7), entry(hot, 7), entry(), entry(hot, 7)])

    assert outcomes == ["written", "IntegrityError", "written", "IntegrityError"]
    assert store.batches == [1, 2]


def test_who_stands_on_what_another_of_the_batch_changes_has_to_look_again(store, callers):
    writer = SingleWriter(store.write)
    shift = UUID(int=1)
    closes = entry(shift, 8)
    sells = entry(seen={shift: 7})

    assert held(store, writer, callers, [closes, sells]) == ["written", "IntegrityError"]


def test_who_looked_before_another_of_the_batch_changed_it_is_fine(store, callers):
    writer = SingleWriter(store.write)
    shift = UUID(int=1)
    sells = entry(seen={shift: 7})
    closes = entry(shift, 8)

    assert held(store, writer, callers, [sells, closes]) == ["written", "written"]


def test_a_lost_connection_is_told_to_all_and_nothing_is_tried_again(store, callers):
    writer = SingleWriter(store.write)
    store.open.clear()
    first = callers.submit(writer.append, entry())
    assert store.entered.wait(10)
    store.lost = OperationalError("gone")
    store.open.set()

    assert outcome(first) == "OperationalError"
    assert outcome(callers.submit(writer.append, entry())) == "OperationalError"
    assert store.batches == []
    store.lost = None
    writer.append(entry())
    assert store.batches == [1]


def test_a_writer_that_gives_up_leaves_its_followers_in_doubt_and_the_next_one_leads(
    store, callers
):
    writer = SingleWriter(store.write)

    class GaveUp(BaseException):
        pass

    store.lost = GaveUp()
    with pytest.raises(GaveUp):
        writer.append(entry())
    store.lost = None

    writer.append(entry())

    assert store.batches == [1]


def test_everybody_is_told_after_the_commit_and_before_the_caller_goes_on(store):
    told = []
    writer = SingleWriter(store.write)

    writer.append(entry(committed=lambda: told.append(len(store.rows))))

    assert told == [1]


def test_many_who_keep_coming_are_all_written(store, callers):
    writer = SingleWriter(store.write)

    def keep_selling(_):
        for _ in range(50):
            writer.append(entry())

    list(callers.map(keep_selling, range(16)))

    assert len(store.rows) == 800
