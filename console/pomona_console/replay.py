"""`pomona replay`: plays a real sales record through the terminals of the running stack."""

import json
import sys
import time
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pomona_console.day import CLOSES
from pomona_console.day_crew import Crew
from pomona_console.replay_checkpoint import Checkpoint
from pomona_console.replay_plan import ZONE, Scheme, plan_day
from pomona_console.replay_record import BadRecord, Record, read_record
from pomona_console.replay_shops import open_shops
from pomona_console.report import Expected
from pomona_console.report_failures import told_plainly
from pomona_console.report_outcome import Outcome, summary
from pomona_console.report_words import say
from pomona_console.stack import Stack, running_stack
from pomona_console.verify_positions import wait_until_caught_up

INTERRUPTED = 130


class Rate(ProgressColumn):
    """Calls a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:5.0f} {say('次/秒', 'calls/s')}", style="cyan")


def play(
    stack: Stack, record: Record, scheme: Scheme, days: list[date], stderr: Console
) -> Outcome:
    """Play the days, wait until everything has arrived everywhere, and compare."""
    expected, began = Expected(), time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    live = stderr.is_terminal
    with Progress(*columns, console=stderr, disable=not live) as progress:
        task = progress.add_task(say("准备门店", "opening the stores"), total=None)
        with Crew(stack, tell=stderr.print, answered=partial(progress.advance, task)) as crew:
            shops = open_shops(crew, scheme, record.products)
            checkpoint = Checkpoint(stack, scheme)
            checkpoint.believe(shops[0])
            calls = sum(
                len(plan)
                for day in days
                if day.isoformat() not in checkpoint.days
                for plan in plan_day(scheme, day, record.days[day])
            )
            progress.update(task, total=calls, completed=0)
            for day in days:
                rows = record.days[day]
                plans = plan_day(scheme, day, rows)
                expected.add(day, rows, plans)
                if day.isoformat() not in checkpoint.days:
                    progress.update(task, description=day.isoformat())
                    crew.all_do(
                        partial(shop.play, plan) for shop, plan in zip(shops, plans, strict=True)
                    )
                    checkpoint.done(day)
                    if not live:
                        stderr.print(say(f"{day} 已完成", f"{day} done"))
            seconds = time.monotonic() - began
            wait_until_caught_up(
                crew.person("replay", "head_office").ask,
                lambda words: progress.update(task, description=words),
            )
    comparisons, strays = expected.compared(
        stack.databases["reporting"], [shop.id for shop in shops]
    )
    return Outcome(
        scheme,
        tuple(shop.id for shop in shops),
        tuple(days),
        expected.counts,
        crew.calls,
        seconds,
        tuple(comparisons),
        tuple(strays),
    )


def chosen_days(record: Record, first: date | None, count: int) -> list[date]:
    """Return the record's days in the period asked for. Raises UsageError where there are none."""
    known = list(record.days)
    start = first or known[0]
    end = start + timedelta(days=count)
    days = [day for day in known if start <= day < end]
    if not known[0] <= start <= known[-1] or not days:
        raise click.UsageError(
            say(
                f"{start} 起的 {count} 天不在记录内。记录从 {known[0]} 到 {known[-1]}，"
                "请用 --from 选其中一天。",
                f"The record has nothing in the {count} days from {start}. It runs from"
                f" {known[0]} to {known[-1]}; choose a day in it with --from.",
            )
        )
    if _closing(days[-1]) > datetime.now(UTC):
        raise click.UsageError(
            say(
                f"{days[-1]} 还没有打烊。请用 --days 或 --from 只选已过去的日子。",
                f"The shops have not closed on {days[-1]} yet. Choose days that are over,"
                " with --days or --from.",
            )
        )
    return days


def _closing(day: date) -> datetime:
    return datetime.combine(day, CLOSES, ZoneInfo(ZONE))


@click.command(short_help="Play a sales record through the running stack.")
@click.argument("sales", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--products",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The product list: product, code, category, loss_rate_percent.",
)
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day to play.")
@click.option("--days", default=7, type=click.IntRange(1, 10_000), show_default=True)
@click.option("--stores", default=3, type=click.IntRange(1, 50), show_default=True)
@click.option("--seed", default=1, type=click.IntRange(0), show_default=True)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write what was played and every comparison as JSON.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the report to stdout.")
def replay(
    sales: Path,
    *,
    products: Path,
    first: datetime | None,
    days: int,
    stores: int,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> None:
    r"""Play the record SALES through the RPCs of the running stack, split over several stores.

    Every command's id follows from the record, the seed and the number of stores, so that an
    interrupted replay goes on where it stopped when the same command is given again, and nothing
    happens twice. Exits 1 if analytics differs from the record in one gram or fen.

    \b
    Examples:
      pomona replay sales.csv --products products.csv
      pomona replay sales.csv --products products.csv --from 2021-03-01 --days 14 --stores 3
    """
    stderr = Console(stderr=True)
    try:
        record = read_record(sales, products)
    except BadRecord as error:
        raise click.ClickException(str(error)) from None
    chosen = chosen_days(record, first.date() if first else None, days)
    stack = running_stack()
    try:
        with told_plainly():
            outcome = play(stack, record, Scheme(record.key, stores, seed), chosen, stderr)
    except KeyboardInterrupt:
        stderr.print(
            say(
                "已中断。再次执行同一命令即可从中断处继续，不会重复。",
                "Interrupted. The same command goes on from here, and doubles nothing.",
            )
        )
        sys.exit(INTERRUPTED)
    found = json.dumps(outcome.as_json(), ensure_ascii=False, indent=1)
    if report:
        report.write_text(found + "\n", encoding="utf-8")
    click.echo(found if as_json else summary(outcome))
    sys.exit(0 if outcome.equal else 1)
