"""A batch is added up in memory, whatever its size."""

import pytest

from analytics.projections.harvest import Harvest, gather
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
