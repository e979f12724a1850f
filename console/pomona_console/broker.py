"""`pomona broker`: what whoever runs RabbitMQ has to know of Pomona."""

import json
from pathlib import Path

import click

from pomona_console.broker_definitions import contracts_of_all
from pomona_console.broker_definitions import definitions as definitions_of
from pomona_console.layout import SERVICES
from pomona_console.rabbitmq import VHOST
from pomona_console.trouble import Trouble


@click.group
def broker() -> None:
    """Print what a RabbitMQ must be told before the services come."""


@broker.command
@click.option("--vhost", default=VHOST, show_default=True, help="The vhost that Pomona has.")
@click.option(
    "--passwords",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with a file USER.password for every user.",
)
def definitions(vhost: str, passwords: Path | None) -> None:
    r"""Print users, permissions, exchanges, queues and policies as RabbitMQ imports them.

    They follow from the contracts of the services. Without --passwords nobody can sign in with
    them: good to read and to compare.

    \b
    Examples:
      pomona broker definitions | jq .permissions
      pomona broker definitions --passwords secrets > definitions.json
      rabbitmqctl import_definitions definitions.json
    """

    def password(user: str) -> str:
        if passwords is None:
            return ""
        file = passwords / f"{user}.password"
        try:
            return file.read_text("utf-8").strip()
        except FileNotFoundError:
            raise Trouble(
                f"缺少文件 {file}。请把用户 {user} 的密码写入其中。",
                f"There is no file {file}. Put the password of user {user} into it.",
            ) from None

    found = definitions_of(contracts_of_all(SERVICES), vhost=vhost, password=password)
    click.echo(json.dumps(found, indent=2))
