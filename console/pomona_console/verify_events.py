"""What every check of `pomona verify` reads and keeps: events, and a tally of what holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pomona_console.report_words import say

MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Event:
    """A published event as its source's log gives it; `name` is without its version."""

    source: str
    name: str
    position: int
    previous: int
    id: str
    data: Mapping[str, Any]


def event_of(envelope: Mapping[str, Any]) -> Event:
    """Read an envelope of the wire."""
    _, source, name, _ = envelope["type"].split(".")
    return Event(
        source, name, envelope["position"], envelope["previous"], envelope["id"], envelope["data"]
    )


def is_first_version(envelope: Mapping[str, Any]) -> bool:
    """Say whether the event is told in no older version than this one."""
    others = envelope.get("otherversions", "")
    version = int(envelope["type"].rpartition(".v")[2])
    return not others or version < min(map(int, others.split(",")))


@dataclass
class Tally:
    """One invariant: how often it was looked at, how often it did not hold, and where."""

    code: str
    zh: str
    en: str
    checked: int = 0
    broken: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return self.broken == 0

    @property
    def title(self) -> str:
        return say(self.zh, self.en)

    def that(self, holds: bool, where: object) -> None:
        """Count one look at the invariant; `where` names the place if it does not hold."""
        self.checked += 1
        if not holds:
            self.broken += 1
            if len(self.examples) < MOST_EXAMPLES:
                self.examples.append(str(where))

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "says": self.en,
            "holds": self.holds,
            "checked": self.checked,
            "broken": self.broken,
            "examples": self.examples,
        }


class Check(Protocol):
    """Sees every event once, each source's in order, and then says what holds."""

    def see(self, event: Event) -> None: ...

    def tallies(self) -> list[Tally]:
        """Return what was found; called once, when every event has been seen."""
