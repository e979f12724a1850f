"""The golden messages: one example of the data of every published event, kept for ever."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from pomona.contracts import Contracts, Published
from pomona_console.catalogue import whole_chain

HERE = Path(__file__).parent
LOCK = HERE / "golden.lock"
CHAIN = {contracts.service: contracts for contracts in whole_chain()}
TOLD = [(contracts, entry) for contracts in CHAIN.values() for entry in contracts.published]


def path_of(service: str, routing_key: str) -> Path:
    return HERE / service / f"{routing_key}.json"


def golden(service: str, routing_key: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path_of(service, routing_key).read_text("utf-8"))
    return data


def kept() -> list[Path]:
    """Every golden file there is."""
    return sorted(path for service in CHAIN for path in (HERE / service).glob("*.json"))


def locked() -> dict[str, str]:
    """The hash of every golden file that was ever committed, by its path from here."""
    entries = (line.split() for line in LOCK.read_text("utf-8").splitlines())
    return {name: digest for digest, name in entries}


def hash_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def by_name(told: tuple[Contracts, Published]) -> str:
    contracts, entry = told
    return f"{contracts.service}.{entry.routing_key}"
