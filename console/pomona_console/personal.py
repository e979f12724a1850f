"""`pomona personal`: what operators do with the data of people: tell, erase, prove, change keys."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pomona.errors import Refusal, Refused
from pomona.master_keys import MasterKeys
from pomona.operations import note
from pomona.personal import PersonErased
from pomona.terminal import Terminal
from pomona_console import erasures
from pomona_console.erasure_proof import Proof, prove, wrapped_keys
from pomona_console.operators import Operator
from pomona_console.personal_record import record_of, words_of
from pomona_console.stack import Stack, running_stack, terminal_for
from pomona_console.trouble import Trouble

_KEYS_GONE_WITHIN = 60.0
_NEW_KEY_SETTLES = 60.0  # by then every service that was about to wrap with the old one has

_also = click.option(
    "--also",
    multiple=True,
    metavar="TEXT",
    help="Search for this too; - reads lines from standard input, which no process list shows.",
)
_in = click.option(
    "--in",
    "elsewhere",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Search the files of this folder too, such as backups and archives kept elsewhere.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_customer = click.argument("customer", type=click.UUID)


@click.group
def personal() -> None:
    r"""Tell, erase and protect what is kept of people; docs/personal-data.md says what that is.

    \b
    Examples:
      pomona personal export CUSTOMER
      pomona personal erase CUSTOMER
      pomona personal proof CUSTOMER --also "13800138000"
      pomona personal rotate-key
    """


@personal.command
@_customer
def export(customer: UUID) -> None:
    """Print all that is kept of CUSTOMER as JSON, to answer a request for access."""
    stack = running_stack()
    with _head_office(stack) as terminal:
        click.echo(json.dumps(record_of(stack, terminal, customer), ensure_ascii=False, indent=2))


@personal.command
@_customer
@_also
@_in
@_json
def erase(
    customer: UUID, also: tuple[str, ...], elsewhere: tuple[Path, ...], as_json: bool
) -> None:
    """Forget CUSTOMER, then search every byte for what was known; ends with 1 if any is left."""
    stack = running_stack()
    wrapped = wrapped_keys(stack, customer)
    with _head_office(stack) as terminal:
        words = _words(stack, terminal, customer, also)
        terminal.command("crm", "erase_customer", {"customer_id": str(customer)})
    _wait_until_forgotten(stack, customer)
    _tell(prove(stack, customer, words, wrapped=wrapped, elsewhere=elsewhere), as_json)


@personal.command
@_customer
@_also
@_in
@_json
def proof(
    customer: UUID, also: tuple[str, ...], elsewhere: tuple[Path, ...], as_json: bool
) -> None:
    """Search every table and file of this stack for what CUSTOMER told us.

    Of a customer who is not erased the words are taken from the record; of one who is, they have
    to be given. Ends with 0 only where the customer is erased and nothing was found.
    """
    stack = running_stack()
    with _head_office(stack) as terminal:
        words = _words(stack, terminal, customer, also)
    wrapped = wrapped_keys(stack, customer)
    _tell(prove(stack, customer, words, wrapped=wrapped, elsewhere=elsewhere), as_json)


@personal.command("apply-erasures")
def apply_erasures() -> None:
    """Erase again whoever is in the erasure journal, as after a restore; safe to repeat."""
    stack = running_stack()
    many = erasures.apply_erasures(stack.databases, stack.keys, stack.layout)
    click.echo(f"{many} 人在删除日志中，均已删除 / people in the journal, all erased")


@personal.command("renew-key")
@_customer
def renew_key(customer: UUID) -> None:
    """Give CUSTOMER a new key, as the old one may have leaked.

    What is current is sealed anew. Events from before stay sealed with the old key, which is
    deleted here: they can be read only by whoever took it.
    """
    stack = running_stack()
    try:
        erasures.renew_key(customer, stack.databases, stack.keys, stack.layout)
    except (PersonErased, Refusal):
        raise Trouble(
            "该顾客不存在或已删除，没有密钥可更换。请核对编号。",
            "This customer is unknown or erased: there is no key to renew. Check the id.",
        ) from None
    _note(stack, "personal renew-key", {"customer_id": str(customer)})


@personal.command("rotate-key")
@click.option("--remove-old", is_flag=True, help="Destroy the master keys before the newest.")
def rotate_key(remove_old: bool) -> None:
    """Make a new master key and wrap every person's key with it; services keep running.

    Cut short, run it again. With --remove-old no new key is made: what is left is wrapped anew
    and the old files are deleted, so that no backup of the keys from before opens anything. Wait
    a minute between the two.
    """
    stack = running_stack()
    masters = MasterKeys(stack.layout.master_keys)
    if not remove_old:
        masters.make()
    elif time.time() - masters.made_at(masters.newest()) < _NEW_KEY_SETTLES:
        raise Trouble(
            "最新的主密钥还不到一分钟。请稍后再删除旧密钥。",
            "The newest master key is not a minute old. Remove the old ones a little later.",
        )
    in_use: set[str] = set()
    for service in stack.keys:
        with erasures.people_of(service, stack.keys, stack.layout) as people, _bar(service) as bar:
            for done, total in people.rewrap():
                bar.update(bar.task_ids[0], completed=done, total=total)
            in_use |= people.masters_in_use()
    _note(stack, "personal rotate-key", {"newest": masters.newest(), "remove_old": remove_old})
    for name in masters.names():
        if remove_old and name != masters.newest() and name not in in_use:
            masters.remove(name)
        click.echo(f"{name}{'  ← 当前 / current' if name == masters.newest() else ''}")


@contextmanager
def _head_office(stack: Stack) -> Iterator[Terminal]:
    try:
        with terminal_for(stack, role="head_office", person="operator") as terminal:
            yield terminal
    except Refused as refused:
        raise click.ClickException(f"{refused.code}: {refused.message}") from None
    except Refusal as unavailable:
        raise Trouble(unavailable.sentence("zh"), unavailable.sentence("en")) from None


def _note(stack: Stack, what: str, details: dict[str, Any]) -> None:
    """Leave word of what was done to the keys with each service that they belong to."""
    operator = Operator(stack)
    for service in stack.keys:
        with operator.opened(service) as cursor:
            note(cursor, operator.who, what, details, "")


def _words(
    stack: Stack, terminal: Terminal, customer: UUID, also: tuple[str, ...]
) -> dict[str, str]:
    """Return what to search for, by what it is called: what we know, and what the operator adds."""
    words = words_of(stack, terminal, customer)
    lines = [
        line
        for text in also
        for line in (sys.stdin.read().splitlines() if text == "-" else [text])
        if line
    ]
    words |= {f"--also {number}": line for number, line in enumerate(lines, start=1)}
    if not words:
        raise Trouble(
            "顾客已删除，系统中没有可供搜索的内容。请用 --also 提供姓名、电话等。",
            "The customer is erased, so nothing here knows what to search for. "
            "Give name, phone and the like with --also.",
        )
    return words


def _wait_until_forgotten(stack: Stack, customer: UUID) -> None:
    """Wait for the services that are told by the event."""
    until = time.monotonic() + _KEYS_GONE_WITHIN
    while wrapped_keys(stack, customer) and time.monotonic() < until:
        time.sleep(0.1)


def _tell(result: Proof, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(result) | {"holds": result.holds}, indent=2))
    else:
        for line in _lines(result):
            click.echo(line)
    if not result.holds:
        raise Trouble(
            "尚未完全删除，见上。docs/runbooks.md 说明如何处理。",
            "Not everything is forgotten, see above. docs/runbooks.md says what to do.",
        )


def _lines(result: Proof) -> Iterator[str]:
    yield f"erased        {result.erased_at or 'no'}"
    yield f"keys left     {', '.join(result.keys) or 'none'}"
    for kind, (number, size) in sorted(result.searched.items()):
        yield f"searched      {kind}: {number} tables or files, {size:,} bytes"
    for path in result.skipped:
        yield f"NOT SEARCHED  {path}"
    for name in result.too_short:
        yield f"NOT SEARCHED  {name}: too short to be told from chance"
    for place, what, times in result.found:
        yield f"FOUND         {what} in {place} ({times}x)"
    if not result.found:
        yield "found         nothing"
    if result.key_copies:
        yield (
            f"note          {result.key_copies} copies of the wrapped key are still on disk; "
            "they end when the master key does: rotate-key, then rotate-key --remove-old"
        )
    yield "not shown     memory, swap, compressed or encrypted files, other machines"


def _bar(service: str) -> Progress:
    progress = Progress(
        TextColumn(f"{service}: 重新包装 / wrapping anew"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    progress.add_task(service, total=None)
    return progress
