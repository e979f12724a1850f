"""The envelope of every event on the wire: CloudEvents 1.0 in structured JSON."""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pomona import wire

_VERSION = re.compile(r"\.v[1-9][0-9]{0,3}$", re.ASCII)
_VERSIONS = re.compile(r"(?:[1-9][0-9]{0,3}(?:,[1-9][0-9]{0,3}){0,9})?", re.ASCII)


class Malformed(ValueError):  # noqa: N818 - a property of the message
    """The message is JSON, but not an envelope of ours."""


@dataclass(frozen=True)
class Envelope:
    """One published event.

    `position` counts the source's log; `previous` is the position of the event that this source
    published before it, so that a reader sees a hole at once. `cause` is what an effect of this
    event is stamped with: the same person and trace, and this event as the reason. Where an event
    is told in several versions, all have its position and each names the others. The bytes in `raw`
    are what came over the wire and are the same whenever the source is asked again.
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
    other_versions: tuple[int, ...] = ()

    @property
    def routing_key(self) -> str:
        return self.type.split(".", 2)[2]

    @property
    def version(self) -> int:
        return int(self.type.rpartition(".v")[2])

    def is_chosen(self, reads: Container[str]) -> bool:
        """Say whether this is the version that a reader of these types takes: the newest it knows.

        One that knows none of them takes the newest there is.
        """
        name = self.type.rpartition(".v")[0]
        told = (self.version, *self.other_versions)
        known = [version for version in told if f"{name}.v{version}" in reads]
        return self.version == max(known or told)


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
    other_versions: Sequence[int] = (),
) -> Envelope:
    """Make the envelope of a stored event; equal input gives equal bytes."""
    message: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{service}-{position}"
        + ("" if type.endswith(".v1") else f".{type.rpartition('.')[2]}"),
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
    if other_versions:
        message["otherversions"] = ",".join(map(str, other_versions))
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
        other_versions=tuple(other_versions),
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
    others = message.get("otherversions", "")
    if not (
        isinstance(source, str)
        and source.startswith("pomona/")
        and isinstance(type_, str)
        and type_.startswith(f"pomona.{source[7:]}.")
        and _VERSION.search(type_)
        and isinstance(others, str)
        and _VERSIONS.fullmatch(others)
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
        other_versions=tuple(map(int, others.split(","))) if others else (),
        raw=raw,
    )


def _passed_on(message: Mapping[str, Any]) -> dict[str, str]:
    passed = {name: message.get(name, "") for name in ("actor", "correlationid", "traceparent")}
    return {
        **{name: value if isinstance(value, str) else "" for name, value in passed.items()},
        "causationid": f"{message['source'][7:]}-{message['position']}",
    }
