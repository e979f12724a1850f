"""The envelope of every event on the wire: CloudEvents 1.0 in structured JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pomona import wire


class Malformed(ValueError):  # noqa: N818 - a property of the message
    """The message is JSON, but not an envelope of ours."""


@dataclass(frozen=True)
class Envelope:
    """One published event.

    `position` counts the source's log; `previous` is the position of the event that this source
    published before it, so that a reader sees a hole at once. `cause` is what an effect of this
    event is stamped with: the same person and trace, and this event as the reason. The bytes in
    `raw` are what came over the wire and are the same whenever the source is asked again.
    """

    source: str
    type: str
    subject: str
    time: str
    position: int
    previous: int
    data: Mapping[str, Any]
    cause: Mapping[str, str]
    raw: bytes = field(repr=False, compare=False)

    @property
    def routing_key(self) -> str:
        return self.type.split(".", 2)[2]


def seal(
    *,
    service: str,
    type: str,  # noqa: A002 - the attribute's name in CloudEvents
    subject: str,
    time: datetime,
    position: int,
    previous: int,
    data: Mapping[str, Any],
    cause: Mapping[str, Any],
) -> Envelope:
    """Make the envelope of a stored event; equal input gives equal bytes."""
    message: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{service}-{position}",
        "source": f"pomona/{service}",
        "type": type,
        "subject": subject,
        "time": time.isoformat(),
        "datacontenttype": "application/json",
        "position": position,
        "previous": previous,
    }
    store = data.get("store_id")
    if store is not None:
        message["storeid"] = str(store)
    for extension in ("actor", "correlationid", "causationid", "traceparent"):
        if cause.get(extension):
            message[extension] = cause[extension]
    message["data"] = data
    return Envelope(
        source=service,
        type=type,
        subject=subject,
        time=message["time"],
        position=position,
        previous=previous,
        data=data,
        cause=_passed_on(message),
        raw=wire.encode(message),
    )


def unseal(raw: bytes) -> Envelope:
    """Read an envelope. Raises `wire.Undecodable` or `Malformed`."""
    message = wire.decode(raw, limit=4 * wire.MAX_BYTES)
    if not isinstance(message, dict) or message.get("specversion") != "1.0":
        raise Malformed("not_cloudevents")
    source, type_, subject = message.get("source"), message.get("type"), message.get("subject")
    position, previous = message.get("position"), message.get("previous")
    data, time = message.get("data"), message.get("time")
    if not (
        isinstance(source, str)
        and source.startswith("pomona/")
        and isinstance(type_, str)
        and type_.startswith(f"pomona.{source[7:]}.")
        and isinstance(subject, str)
        and isinstance(time, str)
        and type(position) is int
        and type(previous) is int
        and 0 <= previous < position
        and isinstance(data, dict)
    ):
        raise Malformed("attributes")
    return Envelope(
        source=source[7:],
        type=type_,
        subject=subject,
        time=time,
        position=position,
        previous=previous,
        data=data,
        cause=_passed_on(message),
        raw=raw,
    )


def _passed_on(message: Mapping[str, Any]) -> dict[str, str]:
    passed = {name: message.get(name, "") for name in ("actor", "correlationid", "traceparent")}
    return {
        **{name: value if isinstance(value, str) else "" for name, value in passed.items()},
        "causationid": f"{message['source'][7:]}-{message['position']}",
    }
