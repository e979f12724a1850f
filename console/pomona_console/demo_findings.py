"""Asks the services what the demo's day left behind; the answers are the demo's report."""

from dataclasses import dataclass
from typing import Any

from pomona.terminal import Terminal
from pomona_console.demo_catalogue import CUSTOMERS, STORE, STORES
from pomona_console.demo_day import (
    BAD_LOT,
    GRAPE_CLAIM,
    STRAWBERRY_CLAIM,
    STRAWBERRY_ORDER,
    DemoDay,
)
from pomona_console.verify import Verdict, events_of

MOST_ROWS = 1000
PATIENCE = 30.0


@dataclass(frozen=True)
class Findings:
    """What analytics, after-sales, crm and inventory say about the day."""

    day: str
    hours: list[dict[str, Any]]
    lots: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    claimed_line: dict[str, Any]
    bad_lot: dict[str, Any]
    points: list[dict[str, Any]]
    stock_alerts: list[dict[str, Any]]
    drawers: list[dict[str, Any]]
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        return {
            "day": self.day,
            "sales_by_hour": self.hours,
            "stock_by_lot": self.lots,
            "claims": self.claims,
            "trace_of_the_claimed_line": self.claimed_line,
            "trace_of_the_bad_lot": self.bad_lot,
            "points": self.points,
            "stock_alerts": self.stock_alerts,
            "drawers": self.drawers,
            "events": self.verdict.events,
            "lag": self.verdict.positions.behind,
            "verify": self.verdict.as_json(),
        }


def found(terminal: Terminal, demo: DemoDay, verdict: Verdict) -> Findings:
    """Ask, as head office."""

    def ask(service: str, method: str, **request: Any) -> dict[str, Any]:
        return terminal.ask(service, method, request, patience=PATIENCE)

    day = demo.day.isoformat()

    def of_every_store(method: str, **request: Any) -> list[dict[str, Any]]:
        return [
            row
            for store in STORES
            for row in ask("analytics", method, store_id=str(store.id), limit=MOST_ROWS, **request)[
                "rows"
            ]
        ]

    happened = {
        source: list(events_of(terminal, source, verdict.positions.heads[source]))
        for source in ("orders", "inventory")
    }
    return Findings(
        day=day,
        hours=of_every_store("sales_by_hour", from_day=day, to_day=day),
        lots=of_every_store("lot_margin"),
        claims=[
            ask("aftersales", "get_claim", claim_id=str(claim))
            for claim in (STRAWBERRY_CLAIM, GRAPE_CLAIM)
        ],
        claimed_line=ask("analytics", "trace_line", order_id=str(STRAWBERRY_ORDER), line_no=1),
        bad_lot=ask("analytics", "trace_lot", lot_id=str(BAD_LOT)),
        points=[
            {"name": customer.name, **ask("crm", "points_of", customer_id=str(customer.id))}
            for customer in CUSTOMERS
        ],
        stock_alerts=[
            {"event": event.name, **event.data}
            for event in happened["inventory"]
            if event.name in {"stock_fell_low", "stock_recovered"}
            and event.data["store_id"] in STORE
        ],
        drawers=[
            dict(event.data)
            for event in happened["orders"]
            if event.name == "shift_closed" and event.data["store_id"] in STORE
        ],
        verdict=verdict,
    )
