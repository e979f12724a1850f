"""`pomona replay-from-log` and `realign`: a reader and the log of its source, made to agree."""

import json
import time
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pomona import operations
from pomona.broker import Publisher
from pomona.broker_access import service_user
from pomona.envelope import Envelope
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor
from pomona_console.operators import Operator
from pomona_console.stack import Stack
from pomona_console.trouble import Trouble

_ARCHIVIST = "analytics"
_PAGE = 500
_STUCK_AFTER = 120.0
_LOOK_EVERY = 0.2

_consumer = click.argument("consumer")
_source = click.argument("source")
_json = click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")


@click.command("replay-from-log")
@_consumer
@_source
@click.option("--from", "start", type=click.IntRange(min=0), help="For analytics: a position.")
@_json
def replay_from_log(consumer: str, source: str, start: int | None, as_json: bool) -> None:
    r"""Publish a source's log again from where a consumer stands, and wait until it has caught up.

    Safe while everything runs: whoever knows an event drops it. For analytics, --from puts back
    what is missing in its archive after a position; `pomona rebuild` then reads it.

    \b
    Examples:
      pomona replay-from-log inventory orders
      pomona replay-from-log analytics orders --from 0 && pomona rebuild
    """
    if start is not None and consumer != _ARCHIVIST:
        raise click.BadParameter(
            f"only {_ARCHIVIST} keeps what it has read / 只有 {_ARCHIVIST} 保存读过的事件",
            param_hint="--from",
        )
    operator = Operator()
    log = operator.log_read_by(consumer, source)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        if start is not None:
            events = _refill_the_archive(operator, log, start, progress)
        else:
            events = _publish_again(operator, log, consumer, progress)
    if as_json:
        click.echo(json.dumps({"consumer": consumer, "source": source, "events": events}))
    else:
        click.echo(f"{events} 个事件。/ {events} events.")


@click.command
@_consumer
@_source
@click.option("--reason", required=True, help="Why what was lost may stay applied.")
@_json
def realign(consumer: str, source: str, reason: str, as_json: bool) -> None:
    r"""Let a consumer go on reading a source that was restored to before what it has applied.

    What the source lost stays applied in the consumer: find out first what it was
    (docs/runbooks.md, SourceForgot). Analytics forgets it instead; run `pomona rebuild` then.

    \b
    Example:
      pomona realign inventory orders --reason "the three lost sales were entered by hand"
    """
    if not reason.strip():
        raise click.BadParameter("say why / 请说明原因", param_hint="--reason")
    operator = Operator()
    log = operator.log_read_by(consumer, source)
    with operator.opened(source) as of_source, operator.opened(consumer) as cursor:
        position = operations.inbox_positions(cursor).get(source, 0)
        if log.knows(of_source, position):
            raise Trouble(
                f"{consumer} 没有超前于 {source}，无需处理。",
                f"{consumer} is not ahead of {source}: there is nothing to do.",
            )
        known = log.head(of_source, upto=position)
        if consumer == _ARCHIVIST:
            cursor.execute(
                "DELETE FROM archive WHERE source = %s AND position > %s", (source, known)
            )
        operations.realign(cursor, operator.who, source, (position, known), reason.strip())
    if as_json:
        click.echo(json.dumps({"from": position, "to": known}))
    else:
        click.echo(f"{consumer}: {source} {position} -> {known}")


def _publish_again(operator: Operator, log: EventLog, consumer: str, progress: Progress) -> int:
    published = 0
    with operator.opened(log.service) as of_source:
        target = log.head(of_source)
        position = _standing(operator, log, consumer, of_source)
        bar = progress.add_task("发布 / publishing", total=log.count_after(of_source, position))
        with Publisher(_as_source(operator.stack, log.service), log.service) as publisher:
            for page in _pages(log, of_source, position):
                publisher.publish(page)
                published += len(page)
                progress.update(bar, completed=published)
        _wait_until_applied(operator, log.service, consumer, target, progress)
    return published


def _standing(operator: Operator, log: EventLog, consumer: str, of_source: Cursor) -> int:
    with operator.opened(consumer) as cursor:
        position = operations.inbox_positions(cursor).get(log.service, 0)
    if not log.knows(of_source, position):
        raise Trouble(
            f"{consumer} 超前于已恢复的 {log.service}。请阅读 docs/runbooks.md 的 SourceForgot。",
            f"{consumer} is ahead of {log.service}, which was restored. "
            "Read SourceForgot in docs/runbooks.md.",
        )
    return position


def _refill_the_archive(operator: Operator, log: EventLog, start: int, progress: Progress) -> int:
    added = 0
    with operator.opened(log.service) as of_source, operator.opened(_ARCHIVIST) as cursor:
        bar = progress.add_task("归档 / archiving", total=log.count_after(of_source, start))
        reads = {consumed.type for consumed in operator.contracts[_ARCHIVIST].consumed}
        # what comes later than this is for the inbox to archive
        reached = operations.inbox_positions(cursor).get(log.service, 0)
        for page in _pages(log, of_source, start):
            known = [e for e in page if e.position <= reached and e.is_chosen(reads)]
            cursor.executemany(
                "INSERT INTO archive (source, position, previous, type, envelope)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [(e.source, e.position, e.previous, e.type, e.raw) for e in known],
            )
            added += cursor.rowcount if known else 0
            progress.advance(bar, len(page))
        details = {"source": log.service, "from": start, "events": added}
        operations.note(cursor, operator.who, "replay-from-log", details, "")
    return added


def _pages(log: EventLog, cursor: Cursor, position: int) -> Iterator[list[Envelope]]:
    while page := log.after(cursor, position, _PAGE):
        yield page
        position = page[-1].position


def _wait_until_applied(
    operator: Operator, source: str, consumer: str, target: int, progress: Progress
) -> None:
    bar = progress.add_task("处理 / applying", total=None)
    before, moved = -1, time.monotonic()
    while True:
        with operator.opened(consumer) as cursor:
            position = operations.inbox_positions(cursor).get(source, 0)
        if position >= target:
            progress.update(bar, total=1, completed=1)
            return
        if position != before:
            before, moved = position, time.monotonic()
        if time.monotonic() - moved > _STUCK_AFTER:
            raise Trouble(
                f"{consumer} 停在 {source} 的 {position}。请查看 pomona status 和它的日志。",
                f"{consumer} stays at {position} of {source}. See `pomona status` and its log.",
            )
        time.sleep(_LOOK_EVERY)


def _as_source(stack: Stack, source: str) -> str:
    """Return the broker's URI with the account of a source: a reader believes nobody else."""
    user = service_user(source)
    parts = urlsplit(stack.amqp_uri)
    login = f"{quote(user, safe='')}:{quote(stack.layout.password(user), safe='')}"
    return parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}").geturl()
