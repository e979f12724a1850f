"""`pomona status`: what runs where, whether it is ready, and how far behind it is."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pomona_console.probes import is_ready, lag
from pomona_console.stack import Stack, running_stack


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def status(as_json: bool) -> None:
    r"""Show the services, their pids, ports, health and lag, and where the databases are.

    \b
    Examples:
      pomona status
      pomona status --json | jq -r .databases.reporting
    """
    found = status_of(running_stack())
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    show(found)


def status_of(stack: Stack) -> dict[str, Any]:
    """Return the status of a stack; lag is what the services themselves tell Prometheus."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        services = list(pool.map(_service, stack.services))
    return {
        "amqp": dict(stack.state["amqp"]),
        "postgres": dict(stack.state["postgres"]),
        "services": services,
        "databases": dict(stack.databases),
    }


def _service(service: Mapping[str, Any]) -> dict[str, Any]:
    port = service["http_port"]
    return {
        "name": service["name"],
        "pid": service["pid"],
        "http_port": port,
        "ready": service["pid"] is not None and is_ready(port),
        "lag": lag(port),
        "restarts": service["restarts"],
    }


def show(found: Mapping[str, Any]) -> None:
    output = Console()
    table = Table(box=None, pad_edge=False)
    for heading in ("服务 service", "pid", "HTTP", "就绪 ready", "重启 restarts", "落后 lag"):
        table.add_column(heading)
    for service in found["services"]:
        lag = ", ".join(f"{source} {events}" for source, events in service["lag"].items())
        table.add_row(
            service["name"],
            str(service["pid"] or "-"),
            str(service["http_port"]),
            "[green]✓[/]" if service["ready"] else "[red]✗[/]",
            str(service["restarts"]),
            lag or "-",
        )
    output.print(table)
    amqp, postgres = found["amqp"], found["postgres"]
    output.print(f"\nAMQP        {amqp['uri']} (pid {amqp['pid']})", soft_wrap=True)
    output.print(f"PostgreSQL  {postgres['data']} (pid {postgres['pid']})", soft_wrap=True)
    for name, dsn in found["databases"].items():
        output.print(f"  {name:<11}{dsn}", soft_wrap=True, highlight=False)
