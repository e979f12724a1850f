"""Checks the goods: every gram that came in is on hand or went out with a reason."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pomona_console.verify_events import Event, Tally

# How an event of inventory moves a lot in its store.
_MOVES = {
    "stock_sold": -1,
    "stock_put_back": 1,
    "stock_returned": 1,
    "stock_shrunk": -1,
    "transfer_sent": -1,
    "transfer_received": 1,
}


class LotBalances:
    """Per store and lot, what came in less what went out is what inventory said was left."""

    def __init__(self) -> None:
        self._on_hand: Counter[tuple[str, str]] = Counter()
        self._units: dict[str, tuple[str, str]] = {}
        self._balances = Tally(
            "lot_balances",
            "每批次：收货加调入减调出减销售加退回减损耗等于结存",
            "for every lot: received + moved in - moved out - sold + returned - shrunk = on hand",
        )
        self._kinds = Tally(
            "lot_units",
            "批次的商品和单位始终一致，结存不为负",
            "a lot keeps its product and unit, and is never below zero",
        )

    def see(self, event: Event) -> None:
        data = event.data
        if event.name == "lot_received":
            self._move(event, data["store_id"], data, data["quantity"])
        elif event.name in _MOVES:
            for part in _parts(event):
                self._move(event, _store(event), part, _MOVES[event.name] * part["quantity"])

    def _move(self, event: Event, store: str, part: Mapping[str, Any], quantity: int) -> None:
        lot = part["lot_id"]
        self._on_hand[store, lot] += quantity
        where = f"{event.id} lot {lot}"
        self._balances.that(self._on_hand[store, lot] == part["on_hand"], where)
        kind = (event.data["product_id"], event.data["unit"])
        self._kinds.that(self._units.setdefault(lot, kind) == kind and part["on_hand"] >= 0, where)

    def tallies(self) -> list[Tally]:
        return [self._balances, self._kinds]


class Allocations:
    """What orders sold is what inventory took from lots, or wrote down as short."""

    def __init__(self) -> None:
        self._unmatched: Counter[tuple[str, str, str]] = Counter()
        self._matched: set[tuple[str, str, str]] = set()
        self._split = Tally(
            "allocations_add_up",
            "每行的批次分配加缺口等于售出数量",
            "every line's lots and shortfall add up to its quantity",
        )

    def see(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "order_paid":
                self._sum("sold", data["order_id"], data["lines"], 1)
            case "order_cancelled":
                self._sum("put back", data["order_id"], data["lines"], 1)
            case "goods_returned":
                self._sum("returned", data["return_id"], data["lines"], 1)
            case "stock_sold":
                for line in data["lines"]:
                    taken = sum(part["quantity"] for part in line["lots"])
                    self._split.that(
                        line["quantity"] == taken + line["shortfall"],
                        f"{event.id} line {line['line_no']}",
                    )
                    self._sum(
                        "sold", data["order_id"], [{**line, "product_id": data["product_id"]}], -1
                    )
            case "stock_put_back":
                back = sum(part["quantity"] for part in data["lots"]) + data["shortfall"]
                self._add(("put back", data["order_id"], data["product_id"]), -back)
            case "stock_returned" if data["cause"] == "till":
                back = sum(part["quantity"] for part in data["lots"])
                self._add(("returned", data["cause_id"], data["product_id"]), -back)

    def _sum(self, what: str, cause: str, lines: Iterable[Mapping[str, Any]], sign: int) -> None:
        for line in lines:
            self._add((what, cause, line["product_id"]), sign * line["quantity"])

    def _add(self, key: tuple[str, str, str], quantity: int) -> None:
        self._unmatched[key] += quantity
        self._matched.add(key)
        if self._unmatched[key] == 0:
            del self._unmatched[key]

    def tallies(self) -> list[Tally]:
        matched = Tally(
            "sales_allocated",
            "订单售出、取消和退回的数量都已计入库存",
            "what orders sold, cancelled and took back is what inventory booked",
        )
        for key in self._matched:
            what, cause, product = key
            left = self._unmatched[key]
            matched.that(left == 0, f"{what} {cause} product {product}: {left:+}")
        return [self._split, matched]


class Transfers:
    """What left for another store is what arrived there, lot by lot."""

    def __init__(self) -> None:
        self._sent: dict[str, Counter[str]] = {}
        self._arrived: dict[str, Counter[str]] = {}

    def see(self, event: Event) -> None:
        if event.name in {"transfer_sent", "transfer_received"}:
            seen = self._sent if event.name == "transfer_sent" else self._arrived
            lots = seen.setdefault(event.data["transfer_id"], Counter())
            for part in event.data["lots"]:
                lots[part["lot_id"]] += part["quantity"]

    def tallies(self) -> list[Tally]:
        tally = Tally(
            "transfers_arrive",
            "调入的批次和数量等于调出的",
            "what a transfer brings is what was sent",
        )
        for transfer, arrived in self._arrived.items():
            tally.that(self._sent.get(transfer) == arrived, f"transfer {transfer}")
        return [tally]


class Claims:
    """A lot's counter moves by one with every claim on it (R-13)."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._counters = Tally(
            "lot_claims",
            "批次的投诉计数逐次加一",
            "a lot's claim counter rises by one with each claim",
        )

    def see(self, event: Event) -> None:
        if event.name == "lot_claimed":
            lot = event.data["lot_id"]
            self._counts[lot] += 1
            self._counters.that(event.data["claims"] == self._counts[lot], event.id)

    def tallies(self) -> list[Tally]:
        return [self._counters]


def _store(event: Event) -> str:
    """Return the store in which the event moved goods."""
    names = {"transfer_sent": "from_store_id", "transfer_received": "to_store_id"}
    return str(event.data[names.get(event.name, "store_id")])


def _parts(event: Event) -> list[Mapping[str, Any]]:
    """Return the parts of lots that the event moved, of all of its lines."""
    if event.name == "stock_sold":
        return [part for line in event.data["lines"] for part in line["lots"]]
    return list(event.data["lots"])
