"""Who may do what at the broker: the names of its things, and the permissions of each user.

A permission is a regular expression that RabbitMQ matches with the name of a queue or exchange.
Calls all go through one exchange, so there each user also has one for the routing key.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

RPC_EXCHANGE = "nameko-rpc"
DEAD_LETTERS = "dead-letters"
REPLIES = "amq.default"  # the name of the default exchange, where direct replies go, in permissions
REPLY_KEY = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

IN_ORDER = {"x-queue-type": "quorum", "x-single-active-consumer": True}

OPERATOR = "pomona"
ACCOUNTS = "accounts"
ENROLMENT = "enrolment"
ENROLMENT_PASSWORD = "enrolment"  # noqa: S105 - for everybody who unpacks a terminal

TerminalKind = Literal["store", "head_office"]
ROLES_AT: Mapping[TerminalKind, frozenset[str]] = {
    "store": frozenset({"cashier", "store_manager", "terminal"}),
    "head_office": frozenset({"head_office", "analyst", "terminal"}),
}

TERMINAL_LIMITS = {"max-connections": 8, "max-channels": 16}
ENROLMENT_LIMITS = {"max-connections": 32, "max-channels": 32}
SERVICE_LIMITS = {"max-connections": 128, "max-channels": 256}

Methods = Mapping[str, Mapping[str, Sequence[str]]]
"""Who may call what: roles by service and method."""


def service_user(service: str) -> str:
    return f"service-{service}"


def terminal_user(terminal_id: object) -> str:
    return f"terminal-{terminal_id}"


def exchange_of(service: str) -> str:
    """Return where a service's events go."""
    return f"{service}.events"


def calls_of(service: str) -> str:
    """Return the queue of a service's calls."""
    return f"rpc-{service}"


def inbox_of(service: str, source: str) -> str:
    """Return the queue of the events that a service reads from another."""
    return f"{service}.from.{source}"


@dataclass(frozen=True)
class Access:
    """What one user may configure, write and read; and which keys of the RPC exchange."""

    configure: Sequence[str] = ()
    write: Sequence[str] = ()
    read: Sequence[str] = ()
    calls: Sequence[str] = ()
    binds: Sequence[str] = ()

    def permission(self) -> dict[str, str]:
        """Return the user's permissions on the vhost, as RabbitMQ spells them."""
        return {
            "configure": _any_of(map(re.escape, self.configure)),
            "write": _any_of(map(re.escape, self.write)),
            "read": _any_of(map(re.escape, self.read)),
        }

    def topic_permission(self) -> dict[str, str]:
        """Return the permissions on keys of the RPC exchange.

        A user without them may use every key: they must be there before any other permission is.
        """
        return {
            "exchange": RPC_EXCHANGE,
            "write": _any_of(self.calls),
            "read": _any_of(map(re.escape, self.binds)),
        }


def service_access(service: str, sources: Sequence[str], methods: Methods) -> Access:
    """Let a service have its own things, read its sources, and call what services may call."""
    queues = (calls_of(service), *(inbox_of(service, source) for source in sources))
    return Access(
        configure=(*queues, exchange_of(service)),
        write=(*queues, exchange_of(service), RPC_EXCHANGE, REPLIES, DEAD_LETTERS),
        read=(*queues, *map(exchange_of, sources), RPC_EXCHANGE),
        calls=(*map(re.escape, callable_by(methods, {"service"})), REPLY_KEY),
        binds=(f"{service}.*",),
    )


def terminal_access(kind: TerminalKind, methods: Methods) -> Access:
    """Let a terminal call what the people at it may call, and nothing else."""
    return _caller(callable_by(methods, ROLES_AT[kind]))


def enrolment_access(methods: Methods) -> Access:
    """Let whoever has a one-time code enrol a terminal with it."""
    return _caller(callable_by(methods, {"enrolment"}))


def _caller(keys: Sequence[str]) -> Access:
    return Access(write=(RPC_EXCHANGE,), calls=tuple(map(re.escape, keys)))


def callable_by(methods: Methods, roles: Iterable[str]) -> list[str]:
    """Return the routing keys of the calls that one of these roles may make."""
    return sorted(
        f"{service}.{method}"
        for service, allowed in methods.items()
        for method, may in allowed.items()
        if not set(roles).isdisjoint(may)
    )


def _any_of(patterns: Iterable[str]) -> str:
    joined = "|".join(sorted(patterns))
    return f"^({joined})$" if joined else "^$"
