"""What other contexts' facts make us decide."""

from collections.abc import Iterable
from functools import singledispatch
from typing import TYPE_CHECKING

from eventsourcing.domain import Aggregate

from orders.contracts import ClaimApproved

if TYPE_CHECKING:
    from orders.application import Orders


@singledispatch
def react(fact: object, orders: "Orders") -> Iterable[Aggregate]:
    """Return the aggregates that a fact changed."""
    del fact, orders
    return ()


@react.register(ClaimApproved)
def owe_what_was_approved(fact: ClaimApproved, orders: "Orders") -> Iterable[Aggregate]:
    order = orders.order(fact.order_id)
    order.approve_refund(fact.refund_id, fact.claim_id, fact.line_no, fact.amount_fen)
    yield order
