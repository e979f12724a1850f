"""Analytics on a real PostgreSQL: whatever order events arrive in, the figures are the truth."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from analytics import contracts, projections, rebuild, reporting, tables, views
from analytics.paging import BrokenPage
from pomona import wire
from pomona.envelope import Envelope
from pomona_console.stack import Stack

from .analytics_chain import SOURCES, Chain

pytestmark = pytest.mark.integration

DOCS = Path(__file__).parents[2] / "docs"
REQUESTS = {request.method: request.schema() for request in contracts.REQUESTS}
few = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Figures:
    """A database of analytics that is fed by hand."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.connection = psycopg.connect(dsn, autocommit=True, row_factory=dict_row)

    def empty(self) -> "Figures":
        names = ", ".join(table.name for table in tables.TABLES)
        self.connection.execute(f"TRUNCATE archive, {names}")
        return self

    def hear(self, batch: list[Envelope]) -> None:
        with self.connection.transaction(), self.connection.cursor() as cursor:
            projections.remember(batch, cursor)

    def hear_all(self, chain: Chain, batch: int = 500) -> "Figures":
        for log in chain.logs.values():
            for start in range(0, len(log), batch):
                self.hear(log[start : start + batch])
        return self

    def rebuild(self) -> dict[str, rebuild.Digests]:
        return rebuild.rebuild(self.dsn, lambda _done, _total: None)

    def digests(self) -> dict[str, str]:
        with psycopg.connect(self.dsn) as connection:
            return {
                table.name: rebuild.digest(connection, "public", table) for table in tables.TABLES
            }

    def rows(self, view: str) -> list[dict[str, Any]]:
        return self.connection.execute(f"SELECT * FROM reporting.{view}").fetchall()

    def ask(self, method: str, store_id: UUID | None = None, **asked: Any) -> dict[str, Any]:
        request = REQUESTS[method].load(asked)
        with self.connection.cursor() as cursor:
            answer: dict[str, Any] = getattr(views, method)(cursor, request, store_id)
        wire.encode(answer)
        return answer


@pytest.fixture(scope="module")
def figures(servers: Stack) -> Iterator[Figures]:
    with psycopg.connect(servers.admin_dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE reporting LOGIN PASSWORD 'reader'")
        connection.execute("CREATE DATABASE figures")
        dsn = psycopg.conninfo.make_conninfo(servers.admin_dsn, dbname="figures")
        with psycopg.connect(dsn) as own:
            own.execute(views.SCHEMA)
        figures = Figures(dsn)
        yield figures
        figures.connection.close()
        connection.execute("DROP DATABASE figures WITH (FORCE)")
        connection.execute("DROP ROLE reporting")


@pytest.fixture(scope="module")
def month() -> Chain:
    return Chain(seed=7).play(250)


def interleaved(chain: Chain, seed: int, largest: int) -> Iterator[list[Envelope]]:
    """Let the sources take turns as they like, each in its own order."""
    turns = Random(seed)
    left = {source: list(log) for source, log in chain.logs.items() if log}
    while left:
        source = turns.choice(sorted(left))
        size = turns.randint(1, largest)
        batch, left[source] = left[source][:size], left[source][size:]
        if not left[source]:
            del left[source]
        yield batch


@few
@given(
    seed=st.integers(0, 10**6),
    steps=st.integers(1, 60),
    turns=st.integers(0, 10**6),
    largest=st.sampled_from([1, 3, 40, 500]),
)
def test_whatever_order_the_contexts_are_heard_in_the_tables_are_the_same(
    figures, seed, steps, turns, largest
):
    chain = Chain(seed).play(steps)
    in_turn = figures.empty().hear_all(chain).digests()

    figures.empty()
    for batch in interleaved(chain, turns, largest):
        figures.hear(batch)

    assert figures.digests() == in_turn
    rebuilt = figures.rebuild()
    assert all(digests.before == digests.after for digests in rebuilt.values())
    assert {name: digests.after for name, digests in rebuilt.items()} == in_turn


@few
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 80))
@pytest.mark.feature("ANA-01")
def test_sales_are_what_the_tills_sold_less_what_was_cancelled_or_came_back(figures, seed, steps):
    chain = Chain(seed).play(steps)

    figures.empty().hear_all(chain)

    reported = {
        (row["store_id"], row["business_date"], row["product_id"], row["unit"]): [
            row["quantity"],
            row["returned"],
            row["takings_fen"],
        ]
        for row in figures.rows("sales_by_store_day_product")
    }
    assert reported == {key: sums for key, sums in chain.sold.items() if any(sums)}
    busy: Counter[tuple] = Counter()
    for row in figures.rows("trade_by_hour"):
        busy[row["store_id"], row["business_date"], row["hour"]] += row["receipts"]
    assert +busy == +chain.receipts


@few
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 80))
@pytest.mark.feature("ANA-04")
def test_every_gram_and_every_fen_of_a_lot_is_accounted_for(figures, seed, steps):
    chain = Chain(seed).play(steps)

    figures.empty().hear_all(chain)

    for row in figures.rows("lot_balance"):
        assert row["unexplained"] == 0
        assert row["on_hand"] == chain.on_hand[row["store_id"], row["lot_id"]]
    costs: Counter[UUID] = Counter()
    used: Counter[UUID] = Counter()
    for row in figures.rows("lot_margin"):
        key = (row["store_id"], row["lot_id"])
        assert row["takings_fen"] == chain.takings[key]
        assert row["refunded_fen"] == chain.refunds[key]
        costs[row["lot_id"]] += row["cost_of_sales_fen"] + row["shrinkage_fen"]
        used[row["lot_id"]] += row["sold"] + row["shrunk"]
        earned = row["takings_fen"] - row["refunded_fen"]
        assert row["margin_fen"] == earned - row["cost_of_sales_fen"] - row["shrinkage_fen"]
    for lot, cost in costs.items():
        facts = chain.lots[lot]
        assert abs(cost * facts["quantity"] - facts["cost"] * used[lot]) <= facts["quantity"] / 2
    assert {row["lot_id"] for row in figures.rows("lot_margin")} == set(chain.lots)


@few
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 80))
@pytest.mark.feature("AFT-22")
def test_the_parts_of_claims_that_fall_on_suppliers_add_up_to_the_claims(figures, seed, steps):
    chain = Chain(seed).play(steps)

    figures.empty().hear_all(chain)

    told: defaultdict[tuple, list[int]] = defaultdict(lambda: [0, 0])
    for row in figures.ask("claims_by", by=["reason", "supplier", "product"], limit=1000)["rows"]:
        told[row["reason"], row["unit"]][0] += row["quantity"]
        told[row["reason"], row["unit"]][1] += row["approved_fen"]
    assert told == chain.claimed


def test_a_shift_expects_its_float_and_what_its_receipts_and_refunds_left(figures, month):
    figures.empty().hear_all(month)

    for row in figures.rows("shift_cash"):
        drawer = row["float_fen"] + row["cash_fen"] - row["refunded_cash_fen"]
        assert row["expected_cash_fen"] == drawer


def test_the_archive_keeps_every_event_byte_for_byte(figures, month):
    figures.empty().hear_all(month)

    kept = figures.connection.execute("SELECT * FROM archive ORDER BY source, position").fetchall()

    assert [(row["source"], bytes(row["envelope"])) for row in kept] == [
        (source, event.raw) for source in sorted(SOURCES) for event in month.logs[source]
    ]
    status = figures.connection.execute("SELECT * FROM reporting.as_known_at").fetchall()
    assert {row["source"]: (row["events"], row["position"]) for row in status} == {
        source: (len(log), log[-1].position) for source, log in month.logs.items()
    }


def test_an_event_is_never_archived_twice(figures, month):
    figures.empty().hear(month.logs["crm"])

    with pytest.raises(psycopg.errors.UniqueViolation):
        figures.hear(month.logs["crm"][-1:])


def test_an_event_that_breaks_its_contract_is_kept_and_counted_and_stops_nobody(figures, month):
    first, second, *others = month.logs["crm"]
    broken = replace(second, data={**second.data, "points": -1})

    figures.empty().hear([first, broken, *others])

    (status,) = figures.rows("as_known_at")
    assert (status["events"], status["unreadable"]) == (len(others) + 2, 1)
    assert len(figures.rows("points_by_store_day")) == 0
    # what is in the archive is read again
    figures.rebuild()
    assert figures.rows("as_known_at")[0]["unreadable"] == 0


def test_a_rebuild_mends_tables_that_were_spoiled(figures, month):
    right = figures.empty().hear_all(month).digests()
    figures.connection.execute("UPDATE sales SET quantity = quantity + 1")
    figures.connection.execute("DELETE FROM archived")

    rebuilt = figures.rebuild()

    assert rebuilt["sales"].before != rebuilt["sales"].after
    assert figures.digests() == right
    assert {name for name, d in rebuilt.items() if d.before != d.after} == {"sales", "archived"}


def test_selling_goes_on_during_a_rebuild_and_nothing_is_lost_or_doubled(figures):
    chain = Chain(seed=11).play(600)
    right = figures.empty().hear_all(chain).digests()
    batches = list(interleaved(chain, 5, 40))
    figures.empty()
    for batch in batches[:20]:
        figures.hear(batch)
    failures: list[Exception] = []

    def live() -> None:
        other = Figures(figures.dsn)
        try:
            for batch in batches[20:]:
                other.hear(batch)
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)
        finally:
            other.connection.close()

    seller = threading.Thread(target=live)
    seller.start()
    rebuilds = 0
    while seller.is_alive():
        rebuilt = figures.rebuild()
        assert all(digests.before == digests.after for digests in rebuilt.values())
        rebuilds += 1
    seller.join()

    assert failures == []
    assert rebuilds > 0
    assert figures.digests() == right


def test_a_rebuild_refuses_an_archive_with_a_hole(figures, month):
    right = figures.empty().hear_all(month).digests()
    lost = month.logs["orders"][9].position
    figures.connection.execute(
        "DELETE FROM archive WHERE source = 'orders' AND position = %s", [lost]
    )

    with pytest.raises(rebuild.ArchiveBroken, match=f"orders: nothing at position {lost}"):
        figures.rebuild()

    assert figures.digests() == right


def most_sold(chain: Chain) -> UUID:
    sold = Counter(
        part["lot_id"] for order in chain.paid for parts in order["lots"].values() for part in parts
    )
    return sold.most_common(1)[0][0]


def test_pages_go_on_where_they_stopped_and_make_up_the_whole(figures, month):
    figures.empty().hear_all(month)
    questions = [
        ("sales", {"by": ["store", "day", "hour", "channel", "product"]}),
        ("sales", {"by": ["product"]}),
        ("sales_by_hour", {}),
        ("claims_by", {"by": ["store", "reason", "kind", "product", "supplier"]}),
        ("stock_position", {}),
        ("lot_balance", {}),
        ("lot_margin", {}),
        ("trace_lot", {"lot_id": str(most_sold(month))}),
    ]
    for method, asked in questions:
        rows = "sales" if method == "trace_lot" else "rows"
        whole = figures.ask(method, **asked, limit=1000)
        assert whole["next"] is None
        assert len(whole[rows]) > 1, method
        assert whole["as_known_at"] == {s: log[-1].position for s, log in month.logs.items()}

        pages, after = [], None
        while True:
            page = figures.ask(method, **asked, limit=3, after=after)
            assert len(page[rows]) <= 3
            pages += page[rows]
            after = page["next"]
            if after is None:
                break

        assert pages == whole[rows], method


@pytest.mark.parametrize("after", ["x", "bm8=", "WzFd", "WyJhIiwiYiIsImMiLCJkIl0="])
def test_a_place_to_go_on_from_that_nobody_gave_is_refused(figures, after):
    with pytest.raises(BrokenPage):
        figures.ask("lot_balance", after=after)


def test_a_store_sees_its_own_figures_only(figures, month):
    figures.empty().hear_all(month)
    own = month.stores[1]
    elsewhere = next(
        lot
        for lot in month.lots
        if (own, lot) not in month.on_hand and figures.ask("trace_lot", lot_id=str(lot))
    )

    for method in ("sales", "sales_by_hour", "stock_position", "lot_balance", "lot_margin"):
        answer = figures.ask(method, own, limit=1000)
        assert {row["store_id"] for row in answer["rows"]} == {str(own)}, method
    with pytest.raises(views.LotUnknown):
        figures.ask("trace_lot", own, lot_id=str(elsewhere))
    order = next(order for order in month.paid if order["store_id"] != own)
    with pytest.raises(views.LineUnknown):
        figures.ask("trace_line", own, order_id=str(order["order_id"]), line_no=1)


def test_sales_can_be_told_apart_and_narrowed_down(figures, month):
    figures.empty().hear_all(month)
    days = sorted({day for _, day, _, _ in month.sold})
    apples = next(iter(month.products))

    of_one_day = figures.ask("sales", from_day=str(days[1]), to_day=str(days[1]), by=["store"])
    of_apples = figures.ask("sales", product_id=str(apples), by=["product"])
    through_claims = figures.ask("sales", channel="claim", by=["channel"], unit="piece")

    assert sum(row["quantity"] for row in of_one_day["rows"]) == sum(
        quantity for (_, day, _, _), (quantity, _, _) in month.sold.items() if day == days[1]
    )
    (row,) = of_apples["rows"]
    assert (row["product"], row["unit"]) == (month.names[apples], "g")
    assert all(row["quantity"] == 0 < row["returned"] for row in through_claims["rows"])


@pytest.mark.feature("INV-10")
def test_a_lot_is_traced_to_its_supplier_stores_receipts_and_claims(figures, month):
    figures.empty().hear_all(month)
    traced = 0
    for lot, facts in month.lots.items():
        trace = figures.ask("trace_lot", lot_id=str(lot), limit=1000)
        assert trace["lot"]["supplier_id"] == str(facts["supplier"])
        assert {UUID(row["store_id"]) for row in trace["stores"]} == {
            store for store, other in month.on_hand if other == lot
        }
        sold = {
            (str(order["order_id"]), line_no, part["quantity"])
            for order in month.paid
            for line_no, parts in order["lots"].items()
            for part in parts
            if part["lot_id"] == lot
        }
        assert {(r["order_id"], r["line_no"], r["quantity"]) for r in trace["sales"]} == sold
        assert trace["sold_by_certainty"] == (
            {"assumed": sum(quantity for _, _, quantity in sold)} if sold else {}
        )
        assert trace["in_transit"] == 0
        claimed = {claim["order_id"] for claim in trace["claims"]}
        assert claimed <= {order for order, _, _ in sold}
        traced += len(claimed)
    assert traced > 0


def test_a_line_is_traced_back_to_its_suppliers(figures, month):
    figures.empty().hear_all(month)
    for order in month.paid[:40]:
        for line in order["lines"]:
            asked = {"order_id": str(order["order_id"]), "line_no": line["line_no"]}
            trace = figures.ask("trace_line", **asked)
            parts = order["lots"][line["line_no"]]
            assert {(row["lot_id"], row["quantity"]) for row in trace["lots"]} == {
                (str(part["lot_id"]), part["quantity"]) for part in parts
            }
            for row in trace["lots"]:
                assert row["supplier_id"] == str(month.lots[UUID(row["lot_id"])]["supplier"])
            taken = sum(part["quantity"] for part in parts)
            assert trace["without_lot"] == line["quantity"] - taken


def test_an_unknown_lot_or_line_is_refused(figures):
    with pytest.raises(views.LotUnknown):
        figures.ask("trace_lot", lot_id=str(uuid4()))
    with pytest.raises(views.LineUnknown):
        figures.ask("trace_line", order_id=str(uuid4()), line_no=1)


@contextmanager
def analyst(figures: Figures) -> Iterator[psycopg.Connection[Any]]:
    dsn = psycopg.conninfo.make_conninfo(figures.dsn, user="reporting", password="reader")
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def test_analysts_may_read_every_report_and_nothing_else(figures, month):
    figures.empty().hear_all(month)
    figures.rebuild()

    with analyst(figures) as connection:
        for view in reporting.VIEWS:
            found = connection.execute(f"SELECT * FROM reporting.{view.name} LIMIT 1").fetchall()
            assert found, view.name
        ((timeout,),) = connection.execute("SHOW statement_timeout")
        assert timeout == "30s"
        for forbidden in (
            "SELECT * FROM public.sale",
            "SELECT * FROM public.archive",
            "DELETE FROM reporting.stores",
            "CREATE TABLE reporting.mine (x int)",
            "CREATE TABLE public.mine (x int)",
        ):
            with pytest.raises(
                (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
            ):
                connection.execute(forbidden)


def test_every_view_and_column_is_explained_in_the_database_as_in_the_docs(figures):
    explained = figures.connection.execute("""
        SELECT c.relname AS view, obj_description(c.oid) AS comment,
          array_agg(a.attname::text ORDER BY a.attnum) AS columns,
          array_agg(col_description(c.oid, a.attnum) ORDER BY a.attnum) AS comments
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = 'reporting'::regnamespace AND c.relkind = 'v'
        GROUP BY c.oid, c.relname""").fetchall()
    docs = (DOCS / "reporting.md").read_text("utf-8")

    assert docs == reporting.described(), "run: python -m analytics.reporting > docs/reporting.md"
    assert {row["view"] for row in explained} == {view.name for view in reporting.VIEWS}
    for row in explained:
        assert f"## {row['view']}\n\n{row['comment']}\n" in docs
        for column, comment in zip(row["columns"], row["comments"], strict=True):
            assert f"| {column} | {comment} |" in docs


def test_the_schema_can_be_applied_again_without_changing_anything(figures, month):
    before = figures.empty().hear_all(month).digests()

    figures.connection.execute(views.SCHEMA)

    assert figures.digests() == before
