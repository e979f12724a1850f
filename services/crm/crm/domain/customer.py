"""A customer: somebody whose words we keep sealed, and forget on request."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from crm.domain.errors import NothingToCorrect, WasErased

# What a person tells about themselves; in events it stands sealed with the person's own key.
PERSONAL: Final = ("name", "phone", "birthday", "address")


class Customer(Aggregate):
    class Registered(Aggregate.Created):
        registered_at: datetime
        store_id: UUID | None
        sealed: dict[str, str | None]

    class Corrected(Aggregate.Event):
        corrected_at: datetime
        sealed: dict[str, str | None]

    class Erased(Aggregate.Event):
        erased_at: datetime

    def __init__(self) -> None:
        self.erased = False

    @classmethod
    def register(
        cls,
        *,
        customer_id: UUID,
        store_id: UUID | None,
        sealed: Mapping[str, str | None],
        at: datetime,
    ) -> Self:
        return cls._create(
            cls.Registered,
            id=customer_id,
            registered_at=at,
            store_id=store_id,
            sealed=dict(sealed),
        )

    def must_be_known(self) -> None:
        if self.erased:
            raise WasErased

    def correct(self, sealed: Mapping[str, str | None], *, at: datetime) -> None:
        """Replace the fields that were told wrongly or have changed."""
        self.must_be_known()
        if not sealed:
            raise NothingToCorrect
        self.trigger_event(Customer.Corrected, corrected_at=at, sealed=dict(sealed))

    def erase(self, *, at: datetime) -> None:
        """Forget the person; what they bought and earned stays, under an id that says nothing."""
        self.must_be_known()
        self._erased(at)

    @event(Erased)
    def _erased(self, erased_at: datetime) -> None:
        del erased_at
        self.erased = True
