"""The report says what was reached, what was not, and what is void."""

from benchmarks.report import Goal, Outcome, shares, write
from benchmarks.rounds import Played, Round, Weather

CALM = Weather(1.0, 0.5)


def outcome(ours, *, correct=True):
    played = Played(
        [Round({"ours": {"per_second": ours}, "raw": {"per_second": 10.0}}, CALM, CALM)], 0, 0
    )
    found = Outcome(what="work", goals=(Goal("raw", least=0.8), Goal("late ms", most=5)))
    found.add("game", played, "ours", {"raw": "raw"})
    found.figures["late ms"] = 5
    found.correct = correct
    return found


def test_a_goal_is_met_by_work_that_was_done_correctly():
    assert outcome(8.0).met
    assert not outcome(7.9).met
    assert not outcome(8.0, correct=False).met


def test_a_report_of_one_cell_keeps_what_others_found_before(tmp_path):
    write(tmp_path, {"P2": outcome(8.0)})

    told = write(tmp_path, {"P1": outcome(4.0)})

    assert list(told["cells"]) == ["P1", "P2"]
    assert told["cells"]["P1"]["ratios"] == {"raw": 0.4}
    assert "| P1 | raw | 0.40 | >= 0.8 | **no** | yes |" in (tmp_path / "report.md").read_text()


def test_the_chart_shows_how_far_each_goal_was_reached(tmp_path):
    told = write(tmp_path, {"P1": outcome(4.0)})

    assert shares(told) == [("P1 raw", 0.5), ("P1 late ms", 1.0)]
    assert (tmp_path / "report.svg").read_text().count("<rect") == 3


def test_a_void_figure_has_no_bar(tmp_path):
    told = write(tmp_path, {"P1": outcome(80.0, correct=False)})

    assert [share for _, share in shares(told)] == [0.0, 0.0]
