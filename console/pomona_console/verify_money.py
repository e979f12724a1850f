"""Checks the money: lines, receipts, drawers, refunds and points."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pomona.values import line_total
from pomona_console.verify_events import Event, Tally


class Receipts:
    """Line totals, receipt totals and tenders agree to the fen."""

    def __init__(self) -> None:
        self._lines = Tally(
            "line_totals",
            "每行金额等于单价乘以数量，四舍五入到分",
            "every line's total is its price times its quantity, rounded half up",
        )
        self._totals = Tally(
            "receipt_totals",
            "小票合计等于各行之和，抹零分摊到行",
            "every receipt's total is the sum of its lines, and their net the total less rounding",
        )
        self._tenders = Tally(
            "tenders",
            "付款减找零等于应付金额，只有现金找零",
            "tenders less change are what was due, and only cash gives change",
        )

    def see(self, event: Event) -> None:
        if event.name == "order_paid":
            self._paid(event)
        elif event.name == "goods_returned":
            self._returned(event)

    def _paid(self, event: Event) -> None:
        paid = event.data
        for line in paid["lines"]:
            self._lines.that(
                line["total_fen"] == line_total(line["price_fen"], line["quantity"], line["unit"]),
                f"{event.id} line {line['line_no']}",
            )
        due = paid["total_fen"] - paid["rounding_fen"]
        self._totals.that(
            paid["total_fen"] == sum(line["total_fen"] for line in paid["lines"])
            and due == sum(line["net_fen"] for line in paid["lines"]),
            event.id,
        )
        given = sum(tender["amount_fen"] for tender in paid["tenders"])
        self._tenders.that(
            given - paid["change_fen"] == due and 0 <= paid["change_fen"] <= _cash(paid), event.id
        )

    def _returned(self, event: Event) -> None:
        for line in event.data["lines"]:
            self._lines.that(
                line["refund_fen"] == line_total(line["price_fen"], line["quantity"], line["unit"]),
                f"{event.id} line {line['line_no']}",
            )
        self._totals.that(
            event.data["refund_fen"] == sum(line["refund_fen"] for line in event.data["lines"]),
            event.id,
        )

    def tallies(self) -> list[Tally]:
        return [self._lines, self._totals, self._tenders]


class Drawers:
    """A closed shift expects its float, plus the cash that came in, less what went out."""

    def __init__(self) -> None:
        self._cash: Counter[str] = Counter()
        self._card: Counter[str] = Counter()
        self._open: set[str] = set()
        self._paid: dict[str, tuple[str, int, int]] = {}
        self._drawers = Tally(
            "shift_cash",
            "交班应有现金等于备用金加收入减支出",
            "a closed shift expects its float plus cash in less cash out",
        )
        self._inside = Tally(
            "shift_open",
            "收款和退款都发生在当班期间",
            "money moves only in a shift that is open",
        )

    def see(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "shift_opened":
                self._open.add(data["shift_id"])
                self._cash[data["shift_id"]] = data["float_fen"]
            case "order_paid":
                cash = _cash(data) - data["change_fen"]
                card = data["total_fen"] - data["rounding_fen"] - cash
                self._paid[data["order_id"]] = (data["shift_id"], cash, card)
                self._move(event, data["shift_id"], cash, card)
            case "order_cancelled":
                shift, cash, card = self._paid.pop(data["order_id"], ("", 0, 0))
                self._move(event, shift, -cash, -card)
            case "goods_returned":
                fen, cash = data["refund_fen"], data["tender"] == "cash"
                self._move(event, data["shift_id"], -fen if cash else 0, 0 if cash else -fen)
            case "refund_paid":
                self._move(event, data["shift_id"], -data["cash_fen"], -data["card_fen"])
            case "shift_closed":
                self._close(event)

    def _move(self, event: Event, shift: str, cash: int, card: int) -> None:
        self._inside.that(shift in self._open, event.id)
        self._cash[shift] += cash
        self._card[shift] += card

    def _close(self, event: Event) -> None:
        closed = event.data
        shift = closed["shift_id"]
        self._drawers.that(
            closed["expected_cash_fen"] == self._cash.pop(shift, 0)
            and closed["card_fen"] == self._card.pop(shift, 0)
            and closed["difference_fen"]
            == closed["counted_cash_fen"] - closed["expected_cash_fen"],
            event.id,
        )
        self._open.discard(shift)

    def tallies(self) -> list[Tally]:
        return [self._drawers, self._inside]


class Refunds:
    """A line gives back no more than was paid for it, and only what was approved is paid."""

    def __init__(self) -> None:
        self._net: dict[str, tuple[int, ...]] = {}
        self._refunded: Counter[tuple[str, int]] = Counter()
        self._approved: dict[str, int] = {}
        self._paid: dict[str, int] = {}
        self._settled: dict[str, int] = {}

    def see(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "order_paid":
                self._net[data["order_id"]] = tuple(line["net_fen"] for line in data["lines"])
            case "claim_approved":
                self._approved[data["refund_id"]] = data["amount_fen"]
            case "refund_paid":
                fen = data["cash_fen"] + data["card_fen"]
                self._refunded[data["order_id"], data["line_no"]] += fen
                self._paid[data["refund_id"]] = data["amount_fen"]
            case "claim_settled" if data["refund_id"]:
                self._settled[data["refund_id"]] = data["amount_fen"]

    def tallies(self) -> list[Tally]:
        capped = Tally(
            "refunds_capped",
            "每行退款不超过该行实付金额",
            "no line gives back more than was paid for it",
        )
        for (order, line_no), refunded in self._refunded.items():
            net = self._net.get(order, ())
            paid = net[line_no - 1] if 0 < line_no <= len(net) else 0
            capped.that(0 <= refunded <= paid, f"order {order} line {line_no}")
        approved = Tally(
            "refunds_approved",
            "付出的退款都经批准且金额一致",
            "every refund paid or settled was approved at that amount",
        )
        for paid_or_settled in (self._paid, self._settled):
            for refund, amount in paid_or_settled.items():
                approved.that(self._approved.get(refund) == amount, f"refund {refund}")
        return [capped, approved]


def _cash(paid: Mapping[str, Any]) -> int:
    return sum(int(tender["amount_fen"]) for tender in paid["tenders"] if tender["kind"] == "cash")
