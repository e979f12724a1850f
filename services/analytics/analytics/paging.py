"""Answers in pages that stay in step while events arrive: each goes on after the last key."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor

from pomona.errors import InvalidRequest

Row = dict[str, Any]


class BrokenPage(InvalidRequest):
    field = "after"
    zh = "无法识别 after。请原样使用上一页的 next，或去掉它从头开始。"
    en = "after is not readable. Use the next of the page before as it is, or leave it out."


@dataclass(frozen=True)
class Key:
    """A column that takes part in the order of the rows; where it is empty, `empty` stands in."""

    column: str
    read: Callable[[Any], Any]
    empty: str | None = None

    @property
    def order(self) -> str:
        return f"coalesce({self.column}, '{self.empty}')" if self.empty else self.column


def day(value: Any) -> date:
    return date.fromisoformat(value)


def page(
    cursor: Cursor[Row],
    select: str,
    given: Mapping[str, Any],
    keys: Sequence[Key],
    *,
    limit: int,
    after: str | None,
) -> tuple[list[Row], str | None]:
    """Return at most `limit` rows of a select in the order of its keys, and where to go on."""
    order = ", ".join(key.order for key in keys)
    named = dict(given)
    beyond = ""
    if after is not None:
        places = [f"%(after_{index})s" for index in range(len(keys))]
        beyond = f"WHERE ({order}) > ({', '.join(places)})"
        named |= {f"after_{index}": value for index, value in enumerate(opened(after, keys))}
    cursor.execute(
        f"SELECT * FROM ({select}) rows {beyond} ORDER BY {order} LIMIT {limit + 1:d}",  # noqa: S608 - words of this package only
        named,
    )
    rows = cursor.fetchall()
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, sealed(rows[-1], keys)


def sealed(row: Row, keys: Sequence[Key]) -> str:
    values = [key.empty if row[key.column] is None else row[key.column] for key in keys]
    return urlsafe_b64encode(orjson.dumps(values)).decode()


def opened(after: str, keys: Sequence[Key]) -> list[Any]:
    try:
        values = orjson.loads(urlsafe_b64decode(after))
        return [key.read(value) for key, value in zip(keys, values, strict=True)]
    except (ValueError, TypeError, AttributeError):
        raise BrokenPage from None


def plain(row: Row) -> Row:
    """Return a row in words that JSON has."""
    return {name: worded(value) for name, value in row.items()}


def worded(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value
