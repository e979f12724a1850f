"""The use cases of crm: fetch, ask, save."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError

from crm import upgrade, views
from crm.domain.customer import PERSONAL, Customer
from crm.domain.errors import CustomerExists, CustomerUnknown, PhoneTaken, WasErased
from crm.domain.loyalty import LoyaltyAccount
from crm.domain.phone import normalised_phone
from pomona import metrics
from pomona.application import Application, Command
from pomona.eventstore import Cursor
from pomona.personal import PersonErased, PersonKey


@dataclass(frozen=True)
class Findable:
    """A command that tells a phone: from its commit on the customer is found by that phone."""

    command: Command
    customer_id: UUID
    digest: bytes | None

    def stamp(self) -> dict[str, Any]:
        return self.command.stamp()

    def row(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.command.row(answer)

    def within(self, cursor: Cursor) -> None:
        if self.digest is not None:
            views.index_phone(cursor, self.customer_id, self.digest)


@dataclass(frozen=True)
class Upkeep:
    """The cause of what nobody asked for by a command: it may be done again at any time."""

    actor: str

    def stamp(self) -> dict[str, Any]:
        return {"actor": self.actor}

    def row(self, _answer: object) -> None:
        """Need no row: what was done shows by itself."""

    within = None


class Crm(Application):
    name = "crm"
    aggregates = {"Customer": Customer, "LoyaltyAccount": LoyaltyAccount}  # noqa: RUF012
    snapshotting_intervals = {LoyaltyAccount: 20}  # noqa: RUF012 - the library declares it

    def register_customer(self, c: Command) -> dict[str, Any]:
        customer_id: UUID = c.request["customer_id"]
        told = _told(c.request)
        self._must_be_new(customer_id)
        self._must_be_free(told, customer_id)
        sealed = self._key(self.people.key_for, customer_id).seal(told)
        customer = Customer.register(
            customer_id=customer_id, store_id=c.store_id, sealed=sealed, at=c.at
        )
        return self._commit(c, customer, told)

    def correct_customer(self, c: Command) -> dict[str, Any]:
        customer = self._customer(c.request["customer_id"])
        customer.must_be_known()
        told = _told(c.request)
        self._must_be_free(told, customer.id)
        customer.correct(self._key(self.people.must_know, customer.id).seal(told), at=c.at)
        return self._commit(c, customer, told)

    def erase_customer(self, c: Command) -> dict[str, Any]:
        customer = self._customer(c.request["customer_id"])
        if not customer.erased:  # else `catch_up` has ended what this very command began
            customer.erase(at=c.at)
            self.people.erase(customer.id, c.at)
        return self.commit(c, customer, answer={"customer_id": str(customer.id), "erased": True})

    def catch_up(self) -> None:
        """Erase whoever is in the erasure journal and not erased here: after a crash, a restore."""
        self._take_over_keys()
        erasures = {erasure.person_id: erasure for erasure in self.people.journal.read()}
        self.people.destroy(list(erasures.values()))
        with self.reading() as cursor:
            left = views.not_erased(cursor, list(erasures))
        for customer_id in left:
            customer = self._customer(customer_id)
            if not customer.erased:
                customer.erase(at=erasures[customer_id].at)
                with suppress(IntegrityError):  # another replica was faster
                    self.commit(Upkeep("erasure-journal"), customer)
                    metrics.erasures.labels("again").inc()

    def _take_over_keys(self) -> None:
        with self.reading() as cursor, cursor.connection.transaction():
            for customer_id in upgrade.take_over_keys(cursor, self.people):
                sealed = views.sealed_of(cursor, customer_id)
                key = self.people.key_of(customer_id)
                if key is not None and sealed.get("phone"):
                    phone = key.open_field("phone", str(sealed["phone"]))
                    views.index_phone(cursor, customer_id, self.digest_of(phone))
                upgrade.forget_old_key(cursor, customer_id)

    def renew_key(self, customer_id: UUID, at: datetime) -> None:
        """Seal what a customer told us with a new key; the old one, which may be known, goes."""

        def reseal(key: PersonKey) -> None:
            customer = self._customer(customer_id)
            customer.must_be_known()
            with self.reading() as cursor:
                told = key.open(views.sealed_of(cursor, customer_id))
            customer.correct(key.seal(told), at=at)
            self.commit(Upkeep("operator"), customer)

        self.people.renew(customer_id, reseal)

    def digest_of(self, phone: str) -> bytes:
        """Return what a phone number is looked up by."""
        return self.people.digest("phones", phone.encode())

    def account(self, customer_id: UUID) -> LoyaltyAccount:
        """Return a customer's account, begun with the first order, whether or not we know them."""
        known = self.get(LoyaltyAccount, LoyaltyAccount.id_for(customer_id))
        return known or LoyaltyAccount.open(customer_id)

    def _customer(self, customer_id: UUID) -> Customer:
        customer = self.get(Customer, customer_id)
        if customer is None:
            raise CustomerUnknown
        return customer

    def _key(self, find: Callable[[UUID], PersonKey], customer_id: UUID) -> PersonKey:
        try:
            return find(customer_id)
        except PersonErased:
            raise WasErased from None

    def _commit(
        self, c: Command, customer: Customer, told: Mapping[str, str | None]
    ) -> dict[str, Any]:
        phone = told.get("phone")
        cause = Findable(c, customer.id, None if phone is None else self.digest_of(phone))
        return self.commit(cause, customer, answer={"customer_id": str(customer.id)})

    def _must_be_new(self, customer_id: UUID) -> None:
        if self.get(Customer, customer_id) is not None:
            raise CustomerExists

    def _must_be_free(self, told: Mapping[str, str | None], customer_id: UUID) -> None:
        """Refuse a phone that is somebody else's; the index's primary key has the last word."""
        phone = told.get("phone")
        if phone is None:
            return
        with self.reading() as cursor:
            if views.customer_with(cursor, self.digest_of(phone)) not in (None, customer_id):
                raise PhoneTaken


def _told(request: Mapping[str, Any]) -> dict[str, str | None]:
    """Take what a person tells about themselves out of a request."""
    told = {field: request[field] for field in PERSONAL if field in request}
    if "phone" in told:
        told["phone"] = normalised_phone(told["phone"])
    return told
