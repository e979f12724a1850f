"""`pomona identity`: terminals, people, sessions and the keys that vouch for them."""

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import click

from pomona import session
from pomona.contracts import PERSON_ROLES
from pomona.errors import Refusal, Refused
from pomona.signing import forget_keys, keys_in, make_key, signer_of
from pomona.terminal import Terminal
from pomona_console.stack import running_stack, terminal_for
from pomona_console.trouble import Trouble

# A till that was cut off for a week renews a session whose token an old key signed.
_KEYS_KEPT = timedelta(days=8)

_T = TypeVar("_T")

_as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
secret_file = click.option(
    "--from",
    "source",
    type=click.File("r", "utf-8"),
    help="Read it from a file, or - for standard input, instead of asking for it.",
)


@click.group
def identity() -> None:
    r"""Make terminals and people known, let them in, and shut them out.

    They act for the operator of this machine's stack, as head office; a terminal has its own
    `pomona terminal`. A PIN or password is asked for or read from a file, never an argument.

    \b
    Examples:
      pomona identity hire 1017 --as cashier --store ID
      pomona identity set-pin 1017
      pomona identity issue-code --store ID
      pomona identity revoke person 1017
    """


@identity.command("issue-code")
@click.option("--store", type=click.UUID, help="The terminal's store; none for head office.")
@click.option("--terminal", type=click.UUID, help="Its id; a new one where none is given.")
@_as_json
def issue_code(store: UUID | None, terminal: UUID | None, as_json: bool) -> None:
    r"""Print a code with which one terminal can enrol, once, within 24 hours.

    The code is made here and shown only now: identity is told its hash. A second code for the same
    terminal makes the first one void.

    \b
    Example:
      pomona identity issue-code --store 7d1f0c9a-52c4-4c0e-9f55-0c6d4f6b8e01
    """
    code = session.new_code()
    request = {"terminal_id": str(terminal or uuid4()), "code_hash": session.hash_of_code(code)}
    answer = _for_head_office("issue_code", request | _at(store))
    _tell({"code": code, **answer}, as_json)


@identity.command
@click.argument("staff_no")
@click.option("--as", "works_as", type=click.Choice(PERSON_ROLES), required=True)
@click.option("--store", type=click.UUID, help="The store of a cashier or store manager.")
@_as_json
def hire(staff_no: str, works_as: str, store: UUID | None, as_json: bool) -> None:
    r"""Make somebody known by a STAFF_NO, which nobody else ever gets.

    \b
    Examples:
      pomona identity hire 1017 --as cashier --store ID
      pomona identity hire anna --as head_office
    """
    request = {"staff_no": staff_no, "works_as": works_as} | _at(store)
    _tell(_for_head_office("hire", request), as_json)


@identity.command
@click.argument("staff_no")
@click.option("--as", "works_as", type=click.Choice(PERSON_ROLES), required=True)
@click.option("--store", type=click.UUID, help="The store of a cashier or store manager.")
@_as_json
def move(staff_no: str, works_as: str, store: UUID | None, as_json: bool) -> None:
    r"""Give somebody another role or store; what was open under the old one ends.

    \b
    Example:
      pomona identity move 1017 --as store_manager --store ID
    """
    request = {"staff_no": staff_no, "works_as": works_as} | _at(store)
    _tell(_for_head_office("move", request), as_json)


@identity.command("set-pin")
@click.argument("staff_no")
@secret_file
@_as_json
def set_pin(staff_no: str, source: Any, as_json: bool) -> None:
    r"""Give somebody who works at a store a PIN of 6 digits.

    \b
    Examples:
      pomona identity set-pin 1017
      pomona identity set-pin 1017 --from pin.txt
    """
    request = {"staff_no": staff_no, "pin": secret_given("PIN", source, twice=True)}
    _tell(_for_head_office("set_credential", request), as_json)


@identity.command("set-password")
@click.argument("staff_no")
@secret_file
@_as_json
def set_password(staff_no: str, source: Any, as_json: bool) -> None:
    r"""Give somebody at head office a password of at least 12 characters.

    \b
    Example:
      pomona identity set-password anna
    """
    request = {"staff_no": staff_no, "password": secret_given("Password", source, twice=True)}
    _tell(_for_head_office("set_credential", request), as_json)


@identity.command
@click.argument("what", type=click.Choice(["person", "terminal"]))
@click.argument("name")
@_as_json
def revoke(what: str, name: str, as_json: bool) -> None:
    r"""Shut out a person who left or a terminal that was lost, everywhere within a minute.

    \b
    Examples:
      pomona identity revoke person 1017
      pomona identity revoke terminal 0b0e7d0e-7f0f-4a46-9f0b-6a8f3c1d2e4f
    """
    if what == "person":
        answer = _for_head_office("leave", {"staff_no": name})
    else:
        answer = _for_head_office("revoke_terminal", {"terminal_id": name})
    _tell(answer, as_json)


@identity.command("list")
@click.option("--store", type=click.UUID, help="Only those of this store.")
@_as_json
def list_all(store: UUID | None, as_json: bool) -> None:
    r"""List terminals and people.

    \b
    Example:
      pomona identity list --json
    """
    with _head_office() as office:
        found = told(
            lambda: {
                **office.ask("identity", "list_terminals", _at(store)),
                **office.ask("identity", "list_people", _at(store)),
            }
        )
    if as_json:
        _tell(found, as_json)
        return
    for kind, name in (("terminals", "terminal_id"), ("people", "staff_no")):
        for each in found[kind]:
            row = (each[name], each.get("role") or "", each["store_id"] or "-", each["state"])
            click.echo("  ".join((f"{kind:9}", *row)))


@identity.command("rotate-key")
@click.option("--drop-old", is_flag=True, help="An old key leaked: whoever is logged in is out.")
@_as_json
def rotate_key(drop_old: bool, as_json: bool) -> None:
    r"""Make a new signing key; it signs from a minute later on, when everybody knows it.

    Keys that have signed nothing for 8 days are deleted. With --drop-old all others go at once:
    every token signed by them is refused within a minute, and people log in again.

    \b
    Examples:
      pomona identity rotate-key
      pomona identity rotate-key --drop-old
    """
    layout, now = running_stack().layout, datetime.now(UTC)
    make_key(layout.signing_keys, now)
    keys = keys_in(layout.signing_keys)
    oldest = keys[-1] if drop_old else signer_of(keys, now - _KEYS_KEPT)
    forget_keys(layout.signing_keys, oldest.made_at)
    layout.pin_public_keys()
    _tell({"kid": keys[-1].kid, "keys": len(keys_in(layout.signing_keys))}, as_json)


def _head_office() -> Terminal:
    return terminal_for(running_stack(), role="head_office", person="operator")


def _for_head_office(method: str, request: Mapping[str, Any]) -> dict[str, Any]:
    with _head_office() as office:
        return told(lambda: office.command("identity", method, request))


def _at(store: UUID | None) -> dict[str, str]:
    return {} if store is None else {"store_id": str(store)}


def secret_given(name: str, source: Any, *, twice: bool) -> str:
    if source is not None:
        return str(source.read()).strip()
    if not sys.stdin.isatty():
        raise Trouble(
            "没有终端可供输入。请用 --from 文件，或 --from - 从标准输入读取。",
            "There is no terminal to ask at. Use --from FILE, or --from - for standard input.",
        )
    return str(click.prompt(name, hide_input=True, confirmation_prompt=twice, err=True))


def told(attempt: Callable[[], _T]) -> _T:
    """Say a refusal in both languages."""
    try:
        return attempt()
    except Refused as refused:
        raise Trouble(refused.message, str(refused)) from None
    except Refusal as unavailable:
        raise Trouble(unavailable.sentence("zh"), unavailable.sentence("en")) from None


def _tell(answer: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    for name, value in answer.items():
        click.echo(f"{name}: {value if value is not None else '-'}")
