"""`make faults`: the fault matrix on real servers, or a part of it.

make faults                          the whole matrix
make faults ONLY=F4,F13              some of it
make faults SCALE=0.1                a tenth of the repetitions and durations
make faults ONLY=F31 SEED=7 MINUTES=5    the nemesis; the same seed gives the same schedule
"""

import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import (
    matrix_commands,
    matrix_events,
    matrix_offline,
    matrix_processes,
    matrix_servers,
    nemesis,
)
from .lab import open_lab
from .trial import MATRIX, Fault, Trial, tried

OUT = Path(__file__).parent / "out"
# they fill MATRIX
KEPT = (matrix_commands, matrix_events, matrix_offline, matrix_processes, matrix_servers)
NEMESIS = "F31"
WIDE = 150


def main() -> int:
    """Inject what was asked for, show a table, write a report; 1 where something does not hold."""
    seed, minutes = int(os.environ.get("SEED") or 1), float(os.environ.get("MINUTES") or 5)
    scale = float(os.environ.get("SCALE") or 1)
    MATRIX[NEMESIS] = Fault(
        NEMESIS,
        f"a random schedule: seed {seed}, {minutes:g} minutes",
        lambda trial: nemesis.run(trial, seed, minutes),
    )
    chosen = (os.environ.get("ONLY") or ",".join(_in_order(MATRIX))).upper().split(",")
    unknown = set(chosen) - set(MATRIX)
    if unknown:
        sys.stderr.write(f"ONLY={','.join(sorted(unknown))}? {', '.join(_in_order(MATRIX))}\n")
        return 2
    trials = _run([MATRIX[name] for name in chosen], seed, scale)
    report = {
        "scale": scale,
        "seed": seed,
        "holds": all(trial.verdict != "fail" for trial in trials),
        "faults": [trial.as_json() for trial in trials],
    }
    (OUT / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    _show(trials)
    return 0 if report["holds"] else 1


def _run(faults: list[Fault], seed: int, scale: float) -> list[Trial]:
    err = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description:60.60}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    trials = []
    with bar, open_lab(OUT, str(seed)) as lab:
        task = bar.add_task("", total=len(faults))
        for fault in faults:

            def tell(words: str, fault: Fault = fault) -> None:
                bar.update(task, description=f"{fault.id} {fault.title}: {words}")

            tell("")
            if not err.is_terminal:
                err.print(f"{fault.id} {fault.title} ...")
            trials.append(tried(fault, lab, scale, tell))
            bar.advance(task)
    return trials


def _show(trials: list[Trial]) -> None:
    table = Table("", "fault")
    for name in ("runs", "sent", "lost", "dup.", "unexp.", "recov.", "back s"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    colour = {"pass": "green", "fail": "red", "skipped": "yellow"}
    for trial in trials:
        counts = (trial.runs, trial.sent, trial.lost, trial.duplicated, trial.unexpected)
        figures = (*map(str, counts), str(trial.recovered), f"{trial.recovery_seconds:.1f}")
        verdict = f"[{colour[trial.verdict]}]{trial.verdict}[/]"
        table.add_row(trial.fault, trial.title, *figures, verdict)
    out = Console()
    out = out if out.is_terminal else Console(width=WIDE)
    out.print(table)
    for trial in trials:
        for words in (*trial.problems[:6], *([trial.skipped] if trial.skipped else ())):
            out.print(f"{trial.fault}: {words}", markup=False, soft_wrap=True)
    out.print(f"{OUT / 'report.json'}", soft_wrap=True)


def _in_order(names: dict[str, Fault]) -> list[str]:
    return sorted(names, key=lambda name: int(name[1:]))


if __name__ == "__main__":
    sys.exit(main())
