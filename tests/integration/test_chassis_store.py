"""A commit is all or nothing, and whoever reads the log sees every event, in order."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, OperationalError
from eventsourcing.utils import get_topic

from .chassis_shop import (
    Because,
    Lot,
    Shop,
    log_of,
    make_tables,
    open_shop,
    remember,
    rows,
)

pytestmark = pytest.mark.integration

WRITERS, COMMITS = 8, 40


@pytest.fixture
def dsn(database):
    made = database("shop")
    make_tables(made)
    return made


@pytest.fixture
def shop(dsn):
    shop = open_shop(dsn)
    yield shop
    shop.close()


def stored(dsn):
    """How many rows each table has that belongs to a commit."""
    tables = ("shop_events", "commands", "stock")
    return tuple(rows(dsn, f"SELECT count(*) FROM {table}")[0][0] for table in tables)


def test_events_command_and_view_are_committed_together(dsn, shop):
    lot = Lot(1000)
    lot.sell(300)
    cause = Because()

    shop.commit(cause, lot, answer={"left": 700})

    assert stored(dsn) == (2, 1, 1)
    assert rows(dsn, "SELECT grams FROM stock") == [(700,)]
    assert rows(dsn, "SELECT answer FROM commands") == [({"left": 700},)]
    assert rows(dsn, "SELECT DISTINCT cause->>'causationid' FROM shop_events") == [(str(cause.id),)]
    assert [topic for (topic,) in rows(dsn, "SELECT topic FROM shop_events")] == [
        "shop.Lot.Received",
        "shop.Lot.Sold",
    ]


def test_a_view_that_refuses_leaves_nothing_behind(dsn, shop):
    lot = Lot(1000)
    lot.sell(1001)

    with pytest.raises(IntegrityError):
        shop.commit(Because(), lot)

    assert stored(dsn) == (0, 0, 0)


def test_a_view_that_fails_in_python_leaves_nothing_behind(dsn):
    def forgetful(happening, cursor):
        remember(happening, cursor)
        raise RuntimeError("a defect")

    shop = Shop(open_shop(dsn).env, remember=forgetful)

    with pytest.raises(RuntimeError):
        shop.commit(Because(), Lot(1000))

    assert stored(dsn) == (0, 0, 0)


def test_a_command_is_settled_once(dsn, shop):
    command_id = uuid4()
    shop.commit(Because(command_id), Lot(1000))

    with pytest.raises(IntegrityError):
        shop.commit(Because(command_id), Lot(500))

    assert stored(dsn) == (1, 1, 1)


def test_of_two_who_changed_the_same_lot_one_is_told_to_look_again(dsn, shop):
    lot = Lot(1000)
    shop.commit(Because(), lot)
    mine, yours = shop.get(Lot, lot.id), shop.get(Lot, lot.id)
    mine.sell(600)
    yours.sell(600)
    shop.commit(Because(), mine)

    with pytest.raises(IntegrityError):
        shop.commit(Because(), yours)

    assert stored(dsn) == (2, 2, 1)
    assert shop.get(Lot, lot.id).grams == 400


@pytest.mark.feature("SYS-03")
def test_a_lost_connection_is_told_and_never_retried_behind_our_back(dsn, shop):
    tries = []

    def cut(happening, cursor):
        tries.append(happening)
        with psycopg.connect(dsn, autocommit=True) as killer:
            killer.execute("SELECT pg_terminate_backend(%s)", (cursor.connection.info.backend_pid,))

    flaky = Shop(shop.env, remember=cut)

    with pytest.raises(OperationalError):
        flaky.commit(Because(), Lot(1000))

    assert len(tries) == 1
    assert stored(dsn) == (0, 0, 0)


@pytest.mark.parametrize(
    "lock",
    [
        "LOCK TABLE shop_events IN EXCLUSIVE MODE",
        "SELECT pg_advisory_xact_lock(hashtext('pomona.append'))",
    ],
)
def test_a_lock_that_is_not_given_up_is_not_waited_for_for_ever(dsn, shop, lock):
    with psycopg.connect(dsn) as stalled:
        stalled.execute(lock)

        with pytest.raises(OperationalError):
            shop.commit(Because(), Lot(1000))

    assert stored(dsn) == (0, 0, 0)


def test_whoever_tails_the_log_while_many_write_misses_nothing(dsn, shop):
    """The trap: positions are drawn before they are visible, so a reader can run past one."""
    log = log_of(shop)
    done = threading.Event()
    seen: list[int] = []

    def tail():
        with shop.reading() as cursor:
            while True:
                last_look = done.is_set()
                found = log.after(cursor, seen[-1] if seen else 0, 50)
                for envelope in found:
                    assert envelope.previous == (seen[-1] if seen else 0)
                    seen.append(envelope.position)
                if last_look and not found:
                    return

    def write(_):
        mine = open_shop(dsn)
        for _ in range(COMMITS):
            lot = Lot(1000)
            lot.count()
            lot.sell(10)
            mine.commit(Because(), lot)
        mine.close()

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reader = pool.submit(tail)
        try:
            list(pool.map(write, range(WRITERS)))
        finally:
            done.set()
        reader.result(60)

    public = "SELECT notification_id FROM shop_events WHERE topic <> 'shop.Lot.Counted' ORDER BY 1"
    assert seen == [position for (position,) in rows(dsn, public)]
    assert len(seen) == 2 * WRITERS * COMMITS


def test_the_log_gives_public_events_with_the_position_of_the_one_before(shop):
    lots = [Lot(1000) for _ in range(5)]
    for lot in lots:
        lot.count()
        lot.sell(1)
        shop.commit(Because(), lot)
    log = log_of(shop)

    with shop.reading() as cursor:
        everything = log.after(cursor, 0, 1000)
        pages = [log.after(cursor, start, 3) for start in (0, everything[2].position)]
        after_a_private_one = log.after(cursor, everything[5].position - 1, 1)
        head, left = log.head(cursor), log.count_after(cursor, everything[3].position)

    assert [envelope.type.split(".")[2] for envelope in everything] == [
        "lot_received",
        "lot_sold",
    ] * 5
    assert everything[0].previous == 0
    assert [envelope.previous for envelope in everything[1:]] == [
        envelope.position for envelope in everything[:-1]
    ]
    assert pages[0] + pages[1] == everything[:6]
    assert [envelope.raw for envelope in pages[0] + pages[1]] == [
        envelope.raw for envelope in everything[:6]
    ]
    assert after_a_private_one == [everything[5]]
    assert head == everything[-1].position
    assert left == 6


def test_positions_lost_to_rolled_back_commits_are_no_gap(shop):
    first, second = Lot(1000), Lot(1000)
    shop.commit(Because(), first)
    for _ in range(3):
        oversold = Lot(1)
        oversold.sell(2)
        with pytest.raises(IntegrityError):
            shop.commit(Because(), oversold)
    shop.commit(Because(), second)

    with shop.reading() as cursor:
        one, two = log_of(shop).after(cursor, 0, 10)

    assert two.position > one.position + 1
    assert two.previous == one.position


def test_an_empty_log_has_no_head(shop):
    with shop.reading() as cursor:
        assert log_of(shop).after(cursor, 0, 10) == []
        assert log_of(shop).head(cursor) == 0
        assert log_of(shop).count_after(cursor, 0) == 0


def test_whoever_waits_is_woken_after_the_commit_and_not_before(dsn):
    seen = []
    shop = open_shop(dsn, committed=lambda: seen.append(stored(dsn)))

    shop.commit(Because(), Lot(1000))

    assert seen == [(1, 1, 1)]


def test_what_is_stored_can_be_read_back_by_its_registered_name(dsn, shop):
    lot = Lot(1000)
    shop.commit(Because(), lot)

    fresh = open_shop(dsn)

    assert fresh.get(Lot, lot.id).grams == 1000
    assert get_topic(Lot.Received) == "shop.Lot.Received"
    fresh.close()
