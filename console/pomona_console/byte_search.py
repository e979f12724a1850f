"""Looks for words in bytes: rows as the database hands them out, files as they lie on disk."""

import base64
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import psycopg
from psycopg import sql

SHORTEST: Final = 4  # bytes; what is shorter is found by chance
CHUNK: Final = 8 * 1024 * 1024
GZIP: Final = b"\x1f\x8b\x08"
MOBILE: Final = re.compile(r"(?:\+?86)?(1[3-9]\d)(\d{4})(\d{4})")


@dataclass(frozen=True)
class Needles:
    """The forms in which each of some words may lie about, under names that give nothing away."""

    forms: Mapping[bytes, str]
    too_short: tuple[str, ...]

    @classmethod
    def of(cls, words: Mapping[str, str]) -> Self:
        """Return every spelling and encoding of the words, by what they are called."""
        forms: dict[bytes, str] = {}
        too_short = []
        for name, word in words.items():
            if len(word.encode()) < SHORTEST:
                too_short.append(name)
                continue
            for form in _forms(word):
                forms.setdefault(form, name)
        return cls(forms, tuple(too_short))

    @property
    def longest(self) -> int:
        return max(map(len, self.forms), default=1)


@dataclass
class Search:
    """What was searched for some needles, and what was found where."""

    needles: Needles
    searched: Counter[str] = field(default_factory=Counter)
    amount: Counter[str] = field(default_factory=Counter)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)

    def tables(self, dsn: str, database: str) -> None:
        """Search every row of every table, as stored values: unpacked, and not yet as text."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            for schema, table in connection.execute(
                "SELECT schemaname, tablename FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
                " UNION SELECT schemaname, matviewname FROM pg_matviews"
                " ORDER BY 1, 2"
            ).fetchall():
                command = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT binary)").format(
                    sql.Identifier(schema, table)
                )
                with connection.cursor() as cursor, cursor.copy(command) as rows:
                    self._stream("tables", f"{database}.{schema}.{table}", _gathered(rows))

    def files(self, kind: str, root: Path) -> None:
        """Search every file below a folder, also inside what is gzipped."""
        for path in sorted(root.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            try:
                self._stream(kind, str(path.relative_to(root.parent)), _chunks(path))
            except FileNotFoundError:
                continue  # a log or segment that ended its life meanwhile
            except (PermissionError, zlib.error):
                self.skipped.append(str(path))

    def _stream(self, kind: str, place: str, chunks: Iterable[bytes]) -> None:
        self.searched[kind] += 1
        seen, tail = 0, b""
        for chunk in chunks:
            seen += len(chunk)
            window = tail + chunk
            for form, name in self.needles.forms.items():
                times = window.count(form)
                # what lies wholly in the tail was counted with the chunk before
                times -= tail.count(form)
                if times > 0:
                    self.found[place, name] += times
            tail = window[max(0, len(window) - self.needles.longest + 1) :]
        self.amount[kind] += seen


def _forms(word: str) -> Iterator[bytes]:
    mobile = MOBILE.fullmatch(re.sub(r"[\s().-]", "", word))
    if mobile:
        yield " ".join(mobile.groups()).encode()
        yield "-".join(mobile.groups()).encode()
        word = "".join(mobile.groups())  # which every other spelling holds
    plain = word.encode()
    yield plain
    escaped = json.dumps(word)[1:-1]
    yield escaped.encode()
    yield re.sub(r"\\u(\w{4})", lambda code: f"\\u{code[1].upper()}", escaped).encode()
    yield plain.hex().encode()
    for before in range(3):  # where in a group of three bytes the word begins
        encoded = base64.b64encode(b"\0" * before + plain)
        inner = encoded[(0, 2, 3)[before] :].rstrip(b"=")
        yield inner if (before + len(plain)) % 3 == 0 else inner[:-1]


def _chunks(path: Path) -> Iterator[bytes]:
    """Read a file piece by piece, unpacked where it is gzipped."""
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        unpack = zlib.decompressobj(wbits=31)
        while chunk := file.read(CHUNK):
            yield unpack.decompress(chunk) if packed else chunk


def _gathered(rows: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """Join small pieces into large ones: searching each by itself takes far longer."""
    buffer = bytearray()
    for row in rows:
        buffer += row
        if len(buffer) >= CHUNK:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)
