"""Decides how a day of the record is played: which store sells what, when, and in which basket."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from uuid import UUID

from pomona.values import half_up, line_total, share_out, stable_id
from pomona_console.baskets import Basket, Hours, Line, cut, fill, weighed
from pomona_console.replay_record import Product, Row

ZONE = "Asia/Shanghai"
CUSTOMERS = 60
TILLS = 2
_WORTH_SHARING = {"g": 300, "piece": 1}
_CRATE = {"g": 1000, "piece": 5}


@dataclass(frozen=True)
class Scheme:
    """What a replay's ids and dice follow from; the dates played are not part of it."""

    record: str
    stores: int
    seed: int

    def id(self, *parts: object) -> UUID:
        """Return the id of a thing of this replay, the same in every run."""
        return stable_id("replay", self.record, str(self.stores), str(self.seed), *map(str, parts))

    def dice(self, *parts: object) -> Random:
        return Random(str(self.id("dice", *parts)))  # noqa: S311 - repeatable on purpose

    @property
    def customers(self) -> list[UUID]:
        return [self.id("customer", number) for number in range(CUSTOMERS)]


@dataclass(frozen=True)
class Lot:
    """What a store receives of a product in the morning."""

    product: Product
    quantity: int
    goods_cost_fen: int


@dataclass(frozen=True)
class Return:
    """What came back to the counter without a receipt, at the price of the moment."""

    product: Product
    quantity: int
    price_fen: int
    tender: str
    at: datetime

    @property
    def refund_fen(self) -> int:
        return line_total(self.price_fen, self.quantity, self.product.unit)


@dataclass(frozen=True)
class Phase:
    """A part of the day in which no price changes: prices set at its start, then sales."""

    prices: tuple[tuple[Product, int], ...]
    tills: tuple[tuple[Basket, ...], ...]
    returns: tuple[Return, ...]


@dataclass(frozen=True)
class StoreDay:
    """Everything that one store does on one day."""

    day: date
    store: int
    lots: tuple[Lot, ...]
    phases: tuple[Phase, ...]
    shrinkage: tuple[tuple[Product, int], ...]

    def __len__(self) -> int:
        """Count the calls that playing the day takes."""
        return (
            len(self.lots)
            + len(self.shrinkage)
            + 2 * TILLS
            + sum(
                1 + len(phase.returns) + sum(len(till) for till in phase.tills)
                for phase in self.phases
            )
        )


def plan_day(scheme: Scheme, day: date, rows: Sequence[Row]) -> list[StoreDay]:
    """Split a day of the record over the stores; their sums equal it exactly."""
    played = _by_product(rows)
    phases = max((len(of) for of in played.values()), default=1)
    sold: list[Counter[Product]] = [Counter() for _ in range(scheme.stores)]
    parts: defaultdict[tuple[int, int], list[tuple[Row, int]]] = defaultdict(list)
    returns: defaultdict[tuple[int, int], list[Return]] = defaultdict(list)
    prices: defaultdict[int, list[tuple[Product, int]]] = defaultdict(list)
    for product, of in played.items():
        dice = scheme.dice(day, product.code)
        for index, row in enumerate(of):
            first = index * phases // len(of)
            last = (index + 1) * phases // len(of) - 1
            prices[first].append((product, row.price_fen))
            if row.quantity < 0:
                tender = dice.choice(("cash", "card"))
                returns[dice.randrange(scheme.stores), first].append(
                    Return(
                        product,
                        -row.quantity,
                        row.price_fen,
                        tender,
                        Hours(day, ZONE, first, phases).moment(dice),
                    )
                )
                continue
            for store, share in enumerate(_shares(row, scheme.stores, dice)):
                sold[store][product] += share
                for part in cut(share, product.unit, dice):
                    parts[store, dice.randint(first, last)].append((row, part))
    return [
        StoreDay(
            day=day,
            store=store,
            lots=tuple(_lots(sold[store], played)),
            phases=tuple(
                Phase(
                    tuple(prices[number]),
                    _at_the_tills(
                        parts[store, number],
                        Hours(day, ZONE, number, phases),
                        scheme,
                        store,
                    ),
                    tuple(returns[store, number]),
                )
                for number in range(phases)
            ),
            shrinkage=tuple(
                (product, lost)
                for product, quantity in sold[store].items()
                if (lost := _lost(product, quantity)) > 0
            ),
        )
        for store in range(scheme.stores)
    ]


def _by_product(rows: Sequence[Row]) -> dict[Product, list[Row]]:
    """Group a day's rows, each a price of the product, leaving out those that moved nothing."""
    played: dict[Product, list[Row]] = {}
    for row in rows:
        if row.quantity:
            played.setdefault(row.product, []).append(row)
    return played


def _shares(row: Row, stores: int, dice: Random) -> list[int]:
    """Share a quantity out over the stores; what is little is sold in few of them."""
    enough_for = max(1, row.quantity // _WORTH_SHARING[row.product.unit])
    selling = set(dice.sample(range(stores), min(stores, enough_for)))
    weights = [dice.randint(50, 150) if store in selling else 0 for store in range(stores)]
    return share_out(row.quantity, weights)


def _lots(sold: Counter[Product], played: dict[Product, list[Row]]) -> list[Lot]:
    """Receive what the day takes and loses, in whole crates, at the day's wholesale price."""
    lots = []
    for product, quantity in sold.items():
        if quantity:
            crate = _CRATE[product.unit]
            received = -(-(quantity + _lost(product, quantity)) // crate) * crate
            cost = line_total(played[product][0].wholesale_fen, received, product.unit)
            lots.append(Lot(product, received, cost))
    return lots


def _lost(product: Product, sold: int) -> int:
    """Return what is lost beside a quantity sold; the loss rate is a share of what was bought."""
    return half_up(sold * product.loss_rate, 100_00 - product.loss_rate)


def _at_the_tills(
    parts: Sequence[tuple[Row, int]], hours: Hours, scheme: Scheme, store: int
) -> tuple[tuple[Basket, ...], ...]:
    dice = scheme.dice(hours.day, hours.number, "tills", store)
    lines: list[Line] = [
        weighed(
            row.product.id,
            row.product.unit,
            part,
            price_fen=row.price_fen,
            scale=f"S{store + 1}-{dice.randint(1, 2)}",
            rng=dice,
        )
        for row, part in parts
    ]
    baskets = fill(lines, hours, scheme.customers, dice)
    return tuple(tuple(baskets[till::TILLS]) for till in range(TILLS))
