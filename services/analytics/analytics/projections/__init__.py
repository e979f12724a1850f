"""Facts make us remember: a batch is archived, gathered in memory, then written."""

from collections.abc import Iterable, Sequence
from typing import Any

from marshmallow import ValidationError
from psycopg import Cursor

from analytics import contracts, tables
from analytics.projections import aftersales, crm, inventory, orders
from analytics.projections.harvest import Harvest, gather
from pomona.envelope import Envelope

__all__ = ["aftersales", "crm", "inventory", "orders", "project", "remember"]

READERS = {consumed.type: consumed for consumed in contracts.CONSUMED}


def remember(batch: Sequence[Envelope], cursor: Cursor[Any]) -> None:
    """Archive a batch of one source and add it to the tables.

    The archive is written first: there a rebuild holds writers back while it swaps tables.
    """
    columns = "source, position, previous, type, envelope"
    with cursor.copy(f"COPY archive ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["text", "int8", "int8", "text", "bytea"])
        for event in batch:
            copy.write_row((event.source, event.position, event.previous, event.type, event.raw))
    project(batch, cursor)


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
