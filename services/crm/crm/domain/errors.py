"""Everything crm says no with. No sentence repeats what a person told us."""

from pomona.errors import Refusal


class CustomerError(Refusal):
    """A customer's record cannot be made, changed or shown as asked."""


class CustomerUnknown(CustomerError):
    code = "not_found"
    field = "customer_id"
    zh = "找不到该顾客。请核对编号，或先登记。"
    en = "There is no such customer. Check the id, or register the customer first."


class NobodyHasThisPhone(CustomerError):
    code = "not_found"
    field = "phone"
    zh = "没有登记该手机号的顾客。请核对号码，或先登记。"
    en = "No customer has this phone number. Check it, or register the customer first."


class CustomerExists(CustomerError):
    code = "customer_exists"
    field = "customer_id"
    zh = "该顾客编号已被使用。请用新的编号登记。"
    en = "This customer id is taken. Register under a new id."


class PhoneTaken(CustomerError):
    code = "phone_taken"
    field = "phone"
    zh = "该手机号已登记在另一位顾客名下。请先按手机号查找。"
    en = "Another customer is registered with this phone number. Find the customer by phone first."


class NotAPhone(CustomerError):
    code = "not_a_phone"
    field = "phone"
    zh = "手机号格式不正确。请填写 11 位手机号，或带国家代码的号码（以 + 开头）。"
    en = (
        "This is not a phone number. Give 11 digits of a Chinese mobile, "
        "or a number with its country code that begins with +."
    )


class WasErased(CustomerError):
    code = "customer_erased"
    field = "customer_id"
    zh = "该顾客的资料已应要求删除，不能再修改。请用新的编号重新登记。"
    en = "This customer was erased on request and cannot be changed. Register under a new id."


class NothingToCorrect(CustomerError):
    code = "nothing_to_correct"
    zh = "没有要更正的内容。请至少填写一项。"
    en = "There is nothing to correct. Give at least one field."
