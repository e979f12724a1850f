"""P10 and P7: orders placed from tills at the real services, until they stand in a view."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from queue import SimpleQueue
from statistics import median
from typing import Any, Self
from uuid import uuid4

import psycopg
from nameko.standalone.rpc import ClusterRpcProxy

from benchmarks.arena import Arena, Place
from benchmarks.calling import HEAD_OFFICE, in_flight, parrot, patiently, process
from benchmarks.report import Goal, Outcome
from benchmarks.rounds import Figures, Played, percentiles, require
from benchmarks.trade import PRODUCT_IDS, Zipf, basket, price_of
from pomona.errors import Refused, Unavailable
from pomona.identity import Actor
from pomona.terminal import Terminal
from pomona.values import line_total
from pomona_console.stack import Stack, temporary_stack, token_for

STORES = Zipf.of("till's store", 5)
SERVICES = ("orders", "analytics")
OUTSTANDING = 50
CALLERS = 16
SHARE_OF_PEAK = 0.6
LOOK_EVERY = 0.002
PATIENCE = 60.0


@dataclass(frozen=True)
class Till:
    """A till with an open shift, and the token of who stands there."""

    store_id: str
    terminal_id: str
    shift_id: str
    token: str


def tills_of(stack: Stack, count: int) -> list[Till]:
    """Return tills of a few stores, some of which have more of them, each with its cashier."""
    random_ = random.Random(10)  # noqa: S311 - trade, not secrets
    tills = []
    for _ in range(count):
        store_id, terminal_id = STORES.draw(random_), uuid4()
        cashier = Actor(id="p-2", role="cashier", store_id=store_id, terminal_id=terminal_id)
        tills.append(Till(str(store_id), str(terminal_id), str(uuid4()), token_for(stack, cashier)))
    return tills


class Chain:
    """A chain with its tills open, and the orders that were acknowledged."""

    def __init__(self, amqp_uri: str, office: str, tills: Sequence[Till]) -> None:
        self.amqp_uri = amqp_uri
        self.tills = tills
        self.acked: list[tuple[str, int]] = []
        self._office = office
        self._random = random.Random(10)  # noqa: S311 - trade, not secrets

    def open(self) -> None:
        """Open stores, register tills, list products, set prices and open shifts."""
        products = [
            {
                "product_id": str(each),
                "code": f"P{number}",
                "name": f"Product {number}",
                "category": "fruit",
                "unit": "g",
            }
            for number, each in enumerate(PRODUCT_IDS.ids)
        ]
        prices = [
            {"product_id": str(each), "price_fen": price_of(each)} for each in PRODUCT_IDS.ids
        ]
        with Terminal(self.amqp_uri, self._office) as terminal:
            tell = partial(terminal.command, "orders", patience=PATIENCE)
            tell("list_products", {"products": products})
            for number, store in enumerate({till.store_id for till in self.tills}):
                code = f"S{number}"
                place = {"zone": "Asia/Shanghai", "cut_off": "04:00", "name": code, "code": code}
                tell("open_store", {"store_id": store, **place})
                tell("set_prices", {"store_id": store, "prices": prices})
            for number, till in enumerate(self.tills):
                ids = {"terminal_id": till.terminal_id, "store_id": till.store_id}
                tell("register_terminal", {**ids, "code": f"T{number}"})
        for till in self.tills:
            with Terminal(self.amqp_uri, till.token) as terminal:
                shift = {"shift_id": till.shift_id, "terminal_time": now(), "float_fen": 0}
                terminal.command("orders", "open_shift", shift, patience=PATIENCE)

    def order(self, till: Till) -> dict[str, Any]:
        """Return a request to place the next order at a till."""
        lines: list[dict[str, Any]] = [
            {"product_id": str(product_id), "quantity": grams, "price_fen": price_of(product_id)}
            for product_id, grams in basket(self._random)
        ]
        total = sum(line_total(line["price_fen"], line["quantity"], "g") for line in lines)
        return {
            "order_id": str(uuid4()),
            "shift_id": till.shift_id,
            "terminal_time": now(),
            "lines": lines,
            "tenders": [{"kind": "card", "amount_fen": total}],
        }


def now() -> str:
    return datetime.now(UTC).isoformat()


def as_command(request: Mapping[str, Any]) -> dict[str, Any]:
    expires_at = datetime.now(UTC) + timedelta(minutes=5)
    return {**request, "command_id": str(uuid4()), "expires_at": expires_at.isoformat()}


@contextmanager
def pomona(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Sell from the tills, either as fast as answers come or as customers come."""
    tills = [Till(**till) for till in place["tills"]]
    chain = Chain(place["amqp_uri"], place["office"], tills)
    chain.open()

    def turn(how: str, **work: Any) -> Figures:
        if how == "acked":
            return {"orders": len(chain.acked), "fen": sum(fen for _, fen in chain.acked)}
        return (flat_out if how == "flat out" else as_they_come)(chain, **work)

    yield turn


def flat_out(chain: Chain, outstanding: int, seconds: float) -> Figures:
    """Keep calls from as many tills on their way, over one connection."""
    turns = cycle(chain.tills)
    standing = chain.tills[0]
    with Terminal(chain.amqp_uri, lambda: standing.token) as terminal:

        def send() -> Any:
            nonlocal standing
            standing = next(turns)
            request = chain.order(standing)
            call = terminal.send("orders", "place_order", as_command(request))
            return call, request["order_id"]

        def answer(sent: Any) -> None:
            call, order_id = sent
            told = terminal.answer(call)
            require(told["order_id"] == order_id, "the answer to another order")
            chain.acked.append((order_id, told["total_fen"]))

        return in_flight(send, answer, outstanding, seconds)


def as_they_come(chain: Chain, rate: float, seconds: float) -> Figures:
    """Let customers come whether tills are free or not; they wait from when they came."""
    due: SimpleQueue[float | None] = SimpleQueue()
    taken: list[float] = []
    failed: list[Exception] = []
    ready = threading.Barrier(len(chain.tills) + 1)

    def stand(till: Till) -> None:
        with Terminal(chain.amqp_uri, till.token) as terminal:
            # the connection is opened before the first customer comes
            terminal.ask("orders", "positions")
            ready.wait()
            while (came := due.get()) is not None:
                request = chain.order(till)
                try:
                    told = terminal.call("orders", "place_order", as_command(request))
                except (Refused, Unavailable) as error:
                    failed.append(error)
                    continue
                taken.append(time.perf_counter() - came)
                chain.acked.append((request["order_id"], told["total_fen"]))

    people = [threading.Thread(target=stand, args=(till,)) for till in chain.tills]
    for person in people:
        person.start()
    ready.wait()
    arrivals = random.Random(7)  # noqa: S311 - trade, not secrets
    begun = come = time.perf_counter()
    while (come := come + arrivals.expovariate(rate)) < begun + seconds:
        time.sleep(max(0.0, come - time.perf_counter()))
        due.put(come)
    for _ in people:
        due.put(None)
    for person in people:
        person.join()
    require(not failed, f"{len(failed)} orders were refused or not answered: {failed[:1]}")
    return {"calls": len(taken), "per_second": len(taken) / seconds, **percentiles(taken)}


@contextmanager
def stock(place: Mapping[str, Any]) -> Iterator[Callable[..., Figures]]:
    """Sell at the stock service, with the stock client."""
    random_ = random.Random(10)  # noqa: S311 - trade, not secrets
    shift_id = str(uuid4())
    saved = 0
    with ClusterRpcProxy({"AMQP_URI": place["amqp_uri"]}, timeout=PATIENCE) as cluster:

        def send() -> Any:
            lines = [
                {"product_id": str(each), "quantity": grams, "price_fen": price_of(each)}
                for each, grams in basket(random_)
            ]
            return cluster.stock.place_order.call_async(shift_id=shift_id, lines=lines, tenders=[])

        def answer(call: Any) -> None:
            nonlocal saved
            require("order_id" in call.result(), "another answer")
            saved += 1

        patiently(lambda: answer(send()), Exception)

        def turn(outstanding: int, seconds: float) -> Figures:
            figures = in_flight(send, answer, outstanding, seconds)
            with psycopg.connect(place["dsn"]) as connection:
                row = connection.execute("SELECT count(*) FROM orders_events").fetchone()
            require(row == (saved,), f"{row} of {saved} orders were stored")
            return figures

        yield turn


class Watch:
    """Looks at the archive all the time: which position of orders stands in the views when."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._stopping = threading.Event()
        self._seen: list[tuple[float, int]] = []

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _look(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not self._stopping.wait(LOOK_EVERY):
                row = connection.execute(
                    "SELECT max(position) FROM archive WHERE source = 'orders'"
                ).fetchone()
                reached = row[0] if row and row[0] else 0
                if not self._seen or reached > self._seen[-1][1]:
                    self._seen.append((time.time(), reached))

    def ages(self) -> list[float]:
        """Return how old each event was when it was first seen in the views."""
        first = self._seen[0][1]
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            told = connection.execute(
                "SELECT position, extract(epoch FROM"
                " (convert_from(envelope, 'UTF8')::jsonb->>'time')::timestamptz)::float8"
                " FROM archive WHERE source = 'orders' AND position > %s ORDER BY position",
                (first,),
            ).fetchall()
        ages, looks = [], iter(self._seen)
        seen_at, reached = next(looks)
        for position, happened_at in told:
            while reached < position:
                seen_at, reached = next(looks)
            ages.append(seen_at - happened_at)
        return ages


def caught_up(open_: "Shops") -> None:
    """Wait until analytics knows every acknowledged order. Raises `Void`."""
    orders, deadline = open_.sell(how="acked")["orders"], time.monotonic() + PATIENCE
    analytics = open_.stack.databases["analytics"]
    while (known := one(analytics, "SELECT count(*) FROM sale")) < orders:
        require(time.monotonic() < deadline, f"analytics knows {known} of {orders} orders")
        time.sleep(0.1)


def one(dsn: str, select: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(select.encode()).fetchone()
    return row[0] if row else None


def settled(open_: "Shops") -> None:
    """Require each acknowledged order once in the log, and its money in the views."""
    caught_up(open_)
    acked = open_.sell(how="acked")
    orders, analytics = (open_.stack.databases[name] for name in ("orders", "analytics"))
    placed = "FROM orders_events WHERE topic LIKE 'orders.Order.%' AND originator_version = 1"
    stored = one(orders, f"SELECT count(*) {placed}")
    require(stored == acked["orders"], f"{stored} stored, {acked['orders']} acknowledged")
    holes = (
        "SELECT count(*) FROM (SELECT 1 FROM orders_events GROUP BY originator_id"
        " HAVING max(originator_version) <> count(*)) holes"
    )
    require(one(orders, holes) == 0, "versions have holes")
    fen = one(analytics, "SELECT sum(sold_fen) FROM sales")
    require(fen == acked["fen"], f"the views hold {fen} fen, {acked['fen']} were acknowledged")


@dataclass(frozen=True)
class Shops:
    """The services, and tills that sell there."""

    stack: Stack
    sell: Callable[..., Figures]


def shops(arena: Arena) -> Shops:
    """Start the services and open the chain, once for all cells."""
    if "shops" not in arena.shared:
        directory = arena.stack.layout.directory.with_name("run-services")
        stack = arena.kept.enter_context(temporary_stack(directory, services=SERVICES))
        place = {
            "amqp_uri": stack.amqp_uri,
            "office": token_for(stack, HEAD_OFFICE),
            "tills": [asdict(till) for till in tills_of(stack, arena.scale.tills)],
        }
        sell = arena.kept.enter_context(arena.contender("benchmarks.selling:pomona", place))
        arena.shared["shops"] = Shops(stack, sell)
    opened: Shops = arena.shared["shops"]
    return opened


def p7(arena: Arena) -> Outcome:
    """Freshness."""
    outcome = Outcome(
        what="how old a sale is when it stands in the views of analytics, at 60 % of the peak",
        goals=(Goal("event to view p99 ms", most=100),),
    )
    scale = arena.scale
    open_ = shops(arena)
    outstanding = min(OUTSTANDING, scale.tills)
    flat_out = partial(open_.sell, how="flat out", outstanding=outstanding, seconds=scale.seconds)
    peak = flat_out()["per_second"]
    caught_up(open_)

    def at_ease() -> Figures:
        with Watch(open_.stack.databases["analytics"]) as watch:
            figures = open_.sell(
                how="as they come", rate=SHARE_OF_PEAK * peak, seconds=3 * scale.seconds
            )
            caught_up(open_)
        ages = watch.ages()
        return {"events": len(ages), "per_second": figures["per_second"], **percentiles(ages)}

    played = Arena(open_.stack, scale, arena.tell).play({"at ease": at_ease})
    settled(open_)
    outcome.add("freshness", played, "at ease", {})
    outcome.figures["peak orders per second"] = round(peak, 1)
    outcome.figures["event to view p99 ms"] = round(played.median("at ease", "p99_ms"), 1)
    return outcome


def p10(arena: Arena) -> Outcome:
    """place_order end to end."""
    outcome = Outcome(
        what="place_order from the call to the answer, orders per second",
        goals=(
            Goal("stock nameko and library", least=5),
            Goal("min(P2, P9)", least=0.6),
            Goal("p99 ms at 60 % load", most=25),
        ),
    )
    scale = arena.scale
    outstanding = min(OUTSTANDING, scale.tills)
    with ExitStack() as opened:
        stack, sell = shops(arena).stack, shops(arena).sell
        here = Arena(stack, scale, arena.tell)
        dsns = [opened.enter_context(here.database()) for _ in range(3)]
        opened.enter_context(process("benchmarks.stock_service", stack.amqp_uri, dsns[0]))
        opened.enter_context(parrot(stack, dsns[1]))
        theirs: dict[str, tuple[str, Place]] = {
            "stock": ("benchmarks.selling:stock", {"amqp_uri": stack.amqp_uri, "dsn": dsns[0]}),
            "calls": (
                "benchmarks.calling:pomona",
                {"amqp_uri": stack.amqp_uri, "token": token_for(stack, HEAD_OFFICE)},
            ),
            "append": ("benchmarks.append:pomona", {"dsn": dsns[2], "callers": CALLERS}),
        }
        turns = {
            name: opened.enter_context(
                here.contender(function, place, under="eventlet" if name == "append" else "threads")
            )
            for name, (function, place) in theirs.items()
        }
        seconds = scale.seconds
        calling = {"outstanding": outstanding, "seconds": seconds}
        played = here.play(
            {
                "pomona": partial(sell, how="flat out", **calling),
                "stock": partial(turns["stock"], **calling),
                "calls": partial(turns["calls"], **calling),
                "append": partial(turns["append"], seconds=seconds),
            }
        )
        peak = played.median("pomona", "per_second")
        arena.tell("at 60 % load")
        eased = here.play(
            {
                "pomona": partial(
                    sell, how="as they come", rate=SHARE_OF_PEAK * peak, seconds=2 * seconds
                )
            }
        )
    settled(shops(arena))
    outcome.add("place_order", played, "pomona", {"stock": "stock nameko and library"})
    outcome.add("at 60 % load", eased, "pomona", {})
    outcome.ratios["min(P2, P9)"] = round(of_the_slower(played), 3)
    outcome.figures["p99 ms at 60 % load"] = round(eased.median("pomona", "p99_ms"), 2)
    return outcome


def of_the_slower(played: Played) -> float:
    """Return the share of what append and bare calls, each by itself, would allow."""
    return median(
        each.figures["pomona"]["per_second"]
        / min(each.figures["append"]["per_second"], each.figures["calls"]["per_second"])
        for each in played.rounds
    )
