"""The doors of after-sales."""

from typing import Any

from aftersales import contracts, policies, projections, views
from aftersales.application import Aftersales
from pomona.application import Command, Question
from pomona.doors import command, question
from pomona.host import Host


class AftersalesService:
    name = "aftersales"
    aftersales = Host(
        Aftersales,
        contracts=contracts,
        react=policies.react,
        remember=projections.remember,
        schema=views.SCHEMA,
    )

    @command
    def open_claim(self, c: Command) -> Any:
        return self.aftersales.open_claim(c)

    @command
    def decide_claim(self, c: Command) -> Any:
        return self.aftersales.decide_claim(c)

    @command
    def take_goods_back(self, c: Command) -> Any:
        return self.aftersales.take_goods_back(c)

    @command
    def withdraw_claim(self, c: Command) -> Any:
        return self.aftersales.withdraw_claim(c)

    @question
    def get_claim(self, q: Question) -> Any:
        with self.aftersales.reading() as cursor:
            return views.claim(cursor, self.aftersales.people, q.request["claim_id"])

    @question
    def list_claims(self, q: Question) -> Any:
        with self.aftersales.reading() as cursor:
            found = views.claims(
                cursor,
                store_id=q.store_id,
                order_id=q.request.get("order_id"),
                decision=q.request.get("decision"),
                limit=q.request["limit"],
                at=q.at,
            )
        return {"claims": found}
