"""What analytics reads of the customers' accounts: the points of a sale."""

from dataclasses import dataclass
from uuid import UUID

from pomona.contracts import Consumed
from pomona.fields import FactSchema, Id, Whole


@dataclass(frozen=True)
class Points:
    customer_id: UUID
    order_id: UUID
    points: int


class PointsEarned(Points):
    pass


class PointsReversed(Points):
    pass


class PointsSchema(FactSchema):
    customer_id = Id(required=True)
    order_id = Id(required=True)
    points = Whole(required=True)


CONSUMED = (
    Consumed("pomona.crm.points_earned.v1", PointsSchema, PointsEarned),
    Consumed("pomona.crm.points_reversed.v1", PointsSchema, PointsReversed),
)
