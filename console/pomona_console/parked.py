"""`pomona parked`: the events that failed again and again and were set aside."""

import json
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pomona import operations
from pomona.operations import ParkedEvent
from pomona_console.contract_lock import shapes_of
from pomona_console.operators import Operator
from pomona_console.trouble import Trouble

_MASK = "•••"
_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
_service = click.argument("service")
_source = click.argument("source")
_position = click.argument("position", type=int)


@click.group
def parked() -> None:
    r"""See, retry and give up events that a service could not apply.

    Later events of the same subject wait behind a parked one; all others go on. They are tried
    again by themselves, at growing intervals.

    \b
    Examples:
      pomona parked list
      pomona parked show inventory orders 17
      pomona parked retry inventory
      pomona parked drop inventory orders 17 --reason "entered twice, ticket 4711"
    """


@parked.command("list")
@click.argument("service", required=False)
@_json
def list_(service: str | None, as_json: bool) -> None:
    r"""List what is set aside: of one service or of all.

    \b
    Examples:
      pomona parked list
      pomona parked list inventory --json | jq length
    """
    operator = Operator()
    found = []
    for name in [service] if service else operator.services:
        with operator.opened(name) as cursor:
            found += [(name, event) for event in operations.parked_events(cursor)]
    if as_json:
        click.echo(json.dumps([_listed(name, event) for name, event in found], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("service", "source", "position", "subject", "attempts", "error"):
        table.add_column(heading)
    for name, event in found:
        table.add_row(
            name,
            event.source,
            str(event.position),
            event.subject,
            str(event.attempts),
            event.error,
        )
    Console().print(table) if found else click.echo("没有。/ There are none.", err=True)


@parked.command
@_service
@_source
@_position
@click.option("--clear", is_flag=True, help="Show free text too; that is written down.")
@_json
def show(service: str, source: str, position: int, clear: bool, as_json: bool) -> None:
    r"""Show one parked event. Free text, which may speak of a person, is masked.

    \b
    Examples:
      pomona parked show inventory orders 17
      pomona parked show inventory orders 17 --clear
    """
    operator = Operator()
    with operator.opened(service) as cursor:
        event = _one(operations.parked_events(cursor, source, position), service, source, position)
        if clear:
            details = {"source": source, "position": position}
            operations.note(cursor, operator.who, "parked show --clear", details, "")
    shape = shapes_of(tuple(operator.contracts.values())).get(
        f"published {event.envelope.type.removeprefix('pomona.')}", {}
    )
    shown = _listed(service, event) | {
        "type": event.envelope.type,
        "time": event.envelope.time,
        "cause": dict(event.envelope.cause),
        "data": event.envelope.data if clear else masked(event.envelope.data, shape),
    }
    if as_json:
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for name, value in shown.items():
        plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        click.echo(f"{name:<10} {plain}")


@parked.command
@_service
@click.argument("source", required=False)
@click.argument("position", type=int, required=False)
@click.option("--reason", default="", help="What was mended, for those who look later.")
@_json
def retry(
    service: str, source: str | None, position: int | None, reason: str, as_json: bool
) -> None:
    r"""Try again now: everything parked in a service, of one source, or one event.

    Who did it is kept in the table `operations` of the service's database.

    \b
    Examples:
      pomona parked retry inventory
      pomona parked retry inventory orders 17 --reason "the new version is out"
    """
    operator = Operator()
    with operator.opened(service) as cursor:
        events = operations.retry_now(cursor, operator.who, source, position, reason.strip())
    if as_json:
        click.echo(json.dumps({"events": events}))
    else:
        click.echo(f"将立即重试 {events} 个事件。/ {events} events are tried again now.")


@parked.command("drop")
@_service
@_source
@_position
@click.option("--reason", required=True, help="Why its effect may be missing for ever.")
@_json
def drop(service: str, source: str, position: int, reason: str, as_json: bool) -> None:
    r"""Give up one parked event: what it should have done here will never happen.

    Who did it and why is kept in the table `operations` of the service's database.

    \b
    Example:
      pomona parked drop inventory orders 17 --reason "entered twice, ticket 4711"
    """
    if not reason.strip():
        raise click.BadParameter("say why / 请说明原因", param_hint="--reason")
    operator = Operator()
    with operator.opened(service) as cursor:
        if not operations.drop(cursor, operator.who, source, position, reason.strip()):
            raise _none(service, source, position)
    if as_json:
        click.echo(json.dumps({"source": source, "position": position}))
    else:
        click.echo(f"已放弃 {source} {position}。/ {source} {position} is given up.")


def masked(value: Any, shape: Mapping[str, Any]) -> Any:
    """Return data without free text: ids, moments and the closed words of a contract stay."""
    if isinstance(value, Mapping):
        fields = shape.get("properties", {})
        return {key: masked(inner, fields.get(key, {})) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, shape.get("items", {})) for inner in value]
    if isinstance(value, str) and not {"enum", "format"} & set(shape):
        return _MASK
    return value


def _listed(service: str, event: ParkedEvent) -> dict[str, Any]:
    return {
        "service": service,
        "source": event.source,
        "position": event.position,
        "subject": event.subject,
        "error": event.error,
        "attempts": event.attempts,
        "parked_at": event.parked_at.isoformat(),
        "retry_at": event.retry_at.isoformat(),
    }


def _one(found: list[ParkedEvent], service: str, source: str, position: int) -> ParkedEvent:
    if not found:
        raise _none(service, source, position)
    return found[0]


def _none(service: str, source: str, position: int) -> Trouble:
    return Trouble(
        f"{service} 没有搁置 {source} 的事件 {position}。请先运行 pomona parked list {service}。",
        f"{service} has not parked event {position} of {source}. "
        f"See `pomona parked list {service}`.",
    )
