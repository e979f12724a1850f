"""Every way in which the shop floor says no."""

from pomona.errors import NotFound, Refusal


class OrdersError(Refusal):
    code = "orders_refused"


class UnknownStore(NotFound):
    code = "unknown_store"
    field = "store_id"
    zh = "没有这家门店。请先由总部开店，或核对 store_id。"
    en = "There is no such store. Have head office open it, or check store_id."


class UnknownTerminal(NotFound):
    code = "unknown_terminal"
    field = "terminal_id"
    zh = "该终端没有在本店登记。请由总部登记终端。"
    en = "This terminal is not registered with the store. Have head office register it."


class UnknownProduct(NotFound):
    code = "unknown_product"
    zh = "没有这个商品：{product_id}。请先在目录中登记。"
    en = "There is no product {product_id}. List it in the catalogue first."


class NoPrice(OrdersError):
    code = "no_price"
    zh = "商品 {name} 在本店没有价格。请先定价。"
    en = "{name} has no price in this store. Set one first."


class PriceChanged(OrdersError):
    code = "price_changed"
    zh = "商品 {name} 的价格现为 {price_fen} 分。请刷新价格后重新结账。"
    en = "{name} now costs {price_fen} fen. Refresh the prices and ring it up again."


class UnknownShift(NotFound):
    code = "unknown_shift"
    field = "shift_id"
    zh = "没有这个班次。请先开班。"
    en = "There is no such shift. Open one first."


class ShiftClosed(OrdersError):
    code = "shift_closed"
    field = "shift_id"
    zh = "该班次已结班。请开新班次后重试。"
    en = "This shift is closed. Open a new one and try again."


class ShiftOfAnotherTill(OrdersError):
    code = "shift_of_another_till"
    field = "shift_id"
    zh = "该班次不属于本终端。请使用本终端的班次。"
    en = "This shift belongs to another till. Use the shift of this one."


class ShiftStillOpen(OrdersError):
    code = "shift_still_open"
    field = "shift_id"
    zh = "本终端还有未结的班次。请先结班。"
    en = "This till still has an open shift. Close that one first."


class ClockAhead(OrdersError):
    code = "clock_ahead"
    field = "terminal_time"
    zh = "终端时钟快于服务器。请校准终端时间后重试。"
    en = "The terminal's clock is ahead of the server's. Set it right and try again."


class TendersDoNotCover(OrdersError):
    code = "tenders_do_not_cover"
    field = "tenders"
    zh = "应付 {due_fen} 分，实付 {paid_fen} 分。请补足差额。"
    en = "{due_fen} fen are due and {paid_fen} fen were tendered. Take the rest."


class ChangeWithoutCash(OrdersError):
    code = "change_without_cash"
    field = "tenders"
    zh = "只能从现金中找零。请把刷卡金额改为不超过应付金额。"
    en = "Change comes from cash only. Charge no more than is due to the card."


class RoundingWithoutCash(OrdersError):
    code = "rounding_without_cash"
    field = "rounding_fen"
    zh = "抹零只用于现金付款，且不得超过应付金额。请去掉抹零。"
    en = "Rounding is for cash only and never more than the total. Leave it out."


class UnknownOrder(NotFound):
    code = "unknown_order"
    field = "order_id"
    zh = "没有这张订单。请核对订单号。"
    en = "There is no such order. Check its id."


class OrderNotCancellable(OrdersError):
    code = "order_not_cancellable"
    field = "order_id"
    zh = "该订单已取消、已退款或不在本班次内，不能取消。请改走售后。"
    en = "This order was cancelled, refunded or rung up in another shift. Open a claim instead."


class RefundOverPaid(OrdersError):
    code = "refund_over_paid"
    field = "amount_fen"
    zh = "该行最多还可退 {left_fen} 分。请核对金额。"
    en = "At most {left_fen} fen of this line are left to refund. Check the amount."


class UnknownRefund(NotFound):
    code = "unknown_refund"
    field = "refund_id"
    zh = "没有这笔待退款。请核对编号，或稍后再试。"
    en = "No such refund is due. Check the id, or try again in a moment."


class RefundAlreadyPaid(OrdersError):
    code = "refund_already_paid"
    field = "refund_id"
    zh = "这笔退款已经支付。"
    en = "This refund has been paid already."


class AlreadyExists(OrdersError):
    code = "already_exists"
    zh = "该编号已被使用。请换一个新编号。"
    en = "This id is taken. Use a new one."
