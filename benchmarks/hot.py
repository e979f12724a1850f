"""P3: many callers change one and the same aggregate, and load it again after a conflict."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from statistics import median
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError

from benchmarks.append import check, settled
from benchmarks.arena import Arena
from benchmarks.book import Page, command, make_tables, open_book, open_library, write
from benchmarks.report import Goal, Outcome
from benchmarks.rounds import Figures, percentiles, require

CALLERS = 16

Save = Callable[[], int]
"""Saves once, however many tries that takes, and returns how many it took."""


def contend(save: Save, callers: int, seconds: float) -> Figures:
    """Let callers save in competition; tell who got how far and how often they tried."""
    saved, tried = [0] * callers, [0] * callers
    took: list[list[float]] = [[] for _ in range(callers)]
    begin = threading.Barrier(callers + 1)

    def call(me: int) -> None:
        begin.wait()
        until = time.perf_counter() + seconds
        while (started := time.perf_counter()) < until:
            tried[me] += save()
            saved[me] += 1
            took[me].append(time.perf_counter() - started)

    threads = [threading.Thread(target=call, args=(me,)) for me in range(callers)]
    for thread in threads:
        thread.start()
    begin.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return {
        "saved": sum(saved),
        "per_second": sum(saved) / (time.perf_counter() - started),
        "most_by_median": max(saved) / max(1.0, median(saved)),
        "tries_per_save": sum(tried) / max(1, sum(saved)),
        **percentiles([one for mine in took for one in mine]),
    }


@contextmanager
def pomona(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Try as a door does: look the command up after a conflict, then load and decide again."""
    make_tables(place["dsn"])
    book = open_book(place["dsn"])
    first = Page()
    page_id: UUID = first.id
    book.commit(command(), first)

    def save() -> int:
        c = command()
        for tries in count(1):
            with book.attempt():
                page = book.get(Page, page_id)
                assert page is not None  # noqa: S101 - it was saved above
                write(page)
                try:
                    book.commit(c, page)
                except IntegrityError:
                    require(book.answer_to(c) is None, "a command with a conflict was applied")
                    continue
            return tries
        raise AssertionError

    yield lambda seconds: contend(save, place["callers"], seconds)
    book.close()


@contextmanager
def library(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    application = open_library(place["dsn"])
    first = Page()
    page_id: UUID = first.id
    application.save(first)

    def save() -> int:
        for tries in count(1):
            page: Page = application.repository.get(page_id)
            write(page)
            try:
                application.save(page)
            except IntegrityError:
                continue
            return tries
        raise AssertionError

    yield lambda seconds: contend(save, place["callers"], seconds)
    application.close()


def p3(arena: Arena) -> Outcome:
    """One hot aggregate."""
    outcome = Outcome(
        what="16 callers change one aggregate and load it again after a conflict",
        goals=(Goal("most by median", most=5),),
    )
    tables = {"pomona": "book_events", "library": "application_events"}
    with ExitStack() as opened:
        turns, dsns = {}, {}
        saved = dict.fromkeys(tables, 1.0)
        for name in tables:
            dsns[name] = opened.enter_context(arena.database())
            turns[name] = opened.enter_context(
                arena.contender(
                    f"benchmarks.hot:{name}",
                    {"dsn": dsns[name], "callers": CALLERS},
                    under="eventlet" if name == "pomona" else "threads",
                )
            )

        def turn(name: str) -> Figures:
            figures = turns[name](seconds=arena.scale.seconds)
            saved[name] += figures["saved"]
            return figures

        played = arena.play({name: partial(turn, name) for name in tables})
        for name, table in tables.items():
            check(dsns[name], table, int(saved[name]))
        settled(dsns["pomona"], int(saved["pomona"]))
    outcome.add("hot", played, "pomona", {"library": "library"})
    outcome.ratios["most by median"] = round(played.worst("pomona", "most_by_median"), 3)
    return outcome
