"""Remembers which days of a replay were played to their end, so that they are not planned again."""

import json
from contextlib import suppress
from datetime import date

from pomona.errors import Refused
from pomona_console.day import Shop
from pomona_console.layout import read_json, write_private
from pomona_console.replay_plan import Scheme
from pomona_console.stack import Stack


class Checkpoint:
    """Days that were played to their end. Only saves time: command ids keep things right."""

    def __init__(self, stack: Stack, scheme: Scheme) -> None:
        self._path = stack.layout.directory / f"replay-{scheme.id('checkpoint')}.json"
        self.days: set[str] = set(read_json(self._path) or ())

    def believe(self, shop: Shop) -> None:
        """Forget the days if the store does not know the last of them: it is another store then."""
        with suppress(ValueError):
            last = max(self.days)
            shift = shop.scheme.id(date.fromisoformat(last), shop.number, "shift", 0)
            try:
                shop.manager().ask("orders", "get_shift", {"shift_id": str(shift)})
            except Refused:
                self.days.clear()

    def done(self, day: date) -> None:
        self.days.add(day.isoformat())
        write_private(self._path, json.dumps(sorted(self.days)))
