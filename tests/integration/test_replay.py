"""A sales record goes through the terminals and comes out of analytics to the gram and the fen."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pomona_console.stack import Stack, terminal_for
from pomona_console.verify_positions import positions

pytestmark = pytest.mark.integration

PRODUCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "produce"
PRODUCTS = """\
product,code,category,loss_rate_percent
富士苹果,9001,仁果,4.35
香蕉,9002,热带,9.43
砂糖橘(份),9003,柑橘,0
椰青(个),9004,热带,12.5
草莓(精品),9005,浆果,29.25
蓝莓(125克),9006,浆果,5
"""
# Several prices a day, pieces, a price without sales, goods that came back, one day net negative.
SALES = """\
date,product,retail_price_per_kg,wholesale_price_per_kg,sold_kg
2021-03-01,富士苹果,12.9,7.2,23.457
2021-03-01,富士苹果,9.9,7.2,4.001
2021-03-01,香蕉,7.5,4.11,18.3
2021-03-01,砂糖橘(份),9.9,5.5,14
2021-03-01,椰青(个),12.8,6.9,9.0
2021-03-01,草莓(精品),59.8,36.05,3.333
2021-03-01,草莓(精品),49.8,36.05,-0.25
2021-03-02,富士苹果,12.9,7.3,17.008
2021-03-02,富士苹果,11.9,7.3,0.0
2021-03-02,富士苹果,10.9,7.3,-1.5
2021-03-02,富士苹果,9.9,7.3,6
2021-03-02,香蕉,7.5,4.2,21.111
2021-03-02,砂糖橘(份),9.9,5.4,-1
2021-03-02,蓝莓(125克),15,9.1,6
2021-03-03,香蕉,7.5,4.2,12.007
2021-03-03,椰青(个),12.8,6.9,5
2021-03-03,草莓(精品),45,36.05,0.001
2021-03-03,富士苹果,0.1,0.05,2.049
"""


class Replay:
    """`pomona replay` as a process of its own, on the stack of this session."""

    def __init__(self, stack: Stack, folder: Path, *options: str) -> None:
        self.command = [
            sys.executable,
            "-c",
            "from pomona_console.main import main; main()",
            "replay",
            str(folder / "daily_sales.csv"),
            "--products",
            str(folder / "products.csv"),
            "--json",
            *options,
        ]
        self.environment = {**os.environ, "POMONA_RUN": str(stack.layout.directory), "LANG": "C"}

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> dict[str, Any]:
        return finished(self.start())


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Write a small record made up here, and return its folder."""
    (tmp_path / "daily_sales.csv").write_text(SALES, encoding="utf-8")
    (tmp_path / "products.csv").write_text(PRODUCTS, encoding="utf-8")
    return tmp_path


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    report: dict[str, Any] = json.loads(out)
    return report


def wait_for_a_day(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.strip().endswith("done"), line


def heads(stack: Stack) -> dict[str, int]:
    with terminal_for(stack, role="head_office") as terminal:
        return dict(positions(terminal.ask).heads)


def test_a_record_comes_out_as_it_went_in(stack: Stack, record: Path) -> None:
    replay = Replay(stack, record, "--stores", "2", "--report", str(record / "report.json"))

    report = replay.run()

    assert report["equal"]
    assert report["differences"] == 0
    assert report["played"]["days"] == 3
    assert report["played"]["returns"] == 3
    assert json.loads((record / "report.json").read_text("utf-8")) == report
    apples = next(
        row
        for row in report["products"]
        if (row["date"], row["product"]) == ("2021-03-02", "富士苹果")
    )
    assert apples["analytics"]["quantity"] == 23_008
    assert apples["analytics"]["returned"] == 1_500
    units = {row["product"]: row["unit"] for row in report["products"]}
    assert units["砂糖橘(份)"] == units["椰青(个)"] == units["蓝莓(125克)"] == "piece"
    assert units["草莓(精品)"] == "g"


def test_an_interrupted_replay_is_resumed_and_doubles_nothing(stack: Stack, record: Path) -> None:
    replay = Replay(stack, record, "--stores", "2", "--seed", "7")

    process = replay.start()
    wait_for_a_day(process)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "The same command goes on from here" in err

    resumed = replay.run()
    before = heads(stack)
    for checkpoint in stack.layout.directory.glob("replay-*.json"):
        checkpoint.unlink()  # a checkpoint only saves time
    again = replay.run()

    assert resumed["equal"]
    assert again["equal"]
    assert again["played"]["calls"] > resumed["played"]["calls"]
    assert heads(stack) == before


@pytest.mark.feature("SYS-03")
def test_a_replay_outlives_a_service_that_is_killed(stack: Stack, record: Path) -> None:
    replay = Replay(stack, record, "--stores", "2", "--seed", "8")

    process = replay.start()
    wait_for_a_day(process)
    for service in ("orders", "inventory"):
        os.kill(stack.refreshed().service(service)["pid"], signal.SIGKILL)

    assert finished(process)["equal"]


def test_days_outside_the_record_are_refused_with_what_it_covers(
    stack: Stack, record: Path
) -> None:
    process = Replay(stack, record, "--from", "2021-03-04").start()

    _, err = process.communicate(timeout=60)

    assert process.returncode == 2
    assert "It runs from 2021-03-01 to 2021-03-03" in err


@pytest.mark.feature("SYS-04")
def test_a_bad_record_is_refused_by_line_and_nothing_is_played(stack: Stack, record: Path) -> None:
    replay, before = Replay(stack, record), heads(stack)
    with (record / "daily_sales.csv").open("a", encoding="utf-8") as file:
        file.write("2021-03-03,香蕉,7.5,4.2,一斤\n")

    process = replay.start()
    _, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "daily_sales.csv:20: sold_kg:" in err
    assert heads(stack) == before


@pytest.mark.skipif(not PRODUCE.exists(), reason=f"the real record is not at {PRODUCE}")
def test_two_days_of_the_real_record_come_out_equal(stack: Stack) -> None:
    report = Replay(stack, PRODUCE, "--stores", "2", "--days", "2", "--from", "2022-06-22").run()

    assert report["equal"]
    assert report["played"]["days"] == 2
