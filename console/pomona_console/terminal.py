"""`pomona terminal`: commands that are kept on disk until they are answered, broker or not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pomona.contracts import PERSON_ROLES, Role
from pomona.errors import Refusal, Refused, Unavailable
from pomona.offline import Backlog, Kept
from pomona.terminal import Terminal
from pomona_console.call import request_given
from pomona_console.layout import SERVICES
from pomona_console.stack import default_directory, running_stack, terminal_for
from pomona_console.trouble import Trouble

_STATES = {"waiting": "等待 / waiting", "answered": "完成 / answered", "refused": "被拒 / refused"}

_kept_in = click.option(
    "--backlog",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that keeps the commands; .run/backlog.sqlite unless given.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group
def terminal() -> None:
    r"""Work on while the broker or a service is away: nothing that was entered is lost.

    A command is on disk before it is sent. What is not answered waits, in its order, for seven
    days; what is refused is set aside until somebody has looked at it.

    \b
    Examples:
      pomona terminal send inventory receive_goods @delivery.json --as store_manager --store ID
      pomona terminal queue
      pomona terminal flush
      pomona terminal retry 17
    """


@terminal.command
@click.argument("service", type=click.Choice(SERVICES))
@click.argument("method")
@click.argument("request_json", metavar="JSON|@FILE|-")
@click.option("--as", "role", type=click.Choice(PERSON_ROLES), required=True, help="Who it is.")
@click.option("--store", type=click.UUID, help="The store of a cashier or store manager.")
@click.option("--terminal", "terminal_id", type=click.UUID, help="The terminal in use.")
@click.option("--person", default="console", show_default=True, help="The person's name or id.")
@click.option("--command-id", type=click.UUID, help="The command's id, where it has one already.")
@_kept_in
@_json
def send(
    service: str,
    method: str,
    request_json: str,
    role: Role,
    store: UUID | None,
    terminal_id: UUID | None,
    person: str,
    command_id: UUID | None,
    path: Path | None,
    as_json: bool,
) -> None:
    r"""Write a command down, then send it and all that waits before it.

    Ends with 0 also where nobody can be reached: then the command is kept.

    \b
    Example:
      pomona terminal send orders open_shift @shift.json --as cashier --store ID --terminal ID
    """
    who = {"person": person, "role": role, "store": store, "terminal": terminal_id}
    with _backlog(path) as backlog:
        key = json.dumps({name: value and str(value) for name, value in who.items()})
        given = request_given(request_json)
        sent = backlog.write_down(service, method, given, person=key, command_id=command_id)
        try:
            _flush(backlog, patience=0.0)
        except Unavailable:
            click.echo("暂时无法送达，已保存，稍后发送：pomona terminal flush", err=True)
            click.echo("Nobody can be reached. It is kept: `pomona terminal flush`.", err=True)
        _tell([backlog.command(sent)], as_json)


@terminal.command
@click.option("--all", "everything", is_flag=True, help="Also what was answered.")
@_kept_in
@_json
def queue(everything: bool, path: Path | None, as_json: bool) -> None:
    r"""Show what waits and what was refused.

    \b
    Examples:
      pomona terminal queue
      pomona terminal queue --all --json
    """
    with _backlog(path) as backlog:
        _tell(backlog.commands(*(() if everything else ("waiting", "refused"))), as_json)


@terminal.command
@click.option("--patience", default=60.0, show_default=True, help="Seconds to wait for services.")
@_kept_in
@_json
def flush(patience: float, path: Path | None, as_json: bool) -> None:
    r"""Send everything that waits, in its order; ends with 1 if nobody can be reached.

    \b
    Examples:
      pomona terminal flush
      pomona terminal flush --patience 600
    """
    with _backlog(path) as backlog:
        _flush(backlog, patience=patience)
        _tell(backlog.commands("refused"), as_json)


@terminal.command
@click.argument("number", type=int)
@_kept_in
def retry(number: int, path: Path | None) -> None:
    """Let the refused command NUMBER wait again, when what it lacked is there."""
    with _backlog(path) as backlog:
        backlog.retry(number)


@terminal.command
@click.argument("number", type=int)
@_kept_in
def drop(number: int, path: Path | None) -> None:
    """Forget the refused command NUMBER, which somebody has dealt with."""
    with _backlog(path) as backlog:
        backlog.drop(number)


@contextmanager
def _backlog(path: Path | None) -> Iterator[Backlog]:
    backlog = Backlog(path or default_directory() / "backlog.sqlite")
    try:
        yield backlog
    except Refused as refused:
        raise click.ClickException(str(refused)) from None
    except Refusal as refusal:
        raise Trouble(refusal.sentence("zh"), refusal.sentence("en")) from None
    finally:
        backlog.close()


def _flush(backlog: Backlog, *, patience: float) -> None:
    stack = running_stack()
    terminals: dict[str, Terminal] = {}

    def terminal_of(person: str) -> Terminal:
        if person not in terminals:
            who = json.loads(person)
            terminals[person] = terminal_for(
                stack,
                role=who["role"],
                store_id=who["store"] and UUID(who["store"]),
                terminal_id=who["terminal"] and UUID(who["terminal"]),
                person=who["person"],
            )
        return terminals[person]

    columns = (TextColumn("发送 / sending"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("flush", total=len(backlog.commands("waiting")))
            backlog.flush(terminal_of, patience=patience, told=lambda _: progress.advance(bar))
    finally:
        for connected in terminals.values():
            connected.close()


def _tell(kept: list[Kept], as_json: bool) -> None:
    if as_json:
        commands: list[dict[str, Any]] = [asdict(command) for command in kept]
        click.echo(json.dumps(commands, ensure_ascii=False, indent=2, default=str))
        return
    for command in kept:
        what = f"{command.number}  {_STATES[command.state]}  {command.service}.{command.method}"
        result = json.dumps(command.result, ensure_ascii=False) if command.result else ""
        click.echo(f"{what}  {command.written_at.isoformat(timespec='seconds')}  {result}".strip())
