"""Runs the suite: `python -m benchmarks`, or one cell: `python -m benchmarks --cell P2`."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.append import p1, p2
from benchmarks.arena import Arena
from benchmarks.calling import p9
from benchmarks.catch_up import p5
from benchmarks.hot import p3
from benchmarks.loading import p11
from benchmarks.relaying import p8
from benchmarks.report import Outcome, write
from benchmarks.rounds import Tell, Void
from benchmarks.scale import FULL, QUICK, SMOKE, Scale
from benchmarks.selling import p7, p10
from pomona_console.stack import Stack, temporary_stack

OUT = Path(__file__).parent / "out"
CELLS: dict[str, Callable[[Arena], Outcome]] = {
    "P1": p1,
    "P2": p2,
    "P3": p3,
    "P5": p5,
    "P8": p8,
    "P9": p9,
    "P11": p11,
    "P7": p7,
    "P10": p10,
}


def run(
    names: Sequence[str], stack: Stack, scale: Scale, tell: Tell
) -> Iterator[tuple[str, Outcome]]:
    """Play the cells one after the other; a cell whose work went wrong is void."""
    with ExitStack() as kept:
        arena = Arena(stack, scale, tell, kept)
        for name in names:
            started = time.monotonic()
            cell = CELLS[name]
            tell(f"{name}: starting")
            try:
                outcome = cell(arena)
            except Void as void:
                outcome = Outcome(what=(cell.__doc__ or "").rstrip("."), correct=False)
                outcome.why_void = str(void)
            outcome.settings = arena.settings()
            outcome.seconds = time.monotonic() - started
            yield name, outcome


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure Pomona beside what it is made of.")
    parser.add_argument("--cell", action="append", choices=list(CELLS), help="only this cell")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--full", action="store_true", help="more, on 1,000,000 events")
    sizes.add_argument("--smoke", action="store_true", help="see that it runs")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--out", type=Path, default=OUT, help="where to write the report")
    asked = parser.parse_args()
    scale = FULL if asked.full else SMOKE if asked.smoke else QUICK
    names = asked.cell or list(CELLS)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("starting the servers", total=len(names))

        def tell(what: str) -> None:
            name, _, rest = what.partition(": ")
            if name in CELLS and rest == "starting":
                progress.update(task, completed=names.index(name), description=name)
            else:
                done = int(progress.tasks[0].completed)
                progress.update(task, description=f"{names[min(done, len(names) - 1)]}: {what}")

        with temporary_stack(asked.out.resolve() / "run", services=()) as stack:
            correct = True
            for name, outcome in run(names, stack, scale, tell):
                told = write(asked.out, {name: outcome})
                correct &= outcome.correct
        progress.update(task, completed=len(names), description="done")
    if asked.json:
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        sys.stdout.write((asked.out / "report.md").read_text("utf-8"))
    return 0 if correct else 1


if __name__ == "__main__":
    sys.exit(main())
