"""Named places at which a test can kill, stall or break a service; nothing happens elsewhere.

POMONA_FAILPOINTS names a directory. A file `<service>.<place>` in it arms that place of that
service, at once: with `kill` the next process to come by dies as by `kill -9` and the file is gone;
with `sleep SECONDS` everybody waits there, and with `raise` fails there, while the file stands.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_DIRECTORY = os.environ.get("POMONA_FAILPOINTS")


def reach(place: str) -> None:
    """Pass a place in the code, unless a test has armed it."""
    if _DIRECTORY is not None:
        _obey(Path(_DIRECTORY, f"{sys.argv[-1]}.{place}"))


def _obey(order: Path) -> None:
    with suppress(FileNotFoundError):
        match order.read_text("ascii").split():
            case ["kill"]:
                order.unlink()  # of several processes, one dies
                os.kill(os.getpid(), signal.SIGKILL)
            case ["sleep", seconds]:
                time.sleep(float(seconds))
            case ["raise"]:
                raise RuntimeError(f"failpoint {order.name}")
