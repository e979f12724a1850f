"""Where a stack keeps its things: one directory, by default `.run` beside the Makefile."""

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SERVICES = ("orders", "inventory", "crm", "aftersales", "analytics")
REPORTING = "reporting"
KNOW_PEOPLE = ("crm", "aftersales")  # each with a database of keys beside its own


@dataclass(frozen=True)
class Layout:
    """The files below a stack's directory."""

    directory: Path

    @property
    def state(self) -> Path:
        return self.directory / "stack.json"

    @property
    def ports(self) -> Path:
        return self.directory / "ports.json"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def secrets(self) -> Path:
        return self.directory / "secrets"

    def log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def make(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "logs").mkdir(exist_ok=True)
        for private in (self.secrets, self.master_keys, self.erasures):
            private.mkdir(mode=0o700, exist_ok=True)

    def empty(self) -> None:
        """Forget an earlier life of the stack, but for what its supervisor holds open."""
        for path in self.directory.iterdir():
            if path not in (self.lock, self.directory / "logs"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.make()

    def set_logs_aside(self) -> None:
        """Keep the logs of the life before this one, and no older ones."""
        for log in (self.directory / "logs").glob("*.log"):
            if log != self.log("supervisor"):  # whoever started us opened it anew
                log.replace(log.with_suffix(".log.before"))

    def password(self, name: str) -> str:
        """Return the password kept under this name, made at first use."""
        return self.password_file(name).read_text()

    def password_file(self, name: str) -> Path:
        """Return where the password of this name is kept, made at first use."""
        path = self.secrets / f"{name}.password"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24))
        return path

    @property
    def private_key(self) -> Path:
        return self.secrets / "identity.key"

    @property
    def public_key(self) -> Path:
        return self.secrets / "identity.pub"

    def make_identity_keys(self) -> None:
        """Make the Ed25519 pair that signs and checks identities, unless it is there."""
        if self.private_key.exists() and self.public_key.exists():
            return
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(self.public_key, public.decode())
        write_private(self.private_key, private.decode())

    @property
    def master_keys(self) -> Path:
        return self.secrets / "master_keys"

    @property
    def erasures(self) -> Path:
        """Where the erasure journal lies: outside whatever a backup restores."""
        return self.directory / "erasures"

    def service_token(self, service: str) -> Path:
        return self.secrets / f"{service}.token"


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step with one that only we may read."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - Path.open cannot set the mode
        file.write(text)
    fresh.replace(path)


def read_json(path: Path) -> Any:
    """Return what the file holds, or None where there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
