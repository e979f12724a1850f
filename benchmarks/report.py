"""What came of the cells: report.json, and report.md with a chart."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import psutil

from benchmarks.chart import bars
from benchmarks.rounds import Played


@dataclass(frozen=True)
class Goal:
    """The least that a ratio must be, or the most that an absolute figure may be."""

    figure: str
    least: float | None = None
    most: float | None = None

    def met_by(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def __str__(self) -> str:
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"


@dataclass
class Outcome:
    """What a cell reached: ratios within rounds, absolute figures for context, and the rounds."""

    what: str
    goals: tuple[Goal, ...] = ()
    ratios: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    correct: bool = True
    why_void: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, label: str, played: Played, ours: str, against: Mapping[str, str]) -> None:
        """Add the ratios of a game, named as the goals name them, and its rounds."""
        for contender, name in against.items():
            self.ratios[name] = round(played.ratio(ours, contender), 3)
        for contender in played.rounds[0].figures:
            for figure in played.rounds[0].figures[contender]:
                value = median(each.figures[contender][figure] for each in played.rounds)
                self.figures[f"{label}: {contender} {figure}"] = round(value, 3)
        self.rounds.append(
            {
                "game": label,
                "discarded": played.discarded,
                "unsteady": played.unsteady,
                "rounds": [asdict(each) for each in played.rounds],
            }
        )

    def reached(self, goal: Goal) -> float | None:
        return self.ratios.get(goal.figure, self.figures.get(goal.figure))

    @property
    def met(self) -> bool:
        """Say whether every goal was reached by work that was done correctly."""
        reached = [(goal, self.reached(goal)) for goal in self.goals]
        return self.correct and all(
            value is not None and goal.met_by(value) for goal, value in reached
        )

    def told(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "ratios": self.ratios,
            "goal": {goal.figure: str(goal) for goal in self.goals},
            "met": self.met,
            "correct": self.correct,
            "why_void": self.why_void,
            "figures": self.figures,
            "settings": self.settings,
            "seconds": round(self.seconds, 1),
            "rounds": self.rounds,
        }


def environment() -> dict[str, str]:
    """Describe the machine without naming it."""
    return {
        "processors": str(psutil.cpu_count()),
        "memory_gib": str(round(psutil.virtual_memory().total / 2**30)),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def write(directory: Path, cells: Mapping[str, Outcome]) -> dict[str, Any]:
    """Write the report beside what other cells left there, and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "report.json"
    told: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {"cells": {}}
    told["environment"] = environment()
    told["cells"] |= {name: outcome.told() for name, outcome in cells.items()}
    told["cells"] = dict(sorted(told["cells"].items(), key=lambda cell: int(cell[0][1:])))
    path.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    (directory / "report.md").write_text(markdown(told), "utf-8")
    (directory / "report.svg").write_text(bars(shares(told)), "utf-8")
    return told


def shares(told: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return how far each goal was reached: 1 is the goal itself, void figures are 0."""
    found = []
    for name, cell in told["cells"].items():
        for figure, goal in cell["goal"].items():
            value = cell["ratios"].get(figure, cell["figures"].get(figure))
            bound = float(goal[3:])
            if value is None or not cell["correct"]:
                share = 0.0
            else:
                share = value / bound if goal.startswith(">=") else bound / max(value, 1e-9)
            found.append((f"{name} {figure}", share))
    return found


def markdown(told: Mapping[str, Any]) -> str:
    """Write the report as a page: a table of goals, then what each cell found."""
    machine = ", ".join(f"{name} {value}" for name, value in told["environment"].items())
    lines = [
        "# Benchmark report",
        "",
        f"Machine: {machine.replace('_', ' ')}.",
        "",
        "![Each goal as 1, and how far it was reached](report.svg)",
        "",
        "| cell | figure | reached | goal | met | correct |",
        "|---|---|---:|---:|---|---|",
    ]
    for name, cell in told["cells"].items():
        for figure, goal in cell["goal"].items():
            value = cell["ratios"].get(figure, cell["figures"].get(figure))
            reached = "-" if value is None else f"{value:.2f}"
            met = value is not None and Goal(figure, **bound_of(goal)).met_by(value)
            lines.append(
                f"| {name} | {figure} | {reached} | {goal} | {yes(met and cell['correct'])} |"
                f" {yes(cell['correct'])} |"
            )
    for name, cell in told["cells"].items():
        lines += ["", f"## {name}: {cell['what']}", ""]
        if cell["why_void"]:
            lines += [f"Void: {cell['why_void']}", ""]
        lines += ["| figure | median |", "|---|---:|"]
        lines += [f"| {figure} | {value:,.2f} |" for figure, value in cell["ratios"].items()]
        lines += [f"| {figure} | {value:,.2f} |" for figure, value in cell["figures"].items()]
        lines += ["", *(rounds_told(game) for game in cell["rounds"])]
        settings = ", ".join(f"{name} {value}" for name, value in cell["settings"].items())
        lines += [f"- Settings: {settings}; {cell['seconds']:.0f} s."]
    return "\n".join(lines) + "\n"


def rounds_told(game: Mapping[str, Any]) -> str:
    probes = [each["after"]["fdatasync_ms"] for each in game["rounds"]]
    loads = [each["after"]["load"] for each in game["rounds"]]
    return (
        f"- {game['game']}: {len(game['rounds'])} rounds, {game['discarded']} discarded,"
        f" {game['unsteady']} unsteady; fdatasync {min(probes):.2f} to {max(probes):.2f} ms,"
        f" load {min(loads):.1f} to {max(loads):.1f}."
    )


def bound_of(goal: str) -> dict[str, float]:
    return {"least" if goal.startswith(">=") else "most": float(goal[3:])}


def yes(holds: bool) -> str:
    return "yes" if holds else "**no**"
