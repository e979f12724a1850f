"""The doors of crm."""

from typing import Any, Final
from zoneinfo import ZoneInfo

from crm import contracts, policies, projections, upgrade, views
from crm.application import Crm
from crm.domain.phone import normalised_phone
from pomona.application import Command, Question
from pomona.doors import command, question
from pomona.host import Host

# Where it is "today" when a question names no day.
HOME: Final = ZoneInfo("Asia/Shanghai")


class CrmService:
    name = "crm"
    crm = Host(
        Crm,
        contracts=contracts,
        react=policies.react,
        remember=projections.remember,
        schema=views.SCHEMA + upgrade.SCHEMA,
        append_only=("customer_reads",),
    )

    @command
    def register_customer(self, c: Command) -> Any:
        return self.crm.register_customer(c)

    @command
    def correct_customer(self, c: Command) -> Any:
        return self.crm.correct_customer(c)

    @command
    def erase_customer(self, c: Command) -> Any:
        return self.crm.erase_customer(c)

    @question
    def get_customer(self, q: Question) -> Any:
        customer_id = q.request["customer_id"]
        with self.crm.reading() as cursor:
            views.note_reading(cursor, q, "get_customer", customer_id)
            return views.customer(cursor, self.crm.people, customer_id)

    @question
    def find_customer(self, q: Question) -> Any:
        phone = normalised_phone(q.request["phone"])
        with self.crm.reading() as cursor:
            customer_id = views.customer_with(cursor, self.crm.digest_of(phone))
            views.note_reading(cursor, q, "find_customer", customer_id)
            return views.customer_by_phone(cursor, self.crm.people, customer_id, phone)

    @question
    def readings_of(self, q: Question) -> Any:
        with self.crm.reading() as cursor:
            found = views.readings_of(cursor, q.request["customer_id"], q.request["limit"])
        return {"readings": found}

    @question
    def points_of(self, q: Question) -> Any:
        as_of = q.request.get("as_of", q.at.astimezone(HOME).date())
        with self.crm.reading() as cursor:
            return views.points(cursor, q.request["customer_id"], as_of)
