"""`pomona up` and `pomona down`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from pomona_console import stack as stacks
from pomona_console.stack import Stack, Tell

PHASES = {
    "servers": "正在启动 PostgreSQL 和 RabbitMQ / Starting PostgreSQL and RabbitMQ",
    "databases": "正在准备数据库 / Preparing the databases",
    "services": "正在启动各服务 / Starting the services",
}


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print where everything listens as JSON.")
def up(as_json: bool) -> None:
    r"""Start what is missing of the stack, and leave it running.

    Running it again changes nothing. POMONA_AMQP_URI and POMONA_PG_DSN, where set, name servers to
    use instead of private ones.

    \b
    Examples:
      pomona up
      POMONA_PG_DSN=postgresql://admin:secret@db/postgres pomona up
    """
    with telling_phases() as tell:
        running = stacks.up(tell=tell)
    if as_json:
        click.echo(json.dumps(running.state, indent=2))
    else:
        click.echo(_where(running))


@click.command
def down() -> None:
    r"""Stop everything that `pomona up` started; what is stored stays.

    \b
    Example:
      pomona down
    """
    with Console(stderr=True).status("正在停止 / Stopping"):
        stopped = stacks.down()
    click.echo("已停止。/ Stopped." if stopped else "没有运行。/ Nothing was running.", err=True)


@contextmanager
def telling_phases() -> Iterator[Tell]:
    """Tell on stderr how far a start is: in one line that changes, or line by line in a log."""
    progress = Console(stderr=True)
    with progress.status("…") as line:

        def tell(phase: str) -> None:
            line.update(PHASES[phase])
            if not progress.is_terminal:
                progress.print(PHASES[phase])

        yield tell


def _where(running: Stack) -> str:
    lines = ["Pomona 已运行 / is running:", f"  {'AMQP':<12}{running.amqp_uri}"]
    lines += [f"  {name:<12}{dsn}" for name, dsn in running.databases.items()]
    lines += [
        f"  {service['name']:<12}http://127.0.0.1:{service['http_port']}/metrics /readyz /healthz"
        for service in running.services
    ]
    logs = running.layout.log("*")
    return "\n".join([*lines, f"  {'logs':<12}{logs}", "下一步 / next: pomona status, make down"])
