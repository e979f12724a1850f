"""Where a stack keeps its things: one directory, by default `.run` beside the Makefile."""

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pomona.signing import keys_in, make_key

SERVICES = ("identity", "orders", "inventory", "crm", "aftersales", "analytics")
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
    def restored(self) -> Path:
        """Stands while what the broker holds may be from a time that was undone."""
        return self.directory / "restored"

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
    def signing_keys(self) -> Path:
        return self.secrets / "signing-keys"

    @property
    def pepper(self) -> Path:
        """Return where the key is kept that identity mixes into PINs and passwords."""
        self.password("pepper")
        return self.secrets / "pepper.password"

    @property
    def public_key(self) -> Path:
        return self.secrets / "identity.pub"

    def make_identity_keys(self) -> None:
        """Make the first key that signs identities, and tell services how to check it."""
        self.signing_keys.mkdir(mode=0o700, exist_ok=True)
        if not keys_in(self.signing_keys):
            make_key(self.signing_keys, datetime.now(UTC))
        self.pin_public_keys()

    def pin_public_keys(self) -> None:
        """Write down the keys that services believe before they have asked identity."""
        public = "".join(key.public_pem for key in keys_in(self.signing_keys))
        write_private(self.public_key, public)

    @property
    def master_keys(self) -> Path:
        return self.secrets / "master_keys"

    @property
    def erasures(self) -> Path:
        """Where the erasure journal lies: outside whatever a backup restores."""
        return self.directory / "erasures"


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
