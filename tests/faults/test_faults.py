"""A short selection of the fault matrix; `make faults` runs the whole of it."""

from collections.abc import Iterator

import pytest

from . import matrix_commands, matrix_events, matrix_servers
from .lab import Lab, open_lab
from .trial import MATRIX, tried

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

QUICK = ("F1", "F2", "F3", "F4", "F11", "F13", "F21")
ONCE = 0.02  # of what the matrix repeats: each step once
KEPT = (matrix_commands, matrix_events, matrix_servers)  # they fill MATRIX


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with open_lab(tmp_path_factory.mktemp("faults"), "short") as opened:
        yield opened


@pytest.mark.feature("SYS-03")
@pytest.mark.parametrize("name", QUICK)
def test_nothing_is_lost_or_done_twice(lab: Lab, name: str) -> None:
    trial = tried(MATRIX[name], lab, ONCE, lambda _words: None)

    assert trial.problems == []
