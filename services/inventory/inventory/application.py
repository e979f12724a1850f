"""What inventory can be asked to do: one method per use case - fetch, ask, commit."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from eventsourcing.domain import Aggregate

from inventory import views
from inventory.domain import errors
from inventory.domain.lot import Lot
from inventory.domain.stock import Stock
from inventory.domain.supplier import Supplier
from inventory.domain.transfer import Transfer
from pomona.application import Application, Command, Question
from pomona.errors import StoreMissing
from pomona.values import Unit


class Inventory(Application):
    name = "inventory"
    aggregates: ClassVar[Mapping[str, type[Aggregate]]] = {
        "Supplier": Supplier,
        "Lot": Lot,
        "Stock": Stock,
        "Transfer": Transfer,
    }
    snapshotting_intervals = {Stock: 20}  # noqa: RUF012 - the library's way to say it

    # -- commands

    def register_supplier(self, c: Command) -> dict[str, Any]:
        supplier_id, code = c.request["supplier_id"], c.request["code"]
        if self.get(Supplier, supplier_id) is not None:
            raise errors.SupplierAlreadyRegistered
        with self.reading() as cursor:
            if views.supplier_with_code(cursor, code):
                raise errors.SupplierCodeTaken(code=code)
        supplier = Supplier.register(supplier_id, c.request["name"], code)
        return self.commit(c, supplier, answer={"supplier_id": str(supplier_id)})

    def receive_goods(self, c: Command) -> dict[str, Any]:
        r = c.request
        store_id = self._store_of(c)
        unit = self._product(r["product_id"]).unit
        if self.get(Supplier, r["supplier_id"]) is None:
            raise errors.UnknownSupplier
        if self.get(Lot, r["lot_id"]) is not None:
            raise errors.LotAlreadyReceived
        lot = Lot.receive(
            r["lot_id"],
            store_id=store_id,
            product_id=r["product_id"],
            supplier_id=r["supplier_id"],
            unit=unit,
            quantity=r["quantity"],
            goods_cost_fen=r["goods_cost_fen"],
            freight_fen=r["freight_fen"],
            origin=r["origin"],
            harvest_date=r["harvest_date"],
            best_before=r["best_before"],
            received_at=c.at,
            business_date=r["business_date"],
        )
        stock = self.stock(store_id, r["product_id"], unit)
        stock.take_in(
            {
                "lot_id": str(lot.id),
                "quantity": r["quantity"],
                "supplier_id": str(lot.supplier_id),
                "best_before": lot.best_before,
                "received_at": lot.received_at,
            },
            r["business_date"],
        )
        answer = {"lot_id": str(lot.id), "stock_id": str(stock.id), "on_hand": stock.on_hand}
        return self.commit(c, lot, stock, answer=answer)

    def record_shrinkage(self, c: Command) -> dict[str, Any]:
        r = c.request
        with self.reading() as cursor:
            if views.shrinkage_recorded(cursor, r["shrinkage_id"]):
                raise errors.ShrinkageAlreadyRecorded
        stock = self.stock(self._store_of(c), r["product_id"], self._product(r["product_id"]).unit)
        parts = stock.shrink(
            r["shrinkage_id"], r["reason"], r["quantity"], r["lot_id"], r["business_date"]
        )
        answer = {"shrinkage_id": str(r["shrinkage_id"]), "lots": parts}
        return self.commit(c, stock, answer=answer)

    def set_reorder_point(self, c: Command) -> dict[str, Any]:
        r = c.request
        stock = self.stock(self._store_of(c), r["product_id"], self._product(r["product_id"]).unit)
        stock.set_reorder_point(r["reorder_point"], r["business_date"])
        return self.commit(c, stock, answer={"stock_id": str(stock.id), "low": stock.low})

    def send_transfer(self, c: Command) -> dict[str, Any]:
        r = c.request
        from_store_id, to_store_id = self._store_of(c), r["to_store_id"]
        self._know_store(to_store_id, "to_store_id")
        unit = self._product(r["product_id"]).unit
        if self.get(Transfer, r["transfer_id"]) is not None:
            raise errors.TransferAlreadySent
        here = self.stock(from_store_id, r["product_id"], unit)
        parts = here.send(
            r["transfer_id"], to_store_id, r["quantity"], r["lot_id"], r["business_date"]
        )
        there = self.stock(to_store_id, r["product_id"], unit)
        there.expect(r["transfer_id"], r["quantity"], r["business_date"])
        transfer = Transfer.send(
            r["transfer_id"],
            from_store_id=from_store_id,
            to_store_id=to_store_id,
            product_id=r["product_id"],
            parts=parts,
            business_date=r["business_date"],
        )
        answer = {"transfer_id": str(transfer.id), "lots": parts}
        return self.commit(c, transfer, here, there, answer=answer)

    def receive_transfer(self, c: Command) -> dict[str, Any]:
        transfer = self.get(Transfer, c.request["transfer_id"])
        if transfer is None:
            raise errors.UnknownTransfer
        on = c.request["business_date"]
        transfer.receive(c.store_id or transfer.to_store_id, on)
        stock = self.stock(
            transfer.to_store_id, transfer.product_id, self._product(transfer.product_id).unit
        )
        with self.reading() as cursor:
            lots = views.arriving(cursor, transfer.lots)
        stock.receive_transfer(transfer.id, transfer.from_store_id, lots, on)
        answer = {"transfer_id": str(transfer.id), "on_hand": stock.on_hand}
        return self.commit(c, transfer, stock, answer=answer)

    # -- questions

    def stock_of(self, q: Question) -> dict[str, Any]:
        store_id, product_id = self._store_of(q), q.request["product_id"]
        product = self._product(product_id)
        with self.reading() as cursor:
            found = views.stock_of(cursor, store_id, product_id)
        return found or views.nothing_of(store_id, product_id, product)

    def list_stock(self, q: Question) -> dict[str, Any]:
        store_id = self._store_of(q)
        with self.reading() as cursor:
            return {"stock": views.list_stock(cursor, store_id)}

    def get_lot(self, q: Question) -> dict[str, Any]:
        with self.reading() as cursor:
            lot = views.lot(cursor, q.request["lot_id"])
        if lot is None:
            raise errors.UnknownLot
        return lot

    def list_suppliers(self, _q: Question) -> dict[str, Any]:
        with self.reading() as cursor:
            return {"suppliers": views.suppliers(cursor)}

    # -- what use cases and policies fetch

    def stock(self, store_id: UUID, product_id: UUID, unit: Unit) -> Stock:
        """Return the stock of a product in a store, opened where there was none."""
        found = self.get(Stock, Stock.create_id(store_id, product_id))
        return found or Stock(store_id=store_id, product_id=product_id, unit=unit)

    def _store_of(self, call: Command | Question) -> UUID:
        if call.store_id is None:
            raise StoreMissing(problem="missing")
        self._know_store(call.store_id, "store_id")
        return call.store_id

    def _know_store(self, store_id: UUID, field: str) -> None:
        with self.reading() as cursor:
            if not views.store_exists(cursor, store_id):
                raise errors.UnknownStore(field)

    def _product(self, product_id: UUID) -> views.Product:
        with self.reading() as cursor:
            product = views.product(cursor, product_id)
        if product is None:
            raise errors.UnknownProduct
        return product
