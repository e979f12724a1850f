"""Everything identity says no with. No sentence helps anybody to guess."""

from pomona.errors import Refusal


class IdentityError(Refusal):
    """A terminal or person cannot be made known, changed or let in as asked."""


class TerminalUnknown(IdentityError):
    code = "not_found"
    field = "terminal_id"
    zh = "找不到该终端。请核对编号，或由总部先发放登记码。"
    en = "There is no such terminal. Check the id, or have head office issue a code for it first."


class AlreadyEnrolled(IdentityError):
    code = "already_enrolled"
    field = "terminal_id"
    zh = "该终端已经登记。如需重新登记，请先吊销它，再用新的终端编号申请登记码。"
    en = "This terminal is enrolled already. Revoke it, then issue a code for a new terminal id."


class TerminalRevoked(IdentityError):
    code = "terminal_revoked"
    field = "terminal_id"
    zh = "该终端已被吊销。请用新的终端编号申请登记码。"
    en = "This terminal was revoked. Issue a code for a new terminal id."


class CodeNotValid(IdentityError):
    """Wrong, used, replaced and expired codes are refused alike."""

    code = "code_not_valid"
    field = "code"
    zh = "登记码无效：可能输错、已用过或已过期。请核对，或向总部申请新的登记码。"
    en = (
        "This code is not valid: mistyped, used or expired. Check it, or ask head office for a new"
        " one."
    )


class PersonUnknown(IdentityError):
    code = "not_found"
    field = "staff_no"
    zh = "没有该工号的在职人员。请核对工号。"
    en = "Nobody who works here has this staff number. Check it."


class StaffNoTaken(IdentityError):
    code = "staff_no_taken"
    field = "staff_no"
    zh = "该工号已经用过，工号永不重复使用。请换一个工号。"
    en = "This staff number has been given out, and none is given twice. Choose another."


class StoreDoesNotFit(IdentityError):
    code = "store_does_not_fit"
    field = "store_id"
    zh = "收银员和店长必须属于一家门店，其他角色不属于门店。请补上或去掉 store_id。"
    en = (
        "Cashiers and store managers belong to one store and others to none."
        " Give store_id or leave it out."
    )


class WeakPin(IdentityError):
    code = "weak_secret"
    field = "pin"
    zh = "PIN 必须是 6 位数字，且不能是重复、连续或日期类的简单组合。请换一个。"
    en = "A PIN has 6 digits that do not repeat, count up or down, or spell a date. Choose another."


class WeakPassword(IdentityError):
    code = "weak_secret"
    field = "password"
    zh = "密码至少 12 个字符，至少用到 5 个不同字符，且不能包含工号。请换一个。"
    en = (
        "A password has at least 12 characters, 5 of them different, and not the staff number in"
        " it. Choose another."
    )


class WrongKindOfSecret(IdentityError):
    code = "wrong_kind_of_secret"
    field = "pin"
    zh = "收银员和店长用 PIN，总部和分析人员用密码。请改用对应的一种。"
    en = (
        "Cashiers and store managers have a PIN, head office and analysts a password."
        " Give the one that fits."
    )


class NotLetIn(IdentityError):
    """An unknown person, a wrong secret and the wrong store are refused alike."""

    code = "not_let_in"
    zh = "工号或密码不正确，或不属于本终端。请核对后重试。"
    en = "The staff number or its secret is wrong, or not for this terminal. Check and try again."


class TooManyAttempts(IdentityError):
    code = "too_many_attempts"
    zh = "失败次数过多。请在 {seconds} 秒后重试。"
    en = "There were too many failures. Try again in {seconds} seconds."


class SessionOver(IdentityError):
    code = "session_over"
    zh = "登录已失效。请重新登录。"
    en = "This session is over. Log in again."
