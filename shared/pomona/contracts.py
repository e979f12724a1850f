"""Contracts as data: what a service tells, what it reads, what it can be asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Literal, TypeAlias

from marshmallow import Schema

from pomona.loading import Load, loader

Role = Literal[
    "cashier", "store_manager", "head_office", "analyst", "service", "terminal", "enrolment"
]
SchemaClass: TypeAlias = type[Schema]
# Tokens name people; a machine is known by its broker user: a service, a terminal at which nobody
# has logged in, and whoever holds an enrolment code.
PERSON_ROLES: tuple[Role, ...] = ("cashier", "store_manager", "head_office", "analyst")
ROLES: tuple[Role, ...] = (*PERSON_ROLES, "service", "terminal", "enrolment")


@cache
def loader_of(schema: SchemaClass) -> Load:
    """Make a schema's loader once: making it costs as much as several loads."""
    return loader(schema())


@dataclass(frozen=True)
class Published:
    """A private event made public on purpose, under a name and a shape that never change."""

    name: str
    version: int
    event: type[Any]
    schema: SchemaClass
    subject: str
    summary: str
    data: Callable[[Any], Mapping[str, Any]]

    @property
    def routing_key(self) -> str:
        return f"{self.name}.v{self.version}"

    def type(self, service: str) -> str:
        return f"pomona.{service}.{self.routing_key}"


@dataclass(frozen=True)
class Consumed:
    """Another context's event as we see it: its wire type, and the value we make of it."""

    type: str
    schema: SchemaClass
    fact: Callable[..., Any]

    @property
    def source(self) -> str:
        return self.type.split(".")[1]

    def read(self, data: Mapping[str, Any]) -> Any:
        """Turn the event's data into a fact. Raises marshmallow's ValidationError."""
        return self.fact(**loader_of(self.schema)(data))


@dataclass(frozen=True)
class Request:
    """A method that others may call: who may, and with what.

    `secrets` are fields too easily guessed to leave even a hash behind: a repeat of a command is
    recognised without them.
    """

    method: str
    schema: SchemaClass
    roles: tuple[Role, ...]
    summary: str
    kind: Literal["command", "question"]
    secrets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.roles or not set(self.roles) <= set(ROLES):
            raise TypeError(f"{self.method} does not say which roles may call it")


@dataclass(frozen=True)
class Contracts:
    """All contracts of one service."""

    service: str
    published: tuple[Published, ...]
    consumed: tuple[Consumed, ...]
    requests: tuple[Request, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(sorted({consumed.source for consumed in self.consumed}))


def contracts_of(service: str, module: ModuleType) -> Contracts:
    """Collect PUBLISHED, CONSUMED and REQUESTS of a service's contracts module."""
    return Contracts(
        service=service,
        published=tuple(getattr(module, "PUBLISHED", ())),
        consumed=tuple(getattr(module, "CONSUMED", ())),
        requests=tuple(module.REQUESTS),
    )
