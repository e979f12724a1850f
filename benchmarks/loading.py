"""P11: an aggregate is loaded, however many events it has lived through."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.application import Application

from benchmarks.arena import Arena
from benchmarks.book import (
    Page,
    command,
    library_environment,
    make_tables,
    open_book,
    write,
)
from benchmarks.report import Goal, Outcome
from benchmarks.rounds import Figures, percentiles, require
from pomona.memory import Memory

AT_ONCE = 1000  # events to a commit
LONGEST_REPLAY = 10_000  # to replay more takes seconds and tells nothing new
REPLAYS = 3
WARM_UP = 5  # connections and statements are ready, this aggregate is not
THEIRS = ("snapshot", "replay")


def fill(save: Callable[[Page], object], length: int) -> UUID:
    """Store a page with as many events and return its id."""
    page = Page()
    while page.version < length:
        write(page)
        if len(page.pending_events) == AT_ONCE:
            save(page)
    if page.pending_events:
        save(page)
    page_id: UUID = page.id
    return page_id


def timed(load: Callable[[], Any], length: int) -> float:
    started = time.perf_counter()
    page = load()
    taken = time.perf_counter() - started
    require(page.version == length, f"loaded version {page.version} of {length}")
    require(page.quantity == length - 1, f"loaded {page.quantity} entries of {length - 1}")
    return taken


def told(taken: Sequence[float]) -> Figures:
    return {"per_second": len(taken) / sum(taken), **percentiles(taken)}


@contextmanager
def pomona(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Load through the application: known to the process, or for the first time."""
    make_tables(place["dsn"])
    book = open_book(place["dsn"])
    newcomer = open_book(place["dsn"])
    for _ in range(WARM_UP):
        require(newcomer.get(Page, uuid4()) is None, "found what was never stored")
    ids = {
        length: fill(lambda page: book.commit(command(), page), length)
        for length in place["lengths"]
    }

    def first(length: int) -> float:
        newcomer._memory = Memory()  # noqa: SLF001 - as it is after a start
        return timed(lambda: newcomer.get(Page, ids[length]), length)

    def again(length: int) -> float:
        return timed(lambda: book.get(Page, ids[length]), length)

    def turn(length: int, times: int, how: str) -> Figures:
        load = first if how == "first" else again
        return told([load(length) for _ in range(times)])

    yield turn
    newcomer.close()
    book.close()


@contextmanager
def library(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Load through the library: replaying every event, or from a snapshot."""
    env = library_environment(place["dsn"]) | {"IS_SNAPSHOTTING_ENABLED": "y"}
    application: Application[UUID] = Application(env)
    replayed = [length for length in place["lengths"] if length <= LONGEST_REPLAY]
    ids = {length: fill(application.save, length) for length in replayed}
    taken = {length: fill(application.save, length) for length in place["lengths"]}
    for page_id in taken.values():
        application.take_snapshot(page_id)

    def turn(length: int, times: int, how: str) -> Figures:
        page_id = ids[length] if how == "replay" else taken[length]
        return told(
            [timed(lambda: application.repository.get(page_id), length) for _ in range(times)]
        )

    yield turn
    application.close()


def p11(arena: Arena) -> Outcome:
    """Load an aggregate."""
    outcome = Outcome(
        what="an aggregate of 10 to 100,000 events is loaded",
        goals=(Goal("slowest p99 ms, known", most=1.5), Goal("slowest p99 ms, first", most=1.5)),
    )
    lengths, times = arena.scale.lengths, arena.scale.loads
    slowest = {"again": 0.0, "first": 0.0}
    with ExitStack() as opened:
        turns = {}
        for name in ("pomona", "library"):
            place = {"dsn": opened.enter_context(arena.database()), "lengths": lengths}
            turns[name] = opened.enter_context(
                arena.contender(
                    f"benchmarks.loading:{name}",
                    place,
                    under="eventlet" if name == "pomona" else "threads",
                )
            )
        ours, theirs = turns["pomona"], turns["library"]
        for length in lengths:
            contenders = {
                "again": partial(ours, length=length, times=times, how="again"),
                "first": partial(ours, length=length, times=times, how="first"),
                "snapshot": partial(theirs, length=length, times=times, how="snapshot"),
            }
            if length <= LONGEST_REPLAY:
                contenders["replay"] = partial(theirs, length=length, times=REPLAYS, how="replay")
            played = arena.play(contenders)
            against = {name: f"{name} of {length:,}" for name in contenders if name in THEIRS}
            outcome.add(f"load {length:,}", played, "again", against)
            for how, before in slowest.items():
                slowest[how] = max(before, played.median(how, "p99_ms"))
    outcome.figures["slowest p99 ms, known"] = round(slowest["again"], 3)
    outcome.figures["slowest p99 ms, first"] = round(slowest["first"], 3)
    return outcome
