"""What must hold after every fault, as functions over the databases and the broker.

I1 and I2 stand in the oracle, which knows what the terminals were told.
"""

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.progress import Progress

from analytics.rebuild import rebuild
from pomona.broker import connect
from pomona.broker_access import DEAD_LETTERS
from pomona_console.stack import Stack
from pomona_console.verify import verified

from .stores import WRITERS, row


def broken(
    stack: Stack, *, restarts: Mapping[str, int] | None = None, dead_letters: int = 0
) -> list[str]:
    """Wait until nothing is under way, check I3 to I7, and name what does not hold."""
    return [
        *conservation(stack),
        *outbox(stack),
        *inboxes(stack),
        *rebuilt(stack),
        *dead(stack, dead_letters),
        *restarted(stack, restarts),
    ]


def conservation(stack: Stack) -> Iterator[str]:
    """I3: grams and fen add up, nothing happened twice downstream, nothing is parked."""
    quiet = Progress(console=Console(stderr=True), disable=True)
    for tally in verified(stack, quiet).tallies:
        if not tally.holds:
            yield f"I3 {tally.code}: {tally.broken} of {tally.checked}, {tally.examples[:2]}"


def rebuilt(stack: Stack) -> Iterator[str]:
    """I4: every table of analytics equals what its archive gives from event 1."""
    digests = rebuild(stack.databases["analytics"], lambda _done, _total: None)
    for table, found in digests.items():
        if found.before != found.after:
            yield f"I4 {table} differs from its rebuild"


def outbox(stack: Stack) -> Iterator[str]:
    """I5: every relay has published everything that its service stored."""
    for service in WRITERS:
        relayed = row(stack, service, "SELECT max(position) AS position FROM relay")["position"]
        (archived,) = row(
            stack,
            "analytics",
            f"SELECT max(position) FROM archive WHERE source = '{service}'",
        ).values()
        if (relayed or 0) < (archived or 0):
            yield f"I5 the relay of {service} stands at {relayed}, {archived} was read"


def dead(stack: Stack, expected: int) -> Iterator[str]:
    """I5: as many messages could not be read as were meant to be unreadable."""
    with connect(stack.amqp_uri) as connection:
        depth = connection.channel().queue_declare(DEAD_LETTERS, passive=True).message_count
    if depth != expected:
        yield f"I5 {depth} dead letters, {expected} expected"


def restarted(stack: Stack, expected: Mapping[str, int] | None) -> Iterator[str]:
    """I6: nothing was started again but what was killed; None where nobody counts."""
    if expected is None:
        return
    for service in stack.refreshed().services:
        times = service["restarts"]
        if times != expected.get(service["name"], 0):
            yield f"I6 {service['name']} restarted {times} times, not {expected}"


def inboxes(stack: Stack) -> Iterator[str]:
    """I7: the archive has each event of each source once, and no hole between them."""
    found = row(
        stack,
        "analytics",
        "SELECT count(*) AS events, count(DISTINCT (source, position)) AS ids FROM archive",
    )
    if found["events"] != found["ids"]:
        yield f"I7 {found['events']} events in the archive under {found['ids']} ids"
