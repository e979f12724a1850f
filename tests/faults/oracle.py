"""Compares what the terminals were told with what the event stores hold."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pomona_console.stack import Stack

from .history import Sent
from .stores import WRITERS, commands_of, effects_of

# The event that a command makes exactly once, if it is carried out at all.
MAKES = {
    "place_order": "orders.Order.Paid",
    "cancel_order": "orders.Order.Cancelled",
    "return_goods": "orders.TillReturn.Taken",
    "pay_refund": "orders.Order.RefundPaid",
    "receive_goods": "inventory.Lot.Received",
    "record_shrinkage": "inventory.Stock.Shrunk",
    "send_transfer": "inventory.Transfer.Sent",
    "receive_transfer": "inventory.Transfer.Received",
    "register_customer": "crm.Customer.Registered",
    "open_claim": "aftersales.Claim.Opened",
    "take_goods_back": "aftersales.Claim.GoodsTakenBack",
}


@dataclass
class Findings:
    """Every command of the terminals, and the ids of those that went wrong."""

    sent: int = 0
    acked: int = 0
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    recovered: int = 0
    never_applied: int = 0
    refused: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.unexpected)


def compare(
    sent: Mapping[UUID, Sent],
    stored: Mapping[UUID, Mapping[str, Any]],
    effects: Collection[tuple[UUID, str]],
    known: Collection[UUID] = (),
) -> Findings:
    """Judge every command; `known` are ids whose senders kept no history."""
    found = Findings(sent=len(sent))
    made: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for cause, topic in effects:
        made[cause][topic] += 1
    for command in sent.values():
        _judge(command, stored.get(command.id), made[command.id][MAKES[command.method]], found)
    for command_id in stored.keys() - sent.keys() - set(known):
        found.unexpected.append(f"{command_id}: applied, and nobody sent it")
    return found


def _judge(command: Sent, answer: Mapping[str, Any] | None, effects: int, found: Findings) -> None:
    name = f"{command.method} {command.id}"
    if effects > 1:
        found.duplicated.append(name)
    if effects and answer is None:
        found.unexpected.append(f"{name}: an effect without its command")
    if command.fate == "acked":
        found.acked += 1
        if answer is None or not effects:
            found.lost.append(name)
        elif any(told != answer for told in command.answers):
            found.unexpected.append(f"{name}: told another answer than was stored")
    elif command.fate == "failed":
        found.refused += 1
        if answer is not None:
            found.unexpected.append(f"{name}: refused as {command.code}, yet applied")
    elif answer is None:
        found.never_applied += 1
    else:
        found.recovered += 1


def judged(stack: Stack, sent: Mapping[UUID, Sent], known: Collection[UUID]) -> Findings:
    """Compare histories with the stores of all services."""
    stored: dict[UUID, Mapping[str, Any]] = {}
    effects: list[tuple[UUID, str]] = []
    for service in WRITERS:
        topics = [topic for topic in MAKES.values() if topic.startswith(f"{service}.")]
        stored |= commands_of(stack, service)
        effects += effects_of(stack, service, topics)
    return compare(sent, stored, effects, known)
