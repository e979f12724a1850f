"""Runs one service: `python -m pomona.run orders`."""

import pomona.cooperative  # noqa: F401 - patches what all others import

# isort: split
import gc
import importlib
import os
import signal
import sys
import time
from typing import Any

import eventlet
import psycopg
from nameko.runners import ServiceRunner

from pomona.config import Misconfigured, Settings, settings_of
from pomona.doors import shared_question
from pomona.host import Host
from pomona.journal import configure, logger

STOP_SECONDS = 20
LOOKS = 5  # a process that starts on a busy machine may be slow by itself


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    try:
        settings = settings_of(sys.argv[1])
    except (IndexError, ModuleNotFoundError):
        sys.stderr.write("usage: python -m pomona.run SERVICE, for example: orders\n")
        return 2
    except (Misconfigured, ValueError) as error:
        sys.stderr.write(f"{sys.argv[1]}: {error}\n")
        return 2
    configure(settings.name, settings.log_level)
    log = logger(__name__)
    assert_cooperative(settings)
    runner = ServiceRunner(
        {
            "AMQP_URI": settings.amqp,
            "max_workers": settings.max_workers,
            "pomona": settings,
        }
    )
    runner.add_service(service_class(settings))
    stopping = eventlet.event.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.ready() or stopping.send(None))
    runner.start()
    # what is there when work begins stays: it need not be looked through again and again
    gc.collect()
    gc.freeze()
    log.info("started", http_port=settings.http_port)
    died = eventlet.spawn(runner.wait)
    died.link(lambda _: stopping.ready() or stopping.send(None))
    stopping.wait()
    if died.dead:
        log.error("died")
        return 1
    return _stop(runner, log)


def service_class(settings: Settings) -> type[Any]:
    """Import the service and open the questions that every service answers."""
    module, _, name = settings.service.partition(":")
    cls: type[Any] = getattr(importlib.import_module(module), name)
    cls.positions = shared_question("positions")
    if any(isinstance(provider, Host) for provider in vars(cls).values()):
        cls.events_after = shared_question("events_after")
    return cls


def assert_cooperative(settings: Settings) -> None:
    """Refuse to run where one slow query would stop every other call of the process."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            eventlet.sleep(0.01)

    ticking = eventlet.spawn(tick)
    with psycopg.connect(settings.database, connect_timeout=10) as connection:
        for _ in range(LOOKS):
            ticks = 0
            connection.execute("SELECT pg_sleep(0.1)")
            if ticks >= 3:  # noqa: PLR2004 - ten are due
                break
        else:
            raise RuntimeError("psycopg blocks the event loop: PSYCOPG_WAIT_FUNC came too late")
    ticking.kill()


def _stop(runner: ServiceRunner, log: Any) -> int:
    """Finish what is in hand; a broker that does not answer cannot hold the process."""
    started = time.monotonic()
    with eventlet.Timeout(STOP_SECONDS, exception=False):
        runner.stop()
        log.info("stopped", seconds=round(time.monotonic() - started, 1))
        return 0
    log.warning("stop_cut_short", seconds=STOP_SECONDS)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
