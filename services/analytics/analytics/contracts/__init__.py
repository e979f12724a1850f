"""What analytics reads of the four other contexts, and what it can be asked; it tells nothing."""

from analytics.contracts import aftersales, crm, inventory, orders
from analytics.contracts.requests import REQUESTS
from pomona.contracts import Consumed, Published

PUBLISHED: tuple[Published, ...] = ()
CONSUMED: tuple[Consumed, ...] = (
    *orders.CONSUMED,
    *inventory.CONSUMED,
    *aftersales.CONSUMED,
    *crm.CONSUMED,
)

__all__ = ["CONSUMED", "PUBLISHED", "REQUESTS"]
