"""A command that comes again too late is answered as before; one that comes first, refused."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError

from pomona.application import Attempt
from pomona.call import CONFLICTS, LONGEST_CALL_SECONDS, PAUSE_SECONDS, Call
from pomona.contracts import Request
from pomona.errors import Conflict, Expired
from pomona.fields import RequestSchema
from pomona.identity import Actor

SOLD = Request("sell", RequestSchema, ("head_office",), "Sell.", "command")
LATER, EARLIER = (
    (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat() for minutes in (60, -60)
)


class Stored:
    """An application that has carried out some commands, or none."""

    def __init__(self, answer):
        self.answer = answer
        self.attempts = []

    @contextmanager
    def attempt(self, *, afresh):
        self.attempts.append(afresh)
        yield Attempt(afresh=afresh)

    def answer_to(self, command):
        return self.answer

    def hash_of(self, method, request):
        return b""


def call(*, stored=None, expires_at=LATER, timeout=10.0):
    office = Actor("anna", "head_office")
    spine = SimpleNamespace(
        application=Stored(stored), identities=SimpleNamespace(caller=lambda *_: office)
    )
    return Call(
        contract=SOLD,
        spine=spine,
        headers={"nameko.timeout": f"{timeout}"},
        kwargs={"command_id": str(uuid4()), "expires_at": expires_at},
    )


def sell(_command):
    return {"sold": "now"}


def test_a_command_in_time_is_carried_out():
    assert call().exactly_once(sell) == {"sold": "now"}


@pytest.mark.parametrize("late", [{"expires_at": EARLIER}, {"timeout": -1}])
def test_a_command_that_comes_too_late_is_not_carried_out(late):
    with pytest.raises(Expired):
        call(**late).exactly_once(sell)


@pytest.mark.parametrize("late", [{"expires_at": EARLIER}, {"timeout": -1}])
def test_a_command_that_was_carried_out_is_answered_as_before_however_late(late):
    assert call(stored={"sold": "then"}, **late).exactly_once(sell) == {"sold": "then"}


def test_a_question_that_nobody_waits_for_any_more_is_not_answered():
    with pytest.raises(Expired):
        call(timeout=-1).question()


def at_a_till(clock_off_by):
    """Return the command of a till that waits 5 seconds, by its own clock."""
    till_time = datetime.now(UTC) + timedelta(seconds=clock_off_by)
    return call(expires_at=(till_time + timedelta(seconds=5)).isoformat(), timeout=5)


@pytest.mark.parametrize("seconds", [-60, -50, 50, 2 * 86_400])
def test_a_till_whose_clock_is_a_minute_slow_or_fast_at_all_is_served(seconds):
    assert at_a_till(clock_off_by=seconds).exactly_once(sell) == {"sold": "now"}


def test_a_till_whose_clock_is_slower_than_a_minute_is_refused():
    with pytest.raises(Expired) as refused:
        at_a_till(clock_off_by=-70).exactly_once(sell)

    assert refused.value.field == "expires_at"


@pytest.mark.parametrize("said", ["soon", "nan", "inf", "1e9", None])
def test_nobody_is_waited_for_longer_than_the_longest_call(said):
    assert call(timeout=said).seconds_left <= LONGEST_CALL_SECONDS


def test_what_the_store_refuses_every_time_ends_as_a_conflict_and_not_at_the_deadline():
    refused = call()

    def clash(_command):
        raise IntegrityError

    with pytest.raises(Conflict):
        refused.exactly_once(clash)

    assert refused.spine.application.attempts == [False] + [True] * (CONFLICTS - 1)


def test_a_database_that_fails_is_asked_again_only_after_a_pause(monkeypatch):
    pauses = []
    monkeypatch.setattr("pomona.call.time.sleep", pauses.append)
    failing = call()

    def full_disk(_command):
        if len(failing.spine.application.attempts) < 3:
            raise OperationalError
        return {"sold": "now"}

    assert failing.exactly_once(full_disk) == {"sold": "now"}
    assert pauses == [PAUSE_SECONDS] * 2
