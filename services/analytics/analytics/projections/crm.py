"""What the customers' events add: the points that a sale earned, and those taken back."""

from analytics import tables
from analytics.contracts.crm import PointsEarned, PointsReversed
from analytics.projections.harvest import Harvest, gather


@gather.register
def add_the_points(fact: PointsEarned, harvest: Harvest) -> None:
    harvest.put(tables.POINTS, (fact.order_id, fact.customer_id), sums=(fact.points, 0))


@gather.register
def take_the_points_back(fact: PointsReversed, harvest: Harvest) -> None:
    harvest.put(tables.POINTS, (fact.order_id, fact.customer_id), sums=(0, fact.points))
