"""A session renews its token in time, and makes do with the one it has while identity is away."""

import json
from types import SimpleNamespace

import pytest

from pomona import session
from pomona.errors import Refused, Unavailable
from pomona.session import Credentials, Session, broker_hash

ADMITTED = {"session_id": "1", "staff_no": "1017", "role": "cashier", "store_id": None}
TILL = Credentials("t", None, "amqp://terminal-t@localhost/")


class Identity:
    """Answers `renew` with numbered tokens, or not at all."""

    def __init__(self):
        self.renewed = 0
        self.trouble = None

    def ask(self, _service, _method, _request):
        if self.trouble is not None:
            raise self.trouble
        self.renewed += 1
        return {**ADMITTED, "token": f"token {self.renewed}", "seconds": 900}


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(at=0.0)
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: now.at))
    return now


@pytest.fixture
def opened(clock):
    opened = Session(TILL, {**ADMITTED, "token": "token 0", "seconds": 900})
    opened._identity = Identity()
    return opened


def test_a_token_serves_for_half_its_life_and_is_then_renewed(opened, clock):
    clock.at = 449
    assert opened.token() == "token 0"

    clock.at = 450
    assert opened.token() == "token 1"
    clock.at = 899
    assert opened.token() == "token 1"


def test_while_identity_is_away_the_token_at_hand_serves_and_it_is_tried_again(opened, clock):
    opened._identity.trouble = Unavailable()
    clock.at = 450
    assert opened.token() == "token 0"

    opened._identity.trouble = None
    clock.at = 454
    assert opened.token() == "token 0"  # not asked at every call
    clock.at = 455
    assert opened.token() == "token 1"


def test_a_session_that_is_over_is_not_glossed_over(opened, clock):
    opened._identity.trouble = Refused("session_over", "over")
    clock.at = 450

    with pytest.raises(Refused):
        opened.token()


def test_an_enrolment_that_was_interrupted_goes_on_as_it_began(tmp_path):
    file = tmp_path / "till.begun"

    first = session._begun(file, "7KQ2-M0XD-93TH-ZB5C")

    assert session._begun(file, "7KQ2-M0XD-93TH-ZB5C") == first
    assert session._begun(file, "0000-M0XD-93TH-ZB5C") != first
    assert file.stat().st_mode & 0o777 == 0o600
    assert "7KQ2" not in json.dumps(first)


def test_the_broker_is_told_a_salted_hash():
    assert broker_hash("secret") != broker_hash("secret")
    assert len(broker_hash("secret")) == 48
