"""`pomona terminal`: commands that are kept on disk until they are answered, broker or not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pomona import session
from pomona.errors import Refusal, Refused, Unavailable
from pomona.offline import SIGNED_OUT, Backlog, Kept
from pomona.terminal import Terminal
from pomona_console.call import request_given
from pomona_console.identity import secret_file, secret_given, told
from pomona_console.layout import SERVICES
from pomona_console.stack import default_directory, running_stack
from pomona_console.terminal_home import TerminalHome
from pomona_console.trouble import Trouble

_STATES = {"waiting": "等待 / waiting", "answered": "完成 / answered", "refused": "被拒 / refused"}

_home = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=TerminalHome),
    default=lambda: TerminalHome(default_directory() / "terminal"),
    help="Where this terminal keeps its account and commands; .run/terminal unless given.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group
def terminal() -> None:
    r"""Work on while the broker or a service is away: nothing that was entered is lost.

    A command is on disk before it is sent. What is not answered waits, in its order, for seven
    days; what is refused is set aside until somebody has looked at it. It goes out from the
    terminal's own account, in the name of whoever was logged in.

    \b
    Examples:
      pomona terminal enrol CODE
      pomona terminal log-in 1017
      pomona terminal send inventory receive_goods @delivery.json
      pomona terminal queue
      pomona terminal flush
      pomona terminal retry 17
    """


@terminal.command
@click.argument("code")
@click.option("--broker", help="Where the broker is (amqp://HOST:PORT/VHOST); this stack's if not.")
@_home
@_json
def enrol(code: str, broker: str | None, home: TerminalHome, as_json: bool) -> None:
    r"""Make this machine the terminal that a CODE was issued for, with an account of its own.

    \b
    Examples:
      pomona terminal enrol 7KQ2-M0XD-93TH-ZB5C
      pomona terminal enrol 7KQ2-M0XD-93TH-ZB5C --broker amqps://broker.example:5671/pomona
    """
    home.make()
    uri = broker or running_stack().amqp_uri
    enrolled = told(lambda: session.enrol(uri, code, home.account))
    shown = {"terminal_id": enrolled.terminal_id, "store_id": enrolled.store_id}
    click.echo(json.dumps(shown, indent=2) if as_json else f"{enrolled.terminal_id}")


@terminal.command("log-in")
@click.argument("staff_no")
@secret_file
@_home
@_json
def log_in(staff_no: str, source: Any, home: TerminalHome, as_json: bool) -> None:
    r"""Log somebody in here; what is sent from now on is theirs.

    Who was logged in before stays so, for what they left waiting.

    \b
    Examples:
      pomona terminal log-in 1017
      pomona terminal log-in 1017 --from pin.txt
    """
    credentials = home.credentials()
    kind = "pin" if credentials.store_id else "password"
    secret = {kind: secret_given(kind, source, twice=False)}
    with told(lambda: session.log_in(credentials, staff_no, **secret)) as somebody:
        home.admit(staff_no, somebody.token())
        shown = {"staff_no": staff_no, "role": somebody.role, "store_id": somebody.store_id}
    click.echo(json.dumps(shown, indent=2) if as_json else f"{staff_no}  {somebody.role}")


@terminal.command("log-out")
@_home
def log_out(home: TerminalHome) -> None:
    """End the session of whoever logged in last; what they left waiting has to wait for them."""
    staff_no = home.logged_in()
    with told(lambda: home.session_of(staff_no)) as somebody:
        told(somebody.log_out)
    home.dismiss(staff_no)


@terminal.command
@click.argument("service", type=click.Choice(SERVICES))
@click.argument("method")
@click.argument("request_json", metavar="JSON|@FILE|-")
@click.option("--command-id", type=click.UUID, help="The command's id, where it has one already.")
@_home
@_json
def send(
    service: str,
    method: str,
    request_json: str,
    command_id: UUID | None,
    home: TerminalHome,
    as_json: bool,
) -> None:
    r"""Write a command down, then send it and all that waits before it.

    Ends with 0 also where nobody can be reached: then the command is kept.

    \b
    Example:
      pomona terminal send orders open_shift @shift.json
    """
    staff_no = home.logged_in()
    given = request_given(request_json)
    with _backlog(home) as backlog:
        sent = backlog.write_down(service, method, given, person=staff_no, command_id=command_id)
        try:
            _flush(home, backlog, patience=0.0)
        except Unavailable:
            click.echo("暂时无法送达，已保存，稍后发送：pomona terminal flush", err=True)
            click.echo("Nobody can be reached. It is kept: `pomona terminal flush`.", err=True)
        _tell([backlog.command(sent)], as_json)


@terminal.command
@click.option("--all", "everything", is_flag=True, help="Also what was answered.")
@_home
@_json
def queue(everything: bool, home: TerminalHome, as_json: bool) -> None:
    r"""Show what waits and what was refused.

    \b
    Examples:
      pomona terminal queue
      pomona terminal queue --all --json
    """
    with _backlog(home) as backlog:
        _tell(backlog.commands(*(() if everything else ("waiting", "refused"))), as_json)


@terminal.command
@click.option("--patience", default=60.0, show_default=True, help="Seconds to wait for services.")
@_home
@_json
def flush(patience: float, home: TerminalHome, as_json: bool) -> None:
    r"""Send everything that waits, in its order; ends with 1 if nobody can be reached.

    \b
    Examples:
      pomona terminal flush
      pomona terminal flush --patience 600
    """
    with _backlog(home) as backlog:
        _flush(home, backlog, patience=patience)
        _tell(backlog.commands("refused"), as_json)


@terminal.command
@click.argument("number", type=int)
@_home
def retry(number: int, home: TerminalHome) -> None:
    """Let the refused command NUMBER wait again, when what it lacked is there."""
    with _backlog(home) as backlog:
        backlog.retry(number)


@terminal.command
@click.argument("number", type=int)
@_home
def drop(number: int, home: TerminalHome) -> None:
    """Forget the refused command NUMBER, which somebody has dealt with."""
    with _backlog(home) as backlog:
        backlog.drop(number)


@contextmanager
def _backlog(home: TerminalHome) -> Iterator[Backlog]:
    home.make()
    backlog = Backlog(home.backlog)
    try:
        yield backlog
    except Refused as refused:
        if refused.code in SIGNED_OUT:
            raise Trouble(
                "登录已失效，命令已保存。请先 pomona terminal log-in，再 pomona terminal flush。",
                "The session is over; what waits is kept. Log in again, `pomona terminal log-in`,"
                " then `pomona terminal flush`.",
            ) from None
        raise Trouble(refused.message, str(refused)) from None
    except Refusal as refusal:
        raise Trouble(refusal.sentence("zh"), refusal.sentence("en")) from None
    finally:
        backlog.close()


def _flush(home: TerminalHome, backlog: Backlog, *, patience: float) -> None:
    credentials = home.credentials()
    terminals: dict[str, Terminal] = {}

    def terminal_of(staff_no: str) -> Terminal:
        if staff_no not in terminals:
            terminals[staff_no] = Terminal(
                credentials.amqp_uri, home.token_of(staff_no), locale="zh-CN"
            )
        return terminals[staff_no]

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
