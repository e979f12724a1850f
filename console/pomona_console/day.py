"""Plays a planned day of one store through its terminals, in the order a shop works in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pomona_console.baskets import Basket
from pomona_console.day_crew import Crew, Worker
from pomona_console.replay_plan import TILLS, ZONE, Lot, Phase, Return, Scheme, StoreDay
from pomona_console.trouble import Trouble

FLOAT_FEN = 500_00
SHELF_LIFE = timedelta(days=6)
_PRICES_A_CALL = 300
OPENS = time(6, 30)
CLOSES = time(22, 15)


@dataclass(frozen=True)
class Shop:
    """One store of a replay and everybody in it; all ids follow from the replay's scheme."""

    crew: Crew
    scheme: Scheme
    number: int

    @property
    def id(self) -> UUID:
        return self.scheme.id("store", self.number)

    def terminal(self, till: int) -> UUID:
        return self.scheme.id("terminal", self.number, till)

    def cashier(self, till: int) -> Worker:
        name = f"cashier-{self.number + 1}-{till + 1}"
        return self.crew.person(name, "cashier", store_id=self.id, terminal_id=self.terminal(till))

    def manager(self, till: int = 0) -> Worker:
        """Return the store's manager, who may stand at any of its terminals."""
        name = f"manager-{self.number + 1}"
        return self.crew.person(
            name, "store_manager", store_id=self.id, terminal_id=self.terminal(till)
        )

    def play(self, plan: StoreDay) -> None:
        """Do everything that the plan says, each command under an id that follows from it."""
        day = _ShopDay(self, plan)
        day.receive()
        day.open_shifts()
        for number, phase in enumerate(plan.phases):
            day.sell(number, phase)
        day.write_off()
        day.close_shifts()


class _ShopDay:
    """A shop on one day: its shifts, and what their drawers must hold in the end."""

    def __init__(self, shop: Shop, plan: StoreDay) -> None:
        self._shop = shop
        self._plan = plan
        self._drawers = [FLOAT_FEN] * TILLS

    def id(self, *parts: object) -> UUID:
        return self._shop.scheme.id(self._plan.day, self._plan.store, *parts)

    def receive(self) -> None:
        self._by_two(self._plan.lots, self._receive)

    def open_shifts(self) -> None:
        self._side_by_side(self._open_shift)

    def sell(self, number: int, phase: Phase) -> None:
        """Set the phase's prices, sell at all tills, then take back what came back."""
        prices = [
            {"product_id": str(product.id), "price_fen": price} for product, price in phase.prices
        ]
        for start in range(0, len(prices), _PRICES_A_CALL):
            self._shop.manager().do(
                "orders",
                "set_prices",
                {"prices": prices[start : start + _PRICES_A_CALL]},
                self.id("prices", number, start),
            )
        self._side_by_side(lambda till: self._sell_at(till, number, phase.tills[till]))
        for index, back in enumerate(phase.returns):
            self._take_back(number, index, back)

    def write_off(self) -> None:
        self._by_two(self._plan.shrinkage, self._write_off)

    def close_shifts(self) -> None:
        self._side_by_side(self._close_shift)

    def _receive(self, worker: Worker, index: int, lot: Lot) -> None:
        day = self._plan.day
        worker.do(
            "inventory",
            "receive_goods",
            {
                "lot_id": str(self.id("lot", index)),
                "product_id": str(lot.product.id),
                "supplier_id": str(supplier_id(self._shop.scheme, lot.product.category)),
                "quantity": lot.quantity,
                "goods_cost_fen": lot.goods_cost_fen,
                "origin": origin_of(lot.product.category),
                "harvest_date": (day - timedelta(days=1)).isoformat(),
                "best_before": (day + SHELF_LIFE).isoformat(),
                "business_date": day.isoformat(),
            },
            self.id("receive", index),
        )

    def _open_shift(self, till: int) -> None:
        answer = self._shop.cashier(till).do(
            "orders",
            "open_shift",
            {
                "shift_id": str(self.id("shift", till)),
                "terminal_time": self._at(OPENS),
                "float_fen": FLOAT_FEN,
            },
            self.id("open_shift", till),
        )
        if date.fromisoformat(answer["business_date"]) != self._plan.day:
            raise _disagree("business_date", self._plan.day.isoformat(), answer)

    def _sell_at(self, till: int, number: int, baskets: Iterable[Basket]) -> None:
        cashier, shift = self._shop.cashier(till), self.id("shift", till)
        for index, basket in enumerate(baskets):
            order = self.id("order", number, till, index)
            request = basket.as_request(order, shift)
            answer = cashier.do(
                "orders", "place_order", request, self.id("place", number, till, index)
            )
            if answer["total_fen"] != basket.total_fen:
                raise _disagree("total_fen", basket.total_fen, answer)
            self._drawers[till] += basket.cash_kept_fen

    def _take_back(self, number: int, index: int, back: Return) -> None:
        """Pay out what came back without a receipt: a manager's business, from the first till."""
        answer = self._shop.manager().do(
            "orders",
            "return_goods",
            {
                "return_id": str(self.id("return", number, index)),
                "shift_id": str(self.id("shift", 0)),
                "terminal_time": back.at.isoformat(),
                "reason": "退货净额 net return of the day",
                "tender": back.tender,
                "lines": [
                    {
                        "product_id": str(back.product.id),
                        "quantity": back.quantity,
                        "price_fen": back.price_fen,
                    }
                ],
            },
            self.id("take_back", number, index),
        )
        if answer["refund_fen"] != back.refund_fen:
            raise _disagree("refund_fen", back.refund_fen, answer)
        if back.tender == "cash":
            self._drawers[0] -= back.refund_fen

    def _write_off(self, worker: Worker, index: int, lost: tuple[Any, int]) -> None:
        product, quantity = lost
        worker.do(
            "inventory",
            "record_shrinkage",
            {
                "shrinkage_id": str(self.id("shrinkage", index)),
                "product_id": str(product.id),
                "quantity": quantity,
                "reason": "spoiled",
                "business_date": self._plan.day.isoformat(),
            },
            self.id("write_off", index),
        )

    def _close_shift(self, till: int) -> None:
        self._shop.cashier(till).do(
            "orders",
            "close_shift",
            {
                "shift_id": str(self.id("shift", till)),
                "terminal_time": self._at(CLOSES),
                "counted_cash_fen": self._drawers[till],
            },
            self.id("close_shift", till),
        )

    def _at(self, clock: time) -> str:
        return datetime.combine(self._plan.day, clock, ZoneInfo(ZONE)).isoformat()

    def _side_by_side(self, job: Callable[[int], None]) -> None:
        self._shop.crew.all_do(partial(job, till) for till in range(TILLS))

    def _by_two(self, things: tuple[Any, ...], job: Callable[[Worker, int, Any], None]) -> None:
        """Have the manager do jobs that do not depend on each other, at both terminals."""

        def some(till: int) -> None:
            worker = self._shop.manager(till)
            for index in range(till, len(things), TILLS):
                job(worker, index, things[index])

        self._side_by_side(some)


def supplier_id(scheme: Scheme, category: str) -> UUID:
    return scheme.id("supplier", category)


def origin_of(category: str) -> str:
    """Return where a category's supplier grows."""
    origins = ("云南", "山东寿光", "湖北洪湖", "湖北襄阳", "福建古田", "海南")
    return origins[sum(category.encode()) % len(origins)]


def _disagree(field: str, expected: object, answer: dict[str, Any]) -> Trouble:
    got = answer.get(field)
    return Trouble(
        f"orders 回答的 {field} 是 {got}，应为 {expected}。请查看 orders 的日志。",
        f"orders answered {field} {got} where {expected} was due. Look at the log of orders.",
    )
