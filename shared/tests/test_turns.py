"""Whoever fights over something takes turns, for a while."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from pomona import turns
from pomona.turns import Turns

HOT, COLD = UUID(int=1), UUID(int=2)


def test_nobody_waits_where_nobody_has_fought():
    assert Turns().take(HOT) is None


def test_after_a_fight_the_next_ones_take_turns_at_that_and_at_nothing_else():
    ours = Turns()
    ours.fight([HOT])
    mine = ours.take(HOT)
    yours = []

    def wait():
        turn = ours.take(HOT)
        yours.append(turn)
        turn.release()

    waiting = threading.Thread(target=wait)
    waiting.start()

    assert ours.take(COLD) is None
    assert yours == []
    mine.release()
    waiting.join(10)
    assert yours == [mine]


def test_when_it_has_been_calm_turns_count_no_more(monkeypatch):
    ours = Turns()
    monkeypatch.setattr(turns, "CALM_SECONDS", -1.0)
    ours.fight([HOT])

    assert ours.take(HOT) is None


def test_who_waits_for_each_other_goes_on_without_a_turn(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.05)
    ours = Turns()
    ours.fight([HOT, COLD])
    met = threading.Barrier(2)

    def both(first, second):
        held = ours.take(first)
        met.wait(10)
        got = ours.take(second)
        met.wait(10)
        held.release()
        return got

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(both, HOT, COLD), pool.submit(both, COLD, HOT)
        assert one.result(10) is None
        assert other.result(10) is None


def test_who_waited_longest_is_next_even_if_the_last_one_wants_it_again():
    ours = Turns()
    ours.fight([HOT])
    mine = ours.take(HOT)
    order = []

    def take_it(name):
        turn = ours.take(HOT)
        order.append(name)
        turn.release()

    waiting = []
    for name in ("first", "second"):
        waiting.append(threading.Thread(target=take_it, args=(name,)))
        waiting[-1].start()
        while len(mine._waiting) < len(waiting):
            pass
    mine.release()
    take_it("again")
    for each in waiting:
        each.join(10)

    assert order == ["first", "second", "again"]


@pytest.mark.parametrize("fights", [1, 3])
def test_what_is_calm_again_is_forgotten(monkeypatch, fights):
    ours = Turns()
    monkeypatch.setattr(turns, "CALM_SECONDS", -1.0)
    for _ in range(fights):
        ours.fight([uuid4()])

    assert len(ours._fought_over) == 1
