"""Recomputes what analytics reports from the events of the sources, and compares row by row."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pomona_console.verify_events import Event, Tally

SALES_SQL = """
SELECT store_id::text, business_date::text, product_id::text, unit, quantity, returned, takings_fen
FROM reporting.sales_by_store_day_product
"""
LOTS_SQL = """
SELECT lot_id::text, store_id::text, unit, received, moved_in, moved_out, sold, returned, shrunk,
       on_hand, unexplained
FROM reporting.lot_balance
"""
_LOT_COLUMNS = {
    "stock_sold": ("sold", 1),
    "stock_put_back": ("sold", -1),
    "stock_returned": ("returned", 1),
    "stock_shrunk": ("shrunk", 1),
    "transfer_sent": ("moved_out", 1),
    "transfer_received": ("moved_in", 1),
}

SalesKey = tuple[str, str, str, str]
LotKey = tuple[str, str, str]


class Sales:
    """Quantity, returned and takings by store, business day and product, from the events."""

    def __init__(self) -> None:
        self.rows: defaultdict[SalesKey, Counter[str]] = defaultdict(Counter)

    def see(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "order_paid":
                self._count(data, data["lines"], quantity=1, takings=1, money="total_fen")
            case "order_cancelled":
                self._count(data, data["lines"], quantity=-1, takings=-1, money="total_fen")
            case "goods_returned":
                self._count(data, data["lines"], returned=1, takings=-1, money="refund_fen")
            case "goods_taken_back":
                self._count(data, [data], returned=1, takings=-1, money="refund_fen")

    def _count(
        self,
        data: Mapping[str, Any],
        lines: Iterable[Mapping[str, Any]],
        *,
        money: str,
        quantity: int = 0,
        returned: int = 0,
        takings: int = 0,
    ) -> None:
        for line in lines:
            key = (data["store_id"], data["business_date"], line["product_id"], line["unit"])
            row = self.rows[key]
            row["quantity"] += quantity * line["quantity"]
            row["returned"] += returned * line["quantity"]
            row["takings_fen"] += takings * line[money]

    def compared(self, reported: Iterable[Mapping[str, Any]]) -> Tally:
        """Compare with the rows of `reporting.sales_by_store_day_product`."""
        tally = Tally(
            "reported_sales",
            "分析库的销售表等于由事件重算的结果",
            "analytics' sales by store, day and product equal a recomputation from the events",
        )
        rows = {
            (row["store_id"], row["business_date"], row["product_id"], row["unit"]): Counter(
                {name: row[name] for name in ("quantity", "returned", "takings_fen")}
            )
            for row in reported
        }
        for key in self.rows.keys() | rows.keys():
            tally.that(self.rows.get(key, Counter()) == rows.get(key, Counter()), " ".join(key))
        return tally

    def tallies(self) -> list[Tally]:
        return []


class Lots:
    """What came in and went out by store and lot, and what was left, from the events."""

    def __init__(self) -> None:
        self.rows: defaultdict[LotKey, Counter[str]] = defaultdict(Counter)

    def see(self, event: Event) -> None:
        data = event.data
        if event.name == "lot_received":
            self._count(data["store_id"], event, data, "received", 1)
        elif event.name in _LOT_COLUMNS:
            column, sign = _LOT_COLUMNS[event.name]
            parts = (
                [part for line in data["lines"] for part in line["lots"]]
                if event.name == "stock_sold"
                else data["lots"]
            )
            store = (
                data.get("store_id")
                or data["from_store_id" if event.name == "transfer_sent" else "to_store_id"]
            )
            for part in parts:
                self._count(store, event, part, column, sign)

    def _count(
        self, store: str, event: Event, part: Mapping[str, Any], column: str, sign: int
    ) -> None:
        row = self.rows[part["lot_id"], store, event.data["unit"]]
        row[column] += sign * part["quantity"]
        row["on_hand"] = part["on_hand"]

    def compared(self, reported: Iterable[Mapping[str, Any]]) -> tuple[Tally, Tally]:
        """Compare with the rows of `reporting.lot_balance`."""
        tally = Tally(
            "reported_lots",
            "分析库的批次结存表等于由事件重算的结果",
            "analytics' lot balances equal a recomputation from the events",
        )
        explained = Tally(
            "lots_explained",
            "分析库中没有无法解释的批次差额",
            "analytics finds no lot with an unexplained difference",
        )
        columns = ("received", "moved_in", "moved_out", "sold", "returned", "shrunk", "on_hand")
        rows = {}
        for row in reported:
            key = (row["lot_id"], row["store_id"], row["unit"])
            rows[key] = Counter({name: row[name] for name in columns})
            explained.that(row["unexplained"] == 0, " ".join(key))
        for key in self.rows.keys() | rows.keys():
            tally.that(self.rows.get(key, Counter()) == rows.get(key, Counter()), " ".join(key))
        return tally, explained

    def tallies(self) -> list[Tally]:
        return []
