"""`pomona backup`, `backups` and `restore`: back to any moment since the first backup."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console

from pomona import operations
from pomona_console import stack as stacks
from pomona_console.archive import Archive, Backup
from pomona_console.layout import Layout
from pomona_console.lifecycle import telling_phases
from pomona_console.operators import Operator
from pomona_console.trouble import Trouble

_STEPS = {
    "copying": "正在复制备份 / Copying the backup",
    "replaying": "正在重放日志 / Replaying the log",
}


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print the backup as JSON.")
def backup(as_json: bool) -> None:
    r"""Copy the private cluster while it runs, verify the copy, and keep the log from here on.

    The last seven are kept. Between them the log reaches any moment, but for the last five minutes
    where the disk itself is lost.

    \b
    Examples:
      pomona backup
      pomona backup --json | jq -r .name
    """
    operator = Operator()
    with Console(stderr=True).status("正在备份并校验 / Copying and verifying"):
        taken = Archive.of(operator.stack.layout).take()
    for service in operator.services:
        with operator.opened(service) as cursor:
            operations.note(cursor, operator.who, "backup", _plain(taken), "")
    click.echo(json.dumps(_plain(taken)) if as_json else _line(taken))


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def backups(as_json: bool) -> None:
    r"""List the backups, oldest first; each reaches every moment after it ended.

    \b
    Examples:
      pomona backups
      pomona backups --json | jq -r .[-1].ended_at
    """
    found = Archive.of(Layout(stacks.default_directory())).backups()
    if as_json:
        click.echo(json.dumps([_plain(each) for each in found], indent=2))
        return
    for each in found:
        click.echo(_line(each))
    if not found:
        click.echo("还没有备份。/ There is none yet: pomona backup", err=True)


@click.command
@click.option("--at", required=True, metavar="TIME|latest", help="The moment, with its offset.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what came of it as JSON.")
def restore(at: str, yes: bool, as_json: bool) -> None:
    r"""Put every database back to one moment, and start again from there.

    Stops the services, copies the best backup, replays the log up to that moment, empties the
    queues of what was lost, and starts the services: they erase again whoever was erased, publish
    again what may not have arrived, and give no position twice. The data from before is set aside.

    \b
    Examples:
      pomona restore --at latest
      pomona restore --at 2026-11-21T18:30:00+08:00 --yes
    """
    moment = _moment(at)
    layout = Layout(stacks.default_directory())
    archive = Archive.of(layout)
    archive.best_for(moment)
    if not yes:
        click.confirm("之后的数据将被撤销。继续？/ All after that is undone. Go on?", abort=True)
    done = restore_stack(layout, moment)
    if as_json:
        click.echo(json.dumps(done, indent=2))
        return
    click.echo(
        f"已恢复到 {done['last_commit']}，时间线 {done['timeline']}；"
        f"原数据在 {done['set_aside']}。\n"
        f"Restored to {done['last_commit']}, timeline {done['timeline']}; the data from before is"
        f" in {done['set_aside']}.\n下一步 / next: pomona verify, pomona backup"
    )


def restore_stack(layout: Layout, at: datetime | None) -> dict[str, Any]:
    """Stop the stack of a directory, restore its databases, and start it again."""
    with suppress(Trouble):
        stacks.down(layout.directory)
    with Console(stderr=True).status("…") as progress:
        done = Archive.of(layout).restore(at, lambda step: progress.update(_STEPS[step]))
    layout.restored.touch()
    with telling_phases() as tell:
        stacks.up(layout.directory, tell)
    return {
        "backup": done.backup,
        "last_commit": done.last_commit and done.last_commit.isoformat(),
        "timeline": done.timeline,
        "set_aside": str(done.set_aside),
    }


def _moment(at: str) -> datetime | None:
    if at == "latest":
        return None
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment > datetime.now(UTC):
        raise click.BadParameter(
            "give a past moment with its offset, such as 2026-11-21T18:30:00+08:00, or latest /"
            " 请给出带时区的过去时刻，或 latest",
            param_hint="--at",
        )
    return moment


def _plain(backup: Backup) -> dict[str, Any]:
    return {
        "name": backup.name,
        "ended_at": backup.ended_at.isoformat(),
        "bytes": backup.bytes,
    }


def _line(backup: Backup) -> str:
    return f"{backup.name}  {backup.bytes / 2**20:,.0f} MiB"
