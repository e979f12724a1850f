"""Every no that inventory can say, with the field that is wrong and the way out."""

from pomona.errors import NotFound, Refusal


class InventoryError(Refusal):
    """A rule of the store room said no."""


class UnknownStore(InventoryError, NotFound):
    code = "unknown_store"
    field = "store_id"
    zh = "没有这家门店。请核对 {field}，或先由总部开店。"
    en = "There is no such store. Check {field}, or have head office open the store first."


class UnknownProduct(InventoryError, NotFound):
    code = "unknown_product"
    field = "product_id"
    zh = "没有这个商品。请核对 {field}，或先由总部上架该商品。"
    en = "There is no such product. Check {field}, or have head office list it first."


class UnknownSupplier(InventoryError, NotFound):
    code = "unknown_supplier"
    field = "supplier_id"
    zh = "没有这个供应商。请核对 {field}，或先登记供应商。"
    en = "There is no such supplier. Check {field}, or register the supplier first."


class UnknownLot(InventoryError, NotFound):
    code = "unknown_lot"
    field = "lot_id"
    zh = "没有这个批次。请核对 {field}。"
    en = "There is no such lot. Check {field}."


class UnknownTransfer(InventoryError, NotFound):
    code = "unknown_transfer"
    field = "transfer_id"
    zh = "没有这张调拨单。请核对 {field}。"
    en = "There is no such transfer. Check {field}."


class SupplierAlreadyRegistered(InventoryError):
    code = "already_exists"
    field = "supplier_id"
    zh = "该供应商编号已登记。新供应商请使用新的编号。"
    en = "This supplier id is registered already. Use a new id for a new supplier."


class SupplierCodeTaken(InventoryError):
    code = "supplier_code_taken"
    field = "code"
    zh = "代码 {code} 已属于另一家供应商。请换一个代码。"
    en = "Code {code} belongs to another supplier. Choose another code."


class LotAlreadyReceived(InventoryError):
    code = "already_exists"
    field = "lot_id"
    zh = "该批次已收货。新到的货请使用新的批次编号。"
    en = "This lot has been received already. Use a new lot id for goods that arrive anew."


class HarvestedAfterReceipt(InventoryError):
    code = "harvested_after_receipt"
    field = "harvest_date"
    zh = "采收日期 {harvest_date} 晚于收货日 {business_date}。请核对日期。"
    en = "Harvest date {harvest_date} is after the day of receipt {business_date}. Check the dates."


class ExpiredOnReceipt(InventoryError):
    code = "expired_on_receipt"
    field = "best_before"
    zh = "收货日 {business_date} 已过最佳食用日 {best_before}。请核对日期或拒收。"
    en = (
        "Best-before {best_before} has passed on the day of receipt {business_date}. "
        "Check the date or refuse the goods."
    )


class LotNotInStore(InventoryError):
    code = "lot_not_in_store"
    field = "lot_id"
    zh = "本门店没有该商品的这个批次。请核对批次编号，或不填以按先到期先出扣减。"
    en = (
        "This store holds nothing of this product from that lot. Check the lot id, or leave it "
        "out to take what expires first."
    )


class NotEnoughInLot(InventoryError):
    code = "not_enough_in_lot"
    field = "quantity"
    zh = "该批次只剩 {left}（克或件）。请核对数量。"
    en = "Only {left} (grams or pieces) are left in the lot. Check the quantity."


class NotEnoughInStore(InventoryError):
    code = "not_enough_in_store"
    field = "quantity"
    zh = "本门店可用的只有 {left}（克或件）。请核对数量，或先补录收货。"
    en = (
        "The store has only {left} (grams or pieces) for this. Check the quantity, or record the "
        "missing receipt first."
    )


class LotPastBestBefore(InventoryError):
    code = "lot_past_best_before"
    field = "lot_id"
    zh = "该批次已过最佳食用日，不能调拨。请登记为损耗。"
    en = "The lot is past its best-before date and may not be moved. Record it as shrinkage."


class ShrinkageAlreadyRecorded(InventoryError):
    code = "already_exists"
    field = "shrinkage_id"
    zh = "该损耗单已登记。新的损耗请使用新的编号。"
    en = "This shrinkage has been recorded already. Use a new id for another loss."


class SameStore(InventoryError):
    code = "same_store"
    field = "to_store_id"
    zh = "调出与调入是同一家门店。请选择另一家门店。"
    en = "The goods would go to the store they come from. Choose another store."


class TransferAlreadySent(InventoryError):
    code = "already_exists"
    field = "transfer_id"
    zh = "该调拨单已发出。新的调拨请使用新的编号。"
    en = "This transfer has been sent already. Use a new id for another transfer."


class TransferAlreadyReceived(InventoryError):
    code = "transfer_already_received"
    field = "transfer_id"
    zh = "该调拨单已收货。如有短少，请登记途中损耗。"
    en = "This transfer has been received already. Record what is missing as lost in transit."


class TransferForAnotherStore(InventoryError):
    code = "transfer_for_another_store"
    field = "transfer_id"
    zh = "该调拨单发往另一家门店。请由收货门店操作。"
    en = "This transfer goes to another store. Have that store receive it."
