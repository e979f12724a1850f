"""The keys that sign identities: one file each, in a directory that only identity can read."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Everybody has learned a new key before anything is signed with it.
KNOWN_AFTER = timedelta(seconds=60)
_MADE_AT = "%Y%m%dT%H%M%S%fZ"
_PUBLIC = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\n?", re.DOTALL)


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 key, and when it was made."""

    made_at: datetime
    private_pem: bytes

    @cached_property
    def public_pem(self) -> str:
        key = serialization.load_pem_private_key(self.private_pem, password=None)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return public.decode("ascii")

    @property
    def kid(self) -> str:
        return kid_of(self.public_pem)


def kid_of(public_pem: str) -> str:
    """Return the id of a key: it follows from the key, so that none can take another's place."""
    return hashlib.sha256(public_pem.strip().encode("ascii")).hexdigest()[:16]


def new_private_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def make_key(directory: Path, at: datetime) -> None:
    """Add a key to the directory."""
    path = directory / f"{at.astimezone(UTC):{_MADE_AT}}.pem"
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - Path.open cannot set the mode
        file.write(new_private_key())
    fresh.rename(path)


def keys_in(directory: Path) -> tuple[SigningKey, ...]:
    """Return every key of the directory, the oldest first: their names say when they were made."""
    return tuple(
        SigningKey(_made_at(path), path.read_bytes()) for path in sorted(directory.glob("*.pem"))
    )


def _made_at(path: Path) -> datetime:
    return datetime.strptime(path.stem, _MADE_AT).replace(tzinfo=UTC)


def forget_keys(directory: Path, before: datetime) -> None:
    """Delete the keys that were made earlier: what they signed is believed no longer."""
    for path in directory.glob("*.pem"):
        if _made_at(path) < before:
            path.unlink()


def signer_of(keys: Sequence[SigningKey], at: datetime) -> SigningKey:
    """Return the newest key that everybody knows by now; of a first set, the oldest."""
    known = [key for key in keys if key.made_at <= at - KNOWN_AFTER]
    return known[-1] if known else keys[0]


def public_keys_of(pems: str) -> dict[str, str]:
    """Return the public keys that stand in a text, one after the other, by their ids."""
    return {kid_of(pem): pem for pem in _PUBLIC.findall(pems)}
