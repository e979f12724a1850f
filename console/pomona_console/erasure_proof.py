"""Whether a person is forgotten: no key, a line in the journal, and no word in any byte we hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pomona.erasures import ErasureJournal
from pomona_console.byte_search import Needles, Search
from pomona_console.stack import Stack

KEY_COPY = "wrapped key"


@dataclass(frozen=True)
class Proof:
    """What was searched and found; `holds` where the person is erased and nothing was found."""

    erased_at: str | None
    keys: Sequence[str]
    searched: Mapping[str, tuple[int, int]]
    found: Sequence[tuple[str, str, int]]
    key_copies: int
    too_short: Sequence[str]
    skipped: Sequence[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return bool(self.erased_at) and not self.keys and not self.found


def wrapped_keys(stack: Stack, person_id: UUID) -> list[bytes]:
    """Return a person's keys as they are stored, to look for copies once they are gone."""
    found = []
    for dsn in stack.keys.values():
        with psycopg.connect(dsn) as connection:
            rows = connection.execute(
                "SELECT wrapped FROM data_keys WHERE owner = %s", (str(person_id),)
            )
            found += [bytes(wrapped) for (wrapped,) in rows]
    return found


def prove(
    stack: Stack,
    person_id: UUID,
    words: Mapping[str, str],
    *,
    wrapped: Sequence[bytes] = (),
    elsewhere: Sequence[Path] = (),
) -> Proof:
    """Search everything that the stack has on this machine, and `elsewhere`, for the words."""
    needles = Needles.of(words)
    copies = Needles(dict.fromkeys(wrapped, KEY_COPY), ())
    search = Search(Needles({**needles.forms, **copies.forms}, needles.too_short))
    _settle_on_disk(stack)
    for name, dsn in _databases(stack).items():
        search.tables(dsn, name)
    for kind, folder in _folders(stack, elsewhere).items():
        search.files(kind, folder)
    found = [(place, what, n) for (place, what), n in search.found.items() if what != KEY_COPY]
    return Proof(
        erased_at=next(
            (
                erasure.at.isoformat()
                for erasure in ErasureJournal(stack.layout.erasures).read()
                if erasure.person_id == person_id
            ),
            None,
        ),
        keys=[name for name, dsn in stack.keys.items() if _has_key(dsn, person_id)],
        searched={kind: (n, search.amount[kind]) for kind, n in search.searched.items()},
        found=sorted(found),
        key_copies=sum(n for (_, what), n in search.found.items() if what == KEY_COPY),
        too_short=needles.too_short,
        skipped=search.skipped,
    )


def _settle_on_disk(stack: Stack) -> None:
    """Give up the space of deleted rows, and bring to the disk what is only in memory."""
    for dsn in _databases(stack).values():
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("VACUUM")
    with psycopg.connect(stack.admin_dsn, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def _databases(stack: Stack) -> dict[str, str]:
    """Return DSNs of the administrator, by database: also what a service cannot see is searched."""
    own = [dsn for name, dsn in stack.databases.items() if name != "reporting"]
    names = [str(conninfo_to_dict(dsn)["dbname"]) for dsn in (*own, *stack.keys.values())]
    return {name: make_conninfo(stack.admin_dsn, dbname=name) for name in names}


def _folders(stack: Stack, elsewhere: Sequence[Path]) -> dict[str, Path]:
    folders = {
        path.name: path for path in sorted(stack.layout.directory.iterdir()) if path.is_dir()
    }
    data = stack.state["postgres"]["data"]
    if data is not None:
        folders["postgres"] = Path(data).parent
    return folders | {str(path): path for path in elsewhere}


def _has_key(dsn: str, person_id: UUID) -> bool:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT 1 FROM data_keys WHERE owner = %s", (str(person_id),))
        return found.fetchone() is not None
