"""One fault of the matrix: what it does to the chain, what it measures, and its verdict."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .lab import Judgement, Lab, Load


class Unavailing(Exception):  # noqa: N818 - it says why, nothing is wrong
    """The fault cannot be injected on this machine; the text says what is missing."""


@dataclass
class Trial:
    """Collects what a fault's function measures; `scale` 1 is what the matrix asks for."""

    lab: Lab
    fault: str
    title: str
    scale: float = 1.0
    tell: Callable[[str], None] = lambda _words: None
    runs: int = 0
    sent: int = 0
    acked: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    recovered: int = 0
    recovery_seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        if self.skipped:
            return "skipped"
        return "fail" if self.problems else "pass"

    def times(self, count: int, *, least: int = 1) -> int:
        """Return how often to do what the matrix does `count` times."""
        return max(least, round(count * self.scale))

    def lasting(self, seconds: float, *, least: float) -> float:
        """Return for how long to do what the matrix does for `seconds`."""
        return max(least, seconds * self.scale)

    def ran(self, words: str = "") -> None:
        """Count one injection."""
        self.runs += 1
        self.tell(words)

    def back(self, seconds: float, *, within: float) -> None:
        """Note how long it took until work went on."""
        self.recovery_seconds = max(self.recovery_seconds, seconds)
        self.that(seconds <= within, f"went on after {seconds:.1f} s, {within:g} s are allowed")

    def figure(self, name: str, value: float, *, at_most: float | None = None) -> None:
        """Note a measured value, and its limit where the matrix sets one."""
        kept = round(value, 3)
        self.figures[name] = kept if at_most is None else {"value": kept, "at_most": at_most}
        if at_most is not None:
            self.that(value <= at_most, f"{name} is {kept}, {at_most:g} is allowed")

    def that(self, holds: bool, words: str) -> None:
        """Note a criterion that does not hold."""
        if not holds:
            self.problems.append(words)

    def judge(self, *loads: Load, counted: bool = True) -> Judgement:
        """Compare everything, and add it up."""
        self.tell("comparing")
        judgement = self.lab.judge(*loads, counted=counted)
        found = judgement.findings
        self.sent += found.sent
        self.acked += found.acked
        self.lost += len(found.lost)
        self.duplicated += len(found.duplicated)
        self.unexpected += len(found.unexpected)
        self.recovered += found.recovered
        for kind in ("lost", "duplicated", "unexpected"):
            self.problems += [f"{kind}: {name}" for name in getattr(found, kind)[:5]]
        self.problems += judgement.broken
        return judgement

    def as_json(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name not in _NOT_TOLD}
        return {**kept, "verdict": self.verdict}


_NOT_TOLD = ("lab", "tell")
Inject = Callable[[Trial], None]


@dataclass(frozen=True)
class Fault:
    """A row of the matrix."""

    id: str
    title: str
    inject: Inject


MATRIX: dict[str, Fault] = {}


def fault(name: str, title: str) -> Callable[[Inject], Inject]:
    """Enter a function into the matrix."""

    def enter(inject: Inject) -> Inject:
        MATRIX[name] = Fault(name, title, inject)
        return inject

    return enter


def tried(found: Fault, lab: Lab, scale: float, tell: Callable[[str], None]) -> Trial:
    """Inject a fault and return what came of it; nothing that goes wrong stops the others."""
    trial = Trial(lab, found.id, found.title, scale, tell)
    started = time.monotonic()
    try:
        found.inject(trial)
    except Unavailing as missing:
        trial.skipped = str(missing)
    except Exception as error:  # noqa: BLE001 - told as the trial's result
        trial.problems.append(f"{type(error).__name__}: {error}")
    finally:
        lab.disarm()
    trial.seconds = round(time.monotonic() - started, 1)
    return trial
