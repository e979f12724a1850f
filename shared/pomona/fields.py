"""The marshmallow fields and schemas of every contract: exact numbers, aware times, clean text."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields
from marshmallow.fields import Boolean, Dict, List, Nested
from marshmallow.validate import Length

__all__ = [
    "Bool",
    "Choice",
    "Count",
    "Day",
    "EventSchema",
    "FactSchema",
    "Fen",
    "Id",
    "List",
    "Map",
    "Moment",
    "Nested",
    "RequestSchema",
    "Text",
    "Whole",
    "distinct",
    "entries",
]

MAX_FEN = 10**12
MAX_COUNT = 10**9
Map = Dict

fields.Field.default_error_messages.update(
    required="缺少这个字段，请填写。|The field is missing; fill it in.",
    null="不能为空值。|It may not be null.",
)
List.default_error_messages.update(invalid="需要列表。|Give a list.")


class RequestSchema(Schema):
    """What may be asked of us: an unknown field is an error."""

    error_messages = {  # noqa: RUF012
        "unknown": "没有这个字段，请去掉。|There is no such field; leave it out.",
        "type": "需要 JSON 对象。|Give a JSON object.",
    }

    class Meta:
        unknown = RAISE


class FactSchema(Schema):
    """What we read of another context's event: what we do not need may change freely."""

    class Meta:
        unknown = EXCLUDE


class EventSchema(Schema):
    """What we publish: exactly this and nothing else."""

    class Meta:
        unknown = RAISE


@lru_cache(maxsize=10_000)  # stores, tills and products come again and again
def _uuid(text: str) -> UUID:
    uuid = UUID(text)
    if str(uuid) != text.lower():  # as with braces, urn: or full-width digits
        raise ValueError(text)
    return uuid


class Id(fields.Field[UUID]):
    """A UUID in its canonical form of 36 characters."""

    default_error_messages = {"invalid": "需要 UUID。|Give a UUID."}  # noqa: RUF012

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> UUID:
        del attr, data, kwargs
        if not isinstance(value, str) or len(value) != 36:  # noqa: PLR2004 - canonical length
            raise self.make_error("invalid")
        try:
            return _uuid(value)
        except ValueError:
            raise self.make_error("invalid") from None

    def _serialize(
        self, value: UUID | str | None, attr: str | None, obj: Any, **kwargs: Any
    ) -> Any:
        del attr, obj, kwargs
        return None if value is None else str(value)


class Whole(fields.Field[int]):
    """A whole number within bounds; booleans, strings and fractions are refused."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "需要整数。|Give a whole number.",
        "range": "必须在 {min} 到 {max} 之间。|Must lie between {min} and {max}.",
    }

    def __init__(self, *, min: int = 0, max: int = MAX_COUNT, **kwargs: Any) -> None:  # noqa: A002
        super().__init__(**kwargs)
        self.min = min
        self.max = max

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        del attr, data, kwargs
        if type(value) is not int:
            raise self.make_error("invalid")
        if not self.min <= value <= self.max:
            raise self.make_error("range", min=self.min, max=self.max)
        return value

    def _serialize(self, value: int | None, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        del attr, obj, kwargs
        return value


class Fen(Whole):
    """Money in whole fen."""

    def __init__(self, *, min: int = 0, max: int = MAX_FEN, **kwargs: Any) -> None:  # noqa: A002
        super().__init__(min=min, max=max, **kwargs)


class Count(Whole):
    """A quantity above zero, in whole grams or pieces."""

    def __init__(self, *, min: int = 1, max: int = MAX_COUNT, **kwargs: Any) -> None:  # noqa: A002
        super().__init__(min=min, max=max, **kwargs)


class Moment(fields.Field[datetime]):
    """A point in time with its offset, ISO 8601, years 2000 to 2100."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "需要带时区的 ISO 8601 时间。|Give an ISO 8601 time with an offset.",
        "range": "年份必须在 2000 到 2100 之间。|The year must lie between 2000 and 2100.",
    }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime:
        del attr, data, kwargs
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise self.make_error("invalid") from None
        if moment.tzinfo is None:
            raise self.make_error("invalid")
        if not 2000 <= moment.year <= 2100:  # noqa: PLR2004 - the century of fruit shops
            raise self.make_error("range")
        return moment

    def _serialize(
        self, value: datetime | str | None, attr: str | None, obj: Any, **kwargs: Any
    ) -> Any:
        del attr, obj, kwargs
        return value.isoformat() if isinstance(value, datetime) else value


class Day(fields.Field[date]):
    """A calendar or business date, ISO 8601, years 2000 to 2100."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "需要日期，例如 2026-11-21。|Give a date such as 2026-11-21.",
    }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> date:
        del attr, data, kwargs
        if not isinstance(value, str) or len(value) != 10:  # noqa: PLR2004 - YYYY-MM-DD
            raise self.make_error("invalid")
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise self.make_error("invalid") from None
        # what is no YYYY-MM-DD may still be a date to Python: 2026-W47-6
        if day.isoformat() != value or not 2000 <= day.year <= 2100:  # noqa: PLR2004 - the century of fruit shops
            raise self.make_error("invalid")
        return day

    def _serialize(
        self, value: date | str | None, attr: str | None, obj: Any, **kwargs: Any
    ) -> Any:
        del attr, obj, kwargs
        return value.isoformat() if isinstance(value, date) else value


class Text(fields.Field[str]):
    """Text of 1 to `max` characters in NFC, not blank, without control or format characters."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "需要文字。|Give text.",
        "length": "长度必须在 {min} 到 {max} 个字之间。|Use {min} to {max} characters.",
        "characters": "含有不可见的控制字符。|Remove invisible control characters.",
    }

    def __init__(self, *, max: int = 100, min: int = 1, **kwargs: Any) -> None:  # noqa: A002
        super().__init__(**kwargs)
        self.max = max
        self.min = min

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        del attr, data, kwargs
        if not isinstance(value, str):
            raise self.make_error("invalid")
        text = unicodedata.normalize("NFC", value)
        if len(text.strip()) < self.min or len(text) > self.max:
            raise self.make_error("length", min=self.min, max=self.max)
        # Cc control, Cf format (bidi overrides, zero width), Cs surrogate, Co private, Cn unknown
        if not text.isprintable() and any(
            unicodedata.category(character)[0] == "C" for character in text
        ):
            raise self.make_error("characters")
        return text

    def _serialize(self, value: str | None, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        del attr, obj, kwargs
        return value


class Choice(fields.Field[str]):
    """One of a closed list of words."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "必须是以下之一：{choices}。|Use one of {choices}.",
    }

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = tuple(choices)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        del attr, data, kwargs
        if not isinstance(value, str) or value not in self.choices:
            raise self.make_error("invalid", choices=", ".join(self.choices))
        return value

    def _serialize(self, value: str | None, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        del attr, obj, kwargs
        return value


def entries(least: int, most: int) -> Length:
    """Return a validator for how many entries a list may have."""
    error = "需要 {min} 到 {max} 项。|Give {min} to {max} entries."
    return Length(min=least, max=most, error=error)


def distinct(key: str) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """Return a validator: no two entries of a list have the same value under a key."""

    def check(entries: Sequence[Mapping[str, Any]]) -> None:
        seen: set[Any] = set()
        for number, entry in enumerate(entries):
            if entry[key] in seen:
                message = f"{key} 重复。|Name each {key} once."
                raise ValidationError({str(number): {key: [message]}})
            seen.add(entry[key])

    return check


class Bool(Boolean):
    """`true` or `false`, not the many words that marshmallow also takes for them."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        if not isinstance(value, bool):
            raise ValidationError("需要 true 或 false。|Give true or false.")
        return super()._deserialize(value, attr, data, **kwargs)
