"""What a virtual terminal did and what it was told, in a file that nobody rewrites."""

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

Fate = Literal["acked", "failed", "unknown"]


class History:
    """Appends what happens, each line given to the kernel before the next thing is done."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._writing = threading.Lock()

    def sent(self, command_id: UUID, service: str, method: str, request: Mapping[str, Any]) -> None:
        self._write("sent", command_id, service=service, method=method, request=request)

    def acked(self, command_id: UUID, answer: Mapping[str, Any]) -> None:
        self._write("acked", command_id, answer=answer)

    def failed(self, command_id: UUID, code: str) -> None:
        self._write("failed", command_id, code=code)

    def unknown(self, command_id: UUID, code: str) -> None:
        self._write("unknown", command_id, code=code)

    def close(self) -> None:
        self._file.close()

    def _write(self, what: str, command_id: UUID, **more: Any) -> None:
        line = {"at": time.time(), "what": what, "id": str(command_id), **more}
        with self._writing:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")


@dataclass
class Sent:
    """A command as its terminal knows it."""

    id: UUID
    service: str
    method: str
    request: Mapping[str, Any]
    till: int
    at: float
    fate: Fate = "unknown"
    code: str = ""
    answers: list[Mapping[str, Any]] = field(default_factory=list)
    answered_at: float = 0.0


def read(paths: Iterable[Path]) -> dict[UUID, Sent]:
    """Read the histories of all terminals; `clerk-3.jsonl` is that of till 3."""
    commands: dict[UUID, Sent] = {}
    for path in paths:
        for text in path.read_text().splitlines():
            _take_in(json.loads(text), int(path.stem.rpartition("-")[2]), commands)
    return commands


def _take_in(line: dict[str, Any], till: int, commands: dict[UUID, Sent]) -> None:
    command_id = UUID(line["id"])
    if line["what"] == "sent":
        commands.setdefault(
            command_id,
            Sent(command_id, line["service"], line["method"], line["request"], till, line["at"]),
        )
        return
    command = commands[command_id]
    if line["what"] == "acked":
        command.fate = "acked"
        command.answers.append(line["answer"])
        command.answered_at = command.answered_at or line["at"]
    elif command.fate != "acked":
        command.fate = line["what"]
        command.code = line["code"]
