"""`pomona verify`: recomputes what must hold from the event stores and says whether it does."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pomona.terminal import Terminal
from pomona_console.report_database import reported
from pomona_console.report_failures import told_plainly
from pomona_console.report_words import say
from pomona_console.stack import Stack, running_stack, terminal_for
from pomona_console.verify_chain import Chains, Once
from pomona_console.verify_events import Check, Event, Tally, event_of, is_first_version
from pomona_console.verify_money import Drawers, Receipts, Refunds
from pomona_console.verify_points import Points
from pomona_console.verify_positions import Positions, wait_until_caught_up
from pomona_console.verify_reporting import LOTS_SQL, SALES_SQL, Lots, Sales
from pomona_console.verify_stock import Allocations, Claims, LotBalances, Transfers

PUBLISHERS = ("orders", "inventory", "aftersales", "crm")
PAGE = 1000


@dataclass(frozen=True)
class Verdict:
    """Every invariant with what was found, and how much was looked at."""

    tallies: tuple[Tally, ...]
    events: dict[str, int]
    positions: Positions

    @property
    def holds(self) -> bool:
        return all(tally.holds for tally in self.tallies)

    def as_json(self) -> dict[str, Any]:
        return {
            "holds": self.holds,
            "events": self.events,
            "checks": [tally.as_json() for tally in self.tallies],
        }


def verified(stack: Stack, progress: Progress) -> Verdict:
    """Wait until nothing is under way, read every event of every log, and check."""
    terminal = terminal_for(stack, role="head_office", person="verify")
    with terminal:
        task = progress.add_task("", total=None)
        settled = wait_until_caught_up(
            partial(terminal.ask, patience=30),
            lambda words: progress.update(task, description=words),
        )
        progress.update(
            task, description=say("读取事件", "reading events"), total=sum(settled.heads.values())
        )
        chains, sales, lots = Chains(), Sales(), Lots()
        checks: list[Check] = [
            chains,
            Once(),
            Receipts(),
            Drawers(),
            Refunds(),
            Points(),
            LotBalances(),
            Allocations(),
            Transfers(),
            Claims(),
            sales,
            lots,
        ]
        for source in PUBLISHERS:
            before = 0
            for event in events_of(terminal, source, settled.heads[source]):
                for check in checks:
                    check.see(event)
                progress.advance(task, event.position - before)
                before = event.position
        tallies = [tally for check in checks for tally in check.tallies()]
        reporting = stack.databases["reporting"]
        tallies.append(sales.compared(reported(reporting, SALES_SQL)))
        tallies.extend(lots.compared(reported(reporting, LOTS_SQL)))
        tallies.append(_archived(terminal, chains.events))
        tallies.append(_parked(settled))
    return Verdict(tuple(tallies), dict(chains.events), settled)


def events_of(terminal: Terminal, source: str, head: int) -> Iterator[Event]:
    """Read a source's log page by page, up to where it stood when everything was settled."""
    position = 0
    while position < head:
        page = terminal.ask(
            source, "events_after", {"position": position, "limit": PAGE}, patience=30
        )
        for envelope in page["events"]:
            if envelope["position"] > head:
                return
            if is_first_version(envelope):
                yield event_of(envelope)
        if not page["events"]:
            return
        position = page["events"][-1]["position"]


def _archived(terminal: Terminal, events: Counter[str]) -> Tally:
    tally = Tally(
        "archive_complete",
        "分析库归档了每个来源的全部事件",
        "analytics has archived every event of every source",
    )
    sources = terminal.ask("analytics", "archive_status", patience=30)["sources"]
    for source in PUBLISHERS:
        known = sources.get(source, {"events": 0, "unreadable": 0})
        tally.that(
            known["events"] == events[source] and not known["unreadable"],
            f"{source}: {known['events']} of {events[source]}, {known['unreadable']} unreadable",
        )
    return tally


def _parked(settled: Positions) -> Tally:
    tally = Tally("nothing_parked", "没有搁置的事件", "no service has parked events")
    for service, parked in settled.parked.items():
        tally.that(parked == 0, f"{service}: {parked}")
    return tally


def bar(stderr: Console) -> Progress:
    """Return a progress bar on stderr; nothing is drawn where stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


def table_of(verdict: Verdict) -> Table:
    """Lay the verdict out for people."""
    table = Table("", say("检查", "invariant"))
    table.add_column(say("数量", "checked"), justify="right")
    table.add_column(say("不符", "broken"), justify="right")
    for tally in verdict.tallies:
        mark = "[green]✓[/]" if tally.holds else "[red]✗[/]"
        table.add_row(mark, tally.title, f"{tally.checked:,}", f"{tally.broken:,}")
        for example in tally.examples:
            table.add_row("", f"[red]{example}[/]", "", "")
    return table


@click.command(short_help="Recompute the invariants from the event stores and say which hold.")
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
def verify(as_json: bool) -> None:
    r"""Recompute the invariants from the event stores and say which hold.

    Exits 1 if one does not.

    \b
    Examples:
      pomona verify
      pomona verify --json | jq .
    """
    stack = running_stack()
    with told_plainly(), bar(Console(stderr=True)) as progress:
        verdict = verified(stack, progress)
    if as_json:
        click.echo(json.dumps(verdict.as_json(), ensure_ascii=False, indent=2))
    else:
        out = Console()
        out.print(table_of(verdict))
        total = sum(verdict.events.values())
        out.print(
            say(f"{total:,} 个事件，全部相符。", f"{total:,} events, everything holds.")
            if verdict.holds
            else say(f"{total:,} 个事件，有不符之处。", f"{total:,} events, not everything holds.")
        )
    sys.exit(0 if verdict.holds else 1)
