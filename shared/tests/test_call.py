"""A command that comes again too late is answered as before; one that comes first, refused."""

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest

from pomona.application import Attempt
from pomona.call import Call
from pomona.contracts import Request
from pomona.errors import Expired
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

    @contextmanager
    def attempt(self, *, afresh):
        yield Attempt(afresh=afresh)

    def answer_to(self, command):
        return self.answer

    def hash_of(self, method, request):
        return b""


def call(*, stored=None, expires_at=LATER, seconds_left=10):
    office = Actor("anna", "head_office")
    spine = SimpleNamespace(
        application=Stored(stored), identities=SimpleNamespace(caller=lambda *_: office)
    )
    return Call(
        contract=SOLD,
        spine=spine,
        headers={"nameko.deadline": f"{time.time() + seconds_left}"},
        kwargs={"command_id": str(uuid4()), "expires_at": expires_at},
    )


def sell(_command):
    return {"sold": "now"}


def test_a_command_in_time_is_carried_out():
    assert call().exactly_once(sell) == {"sold": "now"}


@pytest.mark.parametrize("late", [{"expires_at": EARLIER}, {"seconds_left": -1}])
def test_a_command_that_comes_too_late_is_not_carried_out(late):
    with pytest.raises(Expired):
        call(**late).exactly_once(sell)


@pytest.mark.parametrize("late", [{"expires_at": EARLIER}, {"seconds_left": -1}])
def test_a_command_that_was_carried_out_is_answered_as_before_however_late(late):
    assert call(stored={"sold": "then"}, **late).exactly_once(sell) == {"sold": "then"}


def test_a_question_that_nobody_waits_for_any_more_is_not_answered():
    with pytest.raises(Expired):
        call(seconds_left=-1).question()
