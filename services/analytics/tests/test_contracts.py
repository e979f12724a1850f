"""What analytics reads and answers hangs together."""

from pathlib import Path

import pytest

from analytics import contracts, reporting, tables
from analytics.projections.harvest import Harvest, gather
from analytics.service import AnalyticsService
from pomona import wire

GOLDEN = Path(__file__).parents[3] / "tests" / "contract"


def test_every_fact_has_somewhere_to_go():
    nowhere = gather.dispatch(object)

    for consumed in contracts.CONSUMED:
        assert gather.dispatch(consumed.fact) is not nowhere, consumed.type


def test_every_question_has_a_door_and_no_cashier_behind_it():
    for request in contracts.REQUESTS:
        assert request.kind == "question"
        assert hasattr(AnalyticsService, request.method)
        assert "cashier" not in request.roles


@pytest.mark.parametrize("consumed", contracts.CONSUMED, ids=lambda consumed: consumed.type)
def test_what_the_others_promise_to_send_can_be_read(consumed):
    _, source, name, version = consumed.type.split(".")
    messages = list((GOLDEN / source).glob(f"{name}.{version}*.json"))
    assert messages
    for message in messages:
        told = wire.decode(message.read_bytes())
        gather(consumed.read(told.get("data", told)), Harvest())


def test_the_description_of_the_reports_is_fresh():
    docs = Path(__file__).parents[3] / "docs" / "reporting.md"

    assert docs.read_text("utf-8") == reporting.described(), (
        "run: python -m analytics.reporting > docs/reporting.md"
    )


def test_every_table_belongs_to_one_source_and_holds_no_clock():
    assert len({table.name for table in tables.TABLES}) == len(tables.TABLES)
    for word in ("now()", "serial", "IDENTITY", "DEFAULT"):
        assert word not in tables.SCHEMA
