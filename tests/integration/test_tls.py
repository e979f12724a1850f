"""With certificates, broker and database speak only to who knows their authority, and encrypted."""

import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pomona.broker import connect
from pomona.broker_access import service_user
from pomona.running_role import running_role
from pomona.terminal import Terminal
from pomona_console.broker_definitions import contracts_of_all, definitions
from pomona_console.certificate import Certificate
from pomona_console.databases import Databases
from pomona_console.layout import Layout
from pomona_console.postgres import Postgres
from pomona_console.processes import Child, Ports, stop
from pomona_console.rabbitmq import VHOST, RabbitMQ

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
PATIENCE = 90.0


class Authority:
    """Signs certificates, as the operator's own authority would."""

    def __init__(self, folder: Path, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        usage = x509.BasicConstraints(ca=True, path_length=0)
        made = self._certificate(self._name, self._key, usage).sign(self._key, hashes.SHA256())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self._folder = folder

    def certificate_for(self, host: str) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        known_as = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        made = self._certificate(name, key, known_as).sign(self._key, hashes.SHA256())
        chain, private = self._folder / "server.pem", self._folder / "server.key"
        chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Certificate(self.file, chain, private)

    def _certificate(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - DAY)
            .not_valid_after(datetime.now(UTC) + DAY)
            .add_extension(extension, critical=False)
        )


@dataclass(frozen=True)
class Servers:
    """A broker and a database that speak only TLS, and authorities right and wrong."""

    layout: Layout
    rabbitmq: RabbitMQ
    postgres: Postgres
    stranger: Path
    ports: Ports


@pytest.fixture(scope="module")
def servers_with_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("tls")
    layout = Layout(folder)
    layout.make()
    certificate = Authority(folder, "authority").certificate_for("127.0.0.1")
    ports = Ports()
    wanted = definitions(contracts_of_all(["orders"]), vhost=VHOST, password=layout.password)
    rabbitmq = RabbitMQ.below(
        folder,
        ports=ports,
        password=layout.password("pomona"),
        definitions=wanted,
        log=layout.log("rabbitmq"),
        certificate=certificate,
    )
    postgres = Postgres.below(
        folder,
        port=ports.of("postgres"),
        password=layout.password("postgres"),
        log=layout.log("postgres"),
        certificate=certificate,
    )
    rabbitmq.prepare()
    postgres.prepare()
    children = [
        Child("epmd", rabbitmq.start_epmd),
        Child("rabbitmq", rabbitmq.start),
        Child("postgres", postgres.start),
    ]
    with ExitStack() as stack:
        stack.callback(postgres.remove)
        for child in children:
            stack.callback(stop, [child], 20.0)
            child.launch()
        until(rabbitmq.answers)
        until(postgres.answers)
        yield Servers(layout, rabbitmq, postgres, Authority(folder, "stranger").file, ports)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def refused(uri: str) -> bool:
    try:
        connect(uri).close()
    except (OSError, ssl.SSLError):
        return True
    return False


@pytest.mark.feature("SYS-46")
def test_the_broker_lets_in_who_knows_its_authority_and_its_name(servers_with_tls: Servers) -> None:
    uri = servers_with_tls.rabbitmq.uri

    assert not refused(uri)
    assert refused(uri.replace("127.0.0.1", "localhost"))
    assert refused(uri.partition("?")[0])
    assert refused(f"{uri.partition('?')[0]}?cacertfile={servers_with_tls.stranger}")
    assert refused(uri.replace("amqps:", "amqp:"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("version", "welcome"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)]
)
def test_the_broker_speaks_no_old_tls(
    servers_with_tls: Servers, version: str, welcome: bool
) -> None:
    known = ssl.TLSVersion[version]
    context = ssl.create_default_context(cafile=servers_with_tls.rabbitmq.certificate.authority)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = known
    context.set_ciphers("ALL:@SECLEVEL=0")
    with closing(socket.create_connection(("127.0.0.1", servers_with_tls.rabbitmq.port))) as s:
        try:
            context.wrap_socket(s, server_hostname="127.0.0.1").close()
        except (ssl.SSLError, OSError):
            assert not welcome
        else:
            assert welcome


@pytest.mark.feature("SYS-46")
def test_the_database_lets_in_who_knows_its_authority_and_its_name(
    servers_with_tls: Servers,
) -> None:
    dsn = servers_with_tls.postgres.dsn
    plain = dsn.partition("?")[0]

    with psycopg.connect(dsn) as connection:
        encrypted = "SELECT ssl AND version >= 'TLSv1.2' FROM pg_stat_ssl WHERE pid = %s"
        found = connection.execute(encrypted, (connection.info.backend_pid,)).fetchone()
    assert found == (True,)
    for wrong in (
        dsn.replace("127.0.0.1", "localhost"),
        f"{plain}?sslmode=verify-full&sslrootcert={servers_with_tls.stranger}",
        f"{plain}?sslmode=disable",
    ):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(wrong)


@pytest.mark.feature("SYS-46")
def test_a_service_works_over_encrypted_connections_alone(servers_with_tls: Servers) -> None:
    layout = servers_with_tls.layout
    layout.make_identity_keys()
    databases = Databases(servers_with_tls.postgres.dsn, "tls", layout)
    owner = databases.name("orders")
    dsn = databases.create("orders")
    http_port = servers_with_tls.ports.of("orders")

    def run(module: str, role: str) -> subprocess.Popen[bytes]:
        user = service_user("orders")
        settings = {
            "POMONA_AMQP_URI": signed_in(servers_with_tls.rabbitmq.uri, user),
            "POMONA_AMQP_PASSWORD_FILE": str(layout.password_file(user)),
            "POMONA_DATABASE_DSN": signed_in(dsn, role),
            "POMONA_DATABASE_PASSWORD_FILE": str(layout.password_file(role)),
            "POMONA_HTTP_PORT": str(http_port),
            "POMONA_IDENTITY_PUBLIC_KEY": str(layout.public_key),
        }
        with layout.log("orders").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, "orders"],
                env={**os.environ, **settings},
                stdout=log,
                stderr=log,
            )

    assert run("pomona.migrate", owner).wait(60) == 0
    service = run("pomona.run", running_role(owner))
    try:
        user = service_user("orders")
        password = layout.password(user)
        uri = signed_in(servers_with_tls.rabbitmq.uri, f"{user}:{password}")
        with Terminal(uri) as terminal:
            answer = terminal.ask("orders", "positions", patience=PATIENCE)
        with psycopg.connect(servers_with_tls.postgres.dsn) as administrator:
            plain = administrator.execute(
                "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                " WHERE usename = %s AND NOT ssl",
                (running_role(owner),),
            ).fetchone()
    finally:
        service.terminate()
        assert service.wait(30) == 0

    assert answer["head"] == 0
    assert plain == (0,)


def signed_in(uri: str, user: str) -> str:
    parts = urlsplit(uri)
    return parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}").geturl()
