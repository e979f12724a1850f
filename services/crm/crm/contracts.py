"""What crm tells others, what it reads of them, and what it can be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, post_load

from crm.domain.customer import Customer
from crm.domain.loyalty import LoyaltyAccount
from pomona.contracts import Consumed, Published, Request
from pomona.fields import (
    Choice,
    Count,
    Day,
    EventSchema,
    FactSchema,
    Fen,
    Id,
    List,
    Moment,
    Nested,
    RequestSchema,
    Text,
    Whole,
)

EARLIEST_BIRTH_YEAR = 1900


# --- what we tell: ids, days and points, never anything about a person ---------------------------


class CustomerRegisteredV1(EventSchema):
    customer_id = Id(required=True)
    registered_at = Moment(required=True)
    store_id = Id(required=True, allow_none=True)


class CustomerErasedV1(EventSchema):
    customer_id = Id(required=True)
    erased_at = Moment(required=True)


class PointsEarnedV1(EventSchema):
    customer_id = Id(required=True)
    order_id = Id(required=True)
    points = Whole(required=True)
    available_on = Day(required=True)
    business_date = Day(required=True)


class PointsReversedV1(EventSchema):
    customer_id = Id(required=True)
    order_id = Id(required=True)
    points = Whole(required=True)
    reason = Choice(("refund_paid", "order_cancelled"), required=True)


def step_of_a_customer(happened: Any) -> Mapping[str, Any]:
    """Give the schema everything the event holds; the schema takes what it names."""
    return {**vars(happened), "customer_id": happened.originator_id}


PUBLISHED = (
    Published(
        name="customer_registered",
        version=1,
        event=Customer.Registered,
        schema=CustomerRegisteredV1,
        subject="customer_id",
        summary="Somebody became a customer.",
        data=step_of_a_customer,
    ),
    Published(
        name="customer_erased",
        version=1,
        event=Customer.Erased,
        schema=CustomerErasedV1,
        subject="customer_id",
        summary="A customer asked to be forgotten, and was.",
        data=step_of_a_customer,
    ),
    Published(
        name="points_earned",
        version=1,
        event=LoyaltyAccount.Earned,
        schema=PointsEarnedV1,
        subject="customer_id",
        summary="A paid order earned points, pending until it can no longer be claimed on.",
        data=vars,
    ),
    Published(
        name="points_reversed",
        version=1,
        event=LoyaltyAccount.Reversed,
        schema=PointsReversedV1,
        subject="customer_id",
        summary="Points went back, because their order was refunded in part or cancelled.",
        data=vars,
    ),
)


# --- what we read -------------------------------------------------------------------------------


@dataclass(frozen=True)
class OrderPaid:
    order_id: UUID
    customer_id: UUID | None
    business_date: date
    net_fen: int


@dataclass(frozen=True)
class OrderCancelled:
    order_id: UUID
    customer_id: UUID | None
    business_date: date


@dataclass(frozen=True)
class RefundPaid:
    order_id: UUID
    customer_id: UUID | None
    business_date: date
    amount_fen: int


class NetOfLine(FactSchema):
    net_fen = Fen(required=True)


class OrderPaidSchema(FactSchema):
    order_id = Id(required=True)
    customer_id = Id(required=True, allow_none=True)
    business_date = Day(required=True)
    lines = List(Nested(NetOfLine), required=True)

    @post_load
    def net(self, values: dict[str, Any], **_: Any) -> dict[str, Any]:
        values["net_fen"] = sum(line["net_fen"] for line in values.pop("lines"))
        return values


class OrderCancelledSchema(FactSchema):
    order_id = Id(required=True)
    customer_id = Id(required=True, allow_none=True)
    business_date = Day(required=True)


class RefundPaidSchema(FactSchema):
    order_id = Id(required=True)
    customer_id = Id(required=True, allow_none=True)
    business_date = Day(required=True)
    amount_fen = Fen(required=True)


CONSUMED = (
    Consumed("pomona.orders.order_paid.v1", OrderPaidSchema, OrderPaid),
    Consumed("pomona.orders.order_cancelled.v1", OrderCancelledSchema, OrderCancelled),
    Consumed("pomona.orders.refund_paid.v1", RefundPaidSchema, RefundPaid),
)


# --- what we can be asked -----------------------------------------------------------------------


def must_be_a_birthday(told: str) -> None:
    """Accept the days on which people who live today can have been born."""
    try:
        born = date.fromisoformat(told)
    except ValueError:
        born = date.min
    if born.isoformat() != told or born.year < EARLIEST_BIRTH_YEAR:
        raise ValidationError("需要出生日期，例如 1990-05-17。|Give a date such as 1990-05-17.")


class RegisterCustomer(RequestSchema):
    customer_id = Id(required=True)
    name = Text(required=True)
    phone = Text(required=True, max=30)
    birthday = Text(max=10, validate=must_be_a_birthday)
    address = Text(max=200)


class CorrectCustomer(RequestSchema):
    customer_id = Id(required=True)
    name = Text()
    phone = Text(max=30)
    birthday = Text(max=10, validate=must_be_a_birthday, allow_none=True)
    address = Text(max=200, allow_none=True)


class EraseCustomer(RequestSchema):
    customer_id = Id(required=True)


class GetCustomer(RequestSchema):
    customer_id = Id(required=True)


class FindCustomer(RequestSchema):
    phone = Text(required=True, max=30)


class ReadingsOf(RequestSchema):
    customer_id = Id(required=True)
    limit = Count(load_default=100, max=1000)


class PointsOf(RequestSchema):
    customer_id = Id(required=True)
    as_of = Day()


REQUESTS = (
    Request(
        method="register_customer",
        schema=RegisterCustomer,
        roles=("cashier", "store_manager", "head_office", "service"),
        summary="Make somebody a customer, to be found by phone.",
        kind="command",
    ),
    Request(
        method="correct_customer",
        schema=CorrectCustomer,
        roles=("cashier", "store_manager", "head_office", "service"),
        summary="Replace what was told wrongly or has changed; null empties birthday or address.",
        kind="command",
    ),
    Request(
        method="erase_customer",
        schema=EraseCustomer,
        roles=("store_manager", "head_office", "service"),
        summary="Forget a person: the key to everything they told us is deleted.",
        kind="command",
    ),
    Request(
        method="get_customer",
        schema=GetCustomer,
        roles=("store_manager", "head_office", "service"),
        summary="What a customer told us, in full, or that it was erased.",
        kind="question",
    ),
    Request(
        method="find_customer",
        schema=FindCustomer,
        roles=("cashier", "store_manager", "head_office", "service"),
        summary="The customer with a phone number: id, name and masked phone.",
        kind="question",
    ),
    Request(
        method="readings_of",
        schema=ReadingsOf,
        roles=("head_office",),
        summary="Who looked at a customer's data, when and at which terminal, the latest first.",
        kind="question",
    ),
    Request(
        method="points_of",
        schema=PointsOf,
        roles=("cashier", "store_manager", "head_office", "service"),
        summary="A customer's pending and available points as of a day.",
        kind="question",
    ),
)
