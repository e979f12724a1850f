"""What the chain sells, and at which price in each store."""

from uuid import UUID

from eventsourcing.domain import Aggregate, event

from pomona.values import Unit, stable_id


class Product(Aggregate):
    """Something sold by weight or by piece."""

    class Listed(Aggregate.Created):
        code: str
        label: str
        category: str
        unit: Unit

    @event(Listed)
    def __init__(self, id: UUID, code: str, label: str, category: str, unit: Unit) -> None:
        self._id = id
        self.code = code
        self.label = label
        self.category = category
        self.unit = unit


class PriceList(Aggregate):
    """The prices of one store: fen per kilogram, or per piece."""

    class Started(Aggregate.Created):
        store_id: UUID

    class PricesSet(Aggregate.Event):
        store_id: UUID
        prices: list[dict[str, UUID | int]]

    @event(Started)
    def __init__(self, store_id: UUID) -> None:
        self.store_id = store_id
        self.version_no = 0

    @staticmethod
    def create_id(store_id: UUID) -> UUID:
        return stable_id("price_list", str(store_id))

    def set(self, prices: list[dict[str, UUID | int]]) -> None:
        """Set the price of some products; the others keep theirs."""
        self._prices_set(self.store_id, prices)

    @event(PricesSet)
    def _prices_set(self, store_id: UUID, prices: list[dict[str, UUID | int]]) -> None:
        # the prices themselves are read from the view: the list only numbers its versions
        del store_id, prices
        self.version_no += 1
