"""A crew keeps trying while nobody answers, and stops together."""

import threading
from typing import Any, cast

import pytest

from pomona.errors import Refused, Unavailable
from pomona_console import day_crew
from pomona_console.day_crew import Crew, Stopped
from pomona_console.stack import Stack
from pomona_console.trouble import Trouble

NO_STACK = cast("Stack", None)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_crew, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(day_crew, "SILENCE_TOLD_AFTER", 0.0)
    monkeypatch.setenv("LC_ALL", "C")


class Service:
    """Answers a call as the script says: an error is raised, anything else is the answer."""

    def __init__(self, *script: Exception | dict[str, Any]) -> None:
        self.script = list(script)
        self.calls = 0

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        return said


def refused(code: str) -> Refused:
    return Refused(code, "no")


def test_a_call_is_repeated_until_it_is_answered_and_the_silence_is_told_once() -> None:
    told: list[str] = []
    service = Service(*[Unavailable()] * 5, refused("conflict"), {"total_fen": 7})

    answer = Crew(NO_STACK, tell=told.append).until_answered("orders", service)

    assert answer == {"total_fen": 7}
    assert service.calls == 7
    assert told == [
        "orders does not answer; trying again with the same command ids...",
        "orders answers again.",
    ]


def test_a_business_refusal_is_not_repeated() -> None:
    service = Service(refused("shift_closed"))

    with pytest.raises(Refused, match="shift_closed"):
        Crew(NO_STACK, tell=print).until_answered("orders", service)

    assert service.calls == 1


def test_a_defect_is_not_asked_about_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_crew, "INTERNAL_SECONDS", 0.1)

    with pytest.raises(Refused, match="internal"):
        Crew(NO_STACK, tell=print).until_answered("orders", Service(refused("internal")))


def test_patience_ends_with_what_to_do_next() -> None:
    crew = Crew(NO_STACK, tell=lambda _words: None, patience=0.2)

    with pytest.raises(Trouble, match="run the same command again"):
        crew.until_answered("orders", Service(Unavailable()))


def test_the_first_failure_stops_the_others_and_is_the_one_raised() -> None:
    crew = Crew(NO_STACK, tell=lambda _words: None)
    stopped = threading.Event()

    def waits_for_ever() -> None:
        try:
            crew.until_answered("orders", Service(Unavailable()))
        except Stopped:
            stopped.set()
            raise

    def fails() -> None:
        raise refused("unknown_product")

    with pytest.raises(Refused, match="unknown_product"):
        crew.all_do([waits_for_ever, fails])

    assert stopped.wait(5)
