"""The databases of a running stack as an operator opens them, each as its owner."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import dict_row

from pomona.contracts import Contracts
from pomona.eventlog import EventLog
from pomona.eventstore import Cursor
from pomona_console.catalogue import whole_chain
from pomona_console.contract_lock import application_class
from pomona_console.stack import Stack, running_stack
from pomona_console.trouble import Trouble


class Operator:
    """Reads and mends what lies in the services' own tables."""

    def __init__(self, stack: Stack | None = None) -> None:
        self.stack = stack or running_stack()
        self.contracts = {contracts.service: contracts for contracts in whole_chain()}
        self.who = getpass.getuser()

    @property
    def services(self) -> list[str]:
        return [str(service["name"]) for service in self.stack.services]

    @contextmanager
    def opened(self, service: str) -> Iterator[Cursor]:
        """Give a cursor on a service's database, and commit at the end."""
        self.known(service)
        with (
            psycopg.connect(self.stack.databases[service], row_factory=dict_row) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    def known(self, service: str) -> Contracts:
        """Return the contracts of a service that runs. Raises `Trouble`."""
        if service not in self.services:
            names = ", ".join(self.services)
            raise Trouble(
                f"没有服务 {service}。现有：{names}。",
                f"There is no service {service}. There are {names}.",
            )
        return self.contracts[service]

    def log_of(self, service: str) -> EventLog | None:
        """Return the log that a service publishes, or None for one that has none."""
        contracts = self.known(service)
        application = application_class(service)
        if application is None:
            return None
        return EventLog(contracts, f"{service}_events", application().mapper)

    def readers_of(self, source: str) -> list[str]:
        return [name for name in self.services if source in self.contracts[name].sources]

    def log_read_by(self, consumer: str, source: str) -> EventLog:
        """Return the log of a source that a consumer reads. Raises `Trouble`."""
        log = self.log_of(source)
        if log is None or source not in self.known(consumer).sources:
            sources = ", ".join(self.known(consumer).sources) or "-"
            raise Trouble(
                f"{consumer} 不读取 {source}。它读取：{sources}。",
                f"{consumer} does not read {source}. It reads {sources}.",
            )
        return log
