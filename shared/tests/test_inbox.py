"""Each event of a source is applied once and in order, whatever the broker does to it.

The broker here drops, repeats and shuffles, and the process dies between the effect and the
acknowledgement; Hypothesis looks for the order of misfortunes that breaks the promise.
"""

import threading
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from pomona import inbox as inbox_module
from pomona.envelope import seal
from pomona.errors import NotYet
from pomona.inbox import CONFLICT_TRIES, Inbox
from pomona.ledger import Advance, Parked, PositionMoved, Unpark

AT = datetime(2026, 11, 21, tzinfo=UTC)
SUBJECTS = ("a", "b", "c")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(inbox_module, "PAUSES", (0, 0, 0))


class Log:
    """The source's log: positions have holes, since private events lie between."""

    def __init__(self):
        self.events = []
        self.answers = True
        self.page = 1000

    def append(self, subject, gap=1):
        previous = self.events[-1].position if self.events else 0
        event = seal(
            service="orders",
            type="pomona.orders.order_paid.v1",
            subject=subject,
            time=AT,
            position=previous + gap,
            previous=previous,
            data={},
            cause={},
        )
        self.events.append(event)
        return event

    def after(self, position, limit):
        if not self.answers:
            raise TimeoutError
        missing = [event for event in self.events if event.position > position]
        return missing[: min(limit, self.page)], len(missing)


class Database:
    """What survives a crash: the position, what is parked, and the effects."""

    def __init__(self):
        self.at = 0
        self.rows = {}
        self.effects = []
        self.broken = set()
        self.in_conflict = set()
        self.lost = False
        self.history = [0]

    # the ledger

    def position(self):
        return self.at

    def parked(self):
        return Counter(row.envelope.subject for row in self.rows.values())

    def park(self, envelope, advance, _reason):
        self._advance(advance)
        self.rows[envelope.position] = Parked(envelope, 0)

    def due(self):
        oldest = {}
        for position in sorted(self.rows):
            oldest.setdefault(self.rows[position].envelope.subject, self.rows[position])
        return list(oldest.values())

    def postpone(self, parked, _reason):
        self.rows[parked.envelope.position] = Parked(parked.envelope, parked.attempts + 1)

    # what a service does with an event

    def apply(self, envelopes, settlement):
        if self.lost:
            raise OperationalError
        for envelope in envelopes:
            if envelope.position in self.in_conflict:
                raise IntegrityError
            if envelope.position in self.broken:
                raise NotYet("something else comes first")
        match settlement:
            case Advance():
                self._advance(settlement)
            case Unpark():
                if self.rows.pop(settlement.position, None) is None:
                    raise PositionMoved
        self.effects += [(envelope.subject, envelope.position) for envelope in envelopes]

    def _advance(self, advance):
        if self.at != advance.expected:
            raise PositionMoved
        self.at = advance.position
        self.history.append(self.at)


def reader(database, log, window=1):
    inbox = Inbox(
        service="inventory",
        source="orders",
        amqp_uri="",
        ledger=database,
        apply=database.apply,
        log_of_source=log,
        window=window,
    )
    inbox.load()
    return inbox


class Misfortunes(RuleBasedStateMachine):
    """A broker between a log and two replicas of a reader, of which one at a time is active."""

    on_the_way = Bundle("on_the_way")

    @initialize(window=st.sampled_from([1, 3, 100]), page=st.sampled_from([1, 2, 1000]))
    def start(self, window, page):
        self.log = Log()
        self.log.page = page
        self.database = Database()
        self.window = window
        self.replicas = [reader(self.database, self.log, window) for _ in range(2)]

    @rule(target=on_the_way, subject=st.sampled_from(SUBJECTS), gap=st.integers(1, 3))
    def publish(self, subject, gap):
        return self.log.append(subject, gap)

    @rule(target=on_the_way, many=st.lists(st.sampled_from(SUBJECTS), min_size=2, max_size=6))
    def publish_many(self, many):
        return multiple(*[self.log.append(subject) for subject in many])

    @rule(events=st.lists(on_the_way, max_size=6), replica=st.integers(0, 1))
    def deliver(self, events, replica):
        """Deliver some of them, again and in any order; the others are lost for now."""
        self._survive(replica, lambda inbox: inbox.receive(events))

    @rule(events=st.lists(on_the_way, min_size=1, max_size=3), replica=st.integers(0, 1))
    def die_before_acknowledging(self, events, replica):
        self._survive(replica, lambda inbox: inbox.receive(events))
        self.replicas[replica] = reader(self.database, self.log, self.window)

    @rule(event=on_the_way)
    def fail_to_handle(self, event):
        if (event.subject, event.position) not in self.database.effects:
            self.database.broken.add(event.position)

    @rule(event=on_the_way)
    def conflict_for_ever(self, event):
        if (event.subject, event.position) not in self.database.effects:
            self.database.in_conflict.add(event.position)

    @precondition(lambda self: self.database.broken or self.database.in_conflict)
    @rule()
    def mend(self):
        self.database.broken.clear()
        self.database.in_conflict.clear()

    @rule(answers=st.booleans())
    def the_source_answers(self, answers):
        self.log.answers = answers

    @rule(lost=st.booleans())
    def the_database_is_lost(self, lost):
        self.database.lost = lost

    @rule(replica=st.integers(0, 1))
    def look_around_while_quiet(self, replica):
        for _ in range(2):
            self._pulse(replica)

    def _pulse(self, replica):
        self.replicas[replica]._next_pulse = 0.0
        self._survive(replica, lambda inbox: inbox._pulse(idle=True))

    def _survive(self, replica, do):
        """Run as `Inbox.run` does: whatever interrupts it, it reads its position again."""
        try:
            do(self.replicas[replica])
        except (PositionMoved, TimeoutError, OperationalError):
            self.replicas[replica].load()

    @invariant()
    def nothing_is_applied_twice(self):
        effects = self._of_database("effects")
        assert len(effects) == len(set(effects))

    @invariant()
    def order_is_kept_for_each_subject(self):
        positions = defaultdict(list)
        for subject, position in self._of_database("effects"):
            positions[subject].append(position)
        for subject, applied in positions.items():
            known = [event.position for event in self.log.events if event.subject == subject]
            assert applied == known[: len(applied)]

    @invariant()
    def the_position_only_moves_forward(self):
        history = self._of_database("history")
        assert history == sorted(set(history))

    @invariant()
    def whatever_lies_behind_the_position_was_applied_or_is_parked(self):
        if not hasattr(self, "database"):
            return
        behind = {event.position for event in self.log.events if event.position <= self.database.at}
        applied = {position for _, position in self.database.effects}
        assert behind == applied | set(self.database.rows)
        assert not applied & set(self.database.rows)

    def _of_database(self, name):
        return getattr(self.database, name) if hasattr(self, "database") else []

    def teardown(self):
        """When misfortune ends, everything arrives by itself."""
        self.mend()
        self.log.answers, self.database.lost = True, False
        for _ in range(2 * len(self.log.events) + 2):
            self._pulse(0)
        assert not self.database.rows
        assert len(self.database.effects) == len(self.log.events)
        self.nothing_is_applied_twice()
        self.order_is_kept_for_each_subject()


TestMisfortunes = Misfortunes.TestCase
TestMisfortunes.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def database():
    return Database()


def test_what_the_log_gave_while_a_gap_was_filled_is_not_applied_again(database, log):
    events = [log.append(subject) for subject in "abcab"]

    reader(database, log).receive([events[2], events[4]])

    assert [position for _, position in database.effects] == [1, 2, 3, 4, 5]
    assert database.history == [0, 1, 2, 3, 4, 5]


def test_a_failing_event_stops_its_subject_and_nobody_else(database, log):
    events = [log.append(subject) for subject in "abaab"]
    database.broken.add(1)

    reader(database, log).receive(events)

    assert database.effects == [("b", 2), ("b", 5)]
    assert sorted(database.rows) == [1, 3, 4]


def test_a_mended_subject_catches_up_in_order_at_once(database, log):
    inbox = reader(database, log)
    database.broken.add(1)
    inbox.receive([log.append(subject) for subject in "aaab"])
    database.broken.clear()

    inbox._pulse(idle=False)
    inbox.receive([log.append("a")])

    assert database.effects == [("b", 4), ("a", 1), ("a", 2), ("a", 3), ("a", 5)]


def test_one_bad_event_of_a_batch_is_found_and_the_others_are_applied(database, log):
    events = [log.append(subject) for subject in "abcd"]
    database.broken.add(2)

    reader(database, log, window=100).receive(events)

    assert [subject for subject, _ in database.effects] == ["a", "c", "d"]
    assert list(database.rows) == [2]


def test_a_batch_does_not_overtake_a_parked_event_of_its_subject(database, log):
    inbox = reader(database, log, window=100)
    database.broken.add(1)
    inbox.receive([log.append("a"), log.append("b")])

    inbox.receive([log.append("a"), log.append("b")])

    assert database.effects == [("b", 2), ("b", 4)]


def test_an_event_that_conflicts_with_a_command_is_tried_again(database, log):
    conflicts = iter([True] * CONFLICT_TRIES)

    class Contended(Database):
        def apply(self, envelopes, settlement):
            if next(conflicts, False):
                raise IntegrityError
            super().apply(envelopes, settlement)

    contended = Contended()
    reader(contended, log).receive([log.append("a")])

    assert contended.effects == [("a", 1)]


def test_an_event_that_conflicts_for_ever_is_parked(database, log):
    database.in_conflict.add(1)

    reader(database, log).receive([log.append("a"), log.append("b")])

    assert list(database.rows) == [1]
    assert database.effects == [("b", 2)]


def test_a_replica_that_was_overtaken_applies_nothing(database, log):
    first, second = reader(database, log), reader(database, log)
    event = log.append("a")
    first.receive([event])

    with pytest.raises(PositionMoved):
        second.receive([event])

    assert database.effects == [("a", 1)]


def test_a_source_that_does_not_answer_leaves_everything_as_it_is(database, log):
    log.append("a")
    log.answers = False

    with pytest.raises(TimeoutError):
        reader(database, log).receive([log.append("b")])

    assert database.effects == []
    assert database.at == 0


def test_an_event_whose_past_its_source_does_not_know_is_dropped_and_stops_nobody(database, log):
    first = log.append("a")
    forged = replace(first, position=99, previous=98, subject="b")
    inbox = reader(database, log)

    inbox.receive([first, forged])
    inbox.receive([log.append("c")])

    assert database.effects == [("a", 1), ("c", 2)]
    assert database.at == 2


def test_stopping_ends_the_wait_of_a_failing_event(database, log, monkeypatch):
    monkeypatch.setattr(inbox_module, "PAUSES", (60,))
    database.broken.add(1)
    inbox = reader(database, log)
    stopped = threading.Timer(0.05, inbox.stop)
    stopped.start()

    inbox.receive([log.append("a")])

    stopped.join()
    assert list(database.rows) == [1]
