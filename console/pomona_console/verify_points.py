"""Checks that customers' points follow from what they paid, cancelled and were refunded."""

from collections import Counter

from pomona.values import half_up
from pomona_console.verify_events import Event, Tally

FEN_PER_POINT = 100


class Points:
    """A point for every whole yuan paid; refunds take them back pro rata, cancelling all."""

    def __init__(self) -> None:
        self._net: dict[str, tuple[str, int]] = {}
        self._cancelled: set[str] = set()
        self._refunded: Counter[str] = Counter()
        self._earned: dict[str, tuple[str, int]] = {}
        self._reversed: Counter[str] = Counter()

    def see(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "order_paid" if data["customer_id"]:
                net = data["total_fen"] - data["rounding_fen"]
                self._net[data["order_id"]] = (data["customer_id"], net)
            case "order_cancelled":
                self._cancelled.add(data["order_id"])
            case "refund_paid":
                self._refunded[data["order_id"]] += data["amount_fen"]
            case "points_earned":
                self._earned[data["order_id"]] = (data["customer_id"], data["points"])
            case "points_reversed":
                self._reversed[data["order_id"]] += data["points"]

    def tallies(self) -> list[Tally]:
        tally = Tally(
            "points",
            "积分等于实付整元数，退款按比例扣回",
            "points are the whole yuan paid, less the share that was refunded",
        )
        for order, (customer, net) in self._net.items():
            points = net // FEN_PER_POINT
            back = (
                points
                if order in self._cancelled
                else half_up(points * min(net, self._refunded[order]), max(1, net))
            )
            tally.that(
                self._earned.get(order) == (customer, points) and self._reversed[order] == back,
                f"order {order}",
            )
        for order in (self._earned.keys() | self._reversed.keys()) - self._net.keys():
            tally.that(False, f"order {order} was never paid by a customer")
        return [tally]
