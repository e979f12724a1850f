"""What crm remembers of its own decisions: customers, how to find them, and their points."""

from functools import singledispatch

from psycopg.types.json import Jsonb

from crm.domain.customer import Customer
from crm.domain.loyalty import LoyaltyAccount
from pomona.eventstore import Cursor


@singledispatch
def remember(happening: object, cursor: Cursor) -> None:
    """Write what one of our own events means for the views."""


@remember.register
def a_customer_was_registered(registered: Customer.Registered, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO customers (customer_id, store_id, registered_at, sealed)"
        " VALUES (%s, %s, %s, %s)",
        (
            registered.originator_id,
            registered.store_id,
            registered.registered_at,
            Jsonb(registered.sealed),
        ),
    )


@remember.register
def a_customer_was_corrected(corrected: Customer.Corrected, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE customers SET sealed = sealed || %s WHERE customer_id = %s",
        (Jsonb(corrected.sealed), corrected.originator_id),
    )


@remember.register
def a_customer_was_erased(erased: Customer.Erased, cursor: Cursor) -> None:
    cursor.execute("DELETE FROM phone_index WHERE customer_id = %s", (erased.originator_id,))
    cursor.execute(
        "UPDATE customers SET sealed = '{}', erased_at = %s WHERE customer_id = %s",
        (erased.erased_at, erased.originator_id),
    )


@remember.register
def points_were_earned(earned: LoyaltyAccount.Earned, cursor: Cursor) -> None:
    _enter(cursor, earned, points=earned.points, reason="order_paid")


@remember.register
def points_were_reversed(reversal: LoyaltyAccount.Reversed, cursor: Cursor) -> None:
    _enter(cursor, reversal, points=-reversal.points, reason=reversal.reason)


def _enter(
    cursor: Cursor,
    entry: LoyaltyAccount.Earned | LoyaltyAccount.Reversed,
    *,
    points: int,
    reason: str,
) -> None:
    cursor.execute(
        "INSERT INTO points_ledger"
        " (customer_id, entry_no, order_id, business_date, available_on, points, reason)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            entry.customer_id,
            entry.originator_version,
            entry.order_id,
            entry.business_date,
            entry.available_on,
            points,
            reason,
        ),
    )
