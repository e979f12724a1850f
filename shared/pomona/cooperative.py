"""Makes a process cooperative: whoever waits lets others go on. Imported before all else."""
# ruff: noqa: E402 - what is patched must be patched before anything imports it

import os
import warnings

# psycopg waits cooperatively under eventlet only when told so before it is imported
os.environ["PSYCOPG_WAIT_FUNC"] = "wait_select"

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

import eventlet

eventlet.monkey_patch()

import select
from types import SimpleNamespace
from typing import Any

import psycopg.waiting

_select_now = eventlet.patcher.original("select").select


def _select(read: Any, write: Any, failed: Any, seconds: float | None) -> Any:
    """Look at once, and hand over to others only where there is something to wait for.

    A socket is nearly always ready to be written to, and each round through the hub costs more
    than the write.
    """
    ready = _select_now(read, write, failed, 0)
    return ready if any(ready) else select.select(read, write, failed, seconds)


setattr(psycopg.waiting, "select", SimpleNamespace(select=_select))  # noqa: B010 - a module's own
