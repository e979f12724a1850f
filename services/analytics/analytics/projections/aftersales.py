"""What the claims desk's events add: each claim, its decision, and the goods taken back."""

from analytics import tables
from analytics.contracts.aftersales import (
    ClaimApproved,
    ClaimOpened,
    ClaimRefused,
    ClaimSettled,
    GoodsTakenBack,
)
from analytics.projections.harvest import Harvest, gather


@gather.register
def open_the_claim(fact: ClaimOpened, harvest: Harvest) -> None:
    harvest.keep(tables.CLAIM, fact)


@gather.register
def approve_the_claim(fact: ClaimApproved, harvest: Harvest) -> None:
    line = (fact.order_id, fact.line_no)
    decision = ("approved", fact.clause, fact.amount_fen, fact.approved_at)
    harvest.put(tables.CLAIM_DECISION, (fact.store_id, fact.claim_id), (*line, *decision))


@gather.register
def refuse_the_claim(fact: ClaimRefused, harvest: Harvest) -> None:
    line = (fact.order_id, fact.line_no)
    decision = ("refused", fact.clause, 0, fact.refused_at)
    harvest.put(tables.CLAIM_DECISION, (fact.store_id, fact.claim_id), (*line, *decision))


@gather.register
def settle_the_claim(fact: ClaimSettled, harvest: Harvest) -> None:
    harvest.keep(tables.CLAIM_SETTLED, fact)


@gather.register
def take_the_goods_back(fact: GoodsTakenBack, harvest: Harvest) -> None:
    key = (fact.store_id, fact.claim_id, harvest.position)
    facts = tuple([getattr(fact, name) for name in tables.TAKEN_BACK.facts])
    harvest.put(tables.TAKEN_BACK, key, facts)
