"""The terminals' accounts at the broker, made and deleted over RabbitMQ's management API."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen
from uuid import UUID

from pomona.broker_access import TERMINAL_LIMITS, Methods, terminal_access, terminal_user
from pomona.eventstore import Cursor

PATIENCE_SECONDS: Final = 10.0
NOT_FOUND: Final = 404

Unreachable = (OSError, ValueError)
"""What may go wrong on the way to the API: HTTP errors and time-outs are kinds of OSError."""


@dataclass(frozen=True)
class Account:
    """What the broker is to know of one terminal."""

    terminal_id: UUID
    at_a_store: bool
    password_hash: str
    wanted: bool

    @property
    def user(self) -> str:
        return terminal_user(self.terminal_id)


def accounts(cursor: Cursor) -> list[Account]:
    cursor.execute(
        "SELECT terminal_id, store_id IS NOT NULL AS at_a_store, password_hash, wanted"
        " FROM broker_accounts JOIN terminals USING (terminal_id)"
    )
    return [Account(**row) for row in cursor.fetchall()]


class Broker:
    """The management API, as the one account that may make others sees it."""

    def __init__(self, api: str, vhost: str) -> None:
        parts = urlsplit(api)
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        self._base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/api"
        self._login = f"Basic {base64.b64encode(login.encode()).decode()}"
        self._vhost = vhost
        self._made_by_us: set[str] = set()

    def settle(self, wanted: Iterable[Account]) -> None:
        """Make what is missing or was changed, delete what was revoked. Safe to repeat.

        Each account is made anew once in a process's life: its permissions may have changed.
        """
        known = {user["name"]: user["password_hash"] for user in self._ask("GET", "users")}
        for account in wanted:
            as_it_should = known.get(account.user) == account.password_hash
            if account.wanted and not (as_it_should and account.user in self._made_by_us):
                self._make(account)
                self._made_by_us.add(account.user)
            if not account.wanted and account.user in known:
                # the broker closes the connections of a user that is deleted
                self._ask("DELETE", "users", account.user)

    def _make(self, account: Account) -> None:
        access = terminal_access("store" if account.at_a_store else "head_office", methods())
        user = {
            "password_hash": account.password_hash,
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": "",
        }
        self._ask("PUT", "users", account.user, body=user)
        for limit, value in TERMINAL_LIMITS.items():
            self._ask("PUT", "user-limits", account.user, limit, body={"value": value})
        # without a topic permission every key is open, so it comes before the other one
        for kind, body in (
            ("topic-permissions", access.topic_permission()),
            ("permissions", access.permission()),
        ):
            self._ask("PUT", kind, self._vhost, account.user, body=body)

    def _ask(self, verb: str, *path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = Request(  # noqa: S310 - the operator's address, no visitor's
            "/".join([self._base, *(quote(part, safe="") for part in path)]),
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self._login, "Content-Type": "application/json"},
            method=verb,
        )
        try:
            with urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - as above
                said = answer.read()
        except HTTPError as error:
            if verb == "DELETE" and error.code == NOT_FOUND:
                return None
            raise
        return json.loads(said) if said else None


@cache
def methods() -> Methods:
    """Return who may call what: written by `make docs` from the contracts of all services."""
    found: Methods = json.loads(files("identity").joinpath("methods.json").read_text("utf-8"))
    return found
