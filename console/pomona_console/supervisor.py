"""The process that owns a running stack: it starts everything, keeps it alive and stops it.

It runs in a session of its own, so that a Ctrl-C at the keyboard never reaches its children, and
writes what runs where to `stack.json`. When tied to its parent it stops as soon as the parent is
gone, however the parent ended.
"""

import argparse
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil

from pomona.broker_access import ACCOUNTS, OPERATOR, service_user
from pomona.master_keys import MasterKeys
from pomona.running_role import running_role
from pomona_console.broker_definitions import contracts_of_all, definitions
from pomona_console.broker_management import Management
from pomona_console.databases import Databases
from pomona_console.given_broker import GivenBroker
from pomona_console.layout import KNOW_PEOPLE, REPORTING, Layout, read_json, write_private
from pomona_console.postgres import Postgres
from pomona_console.probes import is_ready
from pomona_console.processes import Child, Ports, adopt_orphans, end, spawn, stop
from pomona_console.rabbitmq import VHOST, RabbitMQ
from pomona_console.trouble import Trouble

ANOTHER_RUNS = 3  # exit status: the directory belongs to a supervisor that is alive

_TICK = 0.1
_SERVERS_READY_WITHIN = 120.0
_TABLES_READY_WITHIN = 180.0
_SERVICES_READY_WITHIN = 180.0
_HOPELESS_AFTER = 4  # starts that failed before anything was ready
_STOP_WITHIN = 22.0  # a service cuts its own stop short after 20
_OURS_ALONE = {"POMONA_PG_DSN", "POMONA_RABBITMQ_API"}  # administrators, no business of services


class _StopAskedFor(Exception):  # noqa: N818 - an order, not a fault
    pass


class Supervisor:
    def __init__(
        self,
        layout: Layout,
        services: Sequence[str],
        *,
        tied: bool,
        amqp_uri: str | None,
        rabbitmq_api: str | None,
        pg_dsn: str | None,
        prefix: str,
        temporary: bool,
    ) -> None:
        self.layout = layout
        self.services = services
        self.tied = tied
        self.temporary = temporary
        self.ports = Ports(read_json(layout.ports) or {})
        self.postgres: Postgres | None = None
        self.rabbitmq: RabbitMQ | None = None
        self.given_broker: GivenBroker | None = None
        if amqp_uri is None:
            self.rabbitmq = RabbitMQ.below(
                layout.directory,
                ports=self.ports,
                password=layout.password(OPERATOR),
                definitions=definitions(
                    contracts_of_all(services), vhost=VHOST, password=layout.password
                ),
                log=layout.log("rabbitmq"),
            )
            amqp_uri, self.rabbitmq_api = self.rabbitmq.uri, self.rabbitmq.api
        else:
            self.given_broker = GivenBroker.at(amqp_uri, rabbitmq_api, services)
            self.rabbitmq_api = self.given_broker.api
        if pg_dsn is None:
            self.postgres = Postgres.below(
                layout.directory,
                port=self.ports.of("postgres"),
                password=layout.password("postgres"),
                log=layout.log("postgres"),
            )
            pg_dsn = self.postgres.dsn
        self.amqp_uri = amqp_uri
        self.databases = Databases(pg_dsn, prefix, layout)
        self.http_ports = {service: self.ports.of(service) for service in services}
        self.children: dict[str, Child] = {}
        self.running_services: list[Child] = []
        self.migrations: dict[str, subprocess.Popen[bytes]] = {}
        self.phase = "servers"
        self._asked_to_stop = False

    def run(self) -> None:
        """Bring everything up, keep it up until told to stop, and bring it down."""
        adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        try:
            self._start_servers()
            self._make_databases()
            self._start_services()
            self._enter("running")
            while True:
                self._tick()
        except _StopAskedFor:
            self._enter("stopping")
        finally:
            self._tear_down()

    # Bringing up

    def _start_servers(self) -> None:
        self._enter("servers")
        if self.rabbitmq:
            self.rabbitmq.prepare()
            self._launch(Child("epmd", self.rabbitmq.start_epmd))
            ends = signal.SIGKILL if self.temporary else signal.SIGTERM  # nothing is kept
            self._launch(Child("rabbitmq", self.rabbitmq.start, stop_signal=ends))
        if self.given_broker:
            self.given_broker.refuse_if_in_use()
            self.given_broker.define(self.layout.password)
        if self.postgres:
            self.postgres.prepare()
            ends = signal.SIGQUIT if self.temporary else signal.SIGINT  # it frees what it shares
            self._launch(Child("postgres", self.postgres.start, stop_signal=ends))
        self._remember_ports()
        if self.postgres:
            self._wait_for("PostgreSQL", self.postgres.answers, _SERVERS_READY_WITHIN, "postgres")

    def _make_databases(self) -> None:
        self._enter("databases")
        self.layout.make_identity_keys()
        masters = MasterKeys(self.layout.master_keys)
        if not masters.names():
            masters.make()
        for service in self.services:
            self.databases.create(service)
            if service in KNOW_PEOPLE:
                self.databases.create(f"{service}_keys")
        for service in self.services:
            self.migrations[service] = self._migrate(service)
        for service, migration in self.migrations.items():
            self._wait_for(service, partial(_ended, migration), _TABLES_READY_WITHIN, service)
            if migration.returncode:
                raise self._failure(service, service)

    def _start_services(self) -> None:
        if self.rabbitmq:  # it boots while the tables are made
            self._wait_for("RabbitMQ", self.rabbitmq.answers, _SERVERS_READY_WITHIN, "rabbitmq")
        self._enter("services")
        if self.layout.restored.exists():
            self._empty_the_queues()
            self.layout.restored.unlink()
        for service in self.services:
            child = Child(service, partial(self._serve, service))
            self.running_services.append(child)
            self._launch(child)
        for service, port in self.http_ports.items():
            self._wait_for(service, partial(is_ready, port), _SERVICES_READY_WITHIN, service)

    def _empty_the_queues(self) -> None:
        """Drop what was published in a time that was undone; the rest comes again from the logs."""
        vhost = unquote(urlsplit(self.amqp_uri).path[1:]) or "/"
        management = Management(self.rabbitmq_api)
        for contracts in contracts_of_all(self.services):
            queues = [f"{contracts.service}.from.{source}" for source in contracts.sources]
            for queue in (f"rpc-{contracts.service}", *queues):
                management.forget("queues", vhost, queue, "contents")

    def _launch(self, child: Child) -> None:
        self.children[child.name] = child
        child.launch()
        self._record()

    def _migrate(self, service: str) -> subprocess.Popen[bytes]:
        return self._python("pomona.migrate", service, self._databases(service, lambda role: role))

    def _serve(self, service: str) -> subprocess.Popen[bytes]:
        user = service_user(service)
        settings = {
            "POMONA_AMQP_URI": as_user(self.amqp_uri, user),
            "POMONA_AMQP_PASSWORD_FILE": str(self.layout.password_file(user)),
            "POMONA_HTTP_PORT": str(self.http_ports[service]),
            "POMONA_IDENTITY_PUBLIC_KEY": str(self.layout.public_key),
        }
        if service in KNOW_PEOPLE:
            settings["POMONA_MASTER_KEYS"] = str(self.layout.master_keys)
            settings["POMONA_ERASURE_JOURNAL"] = str(self.layout.erasures)
        if service == "identity":
            settings |= {
                "POMONA_SIGNING_KEYS": str(self.layout.signing_keys),
                "POMONA_PEPPER_FILE": str(self.layout.pepper),
                "POMONA_RABBITMQ_API": as_user(self.rabbitmq_api, ACCOUNTS),
                "POMONA_RABBITMQ_API_PASSWORD_FILE": str(self.layout.password_file(ACCOUNTS)),
                "POMONA_VHOST": urlsplit(self.amqp_uri).path[1:],
            }
        return self._python(
            "pomona.run", service, settings | self._databases(service, running_role)
        )

    def _databases(self, service: str, role_of: Callable[[str], str]) -> dict[str, str]:
        """Return where the databases of a service are, for this role of theirs."""
        found = {"DATABASE": service}
        if service in KNOW_PEOPLE:
            found["KEYS"] = f"{service}_keys"
        settings = {}
        for kind, database in found.items():
            role = role_of(self.databases.name(database))
            settings[f"POMONA_{kind}_DSN"] = as_user(self.databases.dsn(database), role)
            settings[f"POMONA_{kind}_PASSWORD_FILE"] = str(self.layout.password_file(role))
        return settings

    def _python(
        self, module: str, service: str, settings: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        inherited = {name: os.environ[name] for name in os.environ if name not in _OURS_ALONE}
        return spawn(
            [sys.executable, "-m", module, service],
            environment={**inherited, **settings},
            log=self.layout.log(service),
            directory=self.layout.directory,
        )

    def _wait_for(
        self, what: str, condition: Callable[[], bool], seconds: float, name: str
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            child = self.children.get(name)
            if time.monotonic() > deadline or (child and child.restarts >= _HOPELESS_AFTER):
                raise self._failure(what, name)
            self._tick()

    def _failure(self, what: str, name: str) -> Trouble:
        log = self.layout.log(name)
        last = "\n".join(log.read_text(errors="replace").splitlines()[-12:]) if log.exists() else ""
        return Trouble(
            f"{what} 没有就绪。日志在 {log}，最后几行：\n{last}",
            f"{what} did not become ready. Its log is {log}; the last lines stand above.",
        )

    # Keeping up

    def _tick(self) -> None:
        if self._asked_to_stop or self._parent_is_gone():
            raise _StopAskedFor
        changed = [child.keep_alive() for child in self.children.values()]
        self._reap_orphans()
        if any(changed):
            self._record()

    def _parent_is_gone(self) -> bool:
        """Wait one tick; a parent that is gone has closed its end of our standard input."""
        if not self.tied:
            time.sleep(_TICK)
            return False
        readable, _, _ = select.select([sys.stdin], [], [], _TICK)
        return bool(readable) and os.read(sys.stdin.fileno(), 1) == b""

    def _reap_orphans(self) -> None:
        """Bury what our children left behind, and leave the children to their owners."""
        if not hasattr(os, "waitid"):
            return
        with contextlib.suppress(ChildProcessError):
            while True:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid in self._our_pids():
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)

    def _our_pids(self) -> set[int]:
        owned = [*(c.process for c in self.children.values()), *self.migrations.values()]
        return {process.pid for process in owned if process}

    def _ask_to_stop(self, *_: object) -> None:
        self._asked_to_stop = True

    # Bringing down

    def _tear_down(self) -> None:
        """Services first, while broker and databases still answer them; then what they stood on."""
        stop(self.running_services, _STOP_WITHIN)
        for name in ("rabbitmq", "epmd", "postgres"):
            if name in self.children:
                stop([self.children[name]], _STOP_WITHIN)
        end(psutil.Process().children(recursive=True), 2.0)
        self.children.clear()
        if self.temporary:
            self._remove_what_was_stored()

    def _remove_what_was_stored(self) -> None:
        if self.postgres:
            self.postgres.remove()
        else:
            for service in self.services:
                self.databases.drop(service)
                if service in KNOW_PEOPLE:
                    self.databases.drop(f"{service}_keys")
        if self.rabbitmq:
            self.rabbitmq.remove()
        if self.given_broker:
            self.given_broker.forget()
        shutil.rmtree(self.layout.secrets)

    # Telling

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self._record()

    def _remember_ports(self) -> None:
        write_private(self.layout.ports, json.dumps(self.ports.taken))

    def _record(self) -> None:
        write_private(self.layout.state, json.dumps(self._state(), indent=2))

    def _state(self) -> dict[str, Any]:
        me = psutil.Process()
        postgres = self.postgres
        return {
            "phase": self.phase,
            "supervisor": {"pid": me.pid, "created": me.create_time()},
            "amqp": {
                "uri": self.amqp_uri,
                "api": self.rabbitmq_api,
                **self._process("rabbitmq"),
            },
            "postgres": {
                "port": postgres.port if postgres else None,
                "data": str(postgres.data) if postgres else None,
                **self._process("postgres"),
            },
            "services": [
                {
                    "name": child.name,
                    "http_port": self.http_ports[child.name],
                    **self._process(child.name),
                }
                for child in self.running_services
            ],
            "databases": {
                name: self.databases.dsn(name)
                for name in (*self.services, *([REPORTING] if "analytics" in self.services else []))
            },
            "keys": {
                name: self.databases.keys_dsn(name) for name in self.services if name in KNOW_PEOPLE
            },
            "admin_dsn": self.databases.admin_dsn,
            "processes": self._created(),
        }

    def _process(self, name: str) -> dict[str, Any]:
        child = self.children.get(name)
        return {"pid": child.pid if child else None, "restarts": child.restarts if child else 0}

    def _created(self) -> dict[str, float]:
        """Return when each child began: a pid alone could be somebody else's by tomorrow."""
        created = {}
        for child in self.children.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.pid is not None:
                    created[str(child.pid)] = psutil.Process(child.pid).create_time()
        return created


def as_user(uri: str, user: str) -> str:
    """Return the URI with this user in it and no password: that is in a file."""
    parts = urlsplit(uri)
    return parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}").geturl()


def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


@contextlib.contextmanager
def _only_one(layout: Layout) -> Iterator[bool]:
    """Hold the directory for as long as we live; the lock goes with the process."""
    with layout.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def end_what_a_killed_supervisor_left(layout: Layout) -> None:
    """Wait for the children of a supervisor that is gone, and end those that stay."""
    left = []
    for pid, created in ((read_json(layout.state) or {}).get("processes") or {}).items():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(pid))
            if abs(process.create_time() - created) < 1:
                left.append(process)
    end(left, _STOP_WITHIN)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--service", action="append", default=[], dest="services")
    parser.add_argument("--prefix", default="pomona")
    parser.add_argument("--tied", action="store_true", help="stop when standard input closes")
    parser.add_argument("--temporary", action="store_true", help="start empty, leave only logs")
    chosen = parser.parse_args()
    layout = Layout(chosen.directory.resolve())
    layout.make()
    with _only_one(layout) as alone:
        if not alone:
            return ANOTHER_RUNS
        end_what_a_killed_supervisor_left(layout)
        layout.set_logs_aside()
        if chosen.temporary:
            layout.empty()
        try:
            Supervisor(
                layout,
                chosen.services,
                tied=chosen.tied,
                amqp_uri=os.environ.get("POMONA_AMQP_URI") or None,
                rabbitmq_api=os.environ.get("POMONA_RABBITMQ_API") or None,
                pg_dsn=os.environ.get("POMONA_PG_DSN") or None,
                prefix=chosen.prefix,
                temporary=chosen.temporary,
            ).run()
        except Exception as failure:  # noqa: BLE001 - whoever waits for us needs to know why
            traceback.print_exc()
            zh, en = (
                (failure.zh, failure.en) if isinstance(failure, Trouble) else (repr(failure),) * 2
            )
            write_private(
                layout.state, json.dumps({"phase": "failed", "error": {"zh": zh, "en": en}})
            )
            return 1
        layout.state.unlink(missing_ok=True)
        return 0


if __name__ == "__main__":
    sys.exit(main())
