"""A supplier: whom a lot came from."""

from uuid import UUID

from eventsourcing.domain import Aggregate


class Supplier(Aggregate):
    class Registered(Aggregate.Created):
        name: str
        code: str

    def __init__(self, name: str, code: str) -> None:
        self.name = name
        self.code = code

    @classmethod
    def register(cls, supplier_id: UUID, name: str, code: str) -> "Supplier":
        return cls._create(cls.Registered, id=supplier_id, name=name, code=code)
