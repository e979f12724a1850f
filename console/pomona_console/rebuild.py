"""`pomona rebuild`: head office's tables once more, from the archive of every event."""

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from analytics.rebuild import ArchiveBroken
from analytics.rebuild import rebuild as rebuild_tables
from pomona_console.stack import running_stack
from pomona_console.trouble import Trouble


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print the tables' digests as JSON.")
def rebuild(as_json: bool) -> None:
    r"""Build every table of analytics again from the archive, and swap them in.

    Services keep running meanwhile. Says for each table whether its bytes are the same as before,
    and ends with 1 if one is not.

    \b
    Examples:
      pomona rebuild
      pomona rebuild --json
    """
    dsn = running_stack().databases["analytics"]
    columns = (
        TextColumn("重建 / rebuilding"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("rebuild", total=None)
            compared = rebuild_tables(
                dsn, lambda done, total: progress.update(bar, completed=done, total=total)
            )
    except ArchiveBroken as broken:
        raise Trouble(
            f"归档不完整：{broken}。请等待分析服务追上后重试（pomona status）。",
            f"The archive is incomplete: {broken}. Let analytics catch up first (pomona status).",
        ) from None
    changed = sorted(name for name, d in compared.items() if d.before != d.after)
    if as_json:
        click.echo(json.dumps({name: asdict(d) for name, d in compared.items()}, indent=2))
    else:
        for name in sorted(compared):
            click.echo(f"{'≠' if name in changed else '='}  {name}")
    if changed:
        raise Trouble(
            f"重建后内容不同的表：{', '.join(changed)}。请运行 pomona verify。",
            f"These tables differ after the rebuild: {', '.join(changed)}. Run `pomona verify`.",
        )
