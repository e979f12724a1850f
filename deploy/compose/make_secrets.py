#!/usr/bin/env python3
"""Makes the passwords and keys of the compose file; those that exist are kept."""

import json
import secrets
import sys
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pomona.broker_access import ACCOUNTS, OPERATOR, service_user
from pomona.running_role import running_role
from pomona.signing import SigningKey, new_private_key
from pomona_console.broker_definitions import contracts_of_all, definitions
from pomona_console.layout import KNOW_PEOPLE, REPORTING, SERVICES
from pomona_console.rabbitmq import VHOST


def main(folder: Path) -> None:
    """Fill the folder; it is shut, its files are not: containers read them under other users."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for account in accounts():
        _kept(folder / f"{account}.password", secrets.token_urlsafe(24))
    signing_key = _kept(folder / "signing_key", new_private_key().decode())
    public_key = SigningKey(datetime.now(UTC), signing_key.encode()).public_pem
    _kept(folder / "identity_public_key", public_key)
    _kept(folder / "master_key_0001", b64encode(secrets.token_bytes(32)).decode())
    _define_broker(folder)


def accounts() -> Iterator[str]:
    """Name everybody who signs in somewhere with a password."""
    yield from (OPERATOR, ACCOUNTS, "pepper", "postgres", REPORTING)
    yield from map(service_user, SERVICES)
    for database in (*SERVICES, *(f"{service}_keys" for service in KNOW_PEOPLE)):
        yield from (database, running_role(database))


def _define_broker(folder: Path) -> None:
    """Write what the broker reads at its start, anew when the contracts have changed."""
    wanted = definitions(
        contracts_of_all(SERVICES),
        vhost=VHOST,
        password=lambda user: (folder / f"{user}.password").read_text("utf-8"),
    )
    path = folder / "rabbitmq_definitions"
    if not path.exists() or _but_for_salt(json.loads(path.read_text())) != _but_for_salt(wanted):
        path.write_text(json.dumps(wanted, indent=1), "utf-8")


def _but_for_salt(wanted: dict[str, Any]) -> dict[str, Any]:
    users = [{**user, "password_hash": None} for user in wanted["users"]]
    return {**wanted, "users": users}


def _kept(path: Path, fresh: str) -> str:
    if not path.exists():
        path.touch(mode=0o644)
        path.write_text(fresh, "utf-8")
    return path.read_text("utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / "secrets")
