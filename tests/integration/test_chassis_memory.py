"""What a process remembers of aggregates never lets two decisions contradict each other."""

import threading
from types import SimpleNamespace
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError

from pomona.append import Entry
from pomona.application import Step
from pomona.envelope import Envelope
from pomona.errors import NotYet
from pomona.eventstore import LOCK
from pomona.host import Host
from pomona.ledger import Advance, Ledger

from .chassis_shop import Because, Lot, Shop, eventually, make_tables, open_shop, rows

pytestmark = pytest.mark.integration


class LongLived(Shop):
    name = "shop"
    snapshotting_intervals = {Lot: 20}  # noqa: RUF012 - the library declares it


class Named(Aggregate):
    """Something that is told its id."""

    @event("Named")
    def __init__(self, id):  # noqa: A002 - the name that the store knows
        self._id = id


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


@pytest.fixture
def replica(dsn):
    replica = open_shop(dsn)
    yield replica
    replica.close()


def sell(shop, lot_id, grams):
    with shop.attempt():
        lot = shop.get(Lot, lot_id)
        lot.sell(grams)
        shop.commit(Because(), lot)


def remembered(shop, lot_id):
    """The lot as this process believes it to be, without a look into the store."""
    with shop.attempt():
        return shop.get(Lot, lot_id)


@pytest.fixture
def lot(shop, replica):
    lot = Lot(1000)
    shop.commit(Because(), lot)
    sell(shop, lot.id, 2)
    assert replica.get(Lot, lot.id).grams == 998
    return lot


def test_a_lot_that_was_sold_from_is_remembered_as_it_is_now(shop, lot):
    sell(shop, lot.id, 10)

    assert remembered(shop, lot.id).grams == shop.get(Lot, lot.id).grams == 988


def test_nobody_gets_the_object_that_another_changes(shop, lot):
    remembered(shop, lot.id).sell(500)

    assert remembered(shop, lot.id).grams == shop.get(Lot, lot.id).grams


def test_who_changes_what_another_replica_has_changed_has_to_look_again(shop, replica, lot):
    sell(shop, lot.id, 10)

    with pytest.raises(IntegrityError):
        sell(replica, lot.id, 10)
    sell(replica, lot.id, 10)

    assert shop.get(Lot, lot.id).grams == 978


def test_who_only_looked_at_what_another_replica_has_changed_has_to_look_again(
    dsn, shop, replica, lot
):
    sell(shop, lot.id, 10)
    before = rows(dsn, "SELECT count(*) FROM shop_events")

    with replica.attempt():
        assert replica.get(Lot, lot.id).grams == 998
        with pytest.raises(IntegrityError):
            replica.commit(Because(), Lot(5))

    assert rows(dsn, "SELECT count(*) FROM shop_events") == before
    assert remembered(replica, lot.id).grams == 988


def test_what_another_replica_changes_while_we_wait_for_our_turn_to_write_is_seen_too(
    dsn, replica, lot
):
    given_up = []

    def decide():
        with replica.attempt():
            replica.get(Lot, lot.id)
            with pytest.raises(IntegrityError) as refused:
                replica.commit(Because(), Lot(5))
            given_up.append(refused.value)

    deciding = threading.Thread(target=decide)
    with psycopg.connect(dsn) as another:
        another.execute(LOCK)
        another.execute(
            "INSERT INTO shop_events (originator_id, originator_version, topic, state)"
            " SELECT originator_id, originator_version + 1, topic, state FROM shop_events"
            " WHERE originator_id = %s ORDER BY originator_version DESC LIMIT 1",
            (lot.id,),
        )
        deciding.start()
        eventually(lambda: rows(dsn, "SELECT FROM pg_locks WHERE NOT granted"))
        another.commit()
    deciding.join()

    assert given_up
    assert rows(dsn, "SELECT count(*) FROM shop_events") == [(3,)]


def test_of_two_in_one_batch_the_one_who_saw_an_older_version_is_not_covered_by_the_other(
    shop, lot
):
    versions = (lot.version, lot.version + 1)  # before and after the sale

    with pytest.raises(IntegrityError):
        shop.recorder._write([Entry([], [], seen={lot.id: version}) for version in versions])


def test_who_saw_that_there_was_none_has_to_look_again_when_there_is_one(shop, replica):
    lot = Lot(1000)

    with replica.attempt():
        assert replica.get(Lot, lot.id) is None
        shop.commit(Because(), lot)
        with pytest.raises(IntegrityError):
            replica.commit(Because(), Lot(5))


@pytest.mark.parametrize("afresh", [False, True])
def test_what_is_loaded_twice_in_one_attempt_is_one_thing_and_stored_once(dsn, shop, lot, afresh):
    before = rows(dsn, "SELECT count(*) FROM shop_events")[0][0]

    with shop.attempt(afresh=afresh):
        one, again = shop.get(Lot, lot.id), shop.get(Lot, lot.id)
        one.sell(10)
        again.sell(20)
        shop.commit(Because(), one, again)

    assert one is again
    assert shop.get(Lot, lot.id).grams == remembered(shop, lot.id).grams == 998 - 30
    assert rows(dsn, "SELECT count(*) FROM shop_events")[0][0] == before + 2


def test_afresh_means_what_the_store_says_now(shop, replica, lot):
    sell(shop, lot.id, 10)

    with replica.attempt(afresh=True):
        assert replica.get(Lot, lot.id).grams == 988


def test_a_question_is_answered_with_what_the_store_says_now(shop, replica, lot):
    sell(shop, lot.id, 10)

    assert replica.get(Lot, lot.id).grams == 988


def test_a_long_life_is_loaded_from_its_last_snapshot(dsn, shop):
    long_lived = LongLived({**shop.env, "CREATE_TABLE": "y"})
    lot = Lot(1_000_000)
    long_lived.commit(Because(), lot)
    for _ in range(99):
        sell(long_lived, lot.id, 1)
    sell(long_lived, lot.id, 1)

    fresh = LongLived(shop.env)
    read = []
    select = fresh.recorder.select_events
    fresh.recorder.select_events = lambda *a, **k: read.extend(found := select(*a, **k)) or found

    assert fresh.get(Lot, lot.id).grams == 1_000_000 - 100
    assert len(read) == 1
    assert rows(dsn, "SELECT originator_version FROM shop_snapshots") == [(100,)]


def arriving(*lot_ids):
    """Events of another service, one per lot, each after the one before."""
    return [
        Envelope(
            source="farm",
            type="pomona.farm.lot_bought.v1",
            subject=str(lot_id),
            time="2026-11-21T10:00:00+00:00",
            position=position,
            previous=position - 1,
            data={"lot_id": str(lot_id)},
            cause={"actor": f"p-{position}", "correlationid": "c", "traceparent": ""},
            raw=b"{}",
        )
        for position, lot_id in enumerate(lot_ids, start=1)
    ]


@pytest.fixture
def host(dsn, shop):
    """The part of a host that applies events: each sells 100 g of the lot it names."""
    with shop.reading() as cursor:
        cursor.execute("INSERT INTO inbox VALUES ('farm', 0)")

    def react(lot_id, shop):
        lot = shop.get(Lot, lot_id)
        if lot is None:
            raise NotYet("no such lot")
        lot.sell(100)
        yield lot

    host = Host(Shop, contracts=SimpleNamespace(), schema="", react=react, remember=lambda *_: None)
    host.application = shop
    host._consumed = {
        "pomona.farm.lot_bought.v1": SimpleNamespace(read=lambda data: UUID(data["lot_id"]))
    }
    return host


def stands_at(shop):
    return Ledger("farm", shop.reading).position()


def test_events_of_a_batch_stand_on_each_other_and_keep_their_own_causes(dsn, shop, host, lot):
    host.apply(arriving(lot.id, lot.id, lot.id), Advance("farm", 0, 3))

    assert shop.get(Lot, lot.id).grams == 998 - 300
    assert stands_at(shop) == 3
    assert rows(
        dsn, "SELECT cause->>'actor' FROM shop_events ORDER BY notification_id DESC LIMIT 3"
    ) == [("p-3",), ("p-2",), ("p-1",)]


def test_a_batch_of_which_one_fails_leaves_nothing_behind(shop, host, lot):
    with pytest.raises(NotYet):
        host.apply(arriving(lot.id, uuid4()), Advance("farm", 0, 2))

    assert shop.get(Lot, lot.id).grams == 998
    assert stands_at(shop) == 0


def test_a_batch_that_a_command_overtook_is_applied_again(shop, replica, host, lot):
    sell(replica, lot.id, 8)

    with pytest.raises(IntegrityError):
        host.apply(arriving(lot.id), Advance("farm", 0, 1))
    host.apply(arriving(lot.id), Advance("farm", 0, 1))

    assert shop.get(Lot, lot.id).grams == 990 - 100


def test_several_decisions_are_committed_together(dsn, shop):
    one, other = Lot(10), Lot(20)

    shop.commit_steps([Step({"actor": "a"}, (one,), None), Step({"actor": "b"}, (other,), None)])

    assert rows(dsn, "SELECT cause->>'actor' FROM shop_events ORDER BY notification_id") == [
        ("a",),
        ("b",),
    ]


def test_an_id_that_is_taken_for_free_is_refused_by_the_commit_and_looked_up_next_time(
    shop, replica
):
    again = Named(uuid4())
    shop.commit(Because(), again)

    with replica.attempt():
        assert replica.is_free(again.id)
        with pytest.raises(IntegrityError):
            replica.commit(Because(), Named(again.id))
    with replica.attempt(afresh=True):
        assert not replica.is_free(again.id)
    assert not replica.is_free(again.id)
