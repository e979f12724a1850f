"""Everything after-sales says no with."""

from pomona.errors import Refusal


class ClaimError(Refusal):
    """A claim cannot take the step that was asked for."""


class OrderUnknown(ClaimError):
    code = "not_found"
    field = "order_id"
    zh = "售后还没有这张订单。请核对订单号；刚付款的订单请几秒后重试。"
    en = (
        "After-sales does not know this order. Check the number; "
        "if it was paid just now, try again in a few seconds."
    )


class LineUnknown(ClaimError):
    code = "not_found"
    field = "line_no"
    zh = "订单没有第 {line_no} 行。请对照小票核对行号。"
    en = "The order has no line {line_no}. Check the line number on the receipt."


class OrderWasCancelled(ClaimError):
    code = "order_cancelled"
    field = "order_id"
    zh = "订单已取消，货款已退，不能再申请售后。请核对订单号。"
    en = (
        "The order was cancelled and its money given back; nothing can be claimed on it. "
        "Check the number."
    )


class ClaimUnknown(ClaimError):
    code = "not_found"
    field = "claim_id"
    zh = "找不到该售后单。请核对编号。"
    en = "There is no such claim. Check the number."


class ClaimExists(ClaimError):
    code = "claim_exists"
    field = "claim_id"
    zh = "该售后单编号已被使用。请用新的编号重新提交。"
    en = "This claim id is taken. Open the claim under a new id."


class MoreThanBought(ClaimError):
    code = "more_than_bought"
    field = "bad_quantity"
    zh = "该行只购买了 {bought}。请核对问题数量。"
    en = "Only {bought} were bought on that line. Check the quantity that was bad."


class MoreThanLeft(ClaimError):
    code = "over_refund_cap"
    field = "amount_fen"
    zh = "该行最多还可退 {left_fen} 分。请降低退款金额，或拒绝该售后单。"
    en = "At most {left_fen} fen can still be refunded here. Lower the amount or refuse the claim."


class MoreThanApproved(ClaimError):
    code = "more_than_approved"
    field = "quantity"
    zh = "该售后单只批准了 {approved}。请核对收回的数量。"
    en = "The claim was approved for {approved} only. Check the quantity that came back."


class BackBeforeSold(ClaimError):
    code = "before_the_sale"
    field = "business_date"
    zh = "收回日期早于销售日 {sold_on}。请核对营业日。"
    en = "That day lies before the day of the sale, {sold_on}. Check the business date."


class OtherStore(ClaimError):
    code = "forbidden"
    field = "claim_id"
    zh = "该售后单属于另一家门店。请由该门店或总部处理。"
    en = "The claim belongs to another store. Let that store or head office handle it."


class WrongState(ClaimError):
    code = "wrong_state"
    field = "claim_id"
    zh = "售后单当前为 {state}，不能执行 {command}。请先查看售后单。"
    en = "The claim is {state} and cannot take {command}. Look at the claim first."
