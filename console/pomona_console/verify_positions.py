"""How far every service's log and inboxes are, and waiting until nothing is under way."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pomona_console.layout import SERVICES
from pomona_console.report_words import say
from pomona_console.trouble import Trouble

LOOK_EVERY = 0.2
STUCK_AFTER = 180.0

Ask = Callable[[str, str], dict[str, Any]]
"""Asks a service a question that needs no further words, for as long as it takes."""


@dataclass(frozen=True)
class Positions:
    """The last event that each service published, and the last that each has read of others."""

    heads: Mapping[str, int]
    inboxes: Mapping[str, Mapping[str, int]]
    parked: Mapping[str, int]

    @property
    def behind(self) -> dict[str, int]:
        """Return, as `reader.from.source`, how many positions each reader has still to go."""
        return {
            f"{reader}.from.{source}": self.heads[source] - position
            for reader, inbox in self.inboxes.items()
            for source, position in inbox.items()
            if self.heads[source] > position
        }


def positions(ask: Ask) -> Positions:
    """Ask every service how far it is."""
    answers = {service: ask(service, "positions") for service in SERVICES}
    return Positions(
        {service: answer["head"] for service, answer in answers.items()},
        {service: answer["inbox"] for service, answer in answers.items()},
        {service: answer["parked"] for service, answer in answers.items()},
    )


def wait_until_caught_up(
    ask: Ask, waiting: Callable[[str], None] = lambda _words: None
) -> Positions:
    """Return once every inbox stands at its source's head and nothing moves any more.

    `waiting` is told, at every look, how far it is still to go.
    Raises `Trouble` when an inbox stays behind and nothing has moved for minutes.
    """
    before: Positions | None = None
    moved = time.monotonic()
    while time.monotonic() - moved < STUCK_AFTER:
        now = positions(ask)
        if now == before and not now.behind:
            return now
        if now != before:
            before, moved = now, time.monotonic()
        left = max(now.behind.values(), default=0)
        waiting(
            say(f"等待各服务处理完毕，落后 {left:,}", f"waiting for the inboxes, {left:,} behind")
        )
        time.sleep(LOOK_EVERY)
    names = ", ".join(before.behind) if before else ", ".join(SERVICES)
    raise Trouble(
        f"这些队列没有前进：{names}。请查看 pomona status 和服务日志。",
        f"These do not move on: {names}. Look at `pomona status` and the services' logs.",
    )
