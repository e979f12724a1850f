"""A batch is added up in memory, whatever its size."""

from datetime import UTC, datetime

import pytest

from analytics.projections.harvest import Harvest, array, gather
from analytics.tables import Table

SOLD = Table("sold", key={"day": "date"}, facts={"last": "text"}, sums=("grams", "fen"))


def test_sums_add_up_and_the_latest_fact_stays():
    harvest = Harvest()

    harvest.put(SOLD, ("monday",), ("apple",), (300, 20))
    harvest.put(SOLD, ("monday",), ("pear",), (-100, 5))
    harvest.put(SOLD, ("tuesday",), ("plum",), (1, 1))

    assert harvest.rows[SOLD] == {
        ("monday",): (("pear",), (200, 25)),
        ("tuesday",): (("plum",), (1, 1)),
    }


def test_a_table_is_written_in_one_statement_that_adds_up():
    assert SOLD.upsert == (
        "INSERT INTO sold (day, last, grams, fen)"
        " SELECT * FROM unnest(%s::date[], %s::text[], %s::bigint[], %s::bigint[])"
        " ON CONFLICT (day) DO UPDATE SET last = excluded.last,"
        " grams = sold.grams + excluded.grams, fen = sold.fen + excluded.fen"
    )


def test_a_fact_that_nobody_gathers_is_a_defect():
    with pytest.raises(NotImplementedError):
        gather(object(), Harvest())


def test_values_are_written_as_an_array_unless_a_backslash_has_two_meanings():
    when = datetime(2026, 11, 21, 10, tzinfo=UTC)

    assert array((1, None, -3)) == "{1,null,-3}"
    assert array((when,)) == '{"2026-11-21T10:00:00+00:00"}'
    assert array(("g", "苹果, {best}", "null")) == '{"g","苹果, {best}","null"}'
    for hazard in ('"quoted"', "back\\slash", "two\nlines"):
        assert array(("g", hazard)) == ["g", hazard]
