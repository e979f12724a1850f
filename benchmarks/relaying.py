"""P8: what stands in the log goes to a durable queue, and is there in order whoever dies."""

import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any

import amqp
import orjson
import psycopg
from nameko.standalone.events import event_dispatcher

from benchmarks.arena import Arena, Under, contender_command, started
from benchmarks.book import Book, Page, command, log_of, make_tables, open_book, write
from benchmarks.report import Goal, Outcome
from benchmarks.rounds import Figures, require
from pomona.broker import connect
from pomona.relay import Relay

WINDOW = 1000
AT_ONCE = 1000
QUORUM = {"x-queue-type": "quorum"}
KILLED_AFTER = 3000  # events that each relay may hope to send before it is killed
PATIENCE = 120.0


class Queue:
    """A durable queue that gets everything of one exchange."""

    def __init__(self, uri: str, service: str) -> None:
        self.exchange = f"{service}.events"
        self.name = f"bench.from.{service}"
        self.connection = connect(uri)
        self.channel = self.connection.channel()
        self.channel.exchange_declare(self.exchange, "topic", durable=True, auto_delete=False)
        self.channel.queue_declare(self.name, durable=True, auto_delete=False, arguments=QUORUM)
        self.channel.queue_bind(self.name, self.exchange, "#")

    def drain(self, upto: Callable[[], bool], each: Callable[[bytes], None]) -> None:
        """Take messages until nothing more is missing. Raises TimeoutError."""
        tag = self.channel.basic_consume(
            self.name, no_ack=True, callback=lambda message: each(bytes(message.body))
        )
        while not upto():
            self.connection.drain_events(timeout=10)
        self.channel.basic_cancel(tag)

    def empty(self) -> int:
        """Empty the queue and return how many messages it held."""
        return int(self.channel.queue_purge(self.name))

    def close(self) -> None:
        self.channel.queue_delete(self.name)
        self.connection.close()


class Heard:
    """What came through the queue: each position once, later copies dropped, as an inbox does."""

    def __init__(self) -> None:
        self.last = 0
        self.copies = 0

    def hear(self, body: bytes) -> None:
        message = orjson.loads(body)
        if message["position"] <= self.last:
            self.copies += 1
            return
        require(
            message["previous"] == self.last,
            f"position {message['position']} follows {self.last}: lost or reordered",
        )
        self.last = message["position"]


def lengthen(book: Book, events: int) -> int:
    """Add entries to the log and return the position of the last one."""
    page = Page()
    book.commit(command(), page)
    for start in range(0, events, AT_ONCE):
        for _ in range(min(AT_ONCE, events - start)):
            write(page)
        book.commit(command(), page)
    with book.reading() as cursor:
        return log_of(book).head(cursor)


def wait_for(dsn: str, position: int) -> None:
    """Wait until the relay has saved a position. Raises `Void`."""
    deadline = time.monotonic() + PATIENCE
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            row = connection.execute("SELECT position FROM relay").fetchone()
            if row is not None and row[0] >= position:
                return
            require(time.monotonic() < deadline, f"the relay stands at {row}, not at {position}")
            time.sleep(0.005)


@contextmanager
def pomona(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Let the relay publish what was committed, until its saved position is the log's head."""
    make_tables(place["dsn"])
    book = open_book(place["dsn"])
    with closing(Queue(place["amqp_uri"], "book")) as queue:
        heard = Heard()

        def turn(events: int) -> Figures:
            head = lengthen(book, events)
            relay = Relay(place["amqp_uri"], place["dsn"], log_of(book))
            relaying = threading.Thread(target=relay.run)
            begun = time.perf_counter()
            relaying.start()
            wait_for(place["dsn"], head)
            elapsed = time.perf_counter() - begun
            relay.stop()
            relaying.join()
            queue.drain(lambda: heard.last == head, heard.hear)
            require(heard.copies == 0, f"{heard.copies} events were published twice")
            return {"per_second": events / elapsed}

        yield turn
    book.close()


@contextmanager
def raw(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Publish messages of the same size with at most 1,000 of them unconfirmed."""
    with closing(Queue(place["amqp_uri"], "bench_raw")) as queue:
        channel = queue.connection.channel()
        channel.confirm_select()
        unconfirmed: set[int] = set()

        def acked(tag: int, multiple: bool) -> None:
            if multiple:
                unconfirmed.difference_update([each for each in unconfirmed if each <= tag])
            else:
                unconfirmed.discard(tag)

        channel.events["basic_ack"].add(acked)
        published = 0

        def turn(events: int) -> Figures:
            nonlocal published
            begun = time.perf_counter()
            for _ in range(events):
                message = amqp.Message(
                    place["body"].encode(),
                    content_type="application/cloudevents+json",
                    delivery_mode=2,
                    message_id=f"bench-{published}",
                )
                channel.basic_publish(message, queue.exchange, "page_entered.v1", mandatory=True)
                published += 1
                unconfirmed.add(published)
                while len(unconfirmed) >= WINDOW:
                    queue.connection.drain_events(timeout=10)
            while unconfirmed:
                queue.connection.drain_events(timeout=10)
            elapsed = time.perf_counter() - begun
            held = queue.empty()
            require(held == events, f"the queue held {held} of {events}")
            return {"per_second": events / elapsed}

        yield turn


@contextmanager
def dispatcher(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Dispatch the same event with nameko's own dispatcher."""
    with closing(Queue(place["amqp_uri"], "bench_stock")) as queue:
        dispatch = event_dispatcher({"AMQP_URI": place["amqp_uri"]})
        data = orjson.loads(place["body"])

        def turn(events: int) -> Figures:
            begun = time.perf_counter()
            for _ in range(events):
                dispatch("bench_stock", "page_entered", data)
            elapsed = time.perf_counter() - begun
            held = queue.empty()
            require(held == events, f"the queue held {held} of {events}")
            return {"per_second": events / elapsed}

        yield turn


@contextmanager
def endless(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Relay until killed."""
    book = open_book(place["dsn"])
    relay = Relay(place["amqp_uri"], place["dsn"], log_of(book))
    threading.Thread(target=relay.run, daemon=True).start()
    yield dict


def killed(arena: Arena, kills: int) -> int:
    """Kill relays in the middle of their work; return how many events went out twice.

    Raises `Void` where an event is lost or out of order afterwards.
    """
    amqp_uri = arena.stack.amqp_uri
    random_ = random.Random(8)  # noqa: S311 - when to kill is no secret
    with (
        arena.database() as dsn,
        tempfile.TemporaryFile() as log,
        closing(Queue(amqp_uri, "book")) as queue,
    ):
        make_tables(dsn)
        heard = Heard()
        relay = contender_command(
            "benchmarks.relaying:endless", {"dsn": dsn, "amqp_uri": amqp_uri}, "threads"
        )
        with closing(open_book(dsn)) as book:
            head = 0
            for kill in range(kills):
                arena.tell(f"kill {kill + 1} of {kills}")
                before, head = head, lengthen(book, KILLED_AFTER)
                with started(relay, log) as process:
                    wait_for(dsn, before + random_.randint(1, KILLED_AFTER // 2))
                    os.kill(process.pid, signal.SIGKILL)
            with started(relay, log):
                wait_for(dsn, head)
        queue.drain(lambda: heard.last == head, heard.hear)
    return heard.copies


def body_of_one(arena: Arena) -> str:
    """Return the bytes that the relay publishes for one entry."""
    with arena.database() as dsn:
        make_tables(dsn)
        with closing(open_book(dsn)) as book:
            lengthen(book, 1)
            with book.reading() as cursor:
                return log_of(book).after(cursor, 0, 1)[0].raw.decode()


def p8(arena: Arena) -> Outcome:
    """Relay."""
    outcome = Outcome(
        what="events go from the log to a durable quorum queue, events per second",
        goals=(Goal("raw py-amqp", least=0.8), Goal("killed: lost or reordered", most=0)),
    )
    body = body_of_one(arena)
    with ExitStack() as opened:
        turns = {}
        for name in ("pomona", "raw", "dispatcher"):
            place = {"amqp_uri": arena.stack.amqp_uri, "body": body}
            if name == "pomona":
                place["dsn"] = opened.enter_context(arena.database())
            under: Under = "eventlet" if name == "pomona" else "threads"
            turn = opened.enter_context(
                arena.contender(f"benchmarks.relaying:{name}", place, under=under)
            )
            events = arena.scale.dispatched if name == "dispatcher" else arena.scale.relayed
            turns[name] = partial(turn, events=events)
        played = arena.play(turns)
    against = {"raw": "raw py-amqp", "dispatcher": "nameko EventDispatcher"}
    outcome.add("relay", played, "pomona", against)
    outcome.figures["killed: published twice"] = killed(arena, arena.scale.kills)
    # had one been lost or reordered, the figures would be void
    outcome.figures["killed: lost or reordered"] = 0
    outcome.figures["killed: kill -9"] = arena.scale.kills
    return outcome
