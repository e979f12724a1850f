"""Faults of the matrix that hurt commands: kills at each step, twins, the last crate, replies."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any
from uuid import UUID, uuid4

import amqp

from pomona.broker import connect
from pomona.broker_access import RPC_EXCHANGE
from pomona.errors import Refused, Unavailable

from .lab import eventually
from .shop import FRUITS, TILLS_OF_THE_CHAIN, Fruit, clerk_at, delivery, open_shelf, today
from .stores import row
from .terminals import EVERYTHING, TIMEOUT
from .trial import Trial, fault

_APPLE = FRUITS[0]
STEPS_OF_A_COMMAND = (
    "command.before_load",
    "commit.before",
    "commit.after",
    "reply.before_ack",
)
STEPS_OF_A_CLAIM = (
    ("aftersales", "commit.before"),
    ("aftersales", "commit.after"),
    ("orders", "inbox.before_ack"),
    ("orders", "commit.after"),
    ("aftersales", "relay.published"),
    ("aftersales", "inbox.before_ack"),
    ("inventory", "inbox.before_ack"),
)


@fault("F1", "a process dies at each step of a command")
def kill_at_each_step(trial: Trial) -> None:
    with trial.lab.load(actions=EVERYTHING) as load:
        load.goes_on()
        victims = cycle(("orders", "inventory", "aftersales"))
        for place in STEPS_OF_A_COMMAND:
            for number in range(trial.times(25)):
                victim = next(victims)
                killed = trial.lab.killed_at(victim, place)
                eventually(lambda: load.answered_after(killed, victim), "an answer")  # noqa: B023 - called at once
                trial.back(time.monotonic() - killed, within=10)
                trial.ran(f"{victim} {place} {number + 1}")
    trial.judge(load)


@fault("F12", "a handler takes longer than its caller waits")
def stall_a_handler(trial: Trial) -> None:
    lab = trial.lab
    till = TILLS_OF_THE_CHAIN[0]
    for _ in range(trial.times(3)):
        file = lab.arm("inventory", "command.before_load", f"sleep {TIMEOUT + 2}")
        lot = uuid4()
        request = delivery(lot, _APPLE, 10)
        with clerk_at(lab.stack, till) as clerk:
            started = time.monotonic()
            try:
                clerk.command(
                    "inventory", "receive_goods", request, command_id=lot, timeout=TIMEOUT
                )
            except (Unavailable, Refused):
                waited = time.monotonic() - started
            else:
                waited = 0.0
                trial.that(False, "the stalled command was answered")
            trial.figure("longest_call_s", waited, at_most=TIMEOUT + 1)
            file.unlink()
            log = lab.stack.layout.log("inventory")
            eventually(lambda: log.read_text().count(str(lot)), "the end of the stalled command")  # noqa: B023
            time.sleep(1)  # a second start would show now
            trial.that(log.read_text().count(str(lot)) == 1, "the command was started twice")
            found = row(
                lab.stack, "inventory", f"SELECT count(*) FROM commands WHERE command_id = '{lot}'"
            )
            trial.that(found["count"] == 0, "it was carried out after its caller had gone")
        trial.ran()
    trial.judge()


@fault("F21", "two threads send one command id, and one id comes with another payload")
def send_twins(trial: Trial) -> None:
    lab = trial.lab
    till = TILLS_OF_THE_CHAIN[0]
    conflicts = 0
    pairs = trial.times(50, least=5)
    for _ in range(pairs):
        lot = uuid4()
        together = threading.Barrier(2)

        def receive(lot: UUID = lot, together: threading.Barrier = together) -> dict[str, Any]:
            with clerk_at(lab.stack, till) as clerk:
                clerk.ask("inventory", "positions")
                together.wait()
                return clerk.command(
                    "inventory", "receive_goods", delivery(lot, _APPLE, 10), command_id=lot
                )

        with ThreadPoolExecutor(2) as pool:
            first, second = (pool.submit(receive) for _ in range(2))
            trial.that(first.result() == second.result(), f"{lot} was answered in two ways")
        events = row(
            lab.stack,
            "inventory",
            f"SELECT count(*) FROM inventory_events WHERE cause->>'causationid' = '{lot}'"
            " AND topic = 'inventory.Lot.Received'",
        )["count"]
        trial.duplicated += max(0, events - 1)
        trial.that(events == 1, f"{lot} was received {events} times")
        with clerk_at(lab.stack, till) as clerk:
            try:
                clerk.command(
                    "inventory", "receive_goods", delivery(lot, _APPLE, 11), command_id=lot
                )
            except Refused as refused:
                conflicts += refused.code == "command_id_reused"
        trial.ran()
    trial.that(conflicts == pairs, f"{pairs - conflicts} of {pairs} other payloads were let in")
    lab.remember_strangers()
    trial.judge()


@fault("F22", "many writers want the last crate")
def fight_over_the_last_crate(trial: Trial) -> None:
    lab = trial.lab
    for writers in (8,) if trial.scale < 1 else (8, 32):
        fruit = open_shelf(lab.stack, f"crate-{uuid4().hex[:8]}")
        each, grams = 25, 10
        crate = writers * each * grams // 2
        with clerk_at(lab.stack, TILLS_OF_THE_CHAIN[0]) as clerk:
            clerk.command("inventory", "receive_goods", delivery(uuid4(), fruit, crate))
        outcomes: Counter[str] = Counter()

        def take(fruit: Fruit = fruit, outcomes: Counter[str] = outcomes) -> None:
            with clerk_at(lab.stack, TILLS_OF_THE_CHAIN[0]) as clerk:
                for _ in range(each):  # noqa: B023 - called at once
                    request = {
                        "shrinkage_id": str(uuid4()),
                        "product_id": str(fruit.id),
                        "quantity": grams,  # noqa: B023
                        "reason": "spoiled",
                        "business_date": today(),
                    }
                    try:
                        clerk.command("inventory", "record_shrinkage", request, patience=60)
                        outcomes["taken"] += 1
                    except Refused as refused:
                        outcomes[refused.code] += 1

        started = time.monotonic()
        with ThreadPoolExecutor(writers) as pool:
            for future in [pool.submit(take) for _ in range(writers)]:
                future.result()
        seconds = time.monotonic() - started
        limit = 10.0 if writers == 8 else None
        trial.figure(f"{writers}_writers_s", seconds, at_most=limit)
        taken = outcomes["taken"] * grams
        trial.figure(f"{writers}_writers_oversold_g", taken - crate, at_most=0)
        trial.that(taken == crate, f"{taken} g were taken of {crate} g")
        trial.that(
            set(outcomes) <= {"taken", "not_enough_in_store"}, f"other answers: {dict(outcomes)}"
        )
        trial.ran()
    lab.remember_strangers()
    trial.judge()


@fault("F26", "the way of a claim is cut at each step")
def cut_the_way_of_a_claim(trial: Trial) -> None:
    lab = trial.lab
    with lab.load(actions=("sell", "claim", "pay_refund", "pay_refund", "bring_goods")) as load:
        load.goes_on(more=40)
        for _ in range(trial.times(5)):
            for service, place in STEPS_OF_A_CLAIM:
                killed = lab.killed_at(service, place)
                load.goes_on()
                trial.ran(f"{service} {place}")
                trial.back(time.monotonic() - killed, within=30)
    trial.judge(load)
    half = row(
        lab.stack,
        "analytics",
        "SELECT count(*) FROM archive a WHERE type = 'pomona.orders.refund_paid.v1'"
        " AND NOT EXISTS (SELECT 1 FROM archive b WHERE b.source = 'aftersales'"
        " AND b.type = 'pomona.aftersales.claim_settled.v1'"
        " AND convert_from(b.envelope, 'UTF8')::jsonb #>> '{data,claim_id}'"
        " = convert_from(a.envelope, 'UTF8')::jsonb #>> '{data,claim_id}')",
    )["count"]
    trial.figure("refunds_paid_but_not_settled", half, at_most=0)


@fault("F28", "replies are lost: the caller is gone, or the callee dies in the call")
def lose_replies(trial: Trial) -> None:
    lab = trial.lab
    calls = trial.times(100, least=40)
    with clerk_at(lab.stack, TILLS_OF_THE_CHAIN[0]) as clerk:
        clerk.ask("orders", "list_stores")
        with connect(lab.stack.amqp_uri) as connection:
            channel = connection.channel()
            for _ in range(calls):
                message = amqp.Message(
                    b'{"args": [], "kwargs": {}}',
                    content_type="application/json",
                    reply_to=str(uuid4()),  # nobody listens there
                    correlation_id=str(uuid4()),
                )
                channel.basic_publish(message, RPC_EXCHANGE, "orders.list_stores")
        started = time.monotonic()
        try:
            clerk.ask("orders", "list_stores")
        except (Unavailable, Refused) as error:
            trial.that(False, f"after {calls} lost replies: {error}")
        trial.figure("call_after_lost_replies_s", time.monotonic() - started, at_most=TIMEOUT)
    with lab.load() as load:
        load.goes_on()
        for _ in range(trial.times(10)):
            killed = lab.killed_at("orders", "commit.after")
            eventually(lambda: load.answered_after(killed), "an answer")  # noqa: B023
            trial.back(time.monotonic() - killed, within=10)
            trial.ran()
    trial.judge(load)
