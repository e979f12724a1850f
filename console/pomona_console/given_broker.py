"""A RabbitMQ that somebody else runs, named by POMONA_AMQP_URI: one Pomona at most per vhost."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import amqp
from amqp.exceptions import AMQPError, NotFound

from pomona.broker import close, connect
from pomona_console.trouble import Trouble


def refuse_if_in_use(uri: str, services: Sequence[str]) -> None:
    """Raise `Trouble` where services of another stack already answer in this vhost."""
    with _connection(uri) as connection:
        for service in services:
            channel = connection.channel()
            try:
                answer = channel.queue_declare(_calls(service), passive=True)
            except NotFound:
                continue  # the broker closed that channel; the next service gets a new one
            if answer.consumer_count:
                raise Trouble(
                    "POMONA_AMQP_URI 的 vhost 中已有 Pomona 在运行。请先停止它，或换一个 vhost。",
                    "Another Pomona runs in the vhost of POMONA_AMQP_URI. "
                    "Stop it first, or use another vhost.",
                )


def forget(uri: str, services: Sequence[str]) -> None:
    """Delete what the services of a temporary stack declare; their databases are gone as well."""
    with _connection(uri) as connection:
        channel = connection.channel()
        for service in services:
            channel.queue_delete(_calls(service))
            for source in services:
                channel.queue_delete(f"{service}.from.{source}")
            channel.exchange_delete(f"{service}.events")


def _calls(service: str) -> str:
    return f"rpc-{service}"


@contextmanager
def _connection(uri: str) -> Iterator[amqp.Connection]:
    try:
        connection = connect(uri)
    except (OSError, AMQPError) as failure:
        raise Trouble(
            f"无法连接 RabbitMQ：{failure}。请检查 POMONA_AMQP_URI。",
            f"RabbitMQ cannot be reached: {failure}. Check POMONA_AMQP_URI.",
        ) from failure
    try:
        yield connection
    finally:
        close(connection)
