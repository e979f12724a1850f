"""`pomona demo`: one day of a three-store chain on servers of its own, shown and checked."""

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pomona_console.day_crew import Crew
from pomona_console.demo_day import DemoDay
from pomona_console.demo_findings import Findings, found
from pomona_console.demo_summary import summary
from pomona_console.report_failures import told_plainly
from pomona_console.report_words import in_chinese, say
from pomona_console.stack import Stack, default_directory, temporary_stack, terminal_for
from pomona_console.verify import table_of, verified

_CALLS_OF_THE_DAY = 263  # about; only the progress bar needs it
_PHASES = {
    "servers": ("启动 PostgreSQL 和 RabbitMQ", "starting PostgreSQL and RabbitMQ"),
    "databases": ("建立数据库", "making the databases"),
    "services": ("启动六个服务", "starting the six services"),
}


def play_demo(stack: Stack, progress: Progress) -> Findings:
    """Play the day on a stack, check it and ask what it left behind."""
    task = progress.add_task("", total=_CALLS_OF_THE_DAY)
    with Crew(stack, tell=progress.console.print, answered=lambda: progress.advance(task)) as crew:
        demo = DemoDay(crew, lambda words: progress.update(task, description=words))
        demo.play()
    progress.update(task, completed=_CALLS_OF_THE_DAY)
    verdict = verified(stack, progress)
    with terminal_for(
        stack,
        role="head_office",
        person="head-office",
        locale="zh-CN" if in_chinese() else "en",
    ) as terminal:
        return found(terminal, demo, verdict)


@click.command(short_help="Play one trading day of a made-up chain and show what it left.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the summary goes as JSON; by default .run/demo-report.json.",
)
def demo(report: Path | None) -> None:
    r"""Play one trading day of a made-up three-store chain, from first delivery to last drawer.

    Starts servers and services of its own and stops them again.

    \b
    Example:
      pomona demo
    """
    report = report or default_directory() / "demo-report.json"
    stderr = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    ) as progress:
        starting = progress.add_task("", total=None)

        def tell(phase: str) -> None:
            words = say(*_PHASES[phase])
            progress.update(starting, description=words)
            if not stderr.is_terminal:
                stderr.print(words)

        with temporary_stack(tell=tell) as stack:
            progress.update(starting, visible=False)
            with told_plainly():
                findings = play_demo(stack, progress)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(
        json.dumps(findings.as_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    out = Console()
    out.print(summary(findings))
    if not findings.verdict.holds:
        out.print(table_of(findings.verdict))
    out.print(say(f"全部数据：{report}", f"All of it as data: {report}"))
    sys.exit(0 if findings.verdict.holds else 1)
