"""The suite of benchmarks works: every cell plays, checks what it did, and stands in the report."""

import pytest

from benchmarks.__main__ import CELLS, run
from benchmarks.report import write
from benchmarks.scale import SMOKE

pytestmark = pytest.mark.integration


@pytest.mark.timeout(300)
def test_every_cell_plays_a_small_game_correctly_and_is_reported(servers, tmp_path):
    outcomes = dict(run(list(CELLS), servers, SMOKE, tell=lambda _: None))

    told = write(tmp_path, outcomes)

    assert {name: cell["why_void"] for name, cell in told["cells"].items()} == dict.fromkeys(
        CELLS, ""
    )
    assert all(cell["correct"] and cell["rounds"] for cell in told["cells"].values())
    assert (tmp_path / "report.svg").read_text().startswith("<svg")
    report = (tmp_path / "report.md").read_text()
    assert all(f"## {name}: " in report for name in CELLS)
