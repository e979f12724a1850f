#!/usr/bin/env python3
"""Makes the passwords, keys and tokens of the compose file; those that exist are kept."""

import base64
import hashlib
import json
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from pomona.identity import Actor, issue
from pomona.signing import SigningKey

SERVICES = ("orders", "inventory", "crm", "aftersales", "analytics")
KNOW_PEOPLE = ("crm", "aftersales")
TOKENS_LAST = timedelta(days=365)


def main(folder: Path) -> None:
    """Fill the folder; it is shut, its files are not: containers read them under other users."""
    folder.mkdir(mode=0o700, exist_ok=True)
    private_key = _kept(folder / "identity_private_key", _new_private_key(), mode=0o600)
    _kept(folder / "identity_public_key", _public_key(private_key))
    _kept(folder / "postgres_password", secrets.token_urlsafe(24))
    _kept(folder / "reporting_database_password", secrets.token_urlsafe(24))
    _kept(folder / "master_key_0001", base64.b64encode(secrets.token_bytes(32)).decode())
    for service in KNOW_PEOPLE:
        keys = f"{service}_keys"
        password = _kept(folder / f"{keys}_database_password", secrets.token_urlsafe(24))
        _kept(folder / f"{keys}_dsn", f"postgresql://{keys}:{password}@postgres:5432/{keys}")
    users = {}
    key = SigningKey(datetime.now(UTC), private_key.encode())
    for service in SERVICES:
        password = _kept(folder / f"{service}_database_password", secrets.token_urlsafe(24))
        dsn = f"postgresql://{service}:{password}@postgres:5432/{service}"
        _kept(folder / f"{service}_database_dsn", dsn)
        amqp_uri = f"amqp://{service}:{secrets.token_urlsafe(24)}@rabbitmq:5672/pomona"
        amqp_uri = _kept(folder / f"{service}_amqp_uri", amqp_uri)
        users[service] = amqp_uri.split("@")[0].rsplit(":", 1)[1]
        token = issue(key, Actor(id=service, role="service"), TOKENS_LAST, via=service)
        _kept(folder / f"{service}_service_token", token)
    _kept(folder / "rabbitmq_definitions", json.dumps(_definitions(users), indent=1))


def _kept(path: Path, fresh: str, *, mode: int = 0o644) -> str:
    if not path.exists():
        path.touch(mode=mode)
        path.write_text(fresh, "utf-8")
    return path.read_text("utf-8")


def _new_private_key() -> str:
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return pem.decode()


def _public_key(private_key: str) -> str:
    key = load_pem_private_key(private_key.encode(), password=None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _definitions(users: dict[str, str]) -> dict[str, object]:
    return {
        "vhosts": [{"name": "pomona"}],
        "users": [
            {
                "name": name,
                "password_hash": _broker_hash(password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
            for name, password in users.items()
        ],
        "permissions": [
            {"user": name, "vhost": "pomona", "configure": ".*", "write": ".*", "read": ".*"}
            for name in users
        ],
    }


def _broker_hash(password: str) -> str:
    """Hash a password as the broker stores it: a salt of four bytes before the digest."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / "secrets")
