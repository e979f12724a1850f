"""The golden streams: what services have stored, as it was stored, up to each kind of event.

A stream never changes once it is committed: databases hold such events for ever. What it folds to
stands beside it in folded.json, which may gain attributes as aggregates do.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.domain import Aggregate
from eventsourcing.persistence import StoredEvent

from pomona.application import Application
from pomona_console.contract_lock import application_class

from .golden import CHAIN, HERE

APPLICATIONS = {
    service: application for service in CHAIN if (application := application_class(service))
}


def streams() -> list[Path]:
    """Every golden stream there is."""
    return sorted(path for service in APPLICATIONS for path in stored(service).glob("*.v*.json"))


def stored(service: str) -> Path:
    return HERE / service / "stored"


def service_of(path: Path) -> str:
    return path.parent.parent.name


def name_of(path: Path) -> str:
    return f"{service_of(path)}/{path.stem}"


@cache
def application_of(service: str) -> Application:
    """The service's application, storing in memory."""
    return APPLICATIONS[service]()


def stream_in(path: Path) -> list[StoredEvent]:
    """Return the stored events of a golden stream, oldest first."""
    golden = json.loads(path.read_text("utf-8"))
    return [
        StoredEvent(
            originator_id=UUID(golden["originator_id"]),
            originator_version=event["version"],
            topic=event["topic"],
            state=json.dumps(event["state"], ensure_ascii=False, separators=(",", ":")).encode(),
        )
        for event in golden["events"]
    ]


def happened(service: str, stream: Sequence[StoredEvent]) -> list[Any]:
    """Read stored events as they are read today, through every upcast."""
    return [application_of(service).mapper.to_domain_event(event) for event in stream]


def folded(events: Sequence[Any]) -> Aggregate:
    """Return the aggregate that events, or a snapshot, make."""
    aggregate: Any = None
    for event in events:
        aggregate = event.mutate(aggregate)
    return aggregate


def plain(aggregate: Aggregate) -> dict[str, Any]:
    """Return an aggregate's state as JSON holds it."""
    state: dict[str, Any] = _plain(vars(aggregate))
    del state["_pending_events"]
    return state


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, int | str) else str(value)
