"""A chain that trades at random: what its four contexts tell, and the truth to compare with."""

import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from pomona.envelope import Envelope, seal
from pomona.values import half_up, line_total, share_out

SOURCES = ("orders", "inventory", "aftersales", "crm")
FIRST_DAY = date(2026, 6, 1)


class Chain:
    """Plays what happens in a few stores and keeps both the events and the truth about them."""

    def __init__(self, seed: int, stores: int = 3) -> None:
        self.random = random.Random(seed)
        self.logs: dict[str, list[Envelope]] = {source: [] for source in SOURCES}
        self.clock = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
        self.positions: Counter[str] = Counter()
        self.sold: defaultdict[tuple, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.receipts: Counter[tuple] = Counter()
        self.on_hand: Counter[tuple] = Counter()
        self.takings: Counter[tuple] = Counter()
        self.refunds: Counter[tuple] = Counter()
        self.claimed: defaultdict[tuple, list[int]] = defaultdict(lambda: [0, 0])
        self.lots: dict[UUID, dict] = {}
        self.paid: list[dict] = []
        self.stores = [self.id() for _ in range(stores)]
        self.suppliers = [self.id() for _ in range(2)]
        self.products = {self.id(): unit for unit in ("g", "g", "piece")}
        self.names = {product: f"Fruit {n}" for n, product in enumerate(self.products)}
        self.shifts: dict[UUID, UUID] = {}
        self.drawers: dict[UUID, int] = {}
        self.open()

    def id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def tell(self, source: str, kind: str, subject: UUID, /, **data: object) -> None:
        previous = self.positions[source]
        self.positions[source] += self.random.randint(1, 3)
        self.clock += timedelta(minutes=7)
        self.logs[source].append(
            seal(
                service=source,
                type=f"pomona.{source}.{kind}.v1",
                subject=str(subject),
                time=self.clock,
                position=self.positions[source],
                previous=previous,
                data=worded(data),
                cause={"correlationid": str(self.id())},
            )
        )

    @property
    def today(self) -> date:
        return (self.clock + timedelta(hours=8)).date()

    @property
    def hour(self) -> int:
        return (self.clock + timedelta(hours=8)).hour

    def of_store(self, store: UUID) -> dict:
        return {
            "store_id": store,
            "terminal_id": store,
            "shift_id": self.shifts[store],
            "business_date": self.today,
        }

    def of_stock(self, store: UUID, product: UUID) -> dict:
        unit = self.products[product]
        day = self.today
        return {
            "stock_id": store,
            "store_id": store,
            "product_id": product,
            "unit": unit,
            "business_date": day,
        }

    def open(self) -> None:
        for number, store in enumerate(self.stores):
            code = f"S{number}"
            zone = {"zone": "Asia/Shanghai", "cut_off": "04:00"}
            self.tell("orders", "store_opened", store, store_id=store, code=code, name=code, **zone)
            self.shifts[store] = self.id()
            self.drawers[self.shifts[store]] = 20000
            shift = self.of_store(store) | {"opened_at": self.clock, "float_fen": 20000}
            self.tell("orders", "shift_opened", store, **shift)
        for product, unit in self.products.items():
            name = self.names[product]
            facts = {"code": name, "name": name, "category": "fruit", "unit": unit}
            self.tell("orders", "product_listed", product, product_id=product, **facts)
        for supplier in self.suppliers:
            facts = {"name": "Farm", "code": str(supplier)[:4]}
            self.tell("inventory", "supplier_registered", supplier, supplier_id=supplier, **facts)

    def play(self, steps: int) -> "Chain":
        for store in self.stores:
            self.receive(store)
        moves = (
            [self.sell] * 6
            + [self.receive] * 3
            + [self.cancel, self.give_back, self.claim, self.claim]
            + [self.shrink, self.transfer]
        )
        for _ in range(steps):
            self.random.choice(moves)(self.random.choice(self.stores))
        for store in self.stores:
            drawer = self.drawers[self.shifts[store]]
            facts = dict.fromkeys(("expected_cash_fen", "counted_cash_fen"), drawer)
            facts |= {"difference_fen": 0, "card_fen": 0, "closed_at": self.clock}
            self.tell("orders", "shift_closed", store, **self.of_store(store), **facts)
        return self

    def receive(self, store: UUID) -> None:
        lot, product = self.id(), self.random.choice(list(self.products))
        quantity, goods = self.random.randint(1, 900), self.random.randint(0, 90000)
        freight = self.random.randint(0, 900)
        self.lots[lot] = {
            "product": product,
            "supplier": self.random.choice(self.suppliers),
            "quantity": quantity,
            "cost": goods + freight,
        }
        self.on_hand[store, lot] += quantity
        self.tell(
            "inventory",
            "lot_received",
            lot,
            **self.of_stock(store, product),
            lot_id=lot,
            supplier_id=self.lots[lot]["supplier"],
            quantity=quantity,
            goods_cost_fen=goods,
            freight_fen=freight,
            cost_fen=goods + freight,
            origin="Yantai",
            harvest_date=None,
            best_before=self.today,
            received_at=self.clock,
            on_hand=quantity,
        )

    def take(self, store: UUID, product: UUID, quantity: int) -> tuple[list[dict], int]:
        parts = []
        for lot, facts in self.lots.items():
            part = min(quantity, self.on_hand[store, lot])
            if facts["product"] == product and part:
                parts.append(self.move(store, lot, -part))
                quantity -= part
        return parts, quantity

    def move(self, store: UUID, lot: UUID, change: int) -> dict:
        self.on_hand[store, lot] += change
        left = self.on_hand[store, lot]
        return {"lot_id": lot, "quantity": abs(change), "on_hand": left}

    def sell(self, store: UUID) -> None:
        order = {
            "order_id": self.id(),
            "store_id": store,
            "business_date": self.today,
            "hour": self.hour,
            "channel": self.random.choice(["till", "clerk", "app"]),
            "customer_id": self.random.choice([None, self.id()]),
            "lines": [],
        }
        for number in range(self.random.randint(1, 3)):
            product = self.random.choice(list(self.products))
            quantity, price = self.random.randint(1, 900), self.random.randint(0, 3000)
            total = line_total(price, quantity, self.products[product])
            line = {"line_no": number + 1, "product_id": product, "unit": self.products[product]}
            line |= {"quantity": quantity, "price_fen": price, "total_fen": total}
            order["lines"].append(line | {"tare_g": 0, "scale_id": None, "net_fen": total})
        order["total_fen"] = sum(line["total_fen"] for line in order["lines"])
        self.count(order, 1)
        self.tell(
            "orders",
            "order_paid",
            order["order_id"],
            **order,
            terminal_id=store,
            shift_id=self.shifts[store],
            receipt_no="7",
            sold_at=self.clock,
            terminal_time=self.clock,
            cashier_id="c",
            rounding_fen=0,
            tenders=[{"kind": "cash", "amount_fen": order["total_fen"] + 50}],
            change_fen=50,
        )
        self.paid.append(order)
        order["lots"] = defaultdict(list)
        for product in dict.fromkeys(line["product_id"] for line in order["lines"]):
            lines = []
            for line in order["lines"]:
                if line["product_id"] == product:
                    lots, shortfall = self.take(store, product, line["quantity"])
                    order["lots"][line["line_no"]] = lots
                    lines.append(
                        {
                            "line_no": line["line_no"],
                            "quantity": line["quantity"],
                            "shortfall": shortfall,
                            "lots": lots,
                        }
                    )
                    self.share(self.takings, store, line["total_fen"], line["quantity"], lots)
            facts = {"order_id": order["order_id"], "certainty": "assumed", "lines": lines}
            self.tell("inventory", "stock_sold", store, **self.of_stock(store, product), **facts)
        if order["customer_id"]:
            facts = {"order_id": order["order_id"], "points": 3, "available_on": self.today}
            customer = order["customer_id"]
            self.tell(
                "crm",
                "points_earned",
                customer,
                customer_id=customer,
                business_date=self.today,
                **facts,
            )

    def count(self, order: dict, sign: int) -> None:
        for line in order["lines"]:
            key = (order["store_id"], order["business_date"], line["product_id"], line["unit"])
            self.sold[key][0] += sign * line["quantity"]
            self.sold[key][2] += sign * line["total_fen"]
        self.drawers[self.shifts[order["store_id"]]] += sign * order["total_fen"]
        self.receipts[order["store_id"], order["business_date"], order["hour"]] += sign

    def share(self, into: Counter, store: UUID, fen: int, whole: int, lots: list[dict]) -> None:
        before = 0
        for part in lots:
            after = before + part["quantity"]
            into[store, part["lot_id"]] += half_up(fen * after, whole) - half_up(
                fen * before, whole
            )
            before = after

    def pick(self) -> dict | None:
        """Choose an order that is still as it was paid."""
        intact = [order for order in self.paid if not order.get("touched")]
        if not intact:
            return None
        order = self.random.choice(intact)
        order["touched"] = True
        return order

    def cancel(self, _store: UUID) -> None:
        order = self.pick()
        if order is None:
            return
        self.count(order, -1)
        facts = {name: order[name] for name in ("order_id", "store_id", "business_date", "hour")}
        facts |= {name: order[name] for name in ("channel", "customer_id", "total_fen", "lines")}
        facts |= {"cancelled_at": self.clock, "reason": "changed their mind"}
        self.tell("orders", "order_cancelled", order["order_id"], **facts)
        for line in order["lines"]:
            lots = order["lots"][line["line_no"]]
            self.share(self.takings, order["store_id"], -line["total_fen"], line["quantity"], lots)
            back = [self.move(order["store_id"], lot["lot_id"], lot["quantity"]) for lot in lots]
            shortfall = line["quantity"] - sum(lot["quantity"] for lot in lots)
            self.tell(
                "inventory",
                "stock_put_back",
                order["store_id"],
                **self.of_stock(order["store_id"], line["product_id"]),
                order_id=order["order_id"],
                lots=back,
                shortfall=shortfall,
            )
        if order["customer_id"]:
            facts = {"order_id": order["order_id"], "points": 3, "reason": "cancelled"}
            customer = order["customer_id"]
            self.tell("crm", "points_reversed", customer, customer_id=customer, **facts)

    def give_back(self, store: UUID) -> None:
        """Bring goods back to the till without a receipt."""
        product, return_id = self.random.choice(list(self.products)), self.id()
        quantity, refund = self.random.randint(1, 500), self.random.randint(0, 900)
        line = {"line_no": 1, "product_id": product, "unit": self.products[product]}
        line |= {"quantity": quantity, "price_fen": 5, "refund_fen": refund}
        key = (store, self.today, product, self.products[product])
        self.sold[key][1] += quantity
        self.sold[key][2] -= refund
        self.drawers[self.shifts[store]] -= refund
        self.tell(
            "orders",
            "goods_returned",
            return_id,
            **self.of_store(store),
            return_id=return_id,
            returned_at=self.clock,
            hour=self.hour,
            channel="till",
            reason="soft",
            lines=[line],
            refund_fen=refund,
            tender="cash",
        )
        held = [lot for lot, facts in self.lots.items() if facts["product"] == product]
        if held:
            lots = [{"lot_id": self.random.choice(held), "quantity": quantity}]
            self.share(self.refunds, store, refund, quantity, lots)
            self.book_back(store, product, "till", return_id, lots)

    def book_back(
        self, store: UUID, product: UUID, cause: str, cause_id: UUID, lots: list[dict]
    ) -> None:
        """Book goods back and dispose of them."""
        stock = self.of_stock(store, product)
        back = [self.move(store, lot["lot_id"], lot["quantity"]) for lot in lots]
        facts = {"cause": cause, "cause_id": cause_id, "line_no": 1, "known": False}
        self.tell("inventory", "stock_returned", store, **stock, **facts, lots=back)
        gone = [self.move(store, lot["lot_id"], -lot["quantity"]) for lot in lots]
        facts = {"shrinkage_id": self.id(), "reason": "returned_discarded", "shortfall": 0}
        self.tell("inventory", "stock_shrunk", store, **stock, **facts, lots=gone)

    def claim(self, _store: UUID) -> None:
        order = self.pick()
        if order is None:
            return
        store, line, claim_id = order["store_id"], order["lines"][0], self.id()
        bad = self.random.randint(0, line["quantity"])
        amount = half_up(line["total_fen"] * bad, line["quantity"])
        lots = order["lots"][1]
        of_line = {"claim_id": claim_id, "order_id": order["order_id"], "line_no": 1}
        of_line |= {"store_id": store, "product_id": line["product_id"]}
        reason = self.random.choice(["rotten", "bruised"])
        self.tell(
            "aftersales",
            "claim_opened",
            claim_id,
            **of_line,
            unit=line["unit"],
            channel="phone",
            reason=reason,
            kind="quality",
            priority=2,
            quantity=bad,
            claimed_fen=amount,
            customer_id=None,
            opened_at=self.clock,
            due_at=self.clock,
            goods_expected=True,
            opened_by="c",
        )
        self.claimed[reason, line["unit"]][0] += bad
        for lot, part in zip(lots, share_out(bad, [lot["quantity"] for lot in lots]), strict=True):
            facts = {"lot_id": lot["lot_id"], "product_id": line["product_id"], "claims": 1}
            facts |= {"supplier_id": self.lots[lot["lot_id"]]["supplier"], "quantity": part}
            facts |= {"claim_id": claim_id, "order_id": order["order_id"], "line_no": 1}
            self.tell("inventory", "lot_claimed", lot["lot_id"], **facts)
        if self.random.random() < 0.3:
            facts = {"clause": "C9", "refused_at": self.clock, "refused_by": "m"}
            self.tell("aftersales", "claim_refused", claim_id, **of_line, **facts)
            return
        refund_id = self.id()
        facts = {"refund_id": refund_id, "unit": line["unit"], "amount_fen": amount}
        facts |= {"quantity": bad, "clause": "C1", "approved_by": "m"}
        self.tell(
            "aftersales",
            "claim_approved",
            claim_id,
            **of_line,
            **facts,
            approved_at=self.clock,
            customer_id=None,
        )
        self.claimed[reason, line["unit"]][1] += amount
        self.share(self.refunds, store, amount, line["quantity"], lots)
        if bad and lots and self.random.random() < 0.5:
            key = (store, self.today, line["product_id"], line["unit"])
            self.sold[key][1] += bad
            self.sold[key][2] -= amount
            facts = {"unit": line["unit"], "quantity": bad, "disposition": "discard"}
            facts |= {"business_date": self.today, "taken_at": self.clock, "refund_fen": amount}
            self.tell("aftersales", "goods_taken_back", claim_id, **of_line, **facts)
            back = [{"lot_id": lots[0]["lot_id"], "quantity": bad}]
            self.book_back(store, line["product_id"], "claim", claim_id, back)
        of_line.pop("product_id")
        facts = {"refund_id": refund_id, "amount_fen": amount}
        self.tell(
            "orders",
            "refund_paid",
            refund_id,
            **self.of_store(store),
            **{name: of_line[name] for name in ("claim_id", "order_id", "line_no")},
            **facts,
            paid_at=self.clock,
            customer_id=None,
            tender="card",
            cash_fen=0,
            card_fen=amount,
            order_total_fen=order["total_fen"],
        )
        self.tell(
            "aftersales", "claim_settled", claim_id, **of_line, **facts, settled_at=self.clock
        )

    def shrink(self, store: UUID) -> None:
        product = self.random.choice(list(self.products))
        lots, shortfall = self.take(store, product, self.random.randint(1, 300))
        facts = {"shrinkage_id": self.id(), "reason": "spoiled", "shortfall": shortfall}
        stock = self.of_stock(store, product)
        self.tell("inventory", "stock_shrunk", store, **stock, **facts, lots=lots)
        level = {"on_hand": 0, "reorder_point": 500}
        self.tell("inventory", "stock_fell_low", store, **stock, **level)

    def transfer(self, store: UUID) -> None:
        other = self.random.choice(self.stores)
        product = self.random.choice(list(self.products))
        lots, _ = self.take(store, product, self.random.randint(1, 700))
        if other == store or not lots:
            for lot in lots:
                self.on_hand[store, lot["lot_id"]] += lot["quantity"]
            return
        facts = {"transfer_id": self.id(), "from_store_id": store, "to_store_id": other}
        facts |= {"product_id": product, "unit": self.products[product]}
        facts |= {"business_date": self.today}
        self.tell("inventory", "transfer_sent", store, **facts, lots=lots)
        arrived = [self.move(other, lot["lot_id"], lot["quantity"]) for lot in lots]
        self.tell("inventory", "transfer_received", other, **facts, lots=arrived)


def worded(data: dict) -> dict:
    def word(value: object) -> object:
        if isinstance(value, dict):
            return {name: word(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [word(inner) for inner in value]
        if isinstance(value, UUID):
            return str(value)
        return value.isoformat() if isinstance(value, date) else value

    return {name: word(value) for name, value in data.items()}
