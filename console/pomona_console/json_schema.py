"""Derives JSON Schema from the marshmallow schemas of the contracts."""

from typing import Any

from marshmallow import Schema, missing, validate

from pomona import fields

JsonSchema = dict[str, Any]

_FORMATS: dict[type[Any], str] = {
    fields.Id: "uuid",
    fields.Moment: "date-time",
    fields.Day: "date",
}


def json_schema(schema: Schema) -> JsonSchema:
    """Return the schema as JSON Schema: these fields and no others."""
    required = [name for name, field in schema.fields.items() if field.required]
    return {
        "type": "object",
        "additionalProperties": False,
        **({"required": required} if required else {}),
        "properties": {name: _field(field) for name, field in schema.fields.items()},
    }


def _field(field: Any) -> JsonSchema:
    what = _value(field)
    if field.allow_none:
        what = {**what, "type": [what["type"], "null"]}
        if "enum" in what:
            what["enum"] = [*what["enum"], None]
    if field.load_default is not missing:
        default = field.load_default
        what = {**what, "default": default() if callable(default) else default}
    return what


def _value(field: Any) -> JsonSchema:
    what: JsonSchema
    match field:
        case fields.Whole():
            what = {"type": "integer", "minimum": field.min, "maximum": field.max}
        case fields.Text():
            what = {"type": "string", "minLength": field.min, "maxLength": field.max}
        case fields.Choice():
            what = {"type": "string", "enum": list(field.choices)}
        case fields.Bool():
            what = {"type": "boolean"}
        case fields.List():
            what = {"type": "array", **_lengths(field), "items": _field(field.inner)}
        case fields.Nested():
            what = json_schema(field.schema)
        case _:
            what = {"type": "string", "format": _FORMATS[type(field)]}
    return what


def _lengths(field: Any) -> JsonSchema:
    lengths: JsonSchema = {}
    for check in field.validators:
        if isinstance(check, validate.Length):
            if check.min is not None:
                lengths["minItems"] = check.min
            if check.max is not None:
                lengths["maxItems"] = check.max
    return lengths
