"""Two versions of one service on one database and one log: a roll-out that nobody notices."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pomona.envelope import Envelope
from pomona_console.stack import Stack

from .chassis_shop import Listener, eventually, make_tables, rows

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


class Replica:
    """A process of the shop in one version, asked by the test."""

    def __init__(self, version: str, dsn: str, amqp_uri: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.shop_versions", version, dsn, amqp_uri],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, do: str, **order: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self._process.stdin.flush()
        while line := self._process.stdout.readline():
            if not line.startswith("20"):  # a line of the log begins with its date
                return json.loads(line)
        raise AssertionError("the process has ended")

    def lives(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def replica(version: str, dsn: str, amqp_uri: str) -> Iterator[Replica]:
    started = Replica(version, dsn, amqp_uri)
    try:
        yield started
    finally:
        started.kill()


@pytest.fixture
def dsn(database: Callable[[str], str]) -> str:
    made = database("shop")
    make_tables(made)
    return made


def told(heard: list[Envelope], reads: set[str]) -> list[tuple[int, str]]:
    """Return what a reader of these types makes of what it heard, each position once."""
    chosen = {each.position: each.routing_key for each in heard if each.is_chosen(reads)}
    return sorted(chosen.items())


def test_a_version_and_the_next_serve_one_database_and_tell_one_log(
    dsn: str, servers: Stack
) -> None:
    amqp_uri = servers.amqp_uri
    listener = Listener(amqp_uri)
    with replica("before", dsn, amqp_uri) as before, replica("after", dsn, amqp_uri) as after:
        # each works on what the other has stored, and has it in memory
        old = before.ask("receive", grams=1000)
        new = after.ask("receive", grams=2000, origin="Sichuan")
        assert after.ask("sell", lot_id=old, grams=100) == 900
        assert before.ask("sell", lot_id=new, grams=100) == 1900
        assert before.ask("sell", lot_id=old, grams=200) == 700
        assert after.ask("sell", lot_id=new, grams=200) == 1700

        # the views of both, kept and rebuilt, are one
        assert before.ask("rebuilt") == after.ask("rebuilt") == {old: 700, new: 1700}
        kept = rows(dsn, "SELECT lot_id::text, grams FROM stock")
        assert dict(kept) == {old: 700, new: 1700}

        # whoever leads, the other takes over, and readers of either version get each event once
        eventually(lambda: before.ask("leads") or after.ask("leads"))
        heard = listener.heard(upto=6)
        first, second = (before, after) if before.ask("leads") else (after, before)
        # what is saved is not published again
        eventually(lambda: rows(dsn, "SELECT position FROM relay") == [(6,)])
        first.kill()
        eventually(lambda: second.ask("leads"))
        last = second.ask("sell", lot_id=new, grams=700)
        assert last == 1000
        heard += listener.heard(upto=7)
        assert second.lives()
    listener.close()

    of_v1 = {"pomona.shop.lot_received.v1", "pomona.shop.lot_sold.v1"}
    sold = [(position, "lot_sold.v1") for position in range(3, 8)]
    assert told(heard, of_v1) == [(1, "lot_received.v1"), (2, "lot_received.v1"), *sold]
    assert [each.previous for each in heard if each.routing_key == "lot_sold.v1"] == [2, 3, 4, 5, 6]


def test_the_next_version_tells_both_and_upcasts_what_the_one_before_stored(
    dsn: str, servers: Stack
) -> None:
    listener = Listener(servers.amqp_uri)
    with replica("before", dsn, servers.amqp_uri) as before:
        old = before.ask("receive", grams=1000)
        before.ask("sell", lot_id=old, grams=1)
    with replica("after", dsn, servers.amqp_uri) as after:
        after.ask("receive", grams=2000, origin="Sichuan")
        after.ask("sell", lot_id=old, grams=1)

        of_v2 = {"pomona.shop.lot_received.v2", "pomona.shop.lot_sold.v1"}
        heard = listener.heard(upto=4)
    listener.close()

    assert told([each for each in heard if each.position > 2], of_v2) == [
        (3, "lot_received.v2"),
        (4, "lot_sold.v1"),
    ]
    origins = {each.position: each.data.get("origin") for each in heard if each.version == 2}
    assert origins[3] == "Sichuan"
    # only where the next version told it: the one before may have been faster
    assert origins.get(1, "unknown") == "unknown"
