"""What a batch of events adds to the tables, gathered in memory before anything is written."""

from collections import defaultdict
from collections.abc import Sequence
from functools import singledispatch
from operator import add
from typing import Any

import orjson
from psycopg import Cursor

from analytics.tables import Table

Values = tuple[Any, ...]


class Harvest:
    """Rows by table and key, written in one statement a table, however many events gave them."""

    def __init__(self) -> None:
        self.position = 0
        self.rows: defaultdict[Table, dict[Values, tuple[Values, Values]]] = defaultdict(dict)

    def put(self, table: Table, key: Values, facts: Values = (), sums: Values = ()) -> None:
        """Let the facts be the latest and the sums add up."""
        rows = self.rows[table]
        before = rows.get(key) if sums else None
        rows[key] = (facts, sums if before is None else tuple(map(add, before[1], sums)))

    def keep(self, table: Table, fact: object, sums: Values = ()) -> None:
        """Put a fact into a table whose columns bear the names of the fact's fields."""
        key = tuple([getattr(fact, name) for name in table.key])
        self.put(table, key, tuple([getattr(fact, name) for name in table.facts]), sums)

    def write(self, cursor: Cursor[Any]) -> None:
        for table, rows in self.rows.items():
            whole = ((*key, *facts, *sums) for key, (facts, sums) in rows.items())
            columns = [array(column) for column in zip(*whole, strict=True)]
            cursor.execute(table.upsert, columns)


def array(values: Sequence[Any]) -> str | Sequence[Any]:
    """Write values as PostgreSQL writes an array, which psycopg would do element by element.

    The two notations differ from JSON's in the brackets, and in what a backslash means: where
    there is one, the values are left to psycopg.
    """
    written = orjson.dumps(values)
    return list(values) if b"\\" in written else f"{{{written[1:-1].decode()}}}"


@singledispatch
def gather(fact: object, harvest: Harvest) -> None:
    """Say which tables a fact changes. `harvest.position` is the event's place in its source."""
    del harvest
    raise NotImplementedError(type(fact))
