"""The oracle itself: it must see what is lost, doubled or unexpected, or it is worth nothing."""

import json
from uuid import UUID

from .history import History, Sent, read
from .nemesis import schedule
from .oracle import compare

ID = UUID(int=1)
PAID = [(ID, "orders.Order.Paid")]
ANSWER = {"receipt_no": "S0-1"}


def sent(fate, *answers, code=""):
    command = Sent(ID, "orders", "place_order", {}, 0, 0.0, fate, code, list(answers))
    return {ID: command}


def test_what_was_acknowledged_and_stored_is_clean():
    assert compare(sent("acked", ANSWER, ANSWER), {ID: ANSWER}, PAID).clean


def test_what_was_acknowledged_and_is_not_stored_is_lost():
    assert compare(sent("acked", ANSWER), {}, []).lost


def test_what_was_acknowledged_without_an_effect_is_lost():
    assert compare(sent("acked", ANSWER), {ID: ANSWER}, []).lost


def test_two_effects_of_one_command_are_a_duplicate():
    assert compare(sent("acked", ANSWER), {ID: ANSWER}, PAID + PAID).duplicated


def test_an_answer_that_changed_is_unexpected():
    assert compare(sent("acked", ANSWER, {"receipt_no": "S0-2"}), {ID: ANSWER}, PAID).unexpected


def test_a_refusal_of_what_was_applied_is_unexpected():
    assert compare(sent("failed", code="expired"), {ID: ANSWER}, PAID).unexpected


def test_an_effect_without_its_command_is_unexpected():
    assert compare(sent("unknown"), {}, PAID).unexpected


def test_what_nobody_sent_is_unexpected_unless_it_is_known():
    assert compare({}, {ID: ANSWER}, []).unexpected
    assert compare({}, {ID: ANSWER}, [], known=[ID]).clean


def test_an_open_fate_may_be_applied_or_not():
    assert compare(sent("unknown"), {ID: ANSWER}, PAID).recovered == 1
    assert compare(sent("unknown"), {}, []).never_applied == 1


def test_a_history_is_read_as_it_was_written(tmp_path):
    history = History(tmp_path / "clerk-2.jsonl")
    history.sent(ID, "orders", "place_order", {"order_id": "o"})
    history.unknown(ID, "no_answer")
    history.acked(ID, ANSWER)
    history.close()

    (found,) = read([tmp_path / "clerk-2.jsonl"]).values()

    assert (found.fate, found.answers, found.till) == ("acked", [ANSWER], 2)
    assert json.loads((tmp_path / "clerk-2.jsonl").read_text().splitlines()[0])["what"] == "sent"


def test_the_same_seed_strikes_the_same_blows():
    assert schedule(7, 5) == schedule(7, 5)
    assert schedule(7, 5) != schedule(8, 5)
    assert len(schedule(7, 5)) > 30
