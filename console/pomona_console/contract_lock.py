"""What every service promises, as lines that can be compared: docs/contracts.lock.

A line is `kind subject shape`: what is published, consumed, asked for, and stored for ever.
"""

import json
import types
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from eventsourcing.domain import Aggregate, AggregateEvent

from pomona.application import Application
from pomona.contracts import Contracts
from pomona_console.json_schema import json_schema

LOCK = "contracts.lock"
Shapes = dict[str, Any]
"""Shapes by `kind subject`, such as `published orders.order_paid.v1`."""

_HEAD = {"originator_id", "originator_version", "originator_topic", "timestamp"}


def text_of(shapes: Shapes) -> str:
    """Return the lock file that says this."""
    lines = (f"{key} {json.dumps(shape, sort_keys=True)}" for key, shape in sorted(shapes.items()))
    return "\n".join(lines) + "\n"


def shapes_in(text: str) -> Shapes:
    """Read a lock file."""
    found = {}
    for line in text.splitlines():
        kind, subject, shape = line.split(" ", 2)
        found[f"{kind} {subject}"] = json.loads(shape)
    return found


def shapes_of(chain: tuple[Contracts, ...]) -> Shapes:
    """Describe the contracts, and what the services behind them store."""
    return {key: shape for contracts in chain for key, shape in _promises(contracts)}


def application_class(service: str) -> type[Application] | None:
    """Return the service's application, or None for one that stores nothing of its own."""
    try:
        module = import_module(f"{service}.application")
    except ModuleNotFoundError:
        return None
    (found,) = (
        cls
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, Application) and cls.name == service
    )
    return found


def stored_events(application: type[Application]) -> dict[str, type[Any]]:
    """Return the events that the aggregates store, by topic."""
    found = {}
    for name, aggregate in application.aggregates.items():
        for nested in vars(aggregate).values():
            if _is_stored(aggregate, nested):
                found[f"{application.name}.{name}.{nested.__name__}"] = nested
    return found


def _is_stored(aggregate: type[Aggregate], nested: Any) -> bool:
    """Leave out what the library puts into every aggregate for its own events to inherit."""
    return (
        isinstance(nested, type)
        and issubclass(nested, AggregateEvent)
        and nested.__name__ not in ("Event", "Created")
        and nested.__qualname__.startswith(f"{aggregate.__qualname__}.")
    )


def _promises(contracts: Contracts) -> Iterator[tuple[str, Any]]:
    service = contracts.service
    for entry in contracts.published:
        yield f"published {service}.{entry.routing_key}", json_schema(entry.schema())
    for consumed in contracts.consumed:
        subject = consumed.type.removeprefix("pomona.")
        yield f"consumed {service}<-{subject}", json_schema(consumed.schema())
    for request in contracts.requests:
        asked = {"kind": request.kind, "roles": sorted(request.roles)}
        shape = asked | {"request": json_schema(request.schema())}
        yield f"request {service}.{request.method}", shape
    application = application_class(service)
    for topic, event in stored_events(application).items() if application else ():
        yield f"stored {topic}", _stored(event)


def _stored(event: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(event)
    upcasts = [name for name in dir(event) if name.startswith("upcast_v")]
    return {
        "version": getattr(event, "class_version", 1),
        "upcasts": sorted(upcasts),
        "fields": {f.name: _type(hints[f.name]) for f in fields(event) if f.name not in _HEAD},
    }


def _type(hint: Any) -> Any:
    """Name a type by what it holds, not by the module it stands in: files may move."""
    if is_typeddict(hint):
        return {name: _type(inner) for name, inner in get_type_hints(hint).items()}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"one of": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"any of": [_type(inner) for inner in arguments]}
    if origin is not None:
        return {origin.__name__: [_type(inner) for inner in arguments]}
    return getattr(hint, "__name__", str(hint))
