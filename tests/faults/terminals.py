"""Virtual terminals: each rings up, cancels, claims, pays back and moves goods by its own dice."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from pomona.errors import Refused, Unavailable
from pomona.values import line_total
from pomona_console.stack import Stack

from .history import History
from .shop import FRUITS, STORES, Fruit, Till, clerk_at, delivery, today

TIMEOUT = 4.0
PAUSE_SECONDS = 0.2
# A refusal that says nothing about whether the command was carried out.
UNDECIDED = frozenset({"unavailable", "conflict", "internal"})

SALES = ("sell",)
EVERYTHING = (
    *(("sell",) * 8),
    "cancel",
    "take_back",
    "claim",
    "claim",
    "pay_refund",
    "pay_refund",
    "bring_goods",
    "receive",
    "write_off",
    "send",
    "arrive",
    "register",
)


# Transfers that were sent to a store and have not been received there.
on_the_way: dict[UUID, list[UUID]] = {store: [] for store in STORES}


class VirtualTerminal(threading.Thread):
    """One clerk at one till. Everything that is sent goes through `do` and into the history."""

    def __init__(
        self,
        stack: Stack,
        till: Till,
        directory: Path,
        *,
        seed: object,
        actions: Sequence[str] = SALES,
        tries: int = 3,
        pause: float = 0.0,
    ) -> None:
        super().__init__(name=f"clerk-{till.number}", daemon=True)
        self.till = till
        self.dice = Random(f"{seed} {till.number}")
        self.history = History(directory / f"{self.name}.jsonl")
        self.acked = 0
        self.undecided = 0
        self.refused = 0
        self.last_ack: dict[str, float] = {}
        self.took: list[tuple[float, float]] = []
        self.longest = 0.0
        self._terminal = clerk_at(stack, till)
        self._actions: list[Callable[[], None]] = [getattr(self, f"_{name}") for name in actions]
        self._tries = tries
        self._pause = pause
        self._stopping = threading.Event()
        self._sold: list[tuple[UUID, Fruit, int]] = []
        self._claims: list[UUID] = []
        self._approved: list[tuple[UUID, UUID]] = []
        self._sent: list[UUID] = []
        self.crashed: BaseException | None = None

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.dice.choice(self._actions)()
                self._stopping.wait(self._pause)
        except BaseException as error:
            self.crashed = error
            raise
        finally:
            self._terminal.close()
            self.history.close()

    def do(self, service: str, method: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send a command, again under the same id while its fate is unknown."""
        command_id = self._id()
        for _ in range(self._tries):
            self.history.sent(command_id, service, method, request)
            started = time.monotonic()
            try:
                answer = self._terminal.command(
                    service, method, request, command_id=command_id, timeout=TIMEOUT
                )
            except Unavailable:
                self.history.unknown(command_id, "no_answer")
            except Refused as refused:
                if refused.code not in UNDECIDED:
                    self.history.failed(command_id, refused.code)
                    self.refused += 1
                    return None
                self.history.unknown(command_id, refused.code)
            else:
                self.history.acked(command_id, answer)
                self.acked += 1
                self.last_ack[service] = time.monotonic()
                self.took.append((time.time(), time.monotonic() - started))
                return answer
            finally:
                self.longest = max(self.longest, time.monotonic() - started)
            self.undecided += 1
            if self._stopping.wait(PAUSE_SECONDS):
                break
        return None

    # -- what a clerk does

    def _sell(self) -> None:
        fruit = self.dice.choice(FRUITS)
        quantity = self.dice.randint(1, 3) if fruit.unit == "piece" else self.dice.randint(100, 900)
        order = self._id()
        line = {
            "product_id": str(fruit.id),
            "quantity": quantity,
            "price_fen": fruit.price_fen,
        }
        total = line_total(fruit.price_fen, quantity, fruit.unit)  # type: ignore[arg-type]
        placed = self.do(
            "orders",
            "place_order",
            {
                **self._at_the_till(),
                "order_id": str(order),
                "lines": [line],
                "tenders": [{"kind": self.dice.choice(("card", "cash")), "amount_fen": total}],
            },
        )
        if placed is not None:
            self._sold.append((order, fruit, quantity))

    def _cancel(self) -> None:
        if self._sold:
            order, _, _ = self._sold.pop(self.dice.randrange(len(self._sold)))
            request = {
                "order_id": str(order),
                "shift_id": str(self.till.shift_id),
                "reason": "test",
            }
            self.do("orders", "cancel_order", request)

    def _take_back(self) -> None:
        fruit = self.dice.choice(FRUITS)
        line = {"product_id": str(fruit.id), "quantity": 1, "price_fen": fruit.price_fen}
        request = {**self._at_the_till(), "return_id": str(self._id()), "lines": [line]}
        self.do("orders", "return_goods", {**request, "reason": "test", "tender": "card"})

    def _claim(self) -> None:
        if self._sold:
            order, _, quantity = self.dice.choice(self._sold)
            claim = self._id()
            request = {
                "claim_id": str(claim),
                "order_id": str(order),
                "line_no": 1,
                "channel": "clerk",
                "reason": "rotten",
                "bad_quantity": self.dice.randint(1, quantity),
                "goods_expected": self.dice.random() < 0.5,
            }
            answer = self.do("aftersales", "open_claim", request)
            if answer is not None and answer["refund_fen"]:
                self._claims.append(claim)

    def _pay_refund(self) -> None:
        if self._claims:
            claim = self._claims[0]
            with suppress(Unavailable, Refused):
                told = self._terminal.ask("aftersales", "get_claim", {"claim_id": str(claim)})
                self._claims.pop(0)
                refund = told.get("refund") or {}
                if refund.get("refund_id"):
                    request = {"refund_id": refund["refund_id"], "tender": "card"}
                    shift = {"shift_id": str(self.till.shift_id)}
                    self.do("orders", "pay_refund", {**request, **shift})
                    self._approved.append((claim, UUID(refund["refund_id"])))

    def _bring_goods(self) -> None:
        if self._approved:
            claim, _ = self._approved.pop()
            request = {"claim_id": str(claim), "disposition": "discard", "business_date": today()}
            self.do("aftersales", "take_goods_back", request)

    def _receive(self) -> None:
        fruit = self.dice.choice(FRUITS)
        self.do("inventory", "receive_goods", delivery(self._id(), fruit, 5000))

    def _write_off(self) -> None:
        request = {
            "shrinkage_id": str(self._id()),
            "product_id": str(self.dice.choice(FRUITS).id),
            "quantity": self.dice.randint(1, 50),
            "reason": "spoiled",
            "business_date": today(),
        }
        self.do("inventory", "record_shrinkage", request)

    def _send(self) -> None:
        transfer = self._id()
        (other,) = [store for store in STORES if store != self.till.store_id]
        request = {
            "transfer_id": str(transfer),
            "to_store_id": str(other),
            "product_id": str(self.dice.choice(FRUITS).id),
            "quantity": self.dice.randint(1, 50),
            "business_date": today(),
        }
        if self.do("inventory", "send_transfer", request) is not None:
            on_the_way[other].append(transfer)

    def _arrive(self) -> None:
        with suppress(IndexError):
            transfer = on_the_way[self.till.store_id].pop()
            request = {"transfer_id": str(transfer), "business_date": today()}
            self.do("inventory", "receive_transfer", request)

    def _register(self) -> None:
        request = {
            "customer_id": str(self._id()),
            "name": "顾客",
            "phone": f"13{self.dice.randrange(10**9):09d}",
        }
        self.do("crm", "register_customer", request)

    def _at_the_till(self) -> dict[str, str]:
        return {
            "shift_id": str(self.till.shift_id),
            "terminal_time": datetime.now(UTC).isoformat(),
        }

    def _id(self) -> UUID:
        return UUID(int=self.dice.getrandbits(128), version=4)
