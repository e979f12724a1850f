"""What identity can be asked. It tells others nothing but its trust, and reads nothing of them."""

import re
from typing import Final

from marshmallow import ValidationError, validates_schema
from marshmallow.validate import Regexp

from pomona.contracts import PERSON_ROLES, Published, Request
from pomona.fields import Choice, Id, RequestSchema, Text

PUBLISHED: tuple[Published, ...] = ()

# A staff number can be no name of a service, nor anything that a log or a header would misread.
STAFF_NO: Final = Regexp(
    re.compile(r"[a-z0-9][a-z0-9._-]{0,39}"),
    error="需要小写字母、数字、. _ -，最多 40 个。|Use up to 40 of a-z, 0-9, . _ and -.",
)
SHA256: Final = Regexp(
    re.compile(r"[0-9a-f]{64}"), error="需要 SHA-256 的十六进制。|Give a SHA-256 in hex."
)
# RabbitMQ's salted SHA-256: four bytes of salt and 32 of digest, in base64.
PASSWORD_HASH: Final = Regexp(
    re.compile(r"[A-Za-z0-9+/]{48}"),
    error="需要 RabbitMQ 的密码哈希。|Give a password hash of RabbitMQ.",
)
LONGEST_TOKEN: Final = 2000


class IssueCode(RequestSchema):
    terminal_id = Id(required=True)
    store_id = Id()
    code_hash = Text(required=True, max=64, validate=SHA256)


class EnrolTerminal(RequestSchema):
    code = Text(required=True, max=40)
    password_hash = Text(required=True, max=48, validate=PASSWORD_HASH)


class OneTerminal(RequestSchema):
    terminal_id = Id(required=True)


class OneMember(RequestSchema):
    staff_no = Text(required=True, validate=STAFF_NO)


class Placement(OneMember):
    works_as = Choice(PERSON_ROLES, required=True)
    store_id = Id()


class OneSecret(OneMember):
    pin = Text()
    password = Text(max=200)

    @validates_schema
    def one_of_both(self, values: dict[str, object], **_: object) -> None:
        if ("pin" in values) == ("password" in values):
            raise ValidationError(
                "pin 和 password 必须且只能填一个。|Give either pin or password.", "pin"
            )


class OneSession(RequestSchema):
    session_token = Text(required=True, max=LONGEST_TOKEN)


class Nothing(RequestSchema):
    pass


class OfStore(RequestSchema):
    store_id = Id()


REQUESTS = (
    Request(
        method="issue_code",
        schema=IssueCode,
        roles=("head_office",),
        summary="Announce a terminal, or replace its code: whoever has the code may enrol it once.",
        kind="command",
    ),
    Request(
        method="enrol_terminal",
        schema=EnrolTerminal,
        roles=("enrolment",),
        summary="Make the terminal that has the code one of ours, with the password it chose.",
        kind="command",
    ),
    Request(
        method="revoke_terminal",
        schema=OneTerminal,
        roles=("head_office",),
        summary="Shut out a lost or retired terminal, and everybody who is logged in there.",
        kind="command",
    ),
    Request(
        method="hire",
        schema=Placement,
        roles=("head_office",),
        summary="Make somebody known by a staff number, with a role and, at a store, its id.",
        kind="command",
    ),
    Request(
        method="set_credential",
        schema=OneSecret,
        roles=("head_office",),
        summary="Give somebody a new PIN or password.",
        kind="command",
        secrets=("pin", "password"),
    ),
    Request(
        method="move",
        schema=Placement,
        roles=("head_office",),
        summary="Give somebody another role or store.",
        kind="command",
    ),
    Request(
        method="leave",
        schema=OneMember,
        roles=("head_office",),
        summary="Let somebody in no more who has left.",
        kind="command",
    ),
    Request(
        method="log_in",
        schema=OneSecret,
        roles=("terminal",),
        summary="Open a session at this terminal and give its first token.",
        kind="question",
        secrets=("pin", "password"),
    ),
    Request(
        method="renew",
        schema=OneSession,
        roles=("terminal",),
        summary="A fresh token for an open session, also for one that expired within a week.",
        kind="question",
    ),
    Request(
        method="log_out",
        schema=OneSession,
        roles=("terminal",),
        summary="End a session: its tokens are refused everywhere within a minute.",
        kind="command",
    ),
    Request(
        method="trust",
        schema=Nothing,
        roles=("service",),
        summary="The public keys that vouch for people now, and what was revoked of late.",
        kind="question",
    ),
    Request(
        method="list_terminals",
        schema=OfStore,
        roles=("head_office",),
        summary="Terminals with their store and state.",
        kind="question",
    ),
    Request(
        method="list_people",
        schema=OfStore,
        roles=("head_office",),
        summary="People with their role, store and state; never their secrets.",
        kind="question",
    ),
)
