"""The command line `pomona`: one command per module, loaded when it is asked for."""

import importlib
import os
import signal
import sys
from typing import Any

import click

from pomona_console.trouble import Trouble

_COMMANDS = {
    "up": "lifecycle",
    "down": "lifecycle",
    "status": "status",
    "call": "call",
    "terminal": "terminal",
    "demo": "demo",
    "replay": "replay",
    "verify": "verify",
    "rebuild": "rebuild",
    "personal": "personal",
    "broker": "broker",
    "parked": "parked",
    "relay": "relay",
    "replay-from-log": "replay_from_log",
    "realign": "replay_from_log",
    "backup": "backup",
    "backups": "backup",
    "restore": "backup",
    "identity": "identity",
}
_INTERRUPTED = 130


class _Console(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(
            importlib.import_module(f"pomona_console.{module}"), cmd_name.replace("-", "_")
        )
        return _laid_out(command)


def _laid_out(command: click.Command) -> click.Command:
    """Let click see the marks that keep examples unwrapped; a raw docstring only spells them."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _laid_out(inner)
    return command


@click.group(cls=_Console, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pomona-console", prog_name="pomona")
def console() -> None:
    r"""Pomona: the services of a fruit-store chain on this machine.

    \b
    Begin with:
      pomona up
      pomona status
      pomona call orders --list
      pomona down

    Results go to stdout; progress, logs and errors go to stderr. Exit status: 0 done, 1 not
    possible, 2 wrong arguments, 130 interrupted.
    """


_laid_out(console)


def main() -> None:
    """Run the command line: every failure becomes a sentence in both languages and a status."""
    # A polite kill unwinds like Ctrl-C does, so that nothing we started outlives us.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)
    try:
        sys.exit(console.main(standalone_mode=False))
    except click.UsageError as wrong:
        wrong.show()
        path = wrong.ctx.command_path if wrong.ctx else "pomona"
        click.echo(f"参数有误。用法见 {path} --help。", err=True)
        sys.exit(2)
    except click.ClickException as failure:
        failure.show()
        sys.exit(failure.exit_code)
    except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (click.Abort, KeyboardInterrupt):
        click.echo("已中断。/ Interrupted.", err=True)
        sys.exit(_INTERRUPTED)
    except Trouble as trouble:
        click.echo(f"错误：{trouble.zh}\nError: {trouble.en}", err=True)
        sys.exit(1)


def _unwind(number: int, frame: Any) -> None:
    del frame
    sys.exit(128 + number)
