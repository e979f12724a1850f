"""After a restore positions jump, and a reader that is ahead of its source stops and says so."""

import time
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from pomona import timelines
from pomona_console.stack import Stack

from .chassis_shop import (
    Because,
    Kitchen,
    Listener,
    Lot,
    eventually,
    log_of,
    make_tables,
    open_shop,
    publish,
    rows,
    running,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def dsn(database: Callable[[str], str]) -> str:
    made = database("shop")
    make_tables(made)
    return made


def begin_a_timeline(dsn: str) -> None:
    """Make the database believe that it was written on another timeline until now."""
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE timelines SET timeline = 'FFFFFFFF'")


def positions(dsn: str) -> list[int]:
    statement = "SELECT notification_id FROM shop_events ORDER BY notification_id"
    return [position for (position,) in rows(dsn, statement)]


def lose_the_last(dsn: str, count: int) -> None:
    """Do to the log what a restore to an earlier moment does."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "DELETE FROM shop_events WHERE notification_id IN (SELECT notification_id"
            " FROM shop_events ORDER BY notification_id DESC LIMIT %s)",
            (count,),
        )
    begin_a_timeline(dsn)


def receive(shop, times: int = 1) -> None:
    for _ in range(times):
        shop.commit(Because(), Lot(grams=100))


def test_the_first_event_of_a_timeline_takes_a_position_that_was_never_given(dsn: str) -> None:
    shop = open_shop(dsn)
    receive(shop, 3)

    lose_the_last(dsn, 2)
    began = int(time.time())
    receive(shop, 2)

    before, first, second = positions(dsn)
    assert before == 1
    assert first >= began * timelines.POSITIONS_PER_SECOND
    assert second == first + 1
    assert rows(dsn, "SELECT count(*) FROM timelines") == [(2,)]
    with shop.reading() as cursor:
        assert [e.previous for e in log_of(shop).after(cursor, 0, 10)] == [0, before, first]


def test_a_timeline_that_goes_on_leaves_no_hole(dsn: str) -> None:
    receive(open_shop(dsn), 2)
    with psycopg.connect(dsn, autocommit=True) as connection:
        timelines.watch(connection, "shop_events")  # as every start of a new version does

    receive(open_shop(dsn), 2)

    assert positions(dsn) == [1, 2, 3, 4]


def test_restored_twice_to_the_same_moment_a_log_gives_no_position_twice(dsn: str) -> None:
    shop = open_shop(dsn)
    receive(shop, 1)
    lose_the_last(dsn, 0)
    receive(shop, 1)
    (_, first_life) = positions(dsn)

    with psycopg.connect(dsn) as connection:  # everything as it was before the first restore
        connection.execute("DELETE FROM shop_events WHERE notification_id > 1")
        connection.execute("DELETE FROM timelines WHERE first_position > 1")
        connection.execute("SELECT setval('shop_events_notification_id_seq', 1)")
    receive(shop, 1)

    assert positions(dsn)[1] > first_life


def test_a_reader_that_is_ahead_stops_until_somebody_decides(dsn: str, servers: Stack) -> None:
    shop = open_shop(dsn)
    kitchen = Kitchen(servers.amqp_uri, dsn, shop)
    receive(shop, 3)
    with shop.reading() as cursor:
        known = log_of(shop).after(cursor, 0, 10)
    kitchen.inbox.load()
    kitchen.inbox.receive(known)

    lose_the_last(dsn, 2)
    receive(shop, 1)
    listener = Listener(servers.amqp_uri)  # declares the exchange
    with running(kitchen.inbox):
        with shop.reading() as cursor:
            (new,) = log_of(shop).after(cursor, 1, 10)
        publish(servers.amqp_uri, "shop.events", "lot_received.v1", [new])
        eventually(lambda: kitchen.inbox.estranged)
        assert kitchen.effects() == [1, 2, 3]

        with psycopg.connect(dsn) as connection:  # the operator: keep the effects, go on
            connection.execute("UPDATE inbox SET position = 1")
        eventually(lambda: kitchen.effects() == [1, 2, 3, new.position])
        eventually(lambda: not kitchen.inbox.estranged)
    listener.close()


def test_a_chain_that_passes_over_a_position_the_source_knows_is_followed(dsn: str) -> None:
    # an older version of the source, which keeps the event at that position private, tells the next
    shop = open_shop(dsn)
    kitchen = Kitchen("amqp://nowhere", dsn, shop)
    receive(shop, 3)
    with shop.reading() as cursor:
        first, second, third = log_of(shop).after(cursor, 0, 10)
    kitchen.inbox.load()
    kitchen.inbox.receive([first, second])

    kitchen.inbox.receive([replace(third, previous=first.position)])

    assert kitchen.effects() == [1, 2, 3]
