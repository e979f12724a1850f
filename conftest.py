"""Fixtures for tests against real servers: private PostgreSQL and RabbitMQ, and all of Pomona.

The servers start at first use, live for the whole session and leave nothing behind, not even when
pytest itself is killed: their supervisor goes when its parent goes.
"""

import signal
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from pomona_console.databases import Databases
from pomona_console.stack import Stack, temporary_stack

_numbers = count(1)

# A shell that puts us in the background makes us deaf to Ctrl-C, and so all that tests start; yet
# some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL (`admin_dsn`) and RabbitMQ (`amqp_uri`) with nothing in them."""
    with temporary_stack(tmp_path_factory.mktemp("servers"), services=()) as running:
        yield running


@pytest.fixture
def database(servers: Stack) -> Iterator[Callable[[str], str]]:
    """Make a fresh database with its own owner and return its DSN; it is gone after the test."""
    databases = Databases(servers.admin_dsn, f"test{next(_numbers)}", servers.layout)
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return databases.create(name)

    yield make
    for name in made:
        databases.drop(name)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services on servers of their own."""
    with temporary_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running
