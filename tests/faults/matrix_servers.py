"""Faults of the matrix that hurt what everything stands on: broker, network and database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import psycopg

from pomona_console.stack import Stack

from .lab import Lab, Load, eventually
from .machinery import broker_away, ctl, environment_of, replica, through, uri_of
from .matrix_events import relayed
from .proxy import Proxy
from .stores import WRITERS, reading
from .terminals import EVERYTHING, TIMEOUT
from .trial import Trial, fault

CONFIRMED = 10_000


@fault("F4", "the broker is killed under load")
def kill_the_broker(trial: Trial) -> None:
    lab = trial.lab
    first = published(lab)
    with lab.load(actions=EVERYTHING) as load:
        load.goes_on(more=50)
        for number in range(trial.times(4)):
            killed = lab.kill("amqp")
            eventually(lambda: load.answered_after(killed), "an answer", 120)  # noqa: B023 - called at once
            trial.back(time.monotonic() - killed, within=30)
            lab.ready()
            trial.figure("all_consuming_again_s", time.monotonic() - killed, at_most=30)
            trial.ran(f"kill {number + 1}")
            load.goes_on(more=20)
        wanted = trial.times(CONFIRMED, least=100)
        eventually(lambda: published(lab) - first >= wanted, f"{wanted} confirmed events", 1200)
    trial.figure("confirmed_events", published(lab) - first)
    trial.judge(load)


@fault("F5", "the broker is away with calls in flight")
def take_the_broker_away(trial: Trial) -> None:
    lab = trial.lab
    with lab.load(actions=EVERYTHING) as load:
        load.goes_on()
        with broker_away(lab):
            time.sleep(trial.lasting(60, least=8))
        back = time.monotonic()
        eventually(lambda: load.answered_after(back), "an answer", 120)
        trial.back(time.monotonic() - back, within=30)
        trial.ran()
    trial.figure("longest_call_s", load.longest, at_most=TIMEOUT + 1)
    trial.judge(load)


@fault("F7", "connections are closed, half open, stopped, slow and reset")
def hurt_the_network(trial: Trial) -> None:
    lab = trial.lab
    address = urlsplit(uri_of(lab, "orders"))
    assert address.hostname is not None
    assert address.port is not None
    with Proxy(address.hostname, address.port) as wire:
        loads = [
            _closed(trial),
            _stopped(trial),
            _half_open(trial, wire),
            _bad_line(trial, wire),
        ]
    trial.judge(*loads)


def _closed(trial: Trial) -> Load:
    with trial.lab.load() as load:
        load.goes_on()
        for _ in range(trial.times(5)):
            closed = time.monotonic()
            ctl(trial.lab, "close_all_connections", "test")
            eventually(lambda: load.answered_after(closed), "an answer")  # noqa: B023
            trial.back(time.monotonic() - closed, within=20)
            trial.ran("closed")
    return load


def _stopped(trial: Trial) -> Load:
    with trial.lab.load() as load:
        load.goes_on()
        with trial.lab.paused("amqp"):
            time.sleep(trial.lasting(90, least=6))
        back = time.monotonic()
        eventually(lambda: load.answered_after(back), "an answer", 90)
        trial.back(time.monotonic() - back, within=30)
        trial.ran("stopped")
    trial.figure("longest_call_s", load.longest, at_most=TIMEOUT + 1)
    return load


def _half_open(trial: Trial, wire: Proxy) -> Load:
    """One of two replicas sits behind a line that swallows everything and stays open."""
    lab = trial.lab
    proxied = through(environment_uri(lab), wire.port)
    with replica(lab, "orders", POMONA_AMQP_URI=proxied) as other, lab.load() as load:
        load.goes_on()
        wire.swallows = True
        silent = time.monotonic()
        eventually(lambda: other.metric("pomona_amqp_connected", purpose="rpc") == 0, "noticed")
        noticed = time.monotonic() - silent
        trial.figure("dead_peer_noticed_s", noticed, at_most=20)
        wire.heal()
        eventually(lambda: other.metric("pomona_amqp_connected", purpose="rpc") == 1, "mended")
        load.goes_on(more=20)
        trial.ran("half open")
    return load


def _bad_line(trial: Trial, wire: Proxy) -> Load:
    """The terminals sit behind a line that is slow, thin and resets."""
    lab = trial.lab
    with lab.load(stack=behind(lab.stack, wire.port)) as load:
        load.goes_on()
        for delay, thin in ((0.2, 0), (0.0, 4000)):
            wire.delay, wire.bytes_per_second = delay, thin
            load.goes_on()
            trial.ran("slow")
        wire.heal()
        for _ in range(trial.times(10)):
            broken = time.monotonic()
            wire.reset_all()
            eventually(lambda: load.answered_after(broken + 0.5), "an answer")  # noqa: B023
            trial.ran("reset")
    return load


@fault("F13", "the database is killed under writes")
def kill_the_database(trial: Trial) -> None:
    lab = trial.lab
    with lab.load(actions=EVERYTHING) as load:
        load.goes_on()
        for number in range(trial.times(10)):
            killed = lab.kill("postgres")
            eventually(lambda: load.answered_after(killed), "an answer", 120)  # noqa: B023
            trial.back(time.monotonic() - killed, within=30)
            load.goes_on(more=20)
            trial.ran(f"kill {number + 1}")
    trial.judge(load)


@fault("F14", "random backends of the database are terminated")
def terminate_backends(trial: Trial) -> None:
    lab = trial.lab
    with lab.load(actions=EVERYTHING) as load:
        load.goes_on()
        ends = time.monotonic() + trial.lasting(60, least=5)
        with psycopg.connect(lab.stack.admin_dsn, autocommit=True) as connection:
            while time.monotonic() < ends:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                    " ORDER BY random() LIMIT 1"
                )
                trial.ran()
                time.sleep(0.2)
        load.goes_on()
    given_up = load.undecided / max(1, load.acked)
    trial.figure("calls_without_answer", given_up, at_most=0.01)
    trial.judge(load)


@fault("F15", "somebody holds the lock that every append needs")
def hold_the_lock(trial: Trial) -> None:
    lab = trial.lab
    with lab.load() as load:
        load.goes_on()
        with locked(lab, "orders"):
            time.sleep(trial.lasting(60, least=8))
        freed = time.monotonic()
        eventually(lambda: load.answered_after(freed), "an answer")
        trial.back(time.monotonic() - freed, within=10)
        trial.ran()
    trial.figure("longest_call_s", load.longest, at_most=TIMEOUT + 1)
    with reading(lab.stack, "orders") as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE state = 'idle in transaction' AND now() - xact_start > interval '30s'"
        )
        trial.that(cursor.fetchone() == {"count": 0}, "a transaction was left open")
    trial.judge(load)


@contextmanager
def locked(lab: Lab, service: str) -> Iterator[None]:
    """Hold the event table against writers through the block."""
    with reading(lab.stack, service) as cursor, cursor.connection.transaction():
        cursor.execute(f"LOCK TABLE {service}_events IN EXCLUSIVE MODE")
        yield


def published(lab: Lab) -> int:
    """Return the sum of the relays' positions: events that the broker confirmed, or more."""
    return sum(relayed(lab, service) for service in WRITERS)


def environment_uri(lab: Lab) -> str:
    """Return the broker's URI as the service was given it, with or without its password."""
    return environment_of(lab.pid("orders"))["POMONA_AMQP_URI"]


def behind(stack: Stack, port: int) -> Stack:
    """Return the stack as it looks from behind a proxy."""
    uri = through(stack.amqp_uri, port)
    return replace(stack, state={**stack.state, "amqp": {**stack.state["amqp"], "uri": uri}})
