"""Loads and dumps what is plainly right at once; everything else is left to marshmallow.

Most of what marshmallow does for a field prepares for the case that something is wrong. Here the
same fields judge the same values without that; where one of them objects, or anything is unusual,
marshmallow loads the whole again and says what is wrong, or that nothing is.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from marshmallow import INCLUDE, RAISE, Schema, ValidationError, fields, missing

Load = Callable[[Any], Any]
Dump = Callable[[Any], Any]


class _Unusual(Exception):  # noqa: N818 - no error: marshmallow decides
    """Something that only marshmallow handles."""


def loader(schema: Schema) -> Load:
    """Return a function that does what the schema's `load` does, several times as fast."""
    at_once = _schema(schema)
    return schema.load if at_once is None else partial(_try, at_once, schema.load)


def dumper(schema: Schema) -> Dump:
    """Return a function that does what the schema's `dump` does with a mapping, but faster."""
    at_once = _dumped(schema)
    return schema.dump if at_once is None else partial(_try, at_once, schema.dump)


def _try(at_once: Load, judge: Load, values: Any) -> Any:
    try:
        return at_once(values)
    except (_Unusual, ValidationError):
        return judge(values)


def _schema(schema: Schema) -> Load | None:
    """Return what loads a mapping at once; a schema with hooks of its own has no such thing."""
    if any(schema._hooks.values()) or schema.unknown == INCLUDE or schema.many:  # noqa: SLF001 - says that nothing else happens on load
        return None
    takes = [
        (field.data_key or name, field.attribute or name, field, _field(field))
        for name, field in schema.load_fields.items()
    ]
    closed = schema.unknown == RAISE

    def load(values: Any) -> dict[str, Any]:
        if type(values) is not dict:
            raise _Unusual
        loaded = {}
        known = 0
        for key, name, field, take in takes:
            value = values.get(key, missing)
            if value is not missing:
                known += 1
                loaded[name] = take(value)
            elif field.required:
                raise _Unusual
            elif field.load_default is not missing:
                default = field.load_default
                loaded[name] = default() if callable(default) else default
        if closed and known != len(values):
            raise _Unusual
        return loaded

    return load


def _field(field: fields.Field[Any]) -> Load:
    """Return what takes one value of a field: what its type says, then its own validators."""
    take = _by_type(field)
    if take is None or field.pre_load or field.post_load:
        return field.deserialize
    validators, nullable = field.validators, field.allow_none
    if not validators and not nullable:
        return take

    def taken(value: Any) -> Any:
        if value is None and nullable:
            return None
        loaded = take(value)
        for validate in validators:
            validate(loaded)
        return loaded

    return taken


def _by_type(field: fields.Field[Any]) -> Load | None:
    if type(field) is fields.List:
        inner = _field(field.inner)

        def listed(values: Any) -> list[Any]:
            if type(values) is not list:
                raise _Unusual
            return [inner(value) for value in values]

        return listed
    if type(field) is fields.Nested:
        return _schema(field.schema) if field.unknown is None else None
    if type(field).__module__ == "pomona.fields":
        convert = field._deserialize  # noqa: SLF001 - what a field of ours says of a value
        return lambda value: convert(value, None, None)
    return None


def _dumped(schema: Schema) -> Dump | None:
    if any(schema._hooks.values()) or schema.many:  # noqa: SLF001 - as above
        return None
    fields_ = [
        (field.data_key or name, field.attribute or name, _written(field))
        for name, field in schema.dump_fields.items()
    ]

    def dump(values: Mapping[str, Any]) -> dict[str, Any]:
        if type(values) is not dict:
            raise _Unusual
        dumped = {}
        for key, name, write in fields_:
            value = values.get(name, missing)
            if value is missing:
                raise _Unusual
            dumped[key] = None if value is None else write(value)
        return dumped

    return dump


def _written(field: fields.Field[Any]) -> Dump:
    """Return what writes one value of a field."""
    if type(field) is fields.List:
        inner = _written(field.inner)
        return lambda values: [None if value is None else inner(value) for value in values]
    if type(field) is fields.Nested and (nested := _dumped(field.schema)) is not None:
        return nested
    write = field._serialize  # noqa: SLF001 - what a field says of a value, wherever it stands
    return lambda value: write(value, "", None)
