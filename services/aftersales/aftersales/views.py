"""The after-sales read side: its tables and the questions they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aftersales.domain.claim import Axes
from aftersales.domain.errors import ClaimUnknown
from aftersales.domain.purchase import SoldLine
from aftersales.domain.terms import CLAUSES
from pomona.eventstore import Cursor
from pomona.personal import People

SCHEMA = """
CREATE TABLE IF NOT EXISTS paid_orders (
    order_id       uuid PRIMARY KEY,
    store_id       uuid NOT NULL,
    customer_id    uuid,
    business_date  date NOT NULL,
    sold_at        timestamptz NOT NULL,
    paid_fen       bigint NOT NULL,
    lines          jsonb NOT NULL
);
CREATE TABLE IF NOT EXISTS line_lots (
    order_id       uuid NOT NULL,
    line_no        integer NOT NULL,
    lot_id         uuid NOT NULL,
    quantity       bigint NOT NULL,
    certainty      text NOT NULL,
    PRIMARY KEY (order_id, line_no, lot_id)
);
CREATE TABLE IF NOT EXISTS lots (
    lot_id         uuid PRIMARY KEY,
    supplier_id    uuid NOT NULL,
    origin         text NOT NULL,
    harvest_date   date,
    received_at    timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS suppliers (
    supplier_id    uuid PRIMARY KEY,
    code           text NOT NULL,
    name           text NOT NULL
);
CREATE TABLE IF NOT EXISTS claims (
    claim_id       uuid PRIMARY KEY,
    order_id       uuid NOT NULL,
    line_no        integer NOT NULL,
    store_id       uuid NOT NULL,
    product_id     uuid NOT NULL,
    unit           text NOT NULL,
    customer_id    uuid,
    channel        text NOT NULL,
    reason         text NOT NULL,
    kind           text NOT NULL,
    priority       integer NOT NULL,
    classified_by  text NOT NULL,
    quantity       bigint NOT NULL,
    claimed_fen    bigint NOT NULL,
    opened_at      timestamptz NOT NULL,
    due_at         timestamptz NOT NULL,
    goods_expected boolean NOT NULL,
    decision       text NOT NULL DEFAULT 'opened',
    clause         text,
    refund_id      uuid,
    refund_fen     bigint NOT NULL DEFAULT 0,
    paid           boolean NOT NULL DEFAULT false,
    goods_taken    bigint NOT NULL DEFAULT 0,
    disposition    text
);
CREATE INDEX IF NOT EXISTS claims_by_urgency ON claims (decision, priority, due_at);
CREATE INDEX IF NOT EXISTS claims_by_order ON claims (order_id);
CREATE INDEX IF NOT EXISTS claims_by_customer ON claims (customer_id, opened_at);
CREATE TABLE IF NOT EXISTS claim_steps (
    claim_id       uuid NOT NULL,
    step_no        integer NOT NULL,
    at             timestamptz NOT NULL,
    step           text NOT NULL,
    by             text NOT NULL,
    clause         text,
    PRIMARY KEY (claim_id, step_no)
);
-- What a customer said in their own words may name a person: it stays out of the event store,
-- and is sealed with the key of the customer, or of the claim where no customer is known.
CREATE TABLE IF NOT EXISTS claim_words (
    claim_id       uuid PRIMARY KEY,
    person_id      uuid NOT NULL,
    sealed         text NOT NULL
);
CREATE INDEX IF NOT EXISTS claim_words_of ON claim_words (person_id);
-- 0.1.0 kept notes in clear: they are sealed at the first start, and their table then dropped.
DO $$ BEGIN
    IF to_regclass('claim_notes') IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM claim_notes) THEN
            DROP TABLE claim_notes;
        END IF;
    END IF;
END $$;
"""


@dataclass(frozen=True)
class Note:
    """What somebody said, sealed."""

    claim_id: UUID
    person_id: UUID
    sealed: str


def place_of(claim_id: UUID) -> str:
    """Return what a note is bound to: it cannot be moved to another claim."""
    return f"note/{claim_id}"


def keep_note(cursor: Cursor, note: Note) -> None:
    cursor.execute(
        "INSERT INTO claim_words (claim_id, person_id, sealed) VALUES (%s, %s, %s)",
        (note.claim_id, note.person_id, note.sealed),
    )


def notes_of(cursor: Cursor, person_id: UUID) -> list[Note]:
    cursor.execute("SELECT * FROM claim_words WHERE person_id = %s FOR UPDATE", (person_id,))
    return [Note(**row) for row in cursor.fetchall()]


def replace_note(cursor: Cursor, claim_id: UUID, sealed: str) -> None:
    cursor.execute("UPDATE claim_words SET sealed = %s WHERE claim_id = %s", (sealed, claim_id))


def take_notes_in_clear(cursor: Cursor) -> list[dict[str, Any]]:
    """Remove and return the notes of 0.1.0: claim_id, customer_id and note."""
    cursor.execute("SELECT to_regclass('claim_notes') IS NOT NULL AS there")
    row = cursor.fetchone()
    if row is None or not row["there"]:
        return []
    cursor.execute(
        "DELETE FROM claim_notes USING claims WHERE claims.claim_id = claim_notes.claim_id"
        " RETURNING claims.claim_id, customer_id, note"
    )
    return cursor.fetchall()


def drop_notes(cursor: Cursor, person_ids: Sequence[UUID]) -> None:
    """Delete what can no longer be opened."""
    cursor.execute("DELETE FROM claim_words WHERE person_id = ANY(%s)", (list(person_ids),))


def paid_order(cursor: Cursor, order_id: UUID) -> dict[str, Any] | None:
    """Return an order as orders told it when it was paid, the way a purchase begins."""
    cursor.execute("SELECT * FROM paid_orders WHERE order_id = %s", (order_id,))
    row = cursor.fetchone()
    if row is None:
        return None
    lines = [SoldLine(**{**line, "product_id": UUID(line["product_id"])}) for line in row["lines"]]
    return {**row, "lines": lines}


def claims_lately(cursor: Cursor, order_id: UUID, customer_id: UUID | None, since: datetime) -> int:
    """Count recent claims of the customer, or on the order where no customer is known."""
    cursor.execute(
        "SELECT count(*) AS n FROM claims"
        " WHERE (customer_id = %s::uuid OR order_id = %s) AND opened_at > %s",
        (customer_id, order_id, since),
    )
    row = cursor.fetchone()
    return int(row["n"]) if row else 0


def claim(cursor: Cursor, people: People, claim_id: UUID) -> dict[str, Any]:
    """Tell the whole story of a claim."""
    cursor.execute(
        "SELECT * FROM claims LEFT JOIN claim_words USING (claim_id) WHERE claim_id = %s",
        (claim_id,),
    )
    row = cursor.fetchone()
    if row is None:
        raise ClaimUnknown
    axes = _axes(row)
    clause = CLAUSES.get(row["clause"])
    return {
        "claim_id": str(row["claim_id"]),
        "state": axes.state,
        "order_id": str(row["order_id"]),
        "line_no": row["line_no"],
        "store_id": str(row["store_id"]),
        "product_id": str(row["product_id"]),
        "unit": row["unit"],
        "customer_id": _text(row["customer_id"]),
        "channel": row["channel"],
        "reason": row["reason"],
        "note": _words(people, row),
        "kind": row["kind"],
        "priority": row["priority"],
        "classified_by": row["classified_by"],
        "quantity": row["quantity"],
        "claimed_fen": row["claimed_fen"],
        "opened_at": row["opened_at"].isoformat(),
        "due_at": row["due_at"].isoformat(),
        "clause": clause and {"code": clause.code, "zh": clause.zh, "en": clause.en},
        "refund": {
            "state": axes.refund,
            "refund_id": _text(row["refund_id"]),
            "amount_fen": row["refund_fen"],
        },
        "goods": {
            "expected": row["goods_expected"],
            "taken": row["goods_taken"],
            "disposition": row["disposition"],
        },
        "lots": _lots(cursor, row["order_id"], row["line_no"]),
        "timeline": _timeline(cursor, claim_id),
    }


def claims(
    cursor: Cursor,
    *,
    store_id: UUID | None,
    order_id: UUID | None,
    decision: str | None,
    limit: int,
    at: datetime,
) -> list[dict[str, Any]]:
    """List claims, the most urgent first."""
    cursor.execute(
        "SELECT * FROM claims WHERE (%(store_id)s::uuid IS NULL OR store_id = %(store_id)s)"
        " AND (%(order_id)s::uuid IS NULL OR order_id = %(order_id)s)"
        " AND (%(decision)s::text IS NULL OR decision = %(decision)s)"
        " ORDER BY priority, due_at, claim_id LIMIT %(limit)s",
        {"store_id": store_id, "order_id": order_id, "decision": decision, "limit": limit},
    )
    return [
        {
            "claim_id": str(row["claim_id"]),
            "state": _axes(row).state,
            "order_id": str(row["order_id"]),
            "line_no": row["line_no"],
            "store_id": str(row["store_id"]),
            "product_id": str(row["product_id"]),
            "reason": row["reason"],
            "kind": row["kind"],
            "priority": row["priority"],
            "claimed_fen": row["claimed_fen"],
            "refund_fen": row["refund_fen"],
            "due_at": row["due_at"].isoformat(),
            "overdue": row["decision"] == "under_review" and row["due_at"] < at,
        }
        for row in cursor.fetchall()
    ]


def _lots(cursor: Cursor, order_id: UUID, line_no: int) -> list[dict[str, Any]]:
    cursor.execute(
        "SELECT lot_id, quantity, certainty, origin, harvest_date, supplier_id,"
        " code AS supplier_code, name AS supplier_name FROM line_lots"
        " LEFT JOIN lots USING (lot_id) LEFT JOIN suppliers USING (supplier_id)"
        " WHERE order_id = %s AND line_no = %s ORDER BY quantity DESC, lot_id",
        (order_id, line_no),
    )
    return [
        {
            **row,
            "lot_id": str(row["lot_id"]),
            "harvest_date": row["harvest_date"] and row["harvest_date"].isoformat(),
            "supplier_id": _text(row["supplier_id"]),
        }
        for row in cursor.fetchall()
    ]


def _timeline(cursor: Cursor, claim_id: UUID) -> list[dict[str, Any]]:
    cursor.execute(
        "SELECT at, step, by, clause FROM claim_steps WHERE claim_id = %s ORDER BY step_no",
        (claim_id,),
    )
    return [{**row, "at": row["at"].isoformat()} for row in cursor.fetchall()]


def _axes(row: Mapping[str, Any]) -> Axes:
    return Axes(
        decision=row["decision"],
        goods_expected=row["goods_expected"],
        goods_taken=row["goods_taken"] > 0,
        paid=row["paid"],
    )


def _words(people: People, row: Mapping[str, Any]) -> str | None:
    """Open a note, where there is one and its customer was not erased."""
    if row["sealed"] is None:
        return None
    key = people.key_of(row["person_id"])
    return None if key is None else key.open_field(place_of(row["claim_id"]), row["sealed"])


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
