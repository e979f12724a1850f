"""P9: a call that does nothing, with 1, 10 and 50 of them on their way."""

import os
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import amqp
import psycopg
from nameko.standalone.rpc import ClusterRpcProxy

from benchmarks.arena import Arena, started
from benchmarks.raw_echo import QUEUE
from benchmarks.report import Goal, Outcome
from benchmarks.rounds import Figures, Void, percentiles, require
from pomona import ledger, operations, trust, wire
from pomona.broker import connect, open_channel
from pomona.errors import Unavailable
from pomona.identity import Actor
from pomona.terminal import Terminal
from pomona_console.stack import Stack, token_for

WORDS = "a kilogram of Fuji apples"
DIRECT_REPLY = "amq.rabbitmq.reply-to"
PATIENCE = 30.0
WORKERS = 50
HEAD_OFFICE = Actor(id="p-1", role="head_office")

Send = Callable[[], Any]
Answer = Callable[[Any], object]


def in_flight(send: Send, answer: Answer, outstanding: int, seconds: float) -> Figures:
    """Keep as many calls on their way until the time is up; every call must be answered."""
    waiting: deque[tuple[float, Any]] = deque()
    taken: list[float] = []
    begun = time.perf_counter()
    until = begun + seconds

    def hear() -> None:
        sent, call = waiting.popleft()
        answer(call)
        taken.append(time.perf_counter() - sent)

    while time.perf_counter() < until:
        while len(waiting) < outstanding:
            waiting.append((time.perf_counter(), send()))
        hear()
    while waiting:
        hear()
    return {
        "calls": len(taken),
        "per_second": len(taken) / (time.perf_counter() - begun),
        **percentiles(taken),
    }


@contextmanager
def pomona(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    with Terminal(place["amqp_uri"], place["token"]) as terminal:

        def send() -> Any:
            return terminal.send("benchmarks", "echo", {"words": WORDS})

        def answer(call: Any) -> None:
            require(terminal.answer(call) == {"words": WORDS}, "another answer")

        patiently(lambda: answer(send()), Unavailable)
        yield partial(in_flight, send, answer)


@contextmanager
def stock(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    with ClusterRpcProxy({"AMQP_URI": place["amqp_uri"]}, timeout=PATIENCE) as cluster:

        def send() -> Any:
            return cluster.stock.echo.call_async(WORDS)

        def answer(call: Any) -> None:
            require(call.result() == {"words": WORDS}, "another answer")

        patiently(lambda: answer(send()), Exception)
        yield partial(in_flight, send, answer)


@contextmanager
def raw(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    connection = connect(place["amqp_uri"])
    channel = open_channel(connection)
    channel.queue_declare(QUEUE, durable=True, auto_delete=False)
    answers: dict[str, bytes] = {}

    def answered(message: amqp.Message) -> None:
        answers[message.properties["correlation_id"]] = bytes(message.body)

    channel.basic_consume(DIRECT_REPLY, no_ack=True, callback=answered)

    def send() -> str:
        call_id = str(uuid4())
        message = amqp.Message(
            wire.encode({"words": WORDS}),
            reply_to=DIRECT_REPLY,
            correlation_id=call_id,
            delivery_mode=1,
        )
        channel.basic_publish(message, "", QUEUE)
        return call_id

    def answer(call_id: str) -> None:
        while call_id not in answers:
            connection.drain_events(timeout=PATIENCE)
        require(wire.decode(answers.pop(call_id)) == {"words": WORDS}, "another answer")

    yield partial(in_flight, send, answer)
    connection.collect()


def patiently(call: Callable[[], object], *while_raising: type[Exception]) -> None:
    """Call until there is an answer: a service takes a moment to start."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            call()
        except while_raising as error:
            if isinstance(error, Void) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


@contextmanager
def process(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a module of ours in a process of its own; what it says stays unread."""
    with tempfile.TemporaryFile() as log:
        command: Sequence[str] = [sys.executable, "-m", module, *arguments]
        with started(command, log, env=env, says=log.fileno()) as running:
            yield
            if running.poll() is not None:
                log.seek(0)
                raise Void(f"{module} died: {log.read().decode()[-2000:]}")


@contextmanager
def parrot(stack: Stack, dsn: str) -> Iterator[None]:
    """Run the parrot on the chassis, as any service is run."""
    settings = {
        "POMONA_AMQP_URI": stack.amqp_uri,
        "POMONA_DATABASE_DSN": dsn,
        "POMONA_HTTP_PORT": str(free_port()),
        "POMONA_IDENTITY_PUBLIC_KEY": str(stack.layout.public_key),
        "POMONA_MAX_WORKERS": str(WORKERS),
    }
    with psycopg.connect(dsn) as connection:
        for schema in (ledger.SCHEMA, trust.SCHEMA, operations.SCHEMA):
            connection.execute(schema)
    with process("pomona.run", "benchmarks.parrot", env={**os.environ, **settings}):
        yield


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def p9(arena: Arena) -> Outcome:
    """Bare RPC."""
    outcome = Outcome(what="a call that does nothing, answered calls per second")
    uri = arena.stack.amqp_uri
    with ExitStack() as opened:
        opened.enter_context(process("benchmarks.raw_echo", uri))
        opened.enter_context(process("benchmarks.stock_service", uri, ""))
        opened.enter_context(parrot(arena.stack, opened.enter_context(arena.database())))
        place = {"amqp_uri": uri, "token": token_for(arena.stack, HEAD_OFFICE)}
        turns = {
            name: opened.enter_context(arena.contender(f"benchmarks.calling:{name}", place))
            for name in ("pomona", "raw", "stock")
        }
        for outstanding in arena.scale.outstanding:
            played = arena.play(
                {
                    name: partial(turn, outstanding=outstanding, seconds=arena.scale.seconds)
                    for name, turn in turns.items()
                }
            )
            at = f"at {outstanding}"
            against = {"raw": f"raw {at}", "stock": f"stock {at}"}
            outcome.add(f"calls {at}", played, "pomona", against)
            outcome.goals += (Goal(f"raw {at}", least=0.8),)
    most = max(arena.scale.outstanding)
    outcome.goals += (Goal(f"stock at {most}", least=2.0),)
    return outcome
