"""A transfer tries every command in every state."""

from datetime import date
from uuid import UUID

import pytest

from inventory.domain.errors import TransferAlreadyReceived, TransferForAnotherStore
from inventory.domain.transfer import Transfer

TODAY = date(2026, 11, 21)
HERE, THERE, PRODUCT, LOT = (UUID(int=n) for n in (1, 2, 3, 4))


@pytest.fixture
def transfer() -> Transfer:
    return Transfer.send(
        UUID(int=9),
        from_store_id=HERE,
        to_store_id=THERE,
        product_id=PRODUCT,
        parts=[{"lot_id": str(LOT), "quantity": 500, "on_hand": 0}],
        business_date=TODAY,
    )


def test_a_transfer_carries_its_lots_until_it_is_received(transfer: Transfer) -> None:
    assert transfer.state == "sent"
    assert transfer.lots == {str(LOT): 500}

    transfer.receive(THERE, TODAY)

    assert transfer.state == "received"


def test_a_transfer_is_received_only_once(transfer: Transfer) -> None:
    transfer.receive(THERE, TODAY)

    with pytest.raises(TransferAlreadyReceived):
        transfer.receive(THERE, TODAY)


def test_a_transfer_is_received_only_where_it_was_sent_to(transfer: Transfer) -> None:
    with pytest.raises(TransferForAnotherStore):
        transfer.receive(HERE, TODAY)

    assert transfer.state == "sent"
