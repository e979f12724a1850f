"""The door of the parrot."""

from collections.abc import Sequence
from typing import Any

from benchmarks.parrot import contracts
from pomona.application import Question
from pomona.doors import question
from pomona.envelope import Envelope
from pomona.eventstore import Cursor
from pomona.host import Reader


def remember_nothing(events: Sequence[Envelope], cursor: Cursor) -> None:
    """Nothing is consumed, so nothing comes here."""


class ParrotService:
    name = "benchmarks"
    views: Reader = Reader(
        contracts=contracts, remember=remember_nothing, schema="", batch=1, delay=0.0
    )

    @question
    def echo(self, q: Question) -> dict[str, Any]:
        return {"words": q.request["words"]}
