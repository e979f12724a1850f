"""The erasure journal: who must stay forgotten, kept where no restored database can undo it."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import orjson

FIRST: Final = "0" * 64


class JournalBroken(Exception):  # noqa: N818 - reads as what it is
    """The journal is not there, or was changed after it was written."""


@dataclass(frozen=True)
class Erasure:
    """Somebody who asked to be forgotten: an id, and nothing else about the person."""

    person_id: UUID
    at: datetime


class ErasureJournal:
    """A file to which lines are added, each vouching for all before it by a hash.

    A line counts once it ends in a newline: one that a crash tore was never acted upon.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "erasures.jsonl"

    def read(self) -> list[Erasure]:
        """Return every erasure, the oldest first. Raises `JournalBroken`."""
        return [erasure for erasure, _ in self._lines(self._content())]

    def head(self) -> str:
        """Return the hash that vouches for the whole journal, to compare with a copy's."""
        return self._head(self._content())

    def write(self, person_id: UUID, at: datetime) -> None:
        """Add an erasure and return when it is on disk; once is enough for one person."""
        with self._alone() as file:
            content = os.pread(file, os.fstat(file).st_size, 0)
            if any(known.person_id == person_id for known, _ in self._lines(content)):
                return
            whole = content.rfind(b"\n") + 1
            os.ftruncate(file, whole)
            os.lseek(file, whole, os.SEEK_SET)
            entry = {"at": at.isoformat(), "person_id": str(person_id)}
            entry["digest"] = _digest(self._head(content), entry)
            os.write(file, orjson.dumps(entry) + b"\n")
            os.fsync(file)
        self._sync_folder()

    @contextmanager
    def _alone(self) -> Iterator[int]:
        try:
            file = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            raise self._missing() from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _content(self) -> bytes:
        if not self._folder.is_dir():
            raise self._missing()
        try:
            return self._file.read_bytes()
        except FileNotFoundError:
            return b""

    def _missing(self) -> JournalBroken:
        return JournalBroken(f"{self._folder} is not there: mount the erasure journal")

    def _head(self, content: bytes) -> str:
        return next((digest for _, digest in reversed(list(self._lines(content)))), FIRST)

    def _lines(self, content: bytes) -> Iterator[tuple[Erasure, str]]:
        *lines, _torn = content.split(b"\n")
        previous = FIRST
        for number, line in enumerate(lines, start=1):
            try:
                entry = orjson.loads(line)
                digest = entry.pop("digest")
                erasure = Erasure(UUID(entry["person_id"]), datetime.fromisoformat(entry["at"]))
            except (ValueError, KeyError, TypeError, AttributeError):
                digest, erasure = None, None
            if erasure is None or digest != _digest(previous, entry):
                raise JournalBroken(f"{self._file}, line {number}, was changed: restore a copy")
            yield erasure, digest
            previous = digest


def _digest(previous: str, entry: dict[str, str]) -> str:
    canonical = orjson.dumps([previous, entry], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()
