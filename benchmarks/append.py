"""P1 and P2: one event saved by one caller, and by many callers at once."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from typing import Any
from uuid import uuid4

import psycopg

from benchmarks.arena import Arena
from benchmarks.book import Page, command, make_tables, open_book, open_library, write
from benchmarks.report import Goal, Outcome
from benchmarks.rounds import Figures, percentiles, require

PAGES = 10  # of each caller
RAW_TABLE = """
CREATE TABLE IF NOT EXISTS raw_events (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text,
    state bytea,
    cause jsonb,
    notification_id bigserial,
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX IF NOT EXISTS raw_notification ON raw_events (notification_id);
"""
RAW_INSERT = (
    "INSERT INTO raw_events (originator_id, originator_version, topic, state, cause)"
    " VALUES (%s, %s, %s, %s, %s)"
)
STATE = (
    b'{"timestamp":{"_type_":"datetime_iso","_data_":"2026-11-21T10:00:00.000000+00:00"},'
    b'"product_id":{"_type_":"uuid_hex","_data_":"6f0c4a0e8a545f7d9d5b3b8f0f1e7a11"},'
    b'"quantity":1,"total_fen":1290}'
)
CAUSE = (
    '{"actor":"p-1","correlationid":"0f36c1ee-31a9-4a60-9ad8-f7c0d5f4ab11",'
    '"causationid":"0f36c1ee-31a9-4a60-9ad8-f7c0d5f4ab11"}'
)

TABLES = {"pomona": "book_events", "raw": "raw_events", "library": "application_events"}

Save = Callable[[], None]
Turn = Callable[..., Figures]


def at_once(save_of_each: list[Save], seconds: float) -> Figures:
    """Let callers save without a pause until the time is up; tell how many saves there were."""
    taken: list[list[float]] = [[] for _ in save_of_each]
    begin = threading.Barrier(len(save_of_each) + 1)

    def call(save: Save, mine: list[float]) -> None:
        begin.wait()
        until = time.perf_counter() + seconds
        while (started := time.perf_counter()) < until:
            save()
            mine.append(time.perf_counter() - started)

    threads = [
        threading.Thread(target=call, args=(save, mine))
        for save, mine in zip(save_of_each, taken, strict=True)
    ]
    for thread in threads:
        thread.start()
    begin.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    every = [one for mine in taken for one in mine]
    return {"saved": len(every), "per_second": len(every) / elapsed, **percentiles(every)}


@contextmanager
def pomona(place: Mapping[str, Any]) -> Iterator[Turn]:
    """Commit through the application: the event, its cause and its command row."""
    make_tables(place["dsn"])
    book = open_book(place["dsn"])

    def saver() -> Save:
        pages = cycle([Page() for _ in range(PAGES)])

        def save() -> None:
            page = next(pages)
            if not page.pending_events:
                write(page)
            book.commit(command(), page)

        return save

    savers = [saver() for _ in range(place["callers"])]
    yield lambda seconds: at_once(savers, seconds)
    book.close()


@contextmanager
def library(place: Mapping[str, Any]) -> Iterator[Turn]:
    """Save through the library's application with its defaults."""
    application = open_library(place["dsn"])

    def saver() -> Save:
        pages = cycle([Page() for _ in range(PAGES)])

        def save() -> None:
            page = next(pages)
            if not page.pending_events:
                write(page)
            application.save(page)

        return save

    savers = [saver() for _ in range(place["callers"])]
    yield lambda seconds: at_once(savers, seconds)
    application.close()


@contextmanager
def raw(place: Mapping[str, Any]) -> Iterator[Turn]:
    """Insert one row and commit, each caller on a connection of its own."""
    with ExitStack() as opened:

        def saver() -> Save:
            connection = opened.enter_context(psycopg.connect(place["dsn"]))
            pages = cycle([(uuid4(), [0]) for _ in range(PAGES)])

            def save() -> None:
                page_id, version = next(pages)
                version[0] += 1
                row = (page_id, version[0], "book.Page.Entered", STATE, CAUSE)
                connection.execute(RAW_INSERT, row)
                connection.commit()

            return save

        with psycopg.connect(place["dsn"]) as connection:
            connection.execute(RAW_TABLE)
        savers = [saver() for _ in range(place["callers"])]
        yield lambda seconds: at_once(savers, seconds)


def p1(arena: Arena) -> Outcome:
    """Append, 1 caller."""
    outcome = Outcome(
        goals=(Goal("raw", 0.75), Goal("library", 2.5)),
        what="one event saved by one caller, saves per second",
    )
    for prefilled in arena.scale.prefilled:
        append(arena, outcome, callers=1, prefilled=prefilled)
    return outcome


def p2(arena: Arena) -> Outcome:
    """Append, many callers."""
    outcome = Outcome(what="one event saved by each of many callers, saves per second")
    goals = {16: 0.8, 64: 1.2}
    for callers in arena.scale.callers:
        if callers in goals:
            raw_goal = Goal(f"raw at {callers}", goals[callers])
            outcome.goals += (raw_goal, Goal(f"library at {callers}", 5.0))
        for prefilled in arena.scale.prefilled:
            append(arena, outcome, callers=callers, prefilled=prefilled)
    return outcome


def append(arena: Arena, outcome: Outcome, *, callers: int, prefilled: int) -> None:
    """Let all three save in turn, and add what came of it to the outcome."""
    with ExitStack() as opened:
        turns: dict[str, Turn] = {}
        dsns: dict[str, str] = {}
        saved = dict.fromkeys(TABLES, 0.0)
        for name, table in TABLES.items():
            dsns[name] = opened.enter_context(arena.database())
            turns[name] = opened.enter_context(
                arena.contender(
                    f"benchmarks.append:{name}",
                    {"dsn": dsns[name], "callers": callers},
                    under="eventlet" if name == "pomona" else "threads",
                )
            )
            prefill(dsns[name], table, prefilled)

        def turn(name: str) -> Figures:
            figures = turns[name](seconds=arena.scale.seconds)
            saved[name] += figures["saved"]
            return figures

        played = arena.play({name: partial(turn, name) for name in TABLES})
        for name, table in TABLES.items():
            check(dsns[name], table, prefilled + int(saved[name]))
        settled(dsns["pomona"], int(saved["pomona"]))
    at = (f" at {callers}" if callers > 1 else "") + (f", {prefilled:,} events" * bool(prefilled))
    outcome.add(f"append{at}", played, "pomona", {"raw": f"raw{at}", "library": f"library{at}"})


def prefill(dsn: str, table: str, events: int) -> None:
    """Put events into a log before the work starts: 100 to an aggregate."""
    if not events:
        return
    with psycopg.connect(dsn) as connection:
        connection.execute(
            f"INSERT INTO {table} (originator_id, originator_version, topic, state)"  # noqa: S608 - names of this module only
            " SELECT md5((n / 100)::text)::uuid, 1 + n %% 100, 'book.Page.Entered', %s"
            " FROM generate_series(0, %s) n",
            (STATE, events - 1),
        )
        connection.commit()
        connection.autocommit = True
        connection.execute(f"VACUUM ANALYZE {table}")


def check(dsn: str, table: str, events: int) -> None:
    """Require that what was saved stands there, in versions 1..n without a hole."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT coalesce(sum(entries), 0), coalesce(sum(last - entries), 0) FROM ("  # noqa: S608 - as above
            " SELECT count(*) AS entries, max(originator_version) AS last"
            f" FROM {table} GROUP BY originator_id) each"
        ).fetchone()
    require(row == (events, 0), f"{table}: (stored, holes) is {row}, {events} were saved")


def settled(dsn: str, saves: int) -> None:
    """Require one event for each command, so that nothing was lost or applied twice."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM commands),"
            " (SELECT count(DISTINCT cause->>'causationid') FROM book_events)"
        ).fetchone()
    require(row == (saves, saves), f"(commands, causes) is {row}, {saves} were saved")
