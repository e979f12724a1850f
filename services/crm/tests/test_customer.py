"""A customer can be corrected until forgotten, and is forgotten for good."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from crm.domain.customer import Customer
from crm.domain.errors import NothingToCorrect, WasErased

NOW = datetime(2026, 11, 21, 3, 10, tzinfo=UTC)
SEALED: dict[str, str | None] = {"name": "c2VhbGVk", "phone": "c2VhbGVk"}


def customer() -> Customer:
    return Customer.register(customer_id=uuid4(), store_id=None, sealed=SEALED, at=NOW)


def test_a_correction_says_only_what_changed() -> None:
    known = customer()

    known.correct({"address": "c2VhbGVk"}, at=NOW)

    corrected = known.pending_events[-1]
    assert isinstance(corrected, Customer.Corrected)
    assert corrected.sealed == {"address": "c2VhbGVk"}


def test_a_correction_of_nothing_is_refused() -> None:
    with pytest.raises(NothingToCorrect):
        customer().correct({}, at=NOW)


@pytest.mark.feature("CRM-01")
def test_an_erased_customer_is_neither_corrected_nor_erased_again() -> None:
    gone = customer()
    gone.erase(at=NOW)

    with pytest.raises(WasErased):
        gone.correct({"name": "bmV3"}, at=NOW)
    with pytest.raises(WasErased):
        gone.erase(at=NOW)


def test_history_replays_after_the_erasure() -> None:
    gone = customer()
    gone.erase(at=NOW)

    replayed = None
    for happening in gone.pending_events:
        replayed = happening.mutate(replayed)

    assert isinstance(replayed, Customer)
    assert replayed.erased
