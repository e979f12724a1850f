"""All that the broker must know before a service comes: derived from the services' contracts."""

import base64
import hashlib
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from pomona.broker_access import (
    ACCOUNTS,
    DEAD_LETTERS,
    ENROLMENT,
    ENROLMENT_LIMITS,
    ENROLMENT_PASSWORD,
    IN_ORDER,
    OPERATOR,
    RPC_EXCHANGE,
    SERVICE_LIMITS,
    Methods,
    calls_of,
    enrolment_access,
    exchange_of,
    inbox_of,
    service_access,
    service_user,
)
from pomona.contracts import Contracts, contracts_of
from pomona.everywhere import asked_everywhere

Definitions = dict[str, Any]
Password = Callable[[str], str]

_MEBIBYTE = 1024 * 1024
_MOST_CALLS_WAITING = 2_000
_MOST_DEAD_LETTERS = 10_000


def contracts_of_all(services: Sequence[str]) -> tuple[Contracts, ...]:
    return tuple(
        contracts_of(service, import_module(f"{service}.contracts")) for service in services
    )


def methods_of(chain: Sequence[Contracts]) -> Methods:
    """Return which roles may call what, by service and method."""
    return {
        contracts.service: {
            request.method: request.roles
            for request in (
                *contracts.requests,
                *asked_everywhere(publishes=bool(contracts.published)),
            )
        }
        for contracts in chain
    }


def definitions(chain: Sequence[Contracts], *, vhost: str, password: Password) -> Definitions:
    """Return what RabbitMQ imports at its start or over its management API.

    A user without a password cannot sign in.
    """
    methods = methods_of(chain)
    access = {ENROLMENT: enrolment_access(methods)} | {
        service_user(contracts.service): service_access(
            contracts.service, contracts.sources, methods
        )
        for contracts in chain
    }
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            _user(OPERATOR, password(OPERATOR), tags=["administrator"]),
            _user(ACCOUNTS, password(ACCOUNTS), tags=["administrator"]),
            _user(ENROLMENT, ENROLMENT_PASSWORD, limits=ENROLMENT_LIMITS),
            *(
                _user(name, password(name), limits=SERVICE_LIMITS)
                for name in (service_user(contracts.service) for contracts in chain)
            ),
        ],
        "permissions": [
            _permission(OPERATOR, vhost, {"configure": ".*", "write": ".*", "read": ".*"}),
            *(_permission(name, vhost, its.permission()) for name, its in access.items()),
        ],
        "topic_permissions": [
            _permission(name, vhost, its.topic_permission()) for name, its in access.items()
        ],
        "policies": [
            {
                "vhost": vhost,
                "name": "calls",
                "pattern": f"^{calls_of('')}",
                "apply-to": "queues",
                "priority": 0,
                "definition": {
                    "max-length": _MOST_CALLS_WAITING,
                    "max-length-bytes": 64 * _MEBIBYTE,
                    "overflow": "reject-publish",
                },
            }
        ],
        "exchanges": _exchanges(chain, vhost),
        "queues": _queues(chain, vhost),
        "bindings": _bindings(chain, vhost),
    }


def password_hash(password: str) -> str:
    """Hash a password as the broker stores it: a salt of four bytes before the digest."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _user(
    name: str, password: str, *, tags: Sequence[str] = (), limits: dict[str, int] | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "password_hash": password_hash(password) if password else "",
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": list(tags),
        "limits": limits or {},
    }


def _permission(user: str, vhost: str, allowed: dict[str, str]) -> dict[str, str]:
    return {"user": user, "vhost": vhost, **allowed}


def _exchanges(chain: Sequence[Contracts], vhost: str) -> list[dict[str, Any]]:
    publishing = {name for contracts in chain for name in (contracts.service, *contracts.sources)}
    types = {RPC_EXCHANGE: "topic", DEAD_LETTERS: "fanout"}
    types |= {exchange_of(service): "topic" for service in sorted(publishing)}
    return [
        {
            "vhost": vhost,
            "name": name,
            "type": type_,
            "durable": True,
            "auto_delete": False,
            "internal": False,
            "arguments": {},
        }
        for name, type_ in types.items()
    ]


def _queues(chain: Sequence[Contracts], vhost: str) -> list[dict[str, Any]]:
    arguments: dict[str, dict[str, Any]] = {
        DEAD_LETTERS: {
            "x-queue-type": "quorum",
            "x-max-length": _MOST_DEAD_LETTERS,
            "x-max-length-bytes": 256 * _MEBIBYTE,
        }
    }
    for contracts in chain:
        arguments[calls_of(contracts.service)] = {}
        for source in contracts.sources:
            arguments[inbox_of(contracts.service, source)] = IN_ORDER
    return [
        {"vhost": vhost, "name": name, "durable": True, "auto_delete": False, "arguments": given}
        for name, given in arguments.items()
    ]


def _bindings(chain: Sequence[Contracts], vhost: str) -> list[dict[str, Any]]:
    bound = [(DEAD_LETTERS, "", DEAD_LETTERS)]
    for contracts in chain:
        service = contracts.service
        bound.append((RPC_EXCHANGE, f"{service}.*", calls_of(service)))
        bound += [
            (exchange_of(source), "#", inbox_of(service, source)) for source in contracts.sources
        ]
    return [
        {
            "vhost": vhost,
            "source": exchange,
            "routing_key": key,
            "destination": queue,
            "destination_type": "queue",
            "arguments": {},
        }
        for exchange, key, queue in bound
    ]
