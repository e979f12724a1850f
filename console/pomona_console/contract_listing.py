"""Reads what a service can be asked from its contracts, and describes the fields of a request."""

import importlib
from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields
from marshmallow import missing as absent

from pomona.contracts import Request


def requests_of(service: str) -> Sequence[Request]:
    requests: Sequence[Request] = importlib.import_module(f"{service}.contracts").REQUESTS
    return requests


def described(request: Request) -> dict[str, Any]:
    """Return a request as data: method, kind, roles, summary and its fields."""
    return {
        "method": request.method,
        "kind": request.kind,
        "roles": list(request.roles),
        "summary": request.summary,
        "request": _fields(request.schema()),
    }


def _fields(schema: Schema) -> dict[str, Any]:
    return {name: _field(field) for name, field in schema.fields.items()}


def _field(field: fields.Field[Any]) -> dict[str, Any]:
    what: dict[str, Any] = {"type": type(field).__name__.lower(), "required": field.required}
    if field.allow_none:
        what["null"] = True
    if field.load_default is not absent:
        default = field.load_default
        what["default"] = default() if callable(default) else default
    for limit in ("min", "max", "choices"):
        if getattr(field, limit, None) is not None:
            what[limit] = getattr(field, limit)
    if isinstance(field, fields.List):
        what["of"] = _field(field.inner)
    if isinstance(field, fields.Nested):
        what = {**what, "type": "object", "fields": _fields(field.schema)}
    return what


def in_words(request: Request) -> str:
    """Return a request as a few readable lines."""
    about = described(request)
    lines = [
        f"{about['method']}  ({about['kind']}; {', '.join(about['roles'])})",
        f"    {about['summary']}",
        *_lines(about["request"], indent=6),
    ]
    return "\n".join(lines)


def _lines(described_fields: dict[str, Any], indent: int) -> list[str]:
    lines = []
    for name, what in described_fields.items():
        mark = "" if what["required"] else "?"
        lines.append(f"{' ' * indent}{name}{mark}: {_type(what)}")
        inner = what.get("fields") or what.get("of", {}).get("fields")
        if inner:
            lines += _lines(inner, indent + 4)
    return lines


def _type(what: dict[str, Any]) -> str:
    if "of" in what:
        return f"list of {_type(what['of'])}"
    if "choices" in what:
        words = "|".join(map(str, what["choices"]))
    elif "min" in what and "max" in what:
        words = f"{what['type']} {what['min']}..{what['max']}"
    else:
        words = what["type"]
    if "default" in what:
        words += f" = {what['default']}"
    return words
