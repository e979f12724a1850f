"""Hands on the servers below the services: the broker's own tool, its queues, a second replica."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psutil

from pomona_console.probes import is_ready
from pomona_console.processes import spawn

from .lab import Lab, eventually

BROKER_TOOL = "/usr/lib/rabbitmq/bin/rabbitmqctl"


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with."""
    return psutil.Process(pid).environ()


def ctl(lab: Lab, *command: str, environment: Mapping[str, str] | None = None) -> str:
    """Run the broker's own tool against our private node."""
    given = environment or environment_of(lab.pid("amqp"))
    done = subprocess.run(
        [BROKER_TOOL, "-n", given["RABBITMQ_NODENAME"], *command],
        env=dict(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"rabbitmqctl {command[0]}: {done.stderr.strip()[-200:]}")
    return done.stdout


@contextmanager
def broker_away(lab: Lab) -> Iterator[None]:
    """Stop the broker inside its process for the block: ports closed, messages kept."""
    environment = environment_of(lab.pid("amqp"))
    ctl(lab, "stop_app", environment=environment)
    try:
        yield
    finally:
        ctl(lab, "start_app", environment=environment)


def impersonator(lab: Lab) -> str:
    """Return the URI of an account that may pass on messages of any sender."""
    parts = urlsplit(lab.stack.amqp_uri)
    if "mixer" not in ctl(lab, "list_users", "--quiet"):
        ctl(lab, "add_user", "mixer", "mixer")
        ctl(lab, "set_user_tags", "mixer", "impersonator")
        ctl(lab, "set_permissions", "-p", parts.path[1:], "mixer", ".*", ".*", ".*")
    return urlunsplit(parts._replace(netloc=f"mixer:mixer@{parts.hostname}:{parts.port}"))


def uri_of(lab: Lab, service: str) -> str:
    """Return the URI, with password, by which a service knows the broker."""
    given = environment_of(lab.pid(service))
    uri, password = given["POMONA_AMQP_URI"], given.get("POMONA_AMQP_PASSWORD_FILE")
    if not password:
        return uri
    parts = urlsplit(uri)
    secret = quote(Path(password).read_text().strip(), safe="")
    netloc = f"{parts.username}:{secret}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc))


def through(uri: str, port: int) -> str:
    """Return the URI of the same broker behind a proxy on this machine."""
    parts = urlsplit(uri)
    credentials, _, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}"))


def metric(http_port: int, name: str, **labels: str) -> float:
    """Return a metric as it stands now, 0 where there is none."""
    with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/metrics", timeout=5) as page:
        text = page.read().decode()
    wanted = "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
    for line in text.splitlines():
        series, _, value = line.rpartition(" ")
        if series == name + (wanted if labels else ""):
            return float(value)
    return 0.0


@contextmanager
def replica(lab: Lab, service: str, **changed: str) -> Iterator["Replica"]:
    """Run a second process of a service beside the supervised one."""
    running = Replica(lab, service, changed)
    try:
        running.start()
        yield running
    finally:
        running.process.kill()
        running.process.wait()


class Replica:
    """A service process of our own; it has what the supervised one has, but for what we change."""

    def __init__(self, lab: Lab, service: str, changed: Mapping[str, str]) -> None:
        self.service = service
        self.http_port = _free_port()
        self.log = lab.directory / f"replica-{service}-{self.http_port}.log"
        self._environment = {
            **environment_of(lab.pid(service)),
            "POMONA_HTTP_PORT": str(self.http_port),
            **changed,
        }

    def start(self) -> None:
        self.process = spawn(
            [sys.executable, "-m", "pomona.run", self.service],
            environment=self._environment,
            log=self.log,
            directory=Path(os.sep),
        )
        eventually(lambda: is_ready(self.http_port), f"a second {self.service}", 90)

    def metric(self, name: str, **labels: str) -> float:
        return metric(self.http_port, name, **labels)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
