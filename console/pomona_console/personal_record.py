"""All that is kept of one customer, asked of the services and looked up by the customer's id."""

from typing import Any
from uuid import UUID

import psycopg

from pomona.terminal import Terminal
from pomona_console.stack import Stack

WORDS = ("name", "phone", "birthday", "address")


def record_of(stack: Stack, terminal: Terminal, customer: UUID) -> dict[str, Any]:
    """Return everything, as a request for access is answered."""
    asked = {"customer_id": str(customer)}
    return {
        "customer": terminal.ask("crm", "get_customer", asked),
        "points": terminal.ask("crm", "points_of", asked),
        "orders": [
            terminal.ask("orders", "get_order", {"order_id": str(order)})
            for order in _ids(stack, "crm", "SELECT DISTINCT order_id FROM points_ledger", customer)
        ],
        "claims": claims_of(stack, terminal, customer),
        "readings": terminal.ask("crm", "readings_of", asked)["readings"],
    }


def words_of(stack: Stack, terminal: Terminal, customer: UUID) -> dict[str, str]:
    """Return what the customer told us in words, as far as it can still be read."""
    record = terminal.ask("crm", "get_customer", {"customer_id": str(customer)})
    words = {name: record[name] for name in WORDS if record[name]}
    for number, claim in enumerate(claims_of(stack, terminal, customer), start=1):
        if claim["note"]:
            words[f"note {number}"] = claim["note"]
    return words


def claims_of(stack: Stack, terminal: Terminal, customer: UUID) -> list[dict[str, Any]]:
    found = _ids(stack, "aftersales", "SELECT claim_id FROM claims", customer)
    return [terminal.ask("aftersales", "get_claim", {"claim_id": str(claim)}) for claim in found]


def _ids(stack: Stack, service: str, query: str, customer: UUID) -> list[UUID]:
    with psycopg.connect(stack.databases[service]) as connection:
        rows = connection.execute(f"{query} WHERE customer_id = %s ORDER BY 1", (customer,))
        return [found for (found,) in rows]
