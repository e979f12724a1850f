"""What every service can be asked, besides what its own contracts say."""

from pomona.contracts import Request
from pomona.fields import RequestSchema, Whole

LONGEST_PAGE = 1000


class EventsAfter(RequestSchema):
    position = Whole(required=True, max=2**62)
    limit = Whole(load_default=100, max=LONGEST_PAGE)


class Positions(RequestSchema):
    pass


EVENTS_AFTER = Request(
    method="events_after",
    schema=EventsAfter,
    roles=("head_office", "service"),
    summary="Published events after a position, and how many there are.",
    kind="question",
)
POSITIONS = Request(
    method="positions",
    schema=Positions,
    roles=("cashier", "store_manager", "head_office", "analyst", "service"),
    summary="How far this service's log and its inboxes are.",
    kind="question",
)


def asked_everywhere(*, publishes: bool) -> tuple[Request, ...]:
    """Return the questions that the chassis answers for a service."""
    return (POSITIONS, EVENTS_AFTER) if publishes else (POSITIONS,)
