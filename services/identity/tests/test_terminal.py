"""A terminal is let in once, with a code that is fresh, until it is revoked."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from identity.domain.errors import AlreadyEnrolled, CodeNotValid, TerminalRevoked
from identity.domain.terminal import Terminal

NOW = datetime(2026, 11, 21, 3, 10, tzinfo=UTC)


def announced() -> Terminal:
    return Terminal.announce(terminal_id=uuid4(), store_id=uuid4(), at=NOW)


def test_a_code_is_good_for_a_day_and_not_a_second_longer() -> None:
    in_time, late = announced(), announced()

    in_time.enrol(at=NOW + timedelta(hours=23, minutes=59))
    with pytest.raises(CodeNotValid):
        late.enrol(at=NOW + timedelta(hours=24))

    assert in_time.is_ours
    assert not late.is_ours


def test_a_code_is_used_once() -> None:
    terminal = announced()
    terminal.enrol(at=NOW)

    with pytest.raises(CodeNotValid):
        terminal.enrol(at=NOW)


def test_a_code_that_expired_can_be_replaced_also_for_another_store() -> None:
    terminal, store_id = announced(), uuid4()

    terminal.replace_code(store_id=store_id, at=NOW + timedelta(days=3))
    terminal.enrol(at=NOW + timedelta(days=3, hours=1))

    assert terminal.store_id == store_id
    with pytest.raises(AlreadyEnrolled):
        terminal.replace_code(store_id=store_id, at=NOW + timedelta(days=4))


def test_a_revoked_terminal_never_comes_back() -> None:
    terminal = announced()
    terminal.enrol(at=NOW)

    terminal.revoke(at=NOW)

    assert not terminal.is_ours
    with pytest.raises(CodeNotValid):
        terminal.enrol(at=NOW)
    with pytest.raises(TerminalRevoked):
        terminal.replace_code(store_id=None, at=NOW)
    with pytest.raises(TerminalRevoked):
        terminal.revoke(at=NOW)
