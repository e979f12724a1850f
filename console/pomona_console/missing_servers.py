"""Prints the Debian names of the servers that are neither installed nor given by a variable."""

import os

from pomona_console.postgres import find_binaries
from pomona_console.rabbitmq import find_server


def missing_servers() -> list[str]:
    missing = []
    if not os.environ.get("POMONA_PG_DSN") and find_binaries() is None:
        missing.append("postgresql")
    if not os.environ.get("POMONA_AMQP_URI") and find_server() is None:
        missing.append("rabbitmq-server")
    return missing


if __name__ == "__main__":
    print(*missing_servers())  # noqa: T201 - read by scripts/bootstrap
