"""Each trap in the table of this folder is held shut by a test that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| .+ \| (\S+)::(\w+) \|$", re.MULTILINE)


def test_every_trap_names_a_test_that_is_there():
    rows = ROW.findall(Path(__file__).with_name("README.md").read_text("utf-8"))

    assert [int(number) for number, _, _ in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > 27
    for _, path, name in rows:
        assert f"\ndef {name}(" in (ROOT / path).read_text("utf-8"), f"{path}::{name}"
