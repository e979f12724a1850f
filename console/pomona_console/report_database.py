"""Reads the reporting schema, also when its database is just being started again."""

import time
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.5


def reported(dsn: str, select: LiteralString, given: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Return the rows of a statement. Raises OperationalError if the database stays away."""
    began = time.monotonic()
    while True:
        try:
            with psycopg.connect(dsn, row_factory=dict_row) as reporting:
                return reporting.execute(select, given).fetchall()
        except psycopg.OperationalError:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise
            time.sleep(_PAUSE_SECONDS)
