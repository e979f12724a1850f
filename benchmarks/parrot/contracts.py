"""What the parrot can be asked."""

from pomona.contracts import Consumed, Published, Request
from pomona.fields import RequestSchema, Text

PUBLISHED: tuple[Published, ...] = ()
CONSUMED: tuple[Consumed, ...] = ()


class Said(RequestSchema):
    words = Text(required=True)


REQUESTS = (
    Request(
        method="echo",
        schema=Said,
        roles=("head_office",),
        summary="The same words again.",
        kind="question",
    ),
)
