"""A private RabbitMQ node: its own directories, ports, epmd, users and vhost."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pomona.broker_access import OPERATOR
from pomona_console.broker_definitions import Definitions
from pomona_console.certificate import Certificate
from pomona_console.processes import Ports, spawn
from pomona_console.trouble import Trouble

VHOST = "pomona"
_SERVERS = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",  # the wrapper in sbin switches to another user
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
)
_FOLDERS = ("home", "mnesia", "log", "schema", "config")

# Doors refuse what is larger than 256 KiB with a typed error; the broker's own cap only keeps
# absurd messages away, so it is wide enough for such a request to reach its door.
MAX_MESSAGE_BYTES = 2 * 1024 * 1024


def find_server() -> Path | None:
    return next((Path(server) for server in _SERVERS if Path(server).exists()), None)


@dataclass(frozen=True)
class RabbitMQ:
    """Where the node lives, and how it and its epmd are started and probed."""

    home: Path
    port: int
    api_port: int
    distribution_port: int
    epmd_port: int
    password: str
    definitions: Definitions
    server: Path
    log: Path
    certificate: Certificate | None = None

    @classmethod
    def below(
        cls,
        directory: Path,
        *,
        ports: Ports,
        password: str,
        definitions: Definitions,
        log: Path,
        certificate: Certificate | None = None,
    ) -> Self:
        server = find_server()
        if server is None:
            raise Trouble(
                "本机没有 RabbitMQ。请运行 make demo 自动安装，或设置 POMONA_AMQP_URI。",
                "RabbitMQ is not installed. Run `make demo` to install it, or set POMONA_AMQP_URI.",
            )
        return cls(
            home=directory / "rabbitmq",
            port=ports.of("amqp"),
            api_port=ports.of("rabbitmq management"),
            distribution_port=ports.of("erlang distribution"),
            epmd_port=ports.of("epmd"),
            password=password,
            definitions=definitions,
            server=server,
            log=log,
            certificate=certificate,
        )

    @property
    def uri(self) -> str:
        address = f"{OPERATOR}:{self.password}@127.0.0.1:{self.port}/{VHOST}"
        if self.certificate is None:
            return f"amqp://{address}"
        return f"amqps://{address}?cacertfile={self.certificate.authority}"

    @property
    def api(self) -> str:
        """Return where the management API is, with the operator's account."""
        return f"http://{OPERATOR}:{self.password}@127.0.0.1:{self.api_port}"

    def prepare(self) -> None:
        """Write what the node reads at boot: with definitions at hand it makes no guest user."""
        for folder in _FOLDERS:
            (self.home / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        definitions = self.home / "definitions.json"
        definitions.touch(mode=0o600)
        definitions.write_text(json.dumps(self.definitions, indent=2))
        (self.home / "rabbitmq.conf").write_text(
            f"load_definitions = {definitions}\n"
            f"max_message_size = {MAX_MESSAGE_BYTES}\n"
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.api_port}\n"
            "management.rates_mode = none\n"
            f"{self._listeners()}"
            "log.file = false\n"
            "log.console = true\n"
            "log.console.level = warning\n"
        )
        (self.home / "advanced.config").write_text("[].\n")
        (self.home / "enabled_plugins").write_text("[rabbitmq_management].\n")

    def start_epmd(self) -> subprocess.Popen[bytes]:
        epmd = shutil.which("epmd", path=self._environment()["PATH"]) or "epmd"
        return spawn(
            [epmd, "-port", str(self.epmd_port), "-address", "127.0.0.1"],
            environment=self._environment(),
            log=self.log,
        )

    def start(self) -> subprocess.Popen[bytes]:
        return spawn(
            [str(self.server)],
            environment=self._environment(),
            log=self.log,
            signal_when_we_die=signal.SIGTERM,
        )

    def remove(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    def answers(self) -> bool:
        """Say whether the port speaks AMQP: it opens only when the node has booted."""
        try:
            with self._dial() as probe:
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return probe.recv(1) == b"\x01"
        except OSError:
            return False

    def _dial(self) -> socket.socket:
        probe = socket.create_connection(("127.0.0.1", self.port), timeout=2)
        if self.certificate is None:
            return probe
        context = ssl.create_default_context(cafile=self.certificate.authority)
        return context.wrap_socket(probe, server_hostname="127.0.0.1")

    def _listeners(self) -> str:
        if self.certificate is None:
            return ""  # the environment names the one
        return (
            "listeners.tcp = none\n"
            f"listeners.ssl.1 = 127.0.0.1:{self.port}\n"
            f"ssl_options.cacertfile = {self.certificate.authority}\n"
            f"ssl_options.certfile = {self.certificate.chain}\n"
            f"ssl_options.keyfile = {self.certificate.key}\n"
            "ssl_options.versions.1 = tlsv1.3\n"
            "ssl_options.versions.2 = tlsv1.2\n"
        )

    def _environment(self) -> dict[str, str]:
        plain = {
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
        }
        return {
            **({} if self.certificate else plain),
            "PATH": os.pathsep.join(
                [os.environ.get("PATH", os.defpath), "/usr/lib/erlang/bin", "/usr/sbin", "/sbin"]
            ),
            "HOME": str(self.home / "home"),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": "pomona@localhost",
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_SCHEMA_DIR": str(self.home / "schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.home / "config"),
            "RABBITMQ_PID_FILE": str(self.home / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_LOG": "-color",
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.home / "advanced.config"),
            # With "input allowed" the script becomes the Erlang process instead of watching it:
            # the pid we hold is the node's, and signals reach it. It still gets no shell.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": (
                "-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }
