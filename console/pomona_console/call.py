"""`pomona call`: any method of any service, as whoever the caller claims to be."""

import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from pomona.contracts import PERSON_ROLES, Request, Role
from pomona.errors import Refusal, Refused
from pomona_console.contract_listing import described, in_words, requests_of
from pomona_console.layout import SERVICES
from pomona_console.stack import running_stack, terminal_for
from pomona_console.trouble import Trouble

_EVERYWHERE = ("positions", "events_after")  # the chassis answers these for every service
_AT_A_STORE = ("cashier", "store_manager")


@click.command
@click.argument("service", type=click.Choice(SERVICES))
@click.argument("method", required=False)
@click.argument("request_json", metavar="[JSON|@FILE|-]", default="{}")
@click.option("--list", "listing", is_flag=True, help="Show the methods and their requests.")
@click.option("--json", "as_json", is_flag=True, help="With --list: as JSON.")
@click.option("--as", "role", type=click.Choice(PERSON_ROLES), help="Who is calling.")
@click.option("--store", type=click.UUID, help="The store of a cashier or store manager.")
@click.option("--terminal", type=click.UUID, help="The terminal in use.")
@click.option("--person", default="console", show_default=True, help="The person's name or id.")
@click.option("--locale", type=click.Choice(["zh-CN", "en"]), default="zh-CN", show_default=True)
@click.option("--command-id", type=click.UUID, help="Send a command again under its first id.")
def call(
    service: str,
    method: str | None,
    request_json: str,
    listing: bool,
    as_json: bool,
    role: Role | None,
    store: UUID | None,
    terminal: UUID | None,
    person: str,
    locale: str,
    command_id: UUID | None,
) -> None:
    r"""Call a METHOD of a SERVICE over AMQP and print its answer as JSON.

    The request is JSON on the command line, in a file (@file) or on standard input (-). Without
    --as the caller is head office, or the first role that may call the method.

    \b
    Examples:
      pomona call orders --list
      pomona call orders list_stores
      pomona call orders get_order '{"order_id": "..."}' --as cashier --store ID
      pomona call inventory receive_goods @delivery.json --as store_manager --store ID
    """
    requests = {request.method: request for request in requests_of(service)}
    if listing:
        _list(list(requests.values()), as_json)
        return
    if method is None or (method not in requests and method not in _EVERYWHERE):
        known = ", ".join(sorted(requests))
        raise click.UsageError(
            f"Name one of {service}'s methods: {known}. "
            f"`pomona call {service} --list` shows what they take."
        )
    contract = requests.get(method)
    role = role or _likely_role(contract)
    if role in _AT_A_STORE and store is None:
        raise click.UsageError(f"A {role} works at one store: add --store ID.")
    request = request_given(request_json)
    at = store if role in _AT_A_STORE else None
    who = terminal_for(
        running_stack(), role=role, store_id=at, terminal_id=terminal, person=person, locale=locale
    )
    try:
        with who:
            if contract is not None and contract.kind == "command":
                answer = who.command(service, method, request, command_id=command_id)
            else:
                answer = who.ask(service, method, request)
    except Refused as refused:
        raise _told(refused) from None
    except Refusal as unavailable:
        raise Trouble(unavailable.sentence("zh"), unavailable.sentence("en")) from None
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2))


def _list(requests: list[Request], as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps([described(request) for request in requests], ensure_ascii=False, indent=2)
        )
    else:
        click.echo("\n\n".join(in_words(request) for request in requests))


def _likely_role(contract: Request | None) -> Role:
    if contract is None or "head_office" in contract.roles:
        return "head_office"
    return contract.roles[0]


def request_given(given: str) -> dict[str, Any]:
    try:
        if given == "-":
            given = sys.stdin.read()
        elif given.startswith("@"):
            given = Path(given[1:]).read_text()
        request = json.loads(given)
    except OSError as failure:
        raise click.UsageError(f"Cannot read the request: {failure}.") from None
    except ValueError as failure:
        raise click.UsageError(f"The request is no JSON: {failure}.") from None
    if not isinstance(request, dict):
        raise click.UsageError("The request is no JSON object: write it as {...}.")
    return request


def _told(refused: Refused) -> click.ClickException:
    where = f" [{refused.field}]" if refused.field else ""
    return click.ClickException(
        f"{refused.code}{where}: {refused.message} ({refused.correlation_id})"
    )
