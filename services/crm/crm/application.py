"""The use cases of crm: fetch, ask, save."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from crm import keys
from crm.domain.customer import PERSONAL, Customer
from crm.domain.errors import CustomerExists, CustomerUnknown, PhoneTaken, WasErased
from crm.domain.loyalty import LoyaltyAccount
from crm.domain.phone import normalised_phone
from pomona.application import Application, Command
from pomona.eventstore import Cursor


@dataclass(frozen=True)
class WithNewKey:
    """A command that makes a person known: the key is kept in the transaction of the event.

    A crash leaves both or neither, so nobody is registered unreadable and no key is left over.
    """

    command: Command
    key: keys.PersonKey

    def stamp(self) -> dict[str, Any]:
        return self.command.stamp()

    def settle(self, cursor: Cursor, answer: Mapping[str, Any]) -> None:
        self.key.keep(cursor)
        self.command.settle(cursor, answer)


class Crm(Application):
    name = "crm"
    aggregates = {"Customer": Customer, "LoyaltyAccount": LoyaltyAccount}  # noqa: RUF012
    snapshotting_intervals = {LoyaltyAccount: 100}  # noqa: RUF012 - the library declares it

    def register_customer(self, c: Command) -> dict[str, Any]:
        customer_id: UUID = c.request["customer_id"]
        told = _told(c.request)
        self._must_be_new(customer_id)
        self._must_be_free(told, customer_id)
        key = keys.PersonKey.new(customer_id)
        customer = Customer.register(
            customer_id=customer_id, store_id=c.store_id, sealed=key.seal(told), at=c.at
        )
        return self.commit(WithNewKey(c, key), customer, answer={"customer_id": str(customer_id)})

    def correct_customer(self, c: Command) -> dict[str, Any]:
        customer = self._customer(c.request["customer_id"])
        customer.must_be_known()
        told = _told(c.request)
        self._must_be_free(told, customer.id)
        customer.correct(self._key(customer.id).seal(told), at=c.at)
        return self.commit(c, customer, answer={"customer_id": str(customer.id)})

    def erase_customer(self, c: Command) -> dict[str, Any]:
        customer = self._customer(c.request["customer_id"])
        customer.erase(at=c.at)
        return self.commit(c, customer, answer={"customer_id": str(customer.id), "erased": True})

    def account(self, customer_id: UUID) -> LoyaltyAccount:
        """Return a customer's account, begun with the first order, whether or not we know them."""
        known = self.get(LoyaltyAccount, LoyaltyAccount.id_for(customer_id))
        return known or LoyaltyAccount.open(customer_id)

    def _customer(self, customer_id: UUID) -> Customer:
        customer = self.get(Customer, customer_id)
        if customer is None:
            raise CustomerUnknown
        return customer

    def _key(self, customer_id: UUID) -> keys.PersonKey:
        with self.reading() as cursor:
            key = keys.key_of(cursor, customer_id)
        if key is None:  # erased since the customer was loaded
            raise WasErased
        return key

    def _must_be_new(self, customer_id: UUID) -> None:
        if self.get(Customer, customer_id) is not None:
            raise CustomerExists

    def _must_be_free(self, told: Mapping[str, str | None], customer_id: UUID) -> None:
        """Refuse a phone that is somebody else's; the index's primary key has the last word."""
        phone = told.get("phone")
        if phone is None:
            return
        with self.reading() as cursor:
            if keys.customer_with(cursor, phone) not in (None, customer_id):
                raise PhoneTaken


def _told(request: Mapping[str, Any]) -> dict[str, str | None]:
    """Take what a person tells about themselves out of a request."""
    told = {field: request[field] for field in PERSONAL if field in request}
    if "phone" in told:
        told["phone"] = normalised_phone(told["phone"])
    return told
