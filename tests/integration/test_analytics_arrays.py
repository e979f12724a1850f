"""What analytics writes in one statement arrives value by value as it was."""

from datetime import UTC, date, datetime
from uuid import uuid4

import psycopg
import pytest

from analytics.projections.harvest import array

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("uuid", [uuid4(), uuid4(), None]),
        ("bigint", [0, -1, 2**62, None]),
        ("date", [date(2026, 11, 21), None]),
        ("timestamptz", [datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)]),
        ("boolean", [True, False, None]),
        ("text", ["g", "", " ", "null", "NULL", "{}", "a,b", "苹果🍎", "it's", None]),
        ("text", ['"', "\\", "\\n", "a\nb", "\t", "\x7f"]),
    ],
)
def test_an_array_of_any_values_reaches_the_database_as_it_was(servers, kind, values):
    with psycopg.connect(servers.admin_dsn) as connection:
        row = connection.execute(f"SELECT %s::{kind}[]", [array(values)]).fetchone()

    assert row[0] == values
