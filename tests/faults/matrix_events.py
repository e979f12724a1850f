"""Faults of the matrix that hurt events on their way: relay, broker queue, inbox, poison."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from random import Random
from uuid import uuid4

import amqp

from pomona.broker import connect
from pomona.broker_access import RPC_EXCHANGE

from .lab import Lab, eventually
from .machinery import impersonator, metric
from .stores import row
from .terminals import EVERYTHING
from .trial import Trial, fault

STEPS_OF_THE_RELAY = ("relay.selected", "relay.publishing", "relay.published", "relay.confirmed")
STEPS_OF_A_READER = (
    ("inventory", "inbox.before_ack"),
    ("analytics", "inbox.before_ack"),
    ("analytics", "batch.before_commit"),
)
POISON: tuple[tuple[bytes, dict[str, object]], ...] = (
    (b"{}", {"content_type": None}),
    (b"{}", {"reply_to": None}),
    (b"{}", {"reply_to": "inventory.receive_goods"}),
    (b"\x80\x04.", {"content_type": "application/x-python-serialize"}),
    (b"a: 1", {"content_type": "application/x-yaml"}),
    (b"{", {"application_headers": {"compression": "zlib"}}),
    (b"{}", {"content_encoding": "utf-16"}),
)


@fault("F2", "the outbox relay dies at each step")
def kill_the_relay(trial: Trial) -> None:
    lab = trial.lab
    with lab.load(actions=EVERYTHING) as load:
        load.goes_on()
        victims = cycle(("orders", "inventory"))
        for place in STEPS_OF_THE_RELAY:
            for number in range(trial.times(25)):
                victim = next(victims)
                before = relayed(lab, victim)
                killed = lab.killed_at(victim, place)
                eventually(lambda: relayed(lab, victim) > before, "the relay goes on")  # noqa: B023 - called at once
                trial.back(time.monotonic() - killed, within=30)
                trial.ran(f"{victim} {place} {number + 1}")
    trial.judge(load)


@fault("F3", "a reader dies after its commit and before its acknowledgement, and in mid-batch")
def kill_the_reader(trial: Trial) -> None:
    lab = trial.lab
    with lab.load(actions=EVERYTHING) as load:
        load.goes_on()
        for service, place in STEPS_OF_A_READER:
            for number in range(trial.times(25)):
                before = applied(lab, service, "orders")
                killed = lab.killed_at(service, place)
                eventually(lambda: applied(lab, service, "orders") > before, "the inbox goes on")  # noqa: B023
                trial.back(time.monotonic() - killed, within=30)
                trial.ran(f"{service} {place} {number + 1}")
    trial.judge(load)


@fault("F9", "bodies that nobody can read")
def poison_the_queues(trial: Trial) -> None:
    lab = trial.lab
    rounds = trial.times(20)
    with lab.load() as load:
        load.goes_on(more=50)
        calm = load.slowest(0.99)
        with connect(lab.stack.amqp_uri) as connection:
            channel = connection.channel()
            for _ in range(rounds):
                for body, broken in POISON:
                    given = {
                        "content_type": "application/json",
                        "reply_to": str(uuid4()),
                        "correlation_id": str(uuid4()),
                        **broken,
                    }
                    sound = {name: value for name, value in given.items() if value is not None}
                    channel.basic_publish(
                        amqp.Message(body, **sound), RPC_EXCHANGE, "orders.list_stores"
                    )
                    trial.ran()
        since = time.time()
        load.goes_on(more=50)
        trial.figure("p99_calm_s", calm)
        trial.figure("p99_poisoned_s", load.slowest(0.99, since))
    lab.dead_letters += rounds * len(POISON)
    trial.judge(load)


@fault("F10", "a handler always raises")
def fail_every_event(trial: Trial) -> None:
    lab = trial.lab
    with lab.load() as load:
        load.goes_on()
        order = lab.arm("inventory", "commit.before", "raise")
        eventually(lambda: parked(lab, "inventory")["events"] > 3, "events set aside")
        time.sleep(trial.lasting(20, least=5))  # the tries that are counted take time
        worst = row(
            lab.stack,
            "inventory",
            "SELECT max(attempts / greatest(1, extract(epoch FROM now() - parked_at))) AS rate"
            " FROM parked",
        )["rate"]
        trial.figure("tries_per_second_and_message", float(worst or 0), at_most=2)
        order.unlink()
    healing = time.monotonic()
    eventually(lambda: parked(lab, "inventory")["events"] == 0, "all events applied", 180)
    trial.recovery_seconds = time.monotonic() - healing
    trial.ran()
    trial.judge(load)


@fault("F11", "events come one to five times and in disorder")
def repeat_and_shuffle(trial: Trial) -> None:
    lab = trial.lab
    wanted = trial.times(10_000, least=300)
    with disordered(lab, "inventory", "orders") as mixer, lab.load() as load:
        eventually(lambda: mixer.delivered >= wanted, "deliveries", 1200)
        mixer.finish()
    trial.runs = mixer.delivered
    port = lab.stack.service("inventory")["http_port"]
    repeated = metric(port, "pomona_message_duplicates_total", source="orders")
    trial.figure("duplicates_dropped", repeated)
    trial.that(repeated > 0, "nothing was repeated")
    trial.figure("deliveries", mixer.delivered)
    trial.judge(load)


@fault("F29", "a binding is gone")
def lose_a_binding(trial: Trial) -> None:
    lab = trial.lab
    seen_lag = 0.0
    with lab.load() as load:
        load.goes_on()
        for _ in range(trial.times(3)):
            with connect(impersonator(lab)) as connection:
                channel = connection.channel()
                channel.queue_unbind("inventory.from.orders", "orders.events", "#")
                load.goes_on(more=20)
                head = relayed(lab, "orders")
                port = lab.stack.service("inventory")["http_port"]
                healing = time.monotonic()
                while applied(lab, "inventory", "orders") < head:
                    lag = metric(port, "pomona_inbox_lag_events", source="orders")
                    seen_lag = max(seen_lag, lag)
                    trial.that(time.monotonic() < healing + 60, "the inbox does not heal")
                    if time.monotonic() > healing + 60:
                        break
                    time.sleep(0.05)
                trial.back(time.monotonic() - healing, within=60)
                channel.queue_bind("inventory.from.orders", "orders.events", "#")
            trial.ran()
    trial.figure("lag_that_the_metric_showed", seen_lag)
    trial.that(seen_lag > 0, "no metric showed that events were missing")
    trial.judge(load)


def relayed(lab: Lab, service: str) -> int:
    return int(row(lab.stack, service, "SELECT max(position) AS at FROM relay")["at"] or 0)


def applied(lab: Lab, service: str, source: str) -> int:
    found = row(lab.stack, service, f"SELECT position FROM inbox WHERE source = '{source}'")
    return int(found["position"])


def parked(lab: Lab, service: str) -> dict[str, int]:
    return row(lab.stack, service, "SELECT count(*) AS events FROM parked")


class Mixer(threading.Thread):
    """Stands between an exchange and a reader's queue and repeats and shuffles what passes."""

    WINDOW = 20

    def __init__(self, uri: str, source: str, queue: str, seed: str) -> None:
        super().__init__(daemon=True)
        self.delivered = 0
        self._dice = Random(seed)
        self._source = source
        self._queue = queue
        self._connection = connect(uri)
        self._channel = self._connection.channel()
        self._copy = f"mixer-{uuid4().hex}"
        self._stopping = threading.Event()

    def bind(self) -> None:
        """Take the place of the reader's binding."""
        exchange = f"{self._source}.events"
        self._channel.queue_declare(self._copy, durable=False, auto_delete=False)
        self._channel.queue_bind(self._copy, exchange, "#")
        self._channel.queue_unbind(self._queue, exchange, "#")

    def unbind(self) -> None:
        exchange = f"{self._source}.events"
        self._channel.queue_bind(self._queue, exchange, "#")
        self._channel.queue_delete(self._copy)
        self._connection.close()

    def run(self) -> None:
        window: list[amqp.Message] = []
        while True:
            message = self._channel.basic_get(self._copy, no_ack=True)
            if message is not None:
                window.append(message)
                if len(window) < self.WINDOW:
                    continue
            self._pass_on(window)
            window = []
            if message is None and self._stopping.wait(0.05):
                return

    def finish(self) -> None:
        self._stopping.set()

    def _pass_on(self, window: list[amqp.Message]) -> None:
        mixed = [message for message in window for _ in range(self._dice.randint(1, 5))]
        self._dice.shuffle(mixed)
        for message in mixed:
            again = amqp.Message(message.body, **message.properties)
            self._channel.basic_publish(again, "", self._queue)
            self.delivered += 1


@contextmanager
def disordered(lab: Lab, service: str, source: str) -> Iterator[Mixer]:
    """Deliver the events of a source to a reader repeated and shuffled, through the block."""
    mixer = Mixer(impersonator(lab), source, f"{service}.from.{source}", lab.seed)
    mixer.bind()
    mixer.start()
    try:
        yield mixer
    finally:
        mixer.finish()
        mixer.join(60)
        mixer.unbind()
