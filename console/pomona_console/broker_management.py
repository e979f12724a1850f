"""RabbitMQ's management API: import definitions, and take them back."""

import base64
import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

from pomona_console.broker_definitions import Definitions
from pomona_console.trouble import Trouble

_PATIENCE = 20.0
_NOT_FOUND = 404


class Management:
    """The API at `http://user:password@host:15672`, for one who may administrate."""

    def __init__(self, api: str) -> None:
        parts = urlsplit(api)
        self._base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/api"
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        self._login = f"Basic {base64.b64encode(login.encode()).decode()}"

    def define(self, definitions: Definitions) -> None:
        """Make what is missing and change what differs; what is not mentioned stays."""
        self.ask("POST", "definitions", body=definitions)

    def defined(self) -> Definitions:
        """Return all that the broker knows."""
        found: Definitions = self.ask("GET", "definitions")
        return found

    def forget(self, kind: str, *names: str) -> None:
        """Delete something, such as `users` or `policies`; it may be gone already."""
        self.ask("DELETE", kind, *names)

    def ask(self, verb: str, *path: str, body: Any = None) -> Any:
        """Ask the API and return what its JSON says, None for nothing. Raises `Trouble`."""
        request = Request(  # noqa: S310 - an address of the operator's, no visitor's
            "/".join([self._base, *(quote(part, safe="") for part in path)]),
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self._login, "Content-Type": "application/json"},
            method=verb,
        )
        try:
            with urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
                said = answer.read()
        except HTTPError as failure:
            failure.close()
            if failure.code == _NOT_FOUND:
                return None
            raise _trouble(f"{failure.code} {failure.reason}") from failure
        except (URLError, OSError) as failure:
            raise _trouble(str(failure)) from failure
        return json.loads(said) if said else None


def _trouble(reason: str) -> Trouble:
    return Trouble(
        f"RabbitMQ 管理接口出错：{reason}。请检查 POMONA_RABBITMQ_API（地址、管理员账号）。",
        f"The management API of RabbitMQ failed: {reason}. "
        "Check POMONA_RABBITMQ_API: its address, and the administrator's name and password.",
    )
