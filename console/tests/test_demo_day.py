"""The demo's day lies in the past everywhere, and is the same every time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from pomona_console.demo_catalogue import STORES
from pomona_console.demo_day import CLOSES, latest_whole_day

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(MOMENTS)
def test_every_store_has_closed_and_not_long_ago(now: datetime) -> None:
    day = latest_whole_day(now)

    for store in STORES:
        closed = datetime.combine(day, CLOSES, ZoneInfo(store.zone))
        assert timedelta(0) < now - closed < timedelta(days=3)
