"""The demo's trading day at three stores' terminals, from first delivery to last drawer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pomona.values import line_total, stable_id
from pomona_console.baskets import Basket, Hours, cut, fill, pay, weighed
from pomona_console.day_crew import Crew, Worker
from pomona_console.demo_catalogue import (
    COCONUT,
    CUSTOMERS,
    CUT_OFF,
    FRUITS,
    GRAPE,
    STORES,
    STRAWBERRY,
    SUPPLIER,
    SUPPLIERS,
    TILLS,
    Fruit,
    Store,
)
from pomona_console.demo_staff import code_for, open_till, take_on
from pomona_console.report_words import say
from pomona_console.verify_positions import wait_until_caught_up

SEED = 20_26
FLOAT_FEN = 300_00
SHORT_FEN = 2_00
BAD_LOT = stable_id("demo", "lot", "SHA", "bad strawberries")
STRAWBERRY_ORDER = stable_id("demo", "order", "strawberries")
GRAPE_ORDER = stable_id("demo", "order", "grapes")
STRAWBERRY_CLAIM = stable_id("demo", "claim", "strawberries")
GRAPE_CLAIM = stable_id("demo", "claim", "grapes")
OPENS, CLOSES = time(6, 30), time(22, 15)
_LOST = (
    (STRAWBERRY, "spoiled", 240),
    (FRUITS[5], "natural_loss", 180),
    (FRUITS[6], "damaged", 310),
)
SHANGHAI, CHENGDU, URUMQI = STORES


def latest_whole_day(now: datetime) -> date:
    """Return the latest day whose closing time is past in every store."""
    return min(
        (now - timedelta(days=1)).astimezone(ZoneInfo(store.zone)).date() for store in STORES
    )


@dataclass
class DemoDay:
    """Plays the day; what it does follows from its seed, but for the date."""

    crew: Crew
    say_what: Callable[[str], None]
    day: date = field(default_factory=lambda: latest_whole_day(datetime.now(UTC)))
    cancelled: int = 0

    def play(self) -> None:
        for words, step in (
            (say("开店", "opening the stores"), self.open_chain),
            (say("终端登记、登录", "enrolling tills, logging in"), self.open_tills),
            (say("收货、定价", "receiving and pricing"), self.begin),
            (say("营业", "selling"), self.trade),
            (say("损耗、调拨", "shrinkage and a transfer"), self.tidy_up),
            (say("售后", "after-sales"), self.settle_claims),
            (say("交班", "closing the shifts"), self.close),
        ):
            self.say_what(words)
            step()

    # -- who is there

    @property
    def head_office(self) -> Worker:
        return self.crew.person("head-office", "head_office")

    def manager(self, store: Store) -> Worker:
        return self.crew.person(f"manager-{store.code}", "store_manager", store_id=store.id)

    def cashier(self, store: Store, till: int) -> Worker:
        return self.crew.person(
            self.staff_no(store, till),
            "cashier",
            store_id=store.id,
            terminal_id=store.terminal_id(till),
        )

    def staff_no(self, store: Store, till: int) -> str:
        return f"cashier-{store.code.lower()}-{till + 1}"

    # -- the day

    def open_chain(self) -> None:
        office = self.head_office
        for store in STORES:
            _do(
                office,
                "orders",
                "open_store",
                store_id=store.id,
                code=store.code,
                name=store.name,
                zone=store.zone,
                cut_off=f"{CUT_OFF:%H:%M}",
            )
            for till in range(TILLS):
                _do(
                    office,
                    "orders",
                    "register_terminal",
                    terminal_id=store.terminal_id(till),
                    store_id=store.id,
                    code=f"T{till + 1}",
                )
        listed = [
            {
                "product_id": str(fruit.id),
                "code": fruit.code,
                "name": fruit.name,
                "category": fruit.category,
                "unit": fruit.unit,
            }
            for fruit in FRUITS
        ]
        _do(office, "orders", "list_products", products=listed)
        for supplier in SUPPLIERS:
            _do(
                office,
                "inventory",
                "register_supplier",
                supplier_id=supplier.id,
                code=supplier.code,
                name=supplier.name,
            )
        for customer in CUSTOMERS:
            _do(
                office,
                "crm",
                "register_customer",
                customer_id=customer.id,
                name=customer.name,
                phone=customer.phone,
            )
        self._catch_up()

    def open_tills(self) -> None:
        jobs = []
        for store in STORES:
            for till in range(TILLS):
                staff_no = self.staff_no(store, till)
                take_on(self.head_office, staff_no, store_id=store.id)
                code = code_for(self.head_office, store.terminal_id(till), store_id=store.id)
                jobs.append(partial(open_till, self.crew, code, staff_no))
        self.crew.all_do(jobs)

    def begin(self) -> None:
        self._in_every_store(self._begin)

    def trade(self) -> None:
        self.crew.all_do(
            partial(self._ring_up, store, till, baskets)
            for store in STORES
            for till, baskets in enumerate(self._baskets(store))
        )
        self._catch_up()

    def tidy_up(self) -> None:
        """Cancel a sale, write off what spoiled, and send coconuts where they ran low."""
        order = stable_id("demo", "order", CHENGDU.code, "0", "1")
        _do(
            self.cashier(CHENGDU, 0),
            "orders",
            "cancel_order",
            order_id=order,
            shift_id=self._shift(CHENGDU, 0),
            reason=say("顾客改用刷卡重新结账", "rung up again, to be paid by card"),
        )
        self.cancelled = 1
        self._in_every_store(self._write_off)
        transfer = stable_id("demo", "transfer", "coconuts")
        today = self.day.isoformat()
        _do(
            self.manager(SHANGHAI),
            "inventory",
            "send_transfer",
            transfer_id=transfer,
            to_store_id=URUMQI.id,
            product_id=COCONUT.id,
            quantity=8,
            business_date=today,
        )
        _do(
            self.manager(URUMQI),
            "inventory",
            "receive_transfer",
            transfer_id=transfer,
            business_date=today,
        )
        self._catch_up()

    def settle_claims(self) -> None:
        """Take one claim to a refund by the manager, and one to goods that come back."""
        _do(
            self.cashier(SHANGHAI, 0),
            "aftersales",
            "open_claim",
            claim_id=STRAWBERRY_CLAIM,
            order_id=STRAWBERRY_ORDER,
            line_no=1,
            channel="clerk",
            reason="rotten",
            bad_share_percent=60,
            note=say("盒底多颗发霉", "mouldy at the bottom of the box"),
        )
        _do(
            self.manager(SHANGHAI),
            "aftersales",
            "decide_claim",
            claim_id=STRAWBERRY_CLAIM,
            clause="fault_confirmed",
        )
        _do(
            self.cashier(CHENGDU, 0),
            "aftersales",
            "open_claim",
            claim_id=GRAPE_CLAIM,
            order_id=GRAPE_ORDER,
            line_no=1,
            channel="kiosk",
            reason="overripe",
            bad_quantity=600,
            goods_expected=True,
        )
        self._catch_up()
        _do(
            self.cashier(CHENGDU, 0),
            "aftersales",
            "take_goods_back",
            claim_id=GRAPE_CLAIM,
            disposition="supplier_evidence",
            business_date=self.day.isoformat(),
        )
        for store, claim in ((SHANGHAI, STRAWBERRY_CLAIM), (CHENGDU, GRAPE_CLAIM)):
            cashier = self.cashier(store, 0)
            told = cashier.ask("aftersales", "get_claim", {"claim_id": str(claim)})
            _do(
                cashier,
                "orders",
                "pay_refund",
                refund_id=told["refund"]["refund_id"],
                shift_id=self._shift(store, 0),
                tender="cash",
            )
        self._catch_up()

    def close(self) -> None:
        """Close every shift; in one drawer two yuan are missing."""
        for store in STORES:
            for till in range(TILLS):
                cashier, shift = self.cashier(store, till), self._shift(store, till)
                drawer = cashier.ask("orders", "get_shift", {"shift_id": str(shift)})
                short = SHORT_FEN if (store, till) == (CHENGDU, 1) else 0
                _do(
                    cashier,
                    "orders",
                    "close_shift",
                    shift_id=shift,
                    terminal_time=self._at(store, CLOSES),
                    counted_cash_fen=drawer["expected_cash_fen"] - short,
                )
        self._catch_up()

    # -- one store at a time

    def _begin(self, store: Store) -> None:
        manager = self.manager(store)
        for fruit in FRUITS:
            self._receive(store, fruit, fruit.received * store.busy // 100)
        if store is SHANGHAI:
            self._receive(store, STRAWBERRY, 3_000, lot=BAD_LOT, keeps_days=1)
        prices = [{"product_id": str(fruit.id), "price_fen": fruit.price_fen} for fruit in FRUITS]
        _do(manager, "orders", "set_prices", prices=prices, store=store.code)
        _do(
            manager,
            "inventory",
            "set_reorder_point",
            product_id=COCONUT.id,
            reorder_point=10,
            business_date=self.day.isoformat(),
            store=store.code,
        )
        for till in range(TILLS):
            _do(
                self.cashier(store, till),
                "orders",
                "open_shift",
                shift_id=self._shift(store, till),
                terminal_time=self._at(store, OPENS),
                float_fen=FLOAT_FEN,
            )

    def _receive(
        self,
        store: Store,
        fruit: Fruit,
        quantity: int,
        *,
        lot: UUID | None = None,
        keeps_days: int = 0,
    ) -> None:
        supplier = SUPPLIER[fruit.supplier]
        keeps = timedelta(days=keeps_days or fruit.keeps_days)
        cost = line_total(fruit.cost_fen, quantity, fruit.unit)
        _do(
            self.manager(store),
            "inventory",
            "receive_goods",
            lot_id=lot or stable_id("demo", "lot", store.code, fruit.code),
            product_id=fruit.id,
            supplier_id=supplier.id,
            quantity=quantity,
            goods_cost_fen=cost,
            freight_fen=cost * 3 // 100,
            origin=supplier.origin,
            harvest_date=(self.day - timedelta(days=2)).isoformat(),
            best_before=(self.day + keeps).isoformat(),
            business_date=self.day.isoformat(),
        )

    def _baskets(self, store: Store) -> list[list[tuple[UUID, Basket]]]:
        """Return what each till of the store rings up, in order, with the ids of the orders."""
        dice = Random(f"{SEED} {store.code}")  # noqa: S311 - repeatable on purpose
        lines = [
            weighed(
                fruit.id,
                fruit.unit,
                part,
                price_fen=fruit.price_fen,
                scale=f"{store.code}-{dice.randint(1, 2)}",
                rng=dice,
            )
            for fruit in FRUITS
            for part in cut(fruit.sold * store.busy // 100, fruit.unit, dice)
        ]
        members = [customer.id for customer in CUSTOMERS]
        baskets = fill(lines, Hours(self.day, store.zone), members, dice)
        tills = [
            [
                (stable_id("demo", "order", store.code, str(till), str(number)), basket)
                for number, basket in enumerate(baskets[till::TILLS])
            ]
            for till in range(TILLS)
        ]
        for where, fruit, quantity, order, customer in (
            (SHANGHAI, STRAWBERRY, 820, STRAWBERRY_ORDER, CUSTOMERS[0]),
            (CHENGDU, GRAPE, 1_150, GRAPE_ORDER, CUSTOMERS[1]),
        ):
            if store is where:
                line = weighed(
                    fruit.id,
                    fruit.unit,
                    quantity,
                    price_fen=fruit.price_fen,
                    scale=f"{store.code}-1",
                    rng=dice,
                )
                at = datetime.combine(self.day, time(7, 2), ZoneInfo(store.zone))
                tills[0].insert(0, (order, pay((line,), at, customer.id, dice)))
        return tills

    def _ring_up(self, store: Store, till: int, baskets: list[tuple[UUID, Basket]]) -> None:
        cashier, shift = self.cashier(store, till), self._shift(store, till)
        for order, basket in baskets:
            cashier.do(
                "orders",
                "place_order",
                basket.as_request(order, shift),
                stable_id(str(order), "place"),
            )

    def _write_off(self, store: Store) -> None:
        for fruit, reason, quantity in _LOST:
            _do(
                self.manager(store),
                "inventory",
                "record_shrinkage",
                shrinkage_id=stable_id("demo", "shrinkage", store.code, fruit.code),
                product_id=fruit.id,
                quantity=quantity,
                reason=reason,
                business_date=self.day.isoformat(),
            )

    def _in_every_store(self, job: Callable[[Store], None]) -> None:
        self.crew.all_do(partial(job, store) for store in STORES)

    def _shift(self, store: Store, till: int) -> UUID:
        return stable_id("demo", "shift", store.code, str(till))

    def _at(self, store: Store, clock: time) -> str:
        return datetime.combine(self.day, clock, ZoneInfo(store.zone)).isoformat()

    def _catch_up(self) -> None:
        wait_until_caught_up(self.head_office.ask)


def _do(worker: Worker, service: str, method: str, store: str = "", **request: Any) -> None:
    """Send a command whose id follows from what it asks; `store` tells equal requests apart."""
    sent = {
        name: str(value) if isinstance(value, UUID) else value for name, value in request.items()
    }
    worker.do(service, method, sent, stable_id("demo", service, method, store, repr(sent)))
