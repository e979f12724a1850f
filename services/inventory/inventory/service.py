"""The doors of inventory: what terminals and head office can call."""

from typing import Any

from inventory import contracts, policies, projections, views
from inventory.application import Inventory
from pomona.application import Command, Question
from pomona.doors import command, question
from pomona.host import Host


class InventoryService:
    name = "inventory"
    inventory: Inventory = Host(
        Inventory,
        contracts=contracts,
        react=policies.react,
        remember=projections.remember,
        schema=views.SCHEMA,
    )

    @command
    def register_supplier(self, c: Command) -> dict[str, Any]:
        return self.inventory.register_supplier(c)

    @command
    def receive_goods(self, c: Command) -> dict[str, Any]:
        return self.inventory.receive_goods(c)

    @command
    def record_shrinkage(self, c: Command) -> dict[str, Any]:
        return self.inventory.record_shrinkage(c)

    @command
    def set_reorder_point(self, c: Command) -> dict[str, Any]:
        return self.inventory.set_reorder_point(c)

    @command
    def send_transfer(self, c: Command) -> dict[str, Any]:
        return self.inventory.send_transfer(c)

    @command
    def receive_transfer(self, c: Command) -> dict[str, Any]:
        return self.inventory.receive_transfer(c)

    @question
    def stock_of(self, q: Question) -> dict[str, Any]:
        return self.inventory.stock_of(q)

    @question
    def list_stock(self, q: Question) -> dict[str, Any]:
        return self.inventory.list_stock(q)

    @question
    def get_lot(self, q: Question) -> dict[str, Any]:
        return self.inventory.get_lot(q)

    @question
    def list_suppliers(self, q: Question) -> dict[str, Any]:
        return self.inventory.list_suppliers(q)
