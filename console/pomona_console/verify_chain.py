"""Checks that no log has a hole and that nothing happened twice."""

from collections import Counter

from pomona_console.verify_events import Event, Tally

# What each event makes, and may therefore make only once.
_ONCE = {
    "store_opened": ("store_id",),
    "shift_opened": ("shift_id",),
    "shift_closed": ("shift_id",),
    "order_paid": ("order_id",),
    "order_cancelled": ("order_id",),
    "goods_returned": ("return_id",),
    "refund_paid": ("refund_id",),
    "supplier_registered": ("supplier_id",),
    "lot_received": ("lot_id",),
    "stock_sold": ("order_id", "product_id"),
    "stock_put_back": ("order_id", "product_id"),
    "stock_returned": ("cause_id", "line_no"),
    "stock_shrunk": ("shrinkage_id",),
    "transfer_sent": ("transfer_id",),
    "transfer_received": ("transfer_id",),
    "claim_opened": ("claim_id",),
    "claim_approved": ("claim_id",),
    "claim_refused": ("claim_id",),
    "claim_settled": ("claim_id",),
    "customer_registered": ("customer_id",),
    "customer_erased": ("customer_id",),
    "points_earned": ("order_id",),
}


class Chains:
    """Every event names the one published before it, and positions rise."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.last: Counter[str] = Counter()
        self._unbroken = Tally(
            "chains_unbroken",
            "每个事件都接在同一来源的上一个事件之后",
            "every event follows the one its source published before",
        )

    def see(self, event: Event) -> None:
        before = self.last[event.source]
        self._unbroken.that(
            event.previous == before
            and event.position > before
            and event.id == f"{event.source}-{event.position}",
            event.id,
        )
        self.events[event.source] += 1
        self.last[event.source] = event.position

    def tallies(self) -> list[Tally]:
        return [self._unbroken]


class Once:
    """No command was applied twice: what it makes is there once."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, ...]] = set()
        self._receipts: set[tuple[str, str]] = set()
        self._once = Tally("applied_once", "没有命令被执行两次", "no command was applied twice")
        self._numbers = Tally(
            "receipt_numbers_unique",
            "同一门店的小票号不重复",
            "receipt numbers are unique in their store",
        )

    def see(self, event: Event) -> None:
        fields = _ONCE.get(event.name)
        if fields:
            made = (event.name, *(str(event.data[field]) for field in fields))
            self._once.that(made not in self._seen, event.id)
            self._seen.add(made)
        if event.name == "order_paid":
            number = (event.data["store_id"], event.data["receipt_no"])
            self._numbers.that(number not in self._receipts, event.id)
            self._receipts.add(number)

    def tallies(self) -> list[Tally]:
        return [self._once, self._numbers]
