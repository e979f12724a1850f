"""What after-sales remembers: orders that were paid, where their lots came from, its own claims."""

from dataclasses import asdict
from datetime import datetime
from functools import singledispatch
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from aftersales import views
from aftersales.contracts import (
    CustomerErased,
    LotReceived,
    OrderPaid,
    StockSold,
    SupplierRegistered,
)
from aftersales.domain.claim import Claim
from pomona.eventstore import Cursor


@singledispatch
def remember(happening: object, cursor: Cursor) -> None:
    """Write what a fact or one of our own events means for the views."""


@remember.register
def what_can_be_claimed(paid: OrderPaid, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO paid_orders"
        " (order_id, store_id, customer_id, business_date, sold_at, paid_fen, lines)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            paid.order_id,
            paid.store_id,
            paid.customer_id,
            paid.business_date,
            paid.sold_at,
            paid.paid_fen,
            Jsonb([asdict(line) for line in paid.lines], dumps=orjson.dumps),
        ),
    )


@remember.register
def which_lots_were_sold(sold: StockSold, cursor: Cursor) -> None:
    for line in sold.lines:
        for lot in line.lots:
            cursor.execute(
                "INSERT INTO line_lots (order_id, line_no, lot_id, quantity, certainty)"
                " VALUES (%s, %s, %s, %s, %s)",
                (sold.order_id, line.line_no, lot.lot_id, lot.quantity, sold.certainty),
            )


@remember.register
def where_a_lot_came_from(lot: LotReceived, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO lots (lot_id, supplier_id, origin, harvest_date, received_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        (lot.lot_id, lot.supplier_id, lot.origin, lot.harvest_date, lot.received_at),
    )


@remember.register
def who_supplies(supplier: SupplierRegistered, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO suppliers (supplier_id, code, name) VALUES (%s, %s, %s)",
        (supplier.supplier_id, supplier.code, supplier.name),
    )


@remember.register
def nothing_an_erased_customer_said(erased: CustomerErased, cursor: Cursor) -> None:
    views.drop_notes(cursor, [erased.customer_id])


@remember.register
def a_claim_was_opened(opened: Claim.Opened, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO claims (claim_id, order_id, line_no, store_id, product_id, unit, customer_id,"
        " channel, reason, kind, priority, classified_by, quantity, claimed_fen, opened_at, due_at,"
        " goods_expected) VALUES (%(originator_id)s, %(order_id)s, %(line_no)s, %(store_id)s,"
        " %(product_id)s, %(unit)s, %(customer_id)s, %(channel)s, %(reason)s, %(kind)s,"
        " %(priority)s, %(classified_by)s, %(quantity)s, %(claimed_fen)s, %(opened_at)s,"
        " %(due_at)s, %(goods_expected)s)",
        vars(opened),
    )
    _step(cursor, opened, "opened", opened.opened_at, by=opened.opened_by)


@remember.register
def a_claim_waits_for_a_person(review: Claim.PutUnderReview, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE claims SET decision = 'under_review', clause = %s WHERE claim_id = %s",
        (review.clause, review.originator_id),
    )
    _step(cursor, review, "under_review", review.reviewed_at, by="terms", clause=review.clause)


@remember.register
def a_claim_was_approved(approved: Claim.Approved, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE claims SET decision = 'approved', clause = %s, refund_id = %s, refund_fen = %s"
        " WHERE claim_id = %s",
        (approved.clause, approved.refund_id, approved.amount_fen, approved.originator_id),
    )
    _step(
        cursor,
        approved,
        "approved",
        approved.approved_at,
        by=approved.approved_by,
        clause=approved.clause,
    )


@remember.register
def a_claim_was_refused(refused: Claim.Refused, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE claims SET decision = 'rejected', clause = %s, refund_id = NULL, refund_fen = 0"
        " WHERE claim_id = %s",
        (refused.clause, refused.originator_id),
    )
    _step(
        cursor,
        refused,
        "rejected",
        refused.refused_at,
        by=refused.refused_by,
        clause=refused.clause,
    )


@remember.register
def a_claim_was_withdrawn(withdrawn: Claim.Withdrawn, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE claims SET decision = 'withdrawn' WHERE claim_id = %s",
        (withdrawn.originator_id,),
    )
    _step(cursor, withdrawn, "withdrawn", withdrawn.withdrawn_at, by=withdrawn.withdrawn_by)


@remember.register
def goods_came_back(taken: Claim.GoodsTakenBack, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE claims SET goods_taken = %s, disposition = %s WHERE claim_id = %s",
        (taken.quantity, taken.disposition, taken.originator_id),
    )
    _step(cursor, taken, "goods_received", taken.taken_at, by=taken.taken_by)


@remember.register
def a_claim_was_settled(settled: Claim.Settled, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE claims SET paid = %s, refund_fen = %s WHERE claim_id = %s",
        (settled.refund_id is not None, settled.amount_fen, settled.originator_id),
    )
    _step(cursor, settled, "settled", settled.settled_at, by="orders")


def _step(
    cursor: Cursor,
    happened: Claim.Event,
    step: str,
    at: datetime,
    *,
    by: str,
    clause: str | None = None,
) -> None:
    claim_id: UUID = happened.originator_id
    cursor.execute(
        "INSERT INTO claim_steps (claim_id, step_no, at, step, by, clause)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (claim_id, happened.originator_version, at, step, by, clause),
    )
