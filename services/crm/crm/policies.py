"""What others' facts make crm decide: points come and go with orders."""

from collections.abc import Iterable
from functools import singledispatch
from typing import TYPE_CHECKING

from eventsourcing.domain import Aggregate

from crm.contracts import OrderCancelled, OrderPaid, RefundPaid

if TYPE_CHECKING:
    from crm.application import Crm


@singledispatch
def react(fact: object, crm: "Crm") -> Iterable[Aggregate]:
    """Return the aggregates that a fact changed."""
    del fact, crm
    return ()


@react.register(OrderPaid)
def give_points(fact: OrderPaid, crm: "Crm") -> Iterable[Aggregate]:
    if fact.customer_id is not None:
        account = crm.account(fact.customer_id)
        account.earn(fact.order_id, fact.net_fen, fact.business_date)
        yield account


@react.register(RefundPaid)
def take_points_back_for_a_refund(fact: RefundPaid, crm: "Crm") -> Iterable[Aggregate]:
    if fact.customer_id is not None:
        account = crm.account(fact.customer_id)
        account.give_back_for_refund(fact.order_id, fact.amount_fen, fact.business_date)
        yield account


@react.register(OrderCancelled)
def take_points_back_for_a_cancellation(fact: OrderCancelled, crm: "Crm") -> Iterable[Aggregate]:
    if fact.customer_id is not None:
        account = crm.account(fact.customer_id)
        account.give_back_for_cancellation(fact.order_id, fact.business_date)
        yield account
