"""Two contexts agree on when a sale is over, without knowing each other."""

from aftersales.domain.terms import CLAIM_WINDOW
from crm.domain.loyalty import PENDING_FOR


def test_points_do_not_count_while_their_sale_can_still_be_claimed_on() -> None:
    assert PENDING_FOR > CLAIM_WINDOW
