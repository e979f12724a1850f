"""Facts make us remember: a batch is archived, gathered in memory, then written."""

from collections.abc import Iterable, Sequence
from typing import Any

from marshmallow import ValidationError
from psycopg import Cursor

from analytics import contracts, tables
from analytics.projections import aftersales, crm, inventory, orders
from analytics.projections.harvest import Harvest, array, gather
from pomona.envelope import Envelope

__all__ = ["aftersales", "crm", "inventory", "orders", "project", "remember"]

PART = 250
READERS = {consumed.type: consumed for consumed in contracts.CONSUMED}


def remember(batch: Sequence[Envelope], cursor: Cursor[Any]) -> None:
    """Archive a batch of one source and add it to the tables.

    The archive is written first: there a rebuild holds writers back while it swaps tables. The
    database writes one part of the batch while the next one is read here.
    """
    with cursor.connection.pipeline():
        for start in range(0, len(batch), PART):
            part = batch[start : start + PART]
            archive(part, cursor)
            project(part, cursor)


def archive(events: Sequence[Envelope], cursor: Cursor[Any]) -> None:
    cursor.execute(
        "INSERT INTO archive (source, position, previous, type, envelope)"
        " SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::text[], %b::bytea[])",
        (
            array([event.source for event in events]),
            array([event.position for event in events]),
            array([event.previous for event in events]),
            array([event.type for event in events]),
            [event.raw for event in events],
        ),
    )


def project(batch: Iterable[Envelope], cursor: Cursor[Any]) -> None:
    """Add events to the tables that the search path finds first."""
    harvest = Harvest()
    for event in batch:
        harvest.position = event.position
        kind, latest = (event.source, event.type), (event.position, event.time)
        harvest.put(tables.ARCHIVED, kind, latest, (1,))
        consumed = READERS.get(event.type)
        if consumed is None:
            continue
        try:
            happened = consumed.read(event.data)
        except ValidationError:
            # It stays in the archive, is counted, and is read again by the next rebuild.
            place = (event.source, event.position)
            harvest.put(tables.UNREADABLE, place, (event.type, event.subject))
        else:
            gather(happened, harvest)
    harvest.write(cursor)
