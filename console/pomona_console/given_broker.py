"""A RabbitMQ that somebody else runs, named by POMONA_AMQP_URI: one Pomona at most on each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

import amqp
from amqp.exceptions import AMQPError, NotFound

from pomona.broker import close, connect
from pomona.broker_access import ACCOUNTS, OPERATOR, calls_of
from pomona_console.broker_definitions import Definitions, Password, contracts_of_all, definitions
from pomona_console.broker_management import Management
from pomona_console.trouble import Trouble


@dataclass
class GivenBroker:
    """The broker as an administrator reaches it, over AMQP and over its management API."""

    uri: str
    api: str
    services: Sequence[str]
    before: Definitions = field(default_factory=dict)

    @classmethod
    def at(cls, uri: str, api: str | None, services: Sequence[str]) -> Self:
        if api is None:
            raise Trouble(
                "设置了 POMONA_AMQP_URI，但没有 POMONA_RABBITMQ_API。请把它设为管理接口的地址和"
                "管理员账号，例如 http://user:password@host:15672。",
                "POMONA_AMQP_URI is set, but POMONA_RABBITMQ_API is not. Set it to the management "
                "API and an administrator, such as http://user:password@host:15672.",
            )
        return cls(uri, api, services)

    @property
    def vhost(self) -> str:
        return unquote(urlsplit(self.uri).path[1:]) or "/"

    def define(self, password: Password) -> None:
        """Make users, permissions, exchanges and queues; the administrator's account stays."""
        management = Management(self.api)
        self.before = management.defined()
        management.define(self._definitions(password))

    def refuse_if_in_use(self) -> None:
        """Raise `Trouble` where another Pomona answers, or has the users that we need."""
        if self._users_elsewhere() or self._somebody_answers():
            raise Trouble(
                "POMONA_AMQP_URI 的 RabbitMQ 上已有 Pomona。请先停止并移除它，或换一个 RabbitMQ。",
                "Another Pomona uses the RabbitMQ of POMONA_AMQP_URI. "
                "Stop and remove it first, or use another RabbitMQ.",
            )

    def forget(self) -> None:
        """Delete what a temporary stack added; its databases are gone as well."""
        if not self.before:
            return  # it was refused, or stopped before it added anything
        management = Management(self.api)
        now = management.defined()
        for kind in ("policies", "queues", "exchanges"):
            for name in self._names(now, kind) - self._names(self.before, kind):
                management.forget(kind, self.vhost, name)
        there_before = {user["name"] for user in self.before["users"]}
        for name in {ACCOUNTS, *self._names(now, "permissions", "user")} - there_before:
            management.forget("users", name)

    def _names(self, defined: Definitions, kind: str, key: str = "name") -> set[str]:
        return {thing[key] for thing in defined[kind] if thing["vhost"] == self.vhost}

    def _definitions(self, password: Password) -> Definitions:
        ours = definitions(contracts_of_all(self.services), vhost=self.vhost, password=password)
        ours["users"] = [user for user in ours["users"] if user["name"] != OPERATOR]
        ours["permissions"] = [given for given in ours["permissions"] if given["user"] != OPERATOR]
        return ours

    def _users_elsewhere(self) -> bool:
        """Say whether a user of ours has rights in another vhost: names are the broker's."""
        ours = {user["name"] for user in self._definitions(lambda _name: "")["users"]}
        return any(
            permission["user"] in ours and permission["vhost"] != self.vhost
            for permission in Management(self.api).defined()["permissions"]
        )

    def _somebody_answers(self) -> bool:
        with _connection(self.uri) as connection:
            for service in self.services:
                channel = connection.channel()
                try:
                    answer = channel.queue_declare(calls_of(service), passive=True)
                except NotFound:
                    continue  # the broker closed that channel; the next service gets a new one
                if answer.consumer_count:
                    return True
        return False


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
