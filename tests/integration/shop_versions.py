"""The test shop in two versions, each as a process: `python -m tests.integration.shop_versions`.

A lot used to have no origin. The next version stores one, reads older lots as of unknown origin,
and tells `lot_received.v2` beside `lot_received.v1`. A process takes one order a line and answers
with a line.
"""

import json
import sys
import threading
from typing import Any, ClassVar
from uuid import UUID

from eventsourcing.domain import Aggregate, event
from eventsourcing.utils import clear_topic_cache

from pomona.application import Application
from pomona.contracts import Contracts, Published
from pomona.eventlog import EventLog
from pomona.eventstore import environment
from pomona.fields import Text
from pomona.relay import Relay

from .chassis_shop import Because, GramsV1, grams_of


class LotBefore(Aggregate):
    class Received(Aggregate.Created):
        grams: int

    class Sold(Aggregate.Event):
        grams: int

    @event(Received)
    def __init__(self, grams: int) -> None:
        self.grams = grams

    @event(Sold)
    def sell(self, grams: int) -> None:
        self.grams -= grams


class Lot(Aggregate):
    class Received(Aggregate.Created):
        grams: int
        origin: str

        class_version = 2

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            state["origin"] = "unknown"

    class Sold(Aggregate.Event):
        grams: int

    @event(Received)
    def __init__(self, grams: int, origin: str) -> None:
        self.grams = grams
        self.origin = origin

    @event(Sold)
    def sell(self, grams: int) -> None:
        self.grams -= grams


class ReceivedV2(GramsV1):
    origin = Text(required=True)


def with_origin(received: Any) -> dict[str, Any]:
    return {**grams_of(received), "origin": received.origin}


def shop_of(version: str) -> tuple[type[Application], Contracts]:
    """Return the shop of one version; both give their events the same stored names."""
    lot: Any = {"before": LotBefore, "after": Lot}[version]

    class Shop(Application):
        name = "shop"
        aggregates: ClassVar = {"Lot": lot}

    published = [
        Published("lot_received", 1, lot.Received, GramsV1, "lot_id", "Came.", grams_of),
        Published("lot_sold", 1, lot.Sold, GramsV1, "lot_id", "Went.", grams_of),
    ]
    if version == "after":
        published.append(
            Published("lot_received", 2, Lot.Received, ReceivedV2, "lot_id", "Came.", with_origin)
        )
    return Shop, Contracts("shop", tuple(published), (), ())


def remember_as_before(happening: Any, cursor: Any) -> None:
    """Keep the view that both versions have."""
    name = type(happening).__name__
    if name == "Received":
        statement = "INSERT INTO stock (lot_id, grams) VALUES (%s, %s)"
        cursor.execute(statement, (happening.originator_id, happening.grams))
    else:
        statement = "UPDATE stock SET grams = grams - %s WHERE lot_id = %s"
        cursor.execute(statement, (happening.grams, happening.originator_id))


class Process:
    """One replica: keeps aggregates in memory between orders, and relays when it leads."""

    def __init__(self, version: str, dsn: str, amqp_uri: str) -> None:
        shop, contracts = shop_of(version)
        self.lot: Any = shop.aggregates["Lot"]
        self.shop = shop(environment(dsn), remember=remember_as_before)
        self.log = EventLog(contracts, "shop_events", self.shop.mapper)
        self.relay = Relay(amqp_uri, dsn, self.log)
        threading.Thread(target=self.relay.run, daemon=True).start()

    def receive(self, **lot: Any) -> str:
        received = self.lot(**lot)
        with self.shop.attempt():
            self.shop.commit(Because(), received)
        return str(received.id)

    def sell(self, lot_id: str, grams: int) -> int:
        with self.shop.attempt(afresh=True):
            lot = self.shop.get(self.lot, UUID(lot_id))
            lot.sell(grams)
            self.shop.commit(Because(), lot)
        return int(lot.grams)

    def rebuilt(self) -> dict[str, int]:
        """Return the view that a rebuild from the log makes."""
        stock: dict[str, int] = {}
        with self.shop.reading() as cursor:
            for envelope in self.log.after(cursor, 0, 1000):
                data = envelope.data
                if envelope.routing_key == "lot_received.v1":
                    stock[data["lot_id"]] = data["grams"]
                elif envelope.routing_key == "lot_sold.v1":
                    stock[data["lot_id"]] -= data["grams"]
        return stock

    def leads(self) -> bool:
        return self.relay.leading


def main() -> None:
    clear_topic_cache()  # the shop that we borrow from has these names as well
    process = Process(*sys.argv[1:])
    for line in sys.stdin:
        order = json.loads(line)
        answer = getattr(process, order.pop("do"))(**order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
