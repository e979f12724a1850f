"""AMQP frames packed by hand, for what a process sends most: calls, answers, events.

py-amqp builds a message object and serialises it field by field, which costs more than the call.
"""

from collections.abc import Mapping
from struct import pack

FRAME_MAX = 131_072  # what RabbitMQ negotiates unless it is told otherwise
_PUBLISH = pack(">HHH", 60, 40, 0)
_ACK = pack(">HH", 60, 80)
_CONTENT_TYPE, _CONTENT_ENCODING = 1 << 15, 1 << 14
_HEADERS, _DELIVERY_MODE, _CORRELATION_ID = 1 << 13, 1 << 12, 1 << 10
_REPLY_TO, _EXPIRATION, _MESSAGE_ID, _USER_ID = 1 << 9, 1 << 8, 1 << 7, 1 << 4
_JSON_TRANSIENT = _CONTENT_TYPE | _CONTENT_ENCODING | _DELIVERY_MODE
_JSON = b"\x10application/json\x05utf-8"
_EVENT = b"\x1capplication/cloudevents+json"
_TRANSIENT, _PERSISTENT = b"\x01", b"\x02"


def call_properties(
    headers: Mapping[str, str], *, correlation_id: str, reply_to: str, expiration: str, user_id: str
) -> bytes:
    """Return the properties of a call."""
    flags = _JSON_TRANSIENT | _HEADERS | _CORRELATION_ID | _REPLY_TO | _EXPIRATION | _USER_ID
    return b"".join(
        (
            flags.to_bytes(2, "big"),
            _JSON,
            _table(headers),
            _TRANSIENT,
            _short(correlation_id),
            _short(reply_to),
            _short(expiration),
            _short(user_id),
        )
    )


def answer_properties(correlation_id: str) -> bytes:
    """Return the properties of an answer."""
    flags = (_JSON_TRANSIENT | _CORRELATION_ID).to_bytes(2, "big")
    return flags + _JSON + _TRANSIENT + _short(correlation_id)


def event_properties(message_id: str, user_id: str) -> bytes:
    """Return the properties of an event, which is as durable as the queues it goes to."""
    flags = (_CONTENT_TYPE | _DELIVERY_MODE | _MESSAGE_ID | _USER_ID).to_bytes(2, "big")
    return flags + _EVENT + _PERSISTENT + _short(message_id) + _short(user_id)


def publish(
    channel: int, exchange: str, key: str, properties: bytes, body: bytes, *, mandatory: bool
) -> bytes:
    """Return the frames of one message."""
    method = b"".join((_PUBLISH, _short(exchange), _short(key), b"\x01" if mandatory else b"\x00"))
    header = pack(">HHQ", 60, 0, len(body)) + properties
    frames = [_frame(1, channel, method), _frame(2, channel, header)]
    room = FRAME_MAX - 8
    frames += [
        _frame(3, channel, body[start : start + room]) for start in range(0, len(body), room)
    ]
    return b"".join(frames)


def acknowledge(channel: int, tag: int, *, upto: bool = False) -> bytes:
    """Return the frame that acknowledges a message, or every message up to it."""
    return _frame(1, channel, _ACK + pack(">QB", tag, upto))


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return b"".join((pack(">BHI", kind, channel, len(payload)), payload, b"\xce"))


def _short(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(1, "big") + raw


def _table(headers: Mapping[str, str]) -> bytes:
    items = b"".join(
        _short(name) + b"S" + len(raw).to_bytes(4, "big") + raw
        for name, value in headers.items()
        if (raw := value.encode())
    )
    return len(items).to_bytes(4, "big") + items
