"""The reporting schema: views for analysts, each with a comment on it and on every column.

`python -m analytics.reporting` writes their description, which is kept as docs/reporting.md.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A view that analysts may rely on: columns are added at the end, never renamed or dropped."""

    name: str
    comment: str
    columns: Mapping[str, str]
    select: str

    @property
    def ddl(self) -> str:
        comments = "".join(
            f"COMMENT ON COLUMN reporting.{self.name}.{column} IS {quoted(comment)};\n"
            for column, comment in self.columns.items()
        )
        return (
            f"CREATE OR REPLACE VIEW reporting.{self.name} ({', '.join(self.columns)}) AS"
            f"{self.select.rstrip()};\n"
            f"COMMENT ON VIEW reporting.{self.name} IS {quoted(self.comment)};\n{comments}"
        )


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


STORE_ID = "the store"
STORE = "the store's name"
BUSINESS_DATE = "the trading day, as the store's shift fixed it"
PRODUCT_ID = "the product"
PRODUCT = "the product's name, or its id until the product is known here"
UNIT = "g (grams) or piece; quantities of the two are never added up"
LOT_ID = "the lot"
SUPPLIER_ID = "the supplier of the lot; empty until the lot is known here"
SUPPLIER = "the supplier's name"

VIEWS = (
    View(
        "as_known_at",
        "Up to where the other figures know the events of each context.",
        {
            "source": "the context that the events come from",
            "position": "the latest event's place in the log of its context",
            "happened_at": "the time of that event",
            "events": "events received so far",
            "unreadable": "events kept in the archive that do not follow their contract;"
            " they are missing from the figures",
        },
        """
SELECT a.source, max(a.position), (array_agg(a.time ORDER BY a.position DESC))[1]::timestamptz,
  sum(a.events)::bigint, (SELECT count(*) FROM unreadable u WHERE u.source = a.source)
FROM archived a GROUP BY a.source""",
    ),
    View(
        "stores",
        "The stores of the chain.",
        {
            "store_id": STORE_ID,
            "code": "the store's short code",
            "store": STORE,
            "zone": "the store's time zone",
            "cut_off": "the time of day at which its trading day ends",
        },
        """
SELECT store_id, code, name, zone, cut_off FROM store""",
    ),
    View(
        "products",
        "What the chain sells.",
        {
            "product_id": PRODUCT_ID,
            "code": "the product's short code",
            "product": "the product's name",
            "category": "the product's category",
            "unit": UNIT,
        },
        """
SELECT product_id, code, name, category, unit FROM product""",
    ),
    View(
        "sales_by_hour",
        "Sales and returns by store, trading day, hour, channel and product.",
        {
            "store_id": STORE_ID,
            "business_date": BUSINESS_DATE,
            "hour": "the hour of the day in the store, 0 to 23",
            "channel": "till, clerk or app; claim for goods taken back through a claim",
            "product": PRODUCT,
            "unit": UNIT,
            "lines": "lines on receipts, without cancelled receipts",
            "quantity": "sold, without cancelled receipts",
            "returned": "goods that came back, at the till or through a claim",
            "sold_fen": "sum of the rounded lines, in fen",
            "refunded_fen": "paid back for the goods that came back, in fen",
            "takings_fen": "sold_fen less refunded_fen",
            "product_id": PRODUCT_ID,
        },
        """
SELECT s.store_id, s.business_date, s.hour, s.channel, coalesce(p.name, s.product_id::text), s.unit,
  s.lines, s.quantity, s.returned, s.sold_fen, s.refunded_fen, s.sold_fen - s.refunded_fen,
  s.product_id
FROM (
  SELECT store_id, business_date, hour, channel, product_id, unit,
    lines, quantity, returned, sold_fen, refunded_fen
  FROM sales
  UNION ALL
  SELECT t.store_id, t.business_date,
    extract(hour FROM t.taken_at AT TIME ZONE coalesce(o.zone, 'UTC'))::smallint, 'claim',
    t.product_id, t.unit, 0, 0, t.quantity, 0, t.refund_fen
  FROM taken_back t LEFT JOIN store o USING (store_id)
) s LEFT JOIN product p USING (product_id)""",
    ),
    View(
        "sales_by_store_day_product",
        "Sales by store, trading day and product, net of cancelled receipts and returned goods.",
        {
            "store_id": STORE_ID,
            "business_date": BUSINESS_DATE,
            "product": PRODUCT,
            "unit": UNIT,
            "quantity": "sold, without cancelled receipts",
            "returned": "goods that came back, at the till or through a claim",
            "takings_fen": "sum of the rounded lines less refunds for goods that came back, in fen",
            "product_id": PRODUCT_ID,
        },
        """
SELECT store_id, business_date, product, unit, sum(quantity)::bigint, sum(returned)::bigint,
  sum(takings_fen)::bigint, product_id
FROM reporting.sales_by_hour
GROUP BY store_id, business_date, product_id, product, unit
HAVING sum(quantity) <> 0 OR sum(returned) <> 0 OR sum(takings_fen) <> 0""",
    ),
    View(
        "trade_by_hour",
        "How busy each hour of a trading day was.",
        {
            "store_id": STORE_ID,
            "store": STORE,
            "business_date": BUSINESS_DATE,
            "hour": "the hour of the day in the store, 0 to 23",
            "receipts": "receipts, without cancelled ones",
            "cancelled": "receipts that were cancelled later",
            "takings_fen": "sum of the rounded lines less refunds for goods that came back, in fen",
            "grams": "sold by weight",
            "pieces": "sold by piece",
        },
        """
SELECT t.store_id, o.name, t.business_date, t.hour, sum(t.receipts)::bigint,
  sum(t.cancelled)::bigint, sum(t.takings_fen)::bigint, sum(t.grams)::bigint,
  sum(t.pieces)::bigint
FROM (
  SELECT store_id, business_date, hour, receipts, cancelled, 0 AS takings_fen, 0 AS grams,
    0 AS pieces
  FROM receipts
  UNION ALL
  SELECT store_id, business_date, hour, 0, 0, takings_fen,
    CASE unit WHEN 'g' THEN quantity ELSE 0 END, CASE unit WHEN 'piece' THEN quantity ELSE 0 END
  FROM reporting.sales_by_hour
) t LEFT JOIN store o USING (store_id)
GROUP BY t.store_id, o.name, t.business_date, t.hour""",
    ),
    View(
        "receipts",
        "Every receipt.",
        {
            "store_id": STORE_ID,
            "order_id": "the order",
            "business_date": BUSINESS_DATE,
            "hour": "the hour of the day in the store, 0 to 23",
            "channel": "till, clerk or app",
            "receipt_no": "the number on the receipt",
            "shift_id": "the shift that took the money",
            "customer_id": "the customer, where one was known",
            "sold_at": "when it was paid",
            "total_fen": "sum of the rounded lines, in fen",
            "rounding_fen": "what the till rounded the total by, in fen",
            "cancelled_at": "when it was cancelled; empty if it was not",
        },
        """
SELECT s.store_id, s.order_id, s.business_date, s.hour, s.channel, s.receipt_no, s.shift_id,
  s.customer_id, s.sold_at, s.total_fen, s.rounding_fen, c.cancelled_at
FROM sale s LEFT JOIN sale_cancelled c USING (store_id, order_id)""",
    ),
    View(
        "receipt_lines",
        "Every line of every receipt.",
        {
            "store_id": STORE_ID,
            "order_id": "the order",
            "line_no": "the line of the receipt",
            "product": PRODUCT,
            "unit": UNIT,
            "quantity": "net weight or pieces",
            "price_fen": "per kilogram or per piece, in fen",
            "total_fen": "price times quantity, rounded once, in fen",
            "net_fen": "total_fen less the line's share of the till's rounding",
            "cancelled": "whether the receipt was cancelled",
            "product_id": PRODUCT_ID,
        },
        """
SELECT l.store_id, l.order_id, l.line_no, coalesce(p.name, l.product_id::text), l.unit, l.quantity,
  l.price_fen, l.total_fen, l.net_fen, c.order_id IS NOT NULL, l.product_id
FROM sale_line l LEFT JOIN product p USING (product_id)
LEFT JOIN sale_cancelled c USING (store_id, order_id)""",
    ),
    View(
        "shift_cash",
        "Each shift's money: what was expected, what was counted, what the receipts say.",
        {
            "store_id": STORE_ID,
            "store": STORE,
            "business_date": BUSINESS_DATE,
            "shift_id": "the shift",
            "terminal_id": "the till",
            "opened_at": "when it was opened",
            "closed_at": "when it was closed; empty while it is open",
            "float_fen": "cash in the drawer at opening, in fen",
            "receipts": "receipts, without cancelled ones",
            "cash_fen": "cash taken less change, without cancelled receipts, in fen",
            "card_fen": "taken by card, without cancelled receipts, in fen",
            "rounding_fen": "what the till rounded totals by, in fen",
            "refunded_cash_fen": "paid out in cash for returns and claims, in fen",
            "refunded_card_fen": "paid back by card for returns and claims, in fen",
            "expected_cash_fen": "cash that should have been in the drawer at closing, in fen",
            "counted_cash_fen": "cash counted at closing, in fen",
            "difference_fen": "counted less expected, in fen",
        },
        """
SELECT s.store_id, o.name, s.business_date, s.shift_id, s.terminal_id, s.opened_at, c.closed_at,
  s.float_fen, coalesce(t.receipts, 0) - coalesce(x.receipts, 0),
  (coalesce(t.cash_fen, 0) - coalesce(x.cash_fen, 0))::bigint,
  (coalesce(t.card_fen, 0) - coalesce(x.card_fen, 0))::bigint,
  (coalesce(t.rounding_fen, 0) - coalesce(x.rounding_fen, 0))::bigint,
  coalesce(t.refunded_cash_fen, 0), coalesce(t.refunded_card_fen, 0),
  c.expected_cash_fen, c.counted_cash_fen, c.difference_fen
FROM shift s LEFT JOIN store o USING (store_id)
LEFT JOIN shift_takings t USING (store_id, shift_id)
LEFT JOIN shift_close c USING (store_id, shift_id)
LEFT JOIN (
  SELECT s.store_id, s.shift_id, count(*) AS receipts, sum(s.cash_fen) AS cash_fen,
    sum(s.card_fen) AS card_fen, sum(s.rounding_fen) AS rounding_fen
  FROM sale_cancelled c JOIN sale s USING (store_id, order_id) GROUP BY s.store_id, s.shift_id
) x USING (store_id, shift_id)""",
    ),
    View(
        "lots",
        "Every lot received: where from, when, and at what cost.",
        {
            "lot_id": LOT_ID,
            "store_id": "the store that received it",
            "product": PRODUCT,
            "unit": UNIT,
            "quantity": "received",
            "supplier_id": "the supplier",
            "supplier": SUPPLIER,
            "origin": "where it grew",
            "harvest_date": "when it was harvested, where known",
            "best_before": "best before, where known",
            "received_at": "when it was received",
            "business_date": BUSINESS_DATE,
            "goods_cost_fen": "cost of the goods, in fen",
            "freight_fen": "freight, in fen",
            "cost_fen": "goods and freight, in fen",
            "product_id": PRODUCT_ID,
        },
        """
SELECT l.lot_id, l.store_id, coalesce(p.name, l.product_id::text), l.unit, l.quantity,
  l.supplier_id, s.name, l.origin, l.harvest_date, l.best_before, l.received_at, l.business_date,
  l.goods_cost_fen, l.freight_fen, l.cost_fen, l.product_id
FROM lot l LEFT JOIN product p USING (product_id) LEFT JOIN supplier s USING (supplier_id)""",
    ),
    View(
        "lot_balance",
        "What came into and went out of each lot in each store, against what the stockroom says"
        " is left.",
        {
            "lot_id": LOT_ID,
            "store_id": STORE_ID,
            "product": PRODUCT,
            "unit": UNIT,
            "received": "received from the supplier",
            "moved_in": "came from other stores",
            "moved_out": "went to other stores",
            "sold": "sold, without cancelled receipts",
            "returned": "came back from customers and was booked back",
            "shrunk": "lost or disposed of, goods that came back included",
            "on_hand": "left, as the stockroom last said",
            "unexplained": "received + moved_in - moved_out - sold + returned - shrunk - on_hand;"
            " 0 when everything is accounted for",
            "product_id": PRODUCT_ID,
        },
        """
SELECT b.lot_id, b.store_id, coalesce(p.name, b.product_id::text), b.unit, b.received, b.moved_in,
  b.moved_out, b.sold, b.returned, b.shrunk, b.on_hand,
  b.received + b.moved_in - b.moved_out - b.sold + b.returned - b.shrunk - b.on_hand, b.product_id
FROM lot_stock b LEFT JOIN product p USING (product_id)""",
    ),
    View(
        "lot_sales",
        "Which receipts a lot went to, with the lot's exact share of each line's money.",
        {
            "lot_id": LOT_ID,
            "store_id": STORE_ID,
            "business_date": BUSINESS_DATE,
            "order_id": "the order",
            "line_no": "the line of the receipt",
            "unit": UNIT,
            "quantity": "of this lot on the line",
            "certainty": "how the lot is known: assumed (first expired, first out) or scanned",
            "cancelled": "whether the receipt was cancelled and the goods put back",
            "takings_fen": "the line's total shared over its lots to the fen; what no lot could"
            " give keeps its own share; 0 if cancelled, empty until the receipt is known here",
            "refunded_fen": "refunds approved on the line, shared in the same way",
        },
        """
SELECT m.lot_id, m.store_id, m.business_date, m.cause_id, m.line_no, m.unit, m.quantity, m.reason,
  c.order_id IS NOT NULL,
  CASE WHEN c.order_id IS NULL
    THEN reporting.share_of(l.total_fen, m.before, m.quantity, m.whole) ELSE 0 END,
  coalesce((
    SELECT sum(reporting.share_of(d.amount_fen, m.before, m.quantity, m.whole))
    FROM claim_decision d WHERE d.order_id = m.cause_id AND d.line_no = m.line_no
  ), 0)::bigint
FROM lot_movement m
LEFT JOIN sale_line l
  ON l.store_id = m.store_id AND l.order_id = m.cause_id AND l.line_no = m.line_no
LEFT JOIN sale_cancelled c ON c.store_id = m.store_id AND c.order_id = m.cause_id
WHERE m.kind = 'sold'""",
    ),
    View(
        "lot_margin",
        "What each lot earned in each store. The cost parts of a lot add up to its cost over all"
        " stores and what is left.",
        {
            "lot_id": LOT_ID,
            "store_id": STORE_ID,
            "product": PRODUCT,
            "unit": UNIT,
            "supplier_id": SUPPLIER_ID,
            "supplier": SUPPLIER,
            "received_on": "the trading day it was received on; empty until the lot is known here",
            "sold": "sold less returned",
            "shrunk": "lost or disposed of",
            "on_hand": "left, as the stockroom last said",
            "takings_fen": "the lot's share of the rounded lines, in fen",
            "refunded_fen": "the lot's share of refunds approved on claims and paid on returns",
            "cost_of_sales_fen": "goods and freight of what was sold, pro rata, in fen",
            "shrinkage_fen": "goods and freight of what was lost, pro rata, in fen",
            "margin_fen": "takings less refunds, cost of sales and shrinkage, in fen",
            "product_id": PRODUCT_ID,
        },
        """
SELECT b.lot_id, b.store_id, coalesce(p.name, b.product_id::text), b.unit, b.supplier_id, s.name,
  b.business_date, b.sold, b.shrunk, b.on_hand, t.takings_fen, t.refunded_fen + r.refunded_fen,
  b.cost_of_sales_fen, b.shrinkage_fen,
  t.takings_fen - t.refunded_fen - r.refunded_fen - b.cost_of_sales_fen - b.shrinkage_fen,
  b.product_id
FROM (
  SELECT k.lot_id, k.store_id, k.product_id, k.unit, k.sold, k.shrunk, k.on_hand, l.supplier_id,
    l.business_date,
    reporting.share_of(l.cost_fen, k.used_before, k.sold, l.quantity) AS cost_of_sales_fen,
    reporting.share_of(l.cost_fen, k.used_before + k.sold, k.shrunk, l.quantity) AS shrinkage_fen
  FROM (
    SELECT lot_id, store_id, product_id, unit, sold - returned AS sold, shrunk, on_hand,
      (sum(sold - returned + shrunk) OVER (PARTITION BY lot_id ORDER BY store_id)
        - (sold - returned + shrunk))::bigint AS used_before
    FROM lot_stock
  ) k LEFT JOIN lot l USING (lot_id)
) b
LEFT JOIN product p USING (product_id)
LEFT JOIN supplier s USING (supplier_id)
CROSS JOIN LATERAL (
  SELECT coalesce(sum(takings_fen), 0)::bigint AS takings_fen,
    coalesce(sum(refunded_fen), 0)::bigint AS refunded_fen
  FROM reporting.lot_sales x WHERE x.store_id = b.store_id AND x.lot_id = b.lot_id
) t
CROSS JOIN LATERAL (
  SELECT coalesce(sum(reporting.share_of(u.refund_fen, m.before, m.quantity, m.whole)), 0)::bigint
    AS refunded_fen
  FROM lot_movement m JOIN till_return u
    ON u.store_id = m.store_id AND u.return_id = m.cause_id AND u.line_no = m.line_no
  WHERE m.store_id = b.store_id AND m.lot_id = b.lot_id AND m.kind = 'returned'
) r""",
    ),
    View(
        "shrinkage",
        "What was lost or disposed of, by reason, at cost.",
        {
            "store_id": STORE_ID,
            "business_date": BUSINESS_DATE,
            "product": PRODUCT,
            "unit": UNIT,
            "reason": "why; returned_... is the disposal of goods that came back",
            "lot_id": LOT_ID,
            "quantity": "lost or disposed of",
            "cost_fen": "its share of the lot's goods and freight, rounded, in fen; empty until"
            " the lot is known here",
            "product_id": PRODUCT_ID,
        },
        """
SELECT s.store_id, s.business_date, coalesce(p.name, s.product_id::text), s.unit, s.reason,
  s.lot_id, s.quantity, reporting.share_of(l.cost_fen, 0, s.quantity, l.quantity), s.product_id
FROM shrinkage s LEFT JOIN lot l USING (lot_id)
LEFT JOIN product p ON p.product_id = s.product_id""",
    ),
    View(
        "stock_position",
        "What each store has of each product now.",
        {
            "store_id": STORE_ID,
            "store": STORE,
            "product": PRODUCT,
            "unit": UNIT,
            "on_hand": "in all lots, as the stockroom last said",
            "lots": "lots with something left",
            "cost_fen": "goods and freight of what is on hand, pro rata, in fen",
            "shortfall": "left the store although no lot had it, all time",
            "low": "whether it is at or below its reorder point; empty where none was crossed",
            "reorder_point": "the reorder point last crossed",
            "product_id": PRODUCT_ID,
        },
        """
SELECT k.store_id, o.name, coalesce(p.name, k.product_id::text), k.unit, k.on_hand, k.lots,
  k.cost_fen, k.shortfall, v.low, v.reorder_point, k.product_id
FROM (
  SELECT store_id, product_id, unit, sum(on_hand)::bigint AS on_hand,
    count(*) FILTER (WHERE on_hand > 0) AS lots, sum(cost_fen)::bigint AS cost_fen,
    sum(shortfall)::bigint AS shortfall
  FROM (
    SELECT b.store_id, b.product_id, b.unit, b.on_hand,
      coalesce(reporting.share_of(l.cost_fen, l.quantity - b.on_hand, b.on_hand, l.quantity), 0)
        AS cost_fen,
      0 AS shortfall
    FROM lot_stock b LEFT JOIN lot l USING (lot_id)
    UNION ALL
    SELECT store_id, product_id, unit, 0, 0, quantity FROM shortfall
  ) parts GROUP BY store_id, product_id, unit
) k
LEFT JOIN store o USING (store_id)
LEFT JOIN product p ON p.product_id = k.product_id
LEFT JOIN stock_level v
  ON v.store_id = k.store_id AND v.product_id = k.product_id AND v.unit = k.unit""",
    ),
    View(
        "claims",
        "Every claim from the complaint to the refund and the goods.",
        {
            "store_id": STORE_ID,
            "claim_id": "the claim",
            "opened_on": "the calendar day in the store on which it was opened",
            "opened_at": "when it was opened",
            "due_at": "when it had to be answered",
            "order_id": "the order it is about",
            "line_no": "the line of the receipt",
            "product": PRODUCT,
            "unit": UNIT,
            "channel": "how the customer complained",
            "reason": "what the customer said",
            "kind": "quality, packaging, wrong_item, health or change_of_mind",
            "priority": "1 (highest) to 4",
            "quantity": "bad, as accepted when the claim was opened",
            "claimed_fen": "worth of that, in fen",
            "outcome": "open, approved, refused or withdrawn",
            "clause": "the clause of the policy that decided",
            "decided_at": "when it was decided",
            "approved_fen": "refund approved, in fen",
            "paid_fen": "refund paid out, in fen",
            "taken_back": "goods that came back",
            "settled_at": "when no money was owed on it any more",
            "product_id": PRODUCT_ID,
        },
        """
SELECT c.store_id, c.claim_id, (c.opened_at AT TIME ZONE coalesce(o.zone, 'UTC'))::date,
  c.opened_at, c.due_at, c.order_id, c.line_no, coalesce(p.name, c.product_id::text), c.unit,
  c.channel, c.reason, c.kind, c.priority, c.quantity, c.claimed_fen,
  coalesce(d.outcome, CASE WHEN e.claim_id IS NULL THEN 'open' ELSE 'withdrawn' END),
  d.clause, d.decided_at, coalesce(d.amount_fen, 0),
  coalesce((SELECT sum(amount_fen) FROM refund r WHERE r.claim_id = c.claim_id), 0)::bigint,
  coalesce((SELECT sum(quantity) FROM taken_back t
    WHERE t.store_id = c.store_id AND t.claim_id = c.claim_id), 0)::bigint,
  e.settled_at, c.product_id
FROM claim c LEFT JOIN store o USING (store_id)
LEFT JOIN product p ON p.product_id = c.product_id
LEFT JOIN claim_decision d ON d.store_id = c.store_id AND d.claim_id = c.claim_id
LEFT JOIN claim_settled e ON e.store_id = c.store_id AND e.claim_id = c.claim_id""",
    ),
    View(
        "claim_lots",
        "Each claim shared over the lots, and so the suppliers, that its line was sold from."
        " The parts of a claim add up to it; what no lot could give has no lot.",
        {
            "store_id": STORE_ID,
            "claim_id": "the claim",
            "opened_on": "the calendar day in the store on which it was opened",
            "reason": "what the customer said",
            "kind": "quality, packaging, wrong_item, health or change_of_mind",
            "product": PRODUCT,
            "unit": UNIT,
            "lot_id": "the lot; empty for what no lot could give, or until the sale is known here",
            "supplier_id": SUPPLIER_ID,
            "supplier": SUPPLIER,
            "quantity": "the lot's part of what was bad",
            "claimed_fen": "the lot's part of what was claimed, in fen",
            "approved_fen": "the lot's part of the refund approved, in fen",
            "product_id": PRODUCT_ID,
        },
        """
SELECT c.store_id, c.claim_id, c.opened_on, c.reason, c.kind, c.product, c.unit, x.lot_id,
  l.supplier_id, s.name,
  reporting.share_of(c.quantity, x.before, x.quantity, x.whole),
  reporting.share_of(c.claimed_fen, x.before, x.quantity, x.whole),
  reporting.share_of(c.approved_fen, x.before, x.quantity, x.whole), c.product_id
FROM reporting.claims c
CROSS JOIN LATERAL (
  SELECT m.lot_id, m.before, m.quantity, m.whole FROM lot_movement m
  WHERE m.kind = 'sold' AND m.cause_id = c.order_id AND m.line_no = c.line_no
  UNION ALL
  SELECT NULL, coalesce(sum(m.quantity), 0)::bigint,
    coalesce(max(m.whole), 1) - coalesce(sum(m.quantity), 0)::bigint, coalesce(max(m.whole), 1)
  FROM lot_movement m
  WHERE m.kind = 'sold' AND m.cause_id = c.order_id AND m.line_no = c.line_no
  HAVING coalesce(sum(m.quantity), 0) < coalesce(max(m.whole), 1)
) x
LEFT JOIN lot l ON l.lot_id = x.lot_id LEFT JOIN supplier s USING (supplier_id)""",
    ),
    View(
        "points_by_store_day",
        "Loyalty points that sales earned, by the store and trading day of the sale.",
        {
            "store_id": STORE_ID,
            "business_date": BUSINESS_DATE,
            "customers": "customers who earned points",
            "earned": "points earned",
            "reversed": "points taken back",
        },
        """
SELECT s.store_id, s.business_date, count(DISTINCT p.customer_id), sum(p.earned)::bigint,
  sum(p.reversed)::bigint
FROM points p JOIN sale s USING (order_id) GROUP BY s.store_id, s.business_date""",
    ),
)

SHARE_OF = """
CREATE OR REPLACE FUNCTION reporting.share_of(
  amount bigint, before bigint, quantity bigint, whole bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
  sign(amount) * (
    div(2 * abs(amount)::numeric * (before + quantity) + whole, 2 * whole::numeric)
    - div(2 * abs(amount)::numeric * before + whole, 2 * whole::numeric)
  )
)::bigint;
COMMENT ON FUNCTION reporting.share_of IS
  'The part of an amount that falls on a quantity out of a whole, when `before` of it has had its'
  ' part already: rounded half up at both ends, so that all parts add up to the amount.';
"""
GRANTS = """
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reporting') THEN
    GRANT USAGE ON SCHEMA reporting TO reporting;
    GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO reporting;
    BEGIN
      EXECUTE format(
        'ALTER ROLE reporting IN DATABASE %I SET statement_timeout = ''30s''', current_database());
      EXECUTE format(
        'ALTER ROLE reporting IN DATABASE %I SET default_transaction_read_only = on',
        current_database());
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE NOTICE 'whoever owns the role reporting has to set its statement_timeout';
    END;
  END IF;
END $$;
"""
COMMENT = "Views for analysts. Money is in fen, weight in grams."
SCHEMA = (
    "CREATE SCHEMA IF NOT EXISTS reporting;\n"
    f"COMMENT ON SCHEMA reporting IS {quoted(COMMENT)};\n"
    + SHARE_OF
    + "".join(view.ddl for view in VIEWS)
    + GRANTS
)


INTRODUCTION = f"""# The reporting schema

Written by `python -m analytics.reporting`; a test keeps it equal to the comments in the database.

{COMMENT} The role `reporting` may read them and nothing else, 30 seconds a
statement. Columns are added at the end; none is renamed or dropped. Figures are as known at the
positions in `as_known_at`, and as happened on the trading day of the row: a late receipt changes
the day it belongs to.
"""


def described() -> str:
    """Return docs/reporting.md."""
    parts = [INTRODUCTION]
    for view in VIEWS:
        parts += [f"## {view.name}", "", view.comment, "", "| column | meaning |", "|---|---|"]
        parts += [f"| {column} | {comment} |" for column, comment in view.columns.items()]
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(described())
