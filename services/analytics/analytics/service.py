"""The doors of analytics: every question that spans contexts."""

from typing import Any

from analytics import contracts, projections, views
from pomona.application import Question
from pomona.doors import question
from pomona.host import Reader


class AnalyticsService:
    name = "analytics"
    views: Reader = Reader(
        contracts=contracts,
        remember=projections.remember,
        schema=views.SCHEMA,
        batch=1000,
        delay=0.02,
        append_only=("archive",),
    )

    @question
    def sales(self, q: Question) -> dict[str, Any]:
        with self.views.reading() as cursor:
            return views.sales(cursor, q.request, q.store_id)

    @question
    def sales_by_hour(self, q: Question) -> dict[str, Any]:
        with self.views.reading() as cursor:
            return views.sales_by_hour(cursor, q.request, q.store_id)

    @question
    def lot_margin(self, q: Question) -> dict[str, Any]:
        with self.views.reading() as cursor:
            return views.lot_margin(cursor, q.request, q.store_id)

    @question
    def claims_by(self, q: Question) -> dict[str, Any]:
        with self.views.reading() as cursor:
            return views.claims_by(cursor, q.request, q.store_id)

    @question
    def stock_position(self, q: Question) -> dict[str, Any]:
        with self.views.reading() as cursor:
            return views.stock_position(cursor, q.request, q.store_id)

    @question
    def lot_balance(self, q: Question) -> dict[str, Any]:
        with self.views.reading() as cursor:
            return views.lot_balance(cursor, q.request, q.store_id)

    @question
    def trace_lot(self, q: Question) -> dict[str, Any]:
        with self.views.reading() as cursor:
            return views.trace_lot(cursor, q.request, q.store_id)

    @question
    def trace_line(self, q: Question) -> dict[str, Any]:
        with self.views.reading() as cursor:
            return views.trace_line(cursor, q.request, q.store_id)

    @question
    def archive_status(self, _q: Question) -> dict[str, Any]:
        with self.views.reading() as cursor:
            return views.archive_status(cursor)
