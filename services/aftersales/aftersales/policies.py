"""What others' facts make after-sales decide."""

from collections.abc import Iterable
from functools import singledispatch
from typing import TYPE_CHECKING

from eventsourcing.domain import Aggregate

from aftersales.contracts import CustomerErased, OrderCancelled, RefundPaid
from pomona.erasures import Erasure

if TYPE_CHECKING:
    from aftersales.application import Aftersales


@singledispatch
def react(fact: object, aftersales: "Aftersales") -> Iterable[Aggregate]:
    """Return the aggregates that a fact changed."""
    del fact, aftersales
    return ()


@react.register(RefundPaid)
def settle_what_was_paid_out(fact: RefundPaid, aftersales: "Aftersales") -> Iterable[Aggregate]:
    claim = aftersales.claim(fact.claim_id)
    claim.settle(refund_id=fact.refund_id, amount_fen=fact.amount_fen, at=fact.paid_at)
    yield claim


@react.register(CustomerErased)
def forget_what_an_erased_customer_said(
    fact: CustomerErased, aftersales: "Aftersales"
) -> Iterable[Aggregate]:
    # The keys lie in another database: they go first, and again should this event come again.
    aftersales.forget([Erasure(fact.customer_id, fact.erased_at)])
    return ()


@react.register(OrderCancelled)
def end_claims_of_a_cancelled_order(
    fact: OrderCancelled, aftersales: "Aftersales"
) -> Iterable[Aggregate]:
    # Also without any claim, so that one which is being opened now meets the cancellation.
    purchase = aftersales.purchase(fact.order_id)
    purchase.cancel(fact.cancelled_at)
    yield purchase
    for claim_id in purchase.claims:
        claim = aftersales.claim(claim_id)
        if claim.may("lapse"):
            claim.lapse(at=fact.cancelled_at)
            yield claim
