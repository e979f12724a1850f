"""Failpoints: armed by a file, and nothing at all without one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

PASSES_TWICE = """
from pomona.failpoints import reach
for _ in range(2):
    reach("commit.after")
print("lives")
"""


def passing(directory: Path | None) -> subprocess.CompletedProcess[str]:
    armed = {} if directory is None else {"POMONA_FAILPOINTS": str(directory)}
    return subprocess.run(
        [sys.executable, "-c", PASSES_TWICE, "orders"],
        env={**os.environ, **armed},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_next_process_to_come_by_dies_and_the_one_after_it_lives(tmp_path):
    order = tmp_path / "orders.commit.after"
    order.write_text("kill")

    assert passing(tmp_path).returncode == -signal.SIGKILL
    assert not order.exists()
    assert passing(tmp_path).stdout == "lives\n"


def test_a_place_fails_while_its_file_stands(tmp_path):
    (tmp_path / "orders.commit.after").write_text("raise")

    assert "failpoint orders.commit.after" in passing(tmp_path).stderr


def test_another_service_or_place_passes(tmp_path):
    (tmp_path / "crm.commit.after").write_text("kill")
    (tmp_path / "orders.commit.before").write_text("kill")

    assert passing(tmp_path).stdout == "lives\n"


def test_nothing_is_armed_unless_a_directory_is_named(tmp_path):
    (tmp_path / "orders.commit.after").write_text("kill")

    assert passing(None).stdout == "lives\n"
