"""The use cases of after-sales: fetch, ask, save."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aftersales import views
from aftersales.domain.claim import Claim, Complaint
from aftersales.domain.errors import ClaimExists, ClaimUnknown, OrderUnknown
from aftersales.domain.purchase import Loss, Purchase
from aftersales.domain.terms import DECISIONS, LATELY, terms_for
from pomona.application import Application, Command
from pomona.erasures import Erasure
from pomona.eventstore import Cursor
from pomona.personal import PersonErased, PersonKey


@dataclass(frozen=True)
class WithNote:
    """A command whose words are kept sealed beside the event store, in the same transaction."""

    command: Command
    note: views.Note | None

    def stamp(self) -> dict[str, Any]:
        return self.command.stamp()

    def row(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.command.row(answer)

    def within(self, cursor: Cursor) -> None:
        if self.note is not None:
            views.keep_note(cursor, self.note)


class Aftersales(Application):
    name = "aftersales"
    aggregates = {"Claim": Claim, "Purchase": Purchase}  # noqa: RUF012 - the chassis declares it

    def open_claim(self, c: Command) -> dict[str, Any]:
        asked = c.request
        self._must_be_new(asked["claim_id"])
        purchase = self.purchase(asked["order_id"])
        claim = Claim.open(
            claim_id=asked["claim_id"],
            purchase=purchase,
            complaint=Complaint(
                line_no=asked["line_no"],
                channel=asked["channel"],
                reason=asked["reason"],
                loss=Loss(asked.get("bad_quantity"), asked.get("bad_share_percent")),
                goods_expected=asked["goods_expected"],
            ),
            by=c.actor.id,
            at=c.at,
        )
        with self.reading() as cursor:
            lately = views.claims_lately(
                cursor, purchase.order_id, purchase.customer_id, c.at - LATELY
            )
        clause = terms_for(purchase.sold_at).clause_for(claim.case(purchase, lately))
        claim.decide(clause, purchase, by="terms", at=c.at)
        noted = WithNote(c, self._sealed(asked.get("note"), claim.id, purchase.customer_id))
        return self.commit(noted, purchase, claim, answer=_answer(claim))

    def decide_claim(self, c: Command) -> dict[str, Any]:
        claim = self.claim(c.request["claim_id"])
        claim.must_belong_to(c.actor.store_id)
        purchase = self.purchase(claim.order_id)
        claim.decide(
            DECISIONS[c.request["clause"]],
            purchase,
            by=c.actor.id,
            at=c.at,
            at_most_fen=c.request.get("amount_fen"),
        )
        return self.commit(c, purchase, claim, answer=_answer(claim))

    def take_goods_back(self, c: Command) -> dict[str, Any]:
        claim = self.claim(c.request["claim_id"])
        claim.must_belong_to(c.actor.store_id)
        claim.take_goods_back(
            disposition=c.request["disposition"],
            quantity=c.request.get("quantity"),
            business_date=c.request["business_date"],
            by=c.actor.id,
            at=c.at,
        )
        return self.commit(c, claim, answer=_answer(claim))

    def withdraw_claim(self, c: Command) -> dict[str, Any]:
        claim = self.claim(c.request["claim_id"])
        claim.must_belong_to(c.actor.store_id)
        claim.withdraw(by=c.actor.id, at=c.at)
        return self.commit(c, claim, answer=_answer(claim))

    def forget(self, erasures: Sequence[Erasure]) -> None:
        """Destroy the keys to what erased customers said. Safe to repeat, and to be cut short."""
        self.people.destroy(erasures)

    def catch_up(self) -> None:
        """Forget whoever is in the erasure journal, which a restore of ours knows nothing of."""
        with self.reading() as cursor, cursor.connection.transaction():
            for row in views.take_notes_in_clear(cursor):
                note = self._sealed(row["note"], row["claim_id"], row["customer_id"])
                if note is not None:
                    views.keep_note(cursor, note)
        erasures = self.people.journal.read()
        self.forget(erasures)
        with self.reading() as cursor:
            views.drop_notes(cursor, [erasure.person_id for erasure in erasures])

    def renew_key(self, person_id: UUID) -> None:
        """Seal what somebody said with a new key, where there is anything."""

        def reseal(key: PersonKey) -> None:
            with self.reading() as cursor, cursor.connection.transaction():
                for note in views.notes_of(cursor, person_id):
                    place = views.place_of(note.claim_id)
                    words = key.open_field(place, note.sealed)
                    views.replace_note(cursor, note.claim_id, key.seal_field(place, words))

        with suppress(PersonErased):
            self.people.renew(person_id, reseal)

    def claim(self, claim_id: UUID) -> Claim:
        claim = self.get(Claim, claim_id)
        if claim is None:
            raise ClaimUnknown
        return claim

    def purchase(self, order_id: UUID) -> Purchase:
        """Return the purchase behind an order, begun from what orders told us where it is new."""
        known = self.get(Purchase, Purchase.id_for(order_id))
        if known is not None:
            return known
        with self.reading() as cursor:
            paid = views.paid_order(cursor, order_id)
        if paid is None:
            raise OrderUnknown
        return Purchase.record(**paid)

    def _sealed(
        self, note: str | None, claim_id: UUID, customer_id: UUID | None
    ) -> views.Note | None:
        """Seal a note with its customer's key, or a key of its own where nobody is known."""
        if note is None:
            return None
        person_id = customer_id or claim_id
        try:
            key = self.people.key_for(person_id)
        except PersonErased:  # a claim on a sale from before: it is taken, the words are not kept
            return None
        return views.Note(claim_id, person_id, key.seal_field(views.place_of(claim_id), note))

    def _must_be_new(self, claim_id: UUID) -> None:
        if self.get(Claim, claim_id) is not None:
            raise ClaimExists


def _answer(claim: Claim) -> dict[str, Any]:
    return {
        "claim_id": str(claim.id),
        "state": claim.state,
        "kind": claim.kind,
        "priority": claim.priority,
        "clause": claim.clause,
        "refund_fen": claim.amount_fen,
        "due_at": claim.due_at.isoformat(),
    }
