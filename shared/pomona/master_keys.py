"""The master keys: a folder of files, outside every database, that wraps all other keys."""

import os
from base64 import b64decode, b64encode
from os import urandom
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SUFFIX: Final = ".key"


class MasterKeyMissing(Exception):  # noqa: N818 - reads as what it is
    """A key is wrapped by a master key that is not in the folder; the text names the file."""


class MasterKeys:
    """One key in base64 per file: the last by name wraps, every one unwraps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ciphers: dict[str, AESGCM] = {}

    def names(self) -> list[str]:
        # Read anew each time: a key that is added while we run wraps from then on.
        return sorted(path.stem for path in self._folder.glob(f"*{SUFFIX}"))

    def newest(self) -> str:
        names = self.names()
        if not names:
            raise MasterKeyMissing(f"there is no master key in {self._folder}: put it there")
        return names[-1]

    def made_at(self, name: str) -> float:
        """Return when a key was put here, in seconds since the epoch."""
        return self._path(name).stat().st_mtime

    def wrap(self, key: bytes, owner: str) -> tuple[str, bytes]:
        """Return the name of the newest master key, and the key wrapped by it for its owner."""
        name = self.newest()
        return name, encrypt(self._cipher(name), key, owner)

    def unwrap(self, name: str, wrapped: bytes, owner: str) -> bytes:
        return decrypt(self._cipher(name), wrapped, owner)

    def make(self) -> str:
        """Add a master key that follows the others by name, readable to its owner alone."""
        name = f"{int((self.names() or ['0'])[-1]) + 1:04}"
        with open(os.open(self._path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:  # noqa: PTH123 - Path.open cannot set the mode
            f.write(b64encode(urandom(KEY_BYTES)).decode("ascii"))
            f.flush()
            os.fsync(f.fileno())
        return name

    def remove(self, name: str) -> None:
        """Destroy a master key, and with it every copy of every key that it wrapped."""
        self._path(name).unlink()
        self._ciphers.pop(name, None)

    def _cipher(self, name: str) -> AESGCM:
        if name not in self._ciphers:
            path = self._path(name)
            try:
                self._ciphers[name] = AESGCM(b64decode(path.read_text("ascii")))
            except FileNotFoundError:
                raise MasterKeyMissing(f"{path} is missing: put it back") from None
        return self._ciphers[name]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{SUFFIX}"


def encrypt(cipher: AESGCM, plain: bytes, place: str) -> bytes:
    """Encrypt for one place: moved to another, it does not open."""
    nonce = urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, place.encode())


def decrypt(cipher: AESGCM, sealed: bytes, place: str) -> bytes:
    """Open what was encrypted for this place. Raises `InvalidTag`."""
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
