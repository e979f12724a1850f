"""Refusals: what a service says no with, in words a shop can act on."""

from typing import Any, ClassVar


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """A business rule or a door said no.

    Subclasses set `code`, and `zh` and `en` as `str.format` templates that name the problem and
    the remedy; the facts given when raising fill the templates. `field` names the part of the
    request that is wrong, where one is.
    """

    code: ClassVar[str] = "refused"
    zh: ClassVar[str] = "操作被拒绝。"
    en: ClassVar[str] = "The request was refused."
    field: str | None = None

    def __init__(self, field: str | None = None, **facts: Any) -> None:
        super().__init__(self.code)
        if field is not None:
            self.field = field
        self.facts = facts

    def sentence(self, locale: str = "en") -> str:
        template = self.zh if locale.lower().startswith("zh") else self.en
        return template.format(field=self.field, **self.facts)

    def __str__(self) -> str:
        return self.sentence()


class InvalidRequest(Refusal):
    """A field of the request is wrong. The fact `problem` is `zh|en`, or one text for both."""

    code = "invalid_request"
    zh = "字段 {field} 不正确：{problem}"
    en = "Field {field} is wrong: {problem}"

    def sentence(self, locale: str = "en") -> str:
        zh, _, en = str(self.facts.get("problem", "")).partition("|")
        chinese = locale.lower().startswith("zh")
        template = self.zh if chinese else self.en
        return template.format(field=self.field, problem=zh if chinese or not en else en)


class Unauthenticated(Refusal):
    code = "unauthenticated"
    zh = "没有有效的身份凭证。请重新登录后再试。"
    en = "There is no valid identity with this call. Sign in and try again."


class Forbidden(Refusal):
    code = "forbidden"
    zh = "该身份无权执行此操作。请由有权限的人员操作。"
    en = "This identity may not do this. Ask somebody whose role allows it."


class ForeignStore(Forbidden):
    code = "forbidden"
    field = "store_id"
    zh = "不能操作其他门店的数据。请使用本门店的终端，或去掉 store_id。"
    en = (
        "Another store's data is out of reach. Use a terminal of that store, or leave store_id out."
    )


class StoreMissing(InvalidRequest):
    field = "store_id"
    zh = "缺少 store_id。请写明是哪家门店。"
    en = "store_id is missing. Say which store is meant."


class Expired(Refusal):
    code = "expired"
    field = "expires_at"
    zh = "该命令已过有效期，没有执行。请核对后重新发出。"
    en = "The command came after its expiry and was not carried out. Check and send it anew."


class CommandIdReused(Refusal):
    code = "command_id_reused"
    field = "command_id"
    zh = "该 command_id 已用于另一条命令。请使用新的编号。"
    en = "This command_id already belongs to another command. Use a new one."


class Conflict(Refusal):
    code = "conflict"
    zh = "其他人正在修改同一对象。请稍后用同一 command_id 重试。"
    en = "Others are changing the same thing. Try again with the same command_id."


class Unavailable(Refusal):
    code = "unavailable"
    zh = "服务暂时不可用。请稍后用同一 command_id 重试。"
    en = "The service is not available now. Try again later with the same command_id."


class TookTooLong(Unavailable):
    zh = "未能在时限内完成，结果未知。请用同一 command_id 重试。"
    en = "This was not done within its time, or nobody knows. Try again with the same command_id."


class TooManyRequests(Refusal):
    code = "too_many_requests"
    zh = "这台终端的请求过于频繁，本次没有执行。请稍候再试。"
    en = "This terminal calls too often; the call was not carried out. Wait a moment and try again."


class NotFound(Refusal):
    code = "not_found"
    zh = "找不到该记录。请核对编号。"
    en = "There is no such record. Check the id."


class UnknownMethod(Refusal):
    code = "unknown_method"
    zh = "没有名为 {method} 的方法。请查看方法列表。"
    en = "There is no method {method}. Look at the list of methods."


class Internal(Refusal):
    code = "internal"
    zh = "服务内部错误，已记录。请把关联编号告诉管理员。"
    en = "The service failed; this has been recorded. Give the correlation id to the operators."


class SourceForgot(Exception):  # noqa: N818 - what has happened
    """The source has no event at the position we have applied: it was restored to an earlier time.

    What it lost has had its effect here. Going on would be a decision, and is the operator's.
    """


class NotYet(Exception):  # noqa: N818 - the fact is early, nothing is wrong
    """A fact of one context arrived before the fact of another that it builds on."""


class Refused(Exception):  # noqa: N818 - the caller's side of a refusal
    """A service refused a call. Carries what the wire carried."""

    def __init__(
        self, code: str, message: str, field: str | None = None, correlation_id: str = ""
    ) -> None:
        super().__init__(f"{code}: {message}" + (f" [{field}]" if field else ""))
        self.code = code
        self.message = message
        self.field = field
        self.correlation_id = correlation_id
