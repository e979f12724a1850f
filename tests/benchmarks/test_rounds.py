"""A figure is a ratio within a round, and a round counts only where the disk stayed the same."""

import pytest

from benchmarks.rounds import Void, Weather, percentiles, play, require


def weathers(*milliseconds):
    told = iter(milliseconds)
    return lambda: Weather(next(told), 0.0)


def turn(*per_second):
    told = iter(per_second)
    return lambda: {"per_second": next(told)}


def quietly(_):
    pass


def test_contenders_take_turns_and_the_median_of_the_ratios_counts():
    played = play(
        {"ours": turn(10, 30, 20), "raw": turn(10, 10, 10)},
        weathers(1, 1, 1, 1),
        rounds=3,
        tell=quietly,
    )

    assert played.ratio("ours", "raw") == 2
    assert played.discarded == 0


def test_a_round_in_which_the_disk_changed_is_played_again():
    played = play({"ours": turn(1, 2)}, weathers(1, 1.6, 1.6), rounds=1, tell=quietly)

    assert played.discarded == 1
    assert played.rounds[0].figures["ours"]["per_second"] == 2


def test_a_disk_that_never_settles_is_told_and_not_waited_for():
    played = play({"ours": turn(1, 2)}, weathers(1, 2, 4), rounds=1, tell=quietly)

    assert (played.discarded, played.unsteady) == (1, 1)


def test_percentiles_are_of_the_calls_themselves():
    assert percentiles([0.001] * 98 + [0.5, 1.0]) == {
        "p50_ms": 1.0,
        "p95_ms": 1.0,
        "p99_ms": 1000.0,
    }


def test_what_is_not_so_voids_the_figure():
    with pytest.raises(Void, match="2 of 3"):
        require(False, "2 of 3")
