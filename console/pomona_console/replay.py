"""`pomona replay`: plays a real sales record through the terminals of the running stack."""

import json
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

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

from pomona.errors import Refused
from pomona_console.day import Shop
from pomona_console.day_crew import Crew
from pomona_console.layout import read_json, write_private
from pomona_console.replay_plan import Scheme, plan_day
from pomona_console.replay_record import BadRecord, Record, read_record
from pomona_console.replay_shops import open_shops
from pomona_console.report import Comparison, Expected
from pomona_console.report_words import say
from pomona_console.stack import Stack, running_stack
from pomona_console.verify_positions import wait_until_caught_up

INTERRUPTED = 130
_SHOWN_DIFFERENCES = 20


@dataclass(frozen=True)
class Outcome:
    """What a replay did, and how analytics compares with it."""

    scheme: Scheme
    days: tuple[date, ...]
    counts: Counter[str]
    calls: int
    seconds: float
    comparisons: tuple[Comparison, ...]
    strays: tuple[str, ...]

    @property
    def different(self) -> list[Comparison]:
        return [comparison for comparison in self.comparisons if not comparison.equal]

    @property
    def equal(self) -> bool:
        return not self.different and not self.strays

    @property
    def rate(self) -> float:
        return round(self.calls / self.seconds, 1) if self.seconds else 0.0

    def as_json(self, shops: list[Shop]) -> dict[str, Any]:
        return {
            "equal": self.equal,
            "record": self.scheme.record,
            "seed": self.scheme.seed,
            "stores": [str(shop.id) for shop in shops],
            "from": self.days[0].isoformat(),
            "to": self.days[-1].isoformat(),
            "played": {
                **self.counts,
                "calls": self.calls,
                "seconds": round(self.seconds, 1),
                "calls_per_second": self.rate,
            },
            "differences": len(self.different) + len(self.strays),
            "unaccounted_rows": list(self.strays),
            "products": [comparison.as_json() for comparison in self.comparisons],
        }


class Checkpoint:
    """Days that were played to their end. Only saves time: command ids keep things right."""

    def __init__(self, stack: Stack, scheme: Scheme) -> None:
        self._path = stack.layout.directory / f"replay-{scheme.id('checkpoint')}.json"
        self.days: set[str] = set(read_json(self._path) or ())

    def believe(self, shop: Shop) -> None:
        """Forget the days if the store does not know the last of them: it is another store then."""
        with suppress(ValueError):
            last = max(self.days)
            shift = shop.scheme.id(date.fromisoformat(last), shop.number, "shift", 0)
            try:
                shop.manager().ask("orders", "get_shift", {"shift_id": str(shift)})
            except Refused:
                self.days.clear()

    def done(self, day: date) -> None:
        self.days.add(day.isoformat())
        write_private(self._path, json.dumps(sorted(self.days)))


class Rate(ProgressColumn):
    """Calls a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:5.0f} {say('次/秒', 'calls/s')}", style="cyan")


def play(
    stack: Stack, record: Record, scheme: Scheme, days: list[date], stderr: Console
) -> tuple[Outcome, list[Shop]]:
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
            progress.update(task, description=say("等待各服务处理完毕", "waiting for the inboxes"))
            wait_until_caught_up(crew.person("replay", "head_office").ask)
    comparisons, strays = expected.compared(
        stack.databases["reporting"], [shop.id for shop in shops]
    )
    outcome = Outcome(
        scheme,
        tuple(days),
        expected.counts,
        crew.calls,
        seconds,
        tuple(comparisons),
        tuple(strays),
    )
    return outcome, shops


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
    return days


def summary(outcome: Outcome) -> str:
    """Say in a few lines what was played and whether analytics agrees."""
    counts = outcome.counts
    played = say(
        f"{outcome.days[0]} 至 {outcome.days[-1]}，{counts['days']} 天，"
        f"{outcome.scheme.stores} 家店："
        f"{counts['orders']:,} 单 {counts['lines']:,} 行，{counts['lots']:,} 批收货，"
        f"{counts['returns']:,} 笔退货；{outcome.calls:,} 次调用，{outcome.rate} 次/秒。",
        f"{outcome.days[0]} to {outcome.days[-1]}, {counts['days']} days in"
        f" {outcome.scheme.stores} stores: {counts['orders']:,} orders of"
        f" {counts['lines']:,} lines,"
        f" {counts['lots']:,} lots, {counts['returns']:,} returns;"
        f" {outcome.calls:,} calls, {outcome.rate} a second.",
    )
    compared = len(outcome.comparisons)
    if outcome.equal:
        verdict = say(
            f"分析库与记录逐日逐商品相符（{compared:,} 项，精确到克和分）。",
            f"Analytics equals the record for all {compared:,} days and products,"
            " to the gram and the fen.",
        )
        return f"{played}\n{verdict}"
    lines = [
        f"{bad.day} {bad.product.name}: "
        f"{bad.quantity - bad.returned} / {bad.record_quantity} {bad.product.unit}, "
        f"{bad.takings_fen} / {bad.rung_up_fen} fen"
        for bad in outcome.different[:_SHOWN_DIFFERENCES]
    ] + list(outcome.strays[:_SHOWN_DIFFERENCES])
    differences = len(outcome.different) + len(outcome.strays)
    verdict = say(
        f"有 {differences} 处不符（分析库 / 应为）：",
        f"There are {differences} differences (analytics / expected):",
    )
    return "\n".join([played, verdict, *lines])


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
    """Play the record SALES through the RPCs of the running stack, split over several stores.

    Every command's id follows from the record, the seed and the number of stores, so that an
    interrupted replay goes on where it stopped when the same command is given again, and nothing
    happens twice. Exits 1 if analytics differs from the record in one gram or fen.
    """
    stderr = Console(stderr=True)
    try:
        record = read_record(sales, products)
    except BadRecord as error:
        raise click.ClickException(str(error)) from None
    chosen = chosen_days(record, first.date() if first else None, days)
    stack = running_stack()
    try:
        outcome, shops = play(stack, record, Scheme(record.key, stores, seed), chosen, stderr)
    except KeyboardInterrupt:
        stderr.print(
            say(
                "已中断。再次执行同一命令即可从中断处继续，不会重复。",
                "Interrupted. The same command goes on from here, and doubles nothing.",
            )
        )
        sys.exit(INTERRUPTED)
    found = json.dumps(outcome.as_json(shops), ensure_ascii=False, indent=1)
    if report:
        report.write_text(found + "\n", encoding="utf-8")
    click.echo(found if as_json else summary(outcome))
    sys.exit(0 if outcome.equal else 1)
