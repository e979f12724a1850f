"""Rounds: contenders take turns, the disk is watched, and only ratios within a round count."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Figures = Mapping[str, float]
Turn = Callable[[], Figures]
Tell = Callable[[str], None]

UNSTEADY = 1.5
PROBES = 31
PROBE_BYTES = b"\0" * 8192


class Void(Exception):  # noqa: N818 - what becomes of the figure
    """The work was not done correctly, so its figure is worth nothing; the text says what broke."""


@dataclass(frozen=True)
class Weather:
    """What the machine was like: milliseconds of one fdatasync, and the load average."""

    fdatasync_ms: float
    load: float


@dataclass(frozen=True)
class Round:
    """What each contender reached, one after the other, and the weather before and after."""

    figures: Mapping[str, Figures]
    before: Weather
    after: Weather

    @property
    def steady(self) -> bool:
        probes = sorted((self.before.fdatasync_ms, self.after.fdatasync_ms))
        return probes[1] <= UNSTEADY * probes[0]


@dataclass(frozen=True)
class Played:
    """The rounds that count, and how many were thrown away because the disk changed its mind."""

    rounds: Sequence[Round]
    discarded: int
    unsteady: int

    def ratio(self, contender: str, against: str, figure: str = "per_second") -> float:
        """Return the median over the rounds of one contender's figure against another's."""
        return statistics.median(
            round_.figures[contender][figure] / round_.figures[against][figure]
            for round_ in self.rounds
        )

    def median(self, contender: str, figure: str) -> float:
        return statistics.median(round_.figures[contender][figure] for round_ in self.rounds)

    def worst(self, contender: str, figure: str) -> float:
        return max(round_.figures[contender][figure] for round_ in self.rounds)


def play(
    contenders: Mapping[str, Turn],
    weather: Callable[[], Weather],
    *,
    rounds: int,
    tell: Tell,
) -> Played:
    """Let each contender take its turn in every round: A B C, A B C.

    A round in which the disk grew much slower or faster is thrown away and played again, at most
    as often as there are rounds; after that rounds are kept as they come, and counted as unsteady.
    """
    kept: list[Round] = []
    discarded = unsteady = 0
    before = weather()
    while len(kept) < rounds:
        figures = {}
        for name, turn in contenders.items():
            tell(f"round {len(kept) + 1} of {rounds}: {name}")
            figures[name] = turn()
        after = weather()
        played = Round(figures, before, after)
        before = after
        if not played.steady and discarded < rounds:
            discarded += 1
            continue
        unsteady += not played.steady
        kept.append(played)
    return Played(kept, discarded, unsteady)


def weather_in(directory: Path) -> Callable[[], Weather]:
    """Return a probe of the disk that holds a directory."""

    def look() -> Weather:
        taken = []
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            for _ in range(PROBES):
                started = time.perf_counter()
                file.write(PROBE_BYTES)
                file.flush()
                os.fdatasync(file.fileno())
                taken.append(time.perf_counter() - started)
        return Weather(statistics.median(taken) * 1000, os.getloadavg()[0])

    return look


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000

    return {"p50_ms": at(0.50), "p95_ms": at(0.95), "p99_ms": at(0.99)}


def require(holds: bool, otherwise: str) -> None:
    """Make a figure void where what it stands on does not hold."""
    if not holds:
        raise Void(otherwise)
