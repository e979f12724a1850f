"""`pomona relay status`: how far each log is published, and how far its readers are."""

import json
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pomona import operations
from pomona.eventlog import EventLog
from pomona_console.operators import Operator


@click.group
def relay() -> None:
    r"""See how the logs of the services are published.

    \b
    Example:
      pomona relay status
    """


@relay.command
@click.argument("service", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(service: str | None, as_json: bool) -> None:
    r"""Show position, head, what waits since when, who leads, and the lag of every reader.

    `leader` is the process of PostgreSQL that serves the relay in the lead; without one nothing is
    published. A reader that is `ahead` has applied what a restored source has lost.

    \b
    Examples:
      pomona relay status
      pomona relay status orders --json | jq .orders.pending
    """
    operator = Operator()
    found = {
        name: _of(operator, name, log)
        for name in ([service] if service else operator.services)
        if (log := operator.log_of(name)) is not None
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("service", "position", "head", "pending", "oldest", "leader", "readers"):
        table.add_column(heading)
    for name, each in found.items():
        readers = ", ".join(
            f"{reader} {'ahead' if lag is None else lag}" for reader, lag in each["readers"].items()
        )
        row = (name, each["position"], each["head"], each["pending"], each["oldest"])
        table.add_row(*(str(cell or "-") for cell in (*row, each["leader"], readers)))
    Console().print(table)


def _of(operator: Operator, service: str, log: EventLog) -> dict[str, Any]:
    with operator.opened(service) as cursor:
        found = asdict(operations.outbox(cursor, log))
        positions = {
            reader: _position(operator, reader, service) for reader in operator.readers_of(service)
        }
        readers = {
            reader: log.count_after(cursor, position) if log.knows(cursor, position) else None
            for reader, position in positions.items()
        }
    return {**found, "readers": readers}


def _position(operator: Operator, reader: str, source: str) -> int:
    with operator.opened(reader) as cursor:
        return operations.inbox_positions(cursor).get(source, 0)
