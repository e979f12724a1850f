"""A terminal that sells for a day without a broker, and loses its power while it catches up."""

import multiprocessing
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from pomona.offline import Backlog, Kept, State
from pomona_console.stack import running_stack

from .history import History
from .lab import Lab, Load, eventually
from .machinery import broker_away
from .shop import FRUITS, TILLS_OF_THE_CHAIN, clerk_at
from .trial import Trial, fault

SALES = 500
FLUSHED_WITHIN = 60.0
TILL = TILLS_OF_THE_CHAIN[0]
PERSON = f"clerk-{TILL.number}"


@fault("F20", "a terminal sells offline for a day, and is killed while it sends its backlog")
def sell_offline(trial: Trial) -> None:
    lab = trial.lab
    sales, cuts = trial.times(SALES, least=40), trial.times(4)
    file = lab.directory / f"backlog-{uuid4().hex[:8]}.sqlite"
    with broker_away(lab):
        rung_up = _sell(file, sales)
    lab.ready()
    began = time.monotonic()
    for cut in range(cuts):
        _send_until(lab, file, answered=sales * (cut + 1) // (cuts + 1))
        trial.ran("power cut")
    _send_until(lab, file, answered=sales)
    trial.figure("flushed_s", time.monotonic() - began, at_most=FLUSHED_WITHIN + 5 * cuts)
    trial.recovery_seconds = time.monotonic() - began
    answered = _all_of(file, "answered")
    ids = [kept.command_id for kept in answered]
    trial.that(ids == list(rung_up), "other sales than were rung up")
    receipts = [kept.result["receipt_no"] for kept in answered if kept.result]
    trial.that(receipts == sorted(set(receipts)), "receipts are doubled or out of order")
    trial.judge(_told(lab, file, rung_up))


def _sell(file: Path, sales: int) -> dict[UUID, dict[str, Any]]:
    """Ring up sales; return what was asked for, by command."""
    fruit = FRUITS[0]
    opened = datetime.now(UTC) - timedelta(days=1)
    backlog = Backlog(file)
    rung_up = {}
    for number in range(sales):
        line = {"product_id": str(fruit.id), "quantity": 1000, "price_fen": fruit.price_fen}
        request = {
            "order_id": str(uuid4()),
            "shift_id": str(TILL.shift_id),
            "terminal_time": (opened + timedelta(minutes=number)).isoformat(),
            "lines": [line],
            "tenders": [{"kind": "card", "amount_fen": fruit.price_fen}],
        }
        command_id = backlog.write_down("orders", "place_order", request, person=PERSON)
        rung_up[command_id] = request
    backlog.close()
    return rung_up


def _send_until(lab: Lab, file: Path, *, answered: int) -> None:
    """Send the backlog from a process of its own, and cut its power at a number of answers."""
    sender = multiprocessing.get_context("spawn").Process(
        target=send, args=(file, lab.stack.layout.directory)
    )
    sender.start()
    eventually(lambda: len(_all_of(file, "answered")) >= answered, "answers", 120)
    sender.kill()
    sender.join()


def send(file: Path, directory: Path) -> None:
    """Flush the backlog; the process may die at any moment."""
    backlog = Backlog(file)
    with clerk_at(running_stack(directory), TILL) as clerk:
        backlog.flush(lambda _person: clerk, patience=60)
    backlog.close()


def _all_of(file: Path, state: State) -> list[Kept]:
    backlog = Backlog(file)
    try:
        return backlog.commands(state)
    finally:
        backlog.close()


def _told(lab: Lab, file: Path, rung_up: dict[UUID, dict[str, Any]]) -> Load:
    """Return the backlog as the history of a clerk."""
    directory = lab.directory / f"{file.stem}-told"
    directory.mkdir()
    history = History(directory / f"{PERSON}.jsonl")
    for kept in _all_of(file, "answered"):
        request = rung_up[kept.command_id]
        history.sent(kept.command_id, kept.service, kept.method, request)
        history.acked(kept.command_id, kept.result or {})
    history.close()
    return Load(directory, [])
