"""Strict JSON: the only bytes that services exchange."""

from typing import Any

import orjson

MAX_BYTES = 256 * 1024
CONTENT_TYPE = "application/json"


class Undecodable(ValueError):  # noqa: N818 - a property of the bytes
    """The bytes are not a message of ours. The text is a fixed reason, never their content."""


def encode(message: Any) -> bytes:
    return orjson.dumps(message)


def decode(body: bytes, *, limit: int = MAX_BYTES) -> Any:
    """Read one JSON value; NaN, Infinity, invalid UTF-8, deep nesting and large bodies are refused.

    Raises `Undecodable` with one of the reasons `too_large`, `not_json`.
    """
    if len(body) > limit:
        raise Undecodable("too_large")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Undecodable("not_json") from None
