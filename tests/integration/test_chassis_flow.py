"""From commit to commit: the relay loses nothing, and the inbox applies everything once."""

import os
import signal
from dataclasses import replace
from uuid import uuid4

import pytest

from pomona import inbox as inbox_module
from pomona.broker import connect, is_fatal
from pomona.envelope import seal
from pomona.metrics import messages_dead_lettered, outbox_unroutable
from pomona.relay import Relay
from pomona_console.stack import temporary_stack

from .chassis_shop import (
    Because,
    Kitchen,
    Listener,
    LogInReach,
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

SETTLED = 60  # lots, one after the other and each looked at: a few seconds


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Look around often: the tests wait for what must happen, not for the clock."""
    monkeypatch.setattr(inbox_module, "PULSE_SECONDS", 0.2)
    monkeypatch.setattr(inbox_module, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr("pomona.relay.RETRY_SECONDS", 0.2)
    monkeypatch.setattr("pomona.relay.IDLE_SECONDS", 0.05)


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
def listener(servers):
    listener = Listener(servers.amqp_uri)
    yield listener
    listener.close()


@pytest.fixture
def kitchen(servers, dsn, shop):
    kitchen = Kitchen(servers.amqp_uri, dsn, shop)
    yield kitchen
    with connect(servers.amqp_uri) as connection:
        connection.channel().queue_delete(kitchen.queue)


@pytest.fixture
def relay(servers, dsn, shop):
    return Relay(servers.amqp_uri, dsn, log_of(shop))


def trade(shop, lots=3):
    """Receive and sell some lots; return the position of the last event."""
    for _ in range(lots):
        lot = Lot(1000)
        lot.count()
        lot.sell(10)
        shop.commit(Because(), lot)
    return head(shop)


def head(shop):
    with shop.reading() as cursor:
        return log_of(shop).head(cursor)


def everything(shop):
    return LogInReach(shop).after(0, 10_000)[0]


def saved(dsn):
    return rows(dsn, "SELECT position FROM relay")


def test_what_was_stored_is_published_in_order_and_the_position_saved(dsn, shop, relay, listener):
    last = trade(shop)

    with running(relay):
        heard = listener.heard(upto=last)
        eventually(lambda: saved(dsn) == [(last,)])

    assert [envelope.raw for envelope in heard] == [envelope.raw for envelope in everything(shop)]


def test_a_relay_that_died_before_it_saved_publishes_the_same_bytes_again(
    servers, dsn, shop, relay, listener
):
    last = trade(shop)
    with running(relay):
        first = listener.heard(upto=last)
        eventually(lambda: saved(dsn) == [(last,)])
    with shop.reading() as cursor:
        cursor.execute("UPDATE relay SET position = %s", (first[1].position,))

    with running(Relay(servers.amqp_uri, dsn, log_of(shop))):
        again = listener.heard(upto=last)

    assert [envelope.raw for envelope in again] == [envelope.raw for envelope in first[2:]]


def test_one_relay_leads_and_another_takes_over(servers, dsn, shop, listener):
    relays = [Relay(servers.amqp_uri, dsn, log_of(shop)) for _ in range(2)]
    with running(*relays):
        eventually(lambda: any(relay.leading for relay in relays))
        heard = listener.heard(upto=trade(shop))
        leaders = [relay for relay in relays if relay.leading]
        assert len(leaders) == 1

        leaders[0].stop()
        heard += listener.heard(upto=trade(shop))

        (other,) = [relay for relay in relays if relay is not leaders[0]]
        assert other.leading
    assert [envelope.position for envelope in heard] == [e.position for e in everything(shop)]


def test_an_event_that_nobody_is_bound_for_is_counted_and_not_waited_for(dsn, shop, relay):
    unroutable = outbox_unroutable._value.get()
    last = trade(shop, lots=2)

    with running(relay):
        eventually(lambda: saved(dsn) == [(last,)])
        eventually(lambda: outbox_unroutable._value.get() == unroutable + 4)


@pytest.mark.feature("SYS-03")
def test_kill_9_of_the_broker_on_the_way_loses_nothing(tmp_path, dsn, shop):
    with temporary_stack(tmp_path, services=()) as own:
        kitchen = Kitchen(own.amqp_uri, dsn, shop)
        with running(Relay(own.amqp_uri, dsn, log_of(shop)), kitchen.inbox):
            # RabbitMQ 3.10 does not recover a quorum queue that was made a second before
            eventually(lambda: trade(shop, lots=1) and len(kitchen.effects()) > 2 * SETTLED)
            os.kill(own.state["amqp"]["pid"], signal.SIGKILL)
            last = trade(shop, lots=50)
            eventually(lambda: kitchen.inbox.position == last, seconds=60)

    assert kitchen.effects() == [envelope.position for envelope in everything(shop)]


def test_each_event_has_one_effect_however_often_and_in_whatever_order_it_comes(
    servers, shop, kitchen
):
    last = trade(shop, lots=5)
    events = everything(shop)
    with running(kitchen.inbox):
        eventually(lambda: kitchen.inbox.connected)
        publish(servers.amqp_uri, "shop.events", "x.v1", [*events[::-1], *events, *events[2:5]])
        eventually(lambda: kitchen.inbox.position == last)

    assert kitchen.effects() == [envelope.position for envelope in events]


def test_a_gap_is_filled_from_the_log_of_the_source(servers, shop, kitchen):
    last = trade(shop, lots=5)
    events = everything(shop)
    with running(kitchen.inbox):
        eventually(lambda: kitchen.inbox.connected)
        publish(servers.amqp_uri, "shop.events", "x.v1", [events[3], events[-1]])
        eventually(lambda: kitchen.inbox.position == last)

    assert kitchen.effects() == [envelope.position for envelope in events]


def test_a_reader_that_joins_late_or_lost_its_queue_heals_by_itself(servers, shop, relay, kitchen):
    first = trade(shop)
    with running(relay, kitchen.inbox):
        eventually(lambda: kitchen.inbox.position == first)
        with connect(servers.amqp_uri) as connection:
            connection.channel().queue_delete(kitchen.queue)
        second = trade(shop)
        eventually(lambda: kitchen.inbox.position == second)
        with connect(servers.amqp_uri) as connection:
            eventually(lambda: consumers(connection, kitchen.queue) == 1)

    assert kitchen.effects() == [envelope.position for envelope in everything(shop)]


def consumers(connection, queue):
    return connection.channel().queue_declare(queue, passive=True).consumer_count


def test_what_was_purged_from_the_queue_is_fetched(servers, shop, kitchen):
    last = trade(shop)
    with connect(servers.amqp_uri) as connection:
        channel = connection.channel()
        with running(kitchen.inbox):
            eventually(lambda: kitchen.inbox.position == last)
        last = trade(shop)
        publish(servers.amqp_uri, "shop.events", "x.v1", everything(shop)[-3:])
        eventually(lambda: channel.queue_purge(kitchen.queue))

    kitchen.inbox._stopping.clear()
    with running(kitchen.inbox):
        eventually(lambda: kitchen.inbox.position == last)

    assert kitchen.effects() == [envelope.position for envelope in everything(shop)]


def test_a_queue_of_another_type_ends_the_reader_loudly(servers, kitchen):
    with connect(servers.amqp_uri) as connection:
        connection.channel().queue_declare(kitchen.queue, durable=True, auto_delete=False)
    with running(kitchen.inbox) as (thread,):
        thread.join(20)
        assert not thread.is_alive()

    assert is_fatal(kitchen.inbox.ended_with)


@pytest.mark.feature("SYS-03")
def test_an_event_that_fails_is_parked_with_its_subject_and_tried_again_by_itself(
    shop, relay, kitchen
):
    bad = Lot(1000)
    kitchen.broken.add(str(bad.id))
    shop.commit(Because(), bad)
    bad.sell(1)
    bad.sell(2)
    shop.commit(Because(), bad)
    last = trade(shop)
    with running(relay, kitchen.inbox):
        eventually(lambda: kitchen.inbox.position == last)
        assert kitchen.parked() == 3
        others = [e.position for e in everything(shop) if e.subject != str(bad.id)]
        assert kitchen.effects() == others

        kitchen.broken.clear()
        eventually(lambda: kitchen.parked() == 0)

    mended = [e.position for e in everything(shop) if e.subject == str(bad.id)]
    assert kitchen.effects() == others + mended


def test_a_message_that_is_no_event_of_the_source_is_not_applied_and_stops_nobody(
    servers, shop, kitchen
):
    last = trade(shop)
    forged = seal(
        service="bank",
        type="pomona.bank.lot_sold.v1",
        subject=str(uuid4()),
        time=Lot.Received.create_timestamp(),
        position=10**9,
        previous=0,
        data={},
        cause={},
    )
    with running(kitchen.inbox):
        eventually(lambda: kitchen.inbox.connected)
        publish(servers.amqp_uri, "shop.events", "x.v1", [forged, *everything(shop)])
        eventually(lambda: kitchen.inbox.position == last)

    assert kitchen.effects() == [envelope.position for envelope in everything(shop)]


def test_an_event_that_the_broker_does_not_vouch_for_is_taken_from_the_log_instead(
    servers, dsn, shop, kitchen
):
    last = trade(shop)
    true = everything(shop)[-1]
    forged = replace(true, raw=true.raw.replace(true.subject.encode(), str(uuid4()).encode()))
    refused = messages_dead_lettered.labels("foreign_user")
    before = refused._value.get()

    with running(kitchen.inbox):
        eventually(lambda: kitchen.inbox.connected)
        publish(servers.amqp_uri, "shop.events", "lot_sold.v1", [forged], user_id=None)
        eventually(lambda: kitchen.inbox.position == last)

    assert refused._value.get() == before + 1
    assert rows(dsn, "SELECT subject FROM effects ORDER BY nth DESC LIMIT 1") == [(true.subject,)]
