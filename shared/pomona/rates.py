"""How often one terminal may call: a flood from one must not be felt at the others."""

import time
from collections.abc import Callable

CALLS_PER_SECOND = 50.0
AT_ONCE = 100.0
REMEMBERED = 10_000
TRUSTED = ("service-", "pomona")


class Rates:
    """A token bucket for every user of the broker but the services and the operators."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def allows(self, user: str) -> bool:
        """Take one call out of a user's bucket; callers who name no user share one."""
        if user.startswith(TRUSTED):
            return True
        now = self._clock()
        level, filled_at = self._buckets.get(user, (AT_ONCE, now))
        level = min(AT_ONCE, level + (now - filled_at) * CALLS_PER_SECOND)
        if len(self._buckets) >= REMEMBERED:
            self._buckets.clear()
        self._buckets[user] = (max(level - 1, 0.0), now)
        return level >= 1
