"""Writes what follows from the contracts: documents, and who may call what. `make docs`."""

import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from pomona import fields
from pomona.contracts import Contracts, Published, contracts_of
from pomona_console.asyncapi import document
from pomona_console.broker_definitions import methods_of
from pomona_console.contract_lock import LOCK, shapes_of, text_of
from pomona_console.layout import SERVICES

DOCS = Path(__file__).resolve().parents[2] / "docs"
# From these identity gives each terminal's account its permissions at the broker.
METHODS = DOCS.parent / "services/identity/identity/methods.json"

_KINDS: dict[type[Any], str] = {
    fields.Id: "id",
    fields.Fen: "fen",
    fields.Count: "count",
    fields.Whole: "whole number",
    fields.Moment: "moment",
    fields.Day: "day",
    fields.Text: "text",
    fields.Bool: "true or false",
}

_OPENING = """\
# Events

Written by `make docs` from the contracts of the services; a test keeps it fresh.

Every event goes to the topic exchange `<service>.events` under its name as routing key, in the
envelope that [architecture.md](architecture.md) describes; here stands what is in `data`. An `id`
is a UUID, `fen` a whole number of fen, a `count` whole grams or pieces above zero, a `moment` ISO
8601 with an offset, a `day` a date. A published version never changes. The same as data, with every
request: [asyncapi.yaml](asyncapi.yaml).

Analytics archives every event of every service; "read by" names who makes something of it.
"""


class _Dumper(yaml.SafeDumper):
    """Writes what two places share twice, so that each place reads on its own."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def whole_chain() -> tuple[Contracts, ...]:
    """Return the contracts of every service."""
    return tuple(
        contracts_of(service, import_module(f"{service}.contracts")) for service in SERVICES
    )


def documents() -> dict[Path, str]:
    """Return the text of each document."""
    chain = whole_chain()
    heading = (
        "# Written by `make docs` from the contracts of the services; a test keeps it fresh.\n"
    )
    tree = yaml.dump(
        document(chain),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )
    return {
        DOCS / "events.md": _events(chain),
        DOCS / "asyncapi.yaml": heading + tree,
        DOCS / LOCK: text_of(shapes_of(chain)),
        METHODS: json.dumps(methods_of(chain), indent=1) + "\n",
    }


def _events(chain: Sequence[Contracts]) -> str:
    return "\n".join([_OPENING, *_overview(chain), *_chapters(chain)])


def _overview(chain: Sequence[Contracts]) -> Iterator[str]:
    yield "| event | what happened | read by |\n|---|---|---|"
    for contracts in chain:
        for entry in contracts.published:
            name = f"{contracts.service}.{entry.routing_key}"
            link = f"[{name}](#{name.replace('.', '')})"
            yield f"| {link} | {entry.summary} | {_readers(chain, entry.type(contracts.service))} |"


def _chapters(chain: Sequence[Contracts]) -> Iterator[str]:
    for contracts in chain:
        if contracts.published:
            yield f"\n## {contracts.service}"
        for entry in contracts.published:
            yield _chapter(chain, contracts.service, entry)


def _chapter(chain: Sequence[Contracts], service: str, entry: Published) -> str:
    example = f"../tests/contract/{service}/{entry.routing_key}.json"
    return "\n".join(
        [
            f"\n### {service}.{entry.routing_key}\n",
            f"{entry.summary} Its subject is `{entry.subject}`. [Example]({example}).\n",
            f"Read by: {_readers(chain, entry.type(service))}.\n",
            "| field | what it is |\n|---|---|",
            *_rows(entry.schema().fields),
        ]
    )


def _rows(members: dict[str, Any], within: str = "") -> Iterator[str]:
    for name, field in members.items():
        inner = field.inner if isinstance(field, fields.List) else field
        path = f"{within}{name}{'[]' if inner is not field else ''}"
        if isinstance(inner, fields.Nested):
            yield from _rows(inner.schema.fields, f"{path}.")
        else:
            yield f"| `{path}` | {_kind(inner)}{' or null' if field.allow_none else ''} |"


def _kind(field: Any) -> str:
    match field:
        case fields.Choice():
            return ", ".join(f"`{word}`" for word in field.choices)
        case fields.Fen(min=least) if least < 0:
            return "fen, may be negative"
        case fields.Count(min=0):
            return "count or 0"
        case fields.Whole(min=least, max=most) if most < fields.MAX_COUNT:
            return f"{least} to {most}"
    return _KINDS[type(field)]


def _readers(chain: Sequence[Contracts], wire_type: str) -> str:
    readers = [
        contracts.service
        for contracts in chain
        if any(consumed.type == wire_type for consumed in contracts.consumed)
    ]
    return ", ".join(readers) or "the archive only"


def main() -> int:
    """Write the documents."""
    for path, text in documents().items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
