"""The service's own small HTTP port: metrics, liveness and readiness."""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import eventlet
import eventlet.wsgi
from cryptography.x509 import load_pem_x509_certificates
from prometheus_client import make_wsgi_app
from psycopg.conninfo import conninfo_to_dict

from pomona import metrics, wire
from pomona.eventstore import Cursor
from pomona.journal import logger

log = logger(__name__)
TICK = 0.5
DATABASE_TICK = 30.0

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def serve(port: int, checks: Callable[[], dict[str, bool]]) -> None:
    """Serve `/metrics`, `/healthz` (the hub is alive) and `/readyz` (every check holds)."""
    exposition = make_wsgi_app()

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            answer: Iterable[bytes] = exposition(environ, start_response)
            return answer
        if path == "/healthz":
            return _json(start_response, "200 OK", {"alive": True})
        if path == "/readyz":
            state = checks()
            ready = all(state.values())
            status = "200 OK" if ready else "503 Service Unavailable"
            return _json(start_response, status, {"ready": ready, "checks": state})
        return _json(start_response, "404 Not Found", {"paths": "/metrics /healthz /readyz"})

    # without reuse_port=False two services share one port and each other's requests
    listener = eventlet.listen(("0.0.0.0", port), reuse_port=False)
    eventlet.wsgi.server(listener, app, log_output=False, debug=False)


def watch_hub() -> None:
    """Measure how late the event loop wakes: a blocked loop shows here first."""
    while True:
        started = time.perf_counter()
        time.sleep(TICK)
        metrics.hub_lag.set(max(0.0, time.perf_counter() - started - TICK))


def watch_database(reading: Callable[[], AbstractContextManager[Cursor]]) -> None:
    """Measure now and then what a lost disk would cost: the last backup, the archived log."""
    while True:
        try:
            with reading() as cursor:
                measure_database(cursor)
        except Exception as error:  # noqa: BLE001 - readiness tells of a database that is away
            log.info("database_not_measured", error=type(error).__name__)
        time.sleep(DATABASE_TICK)


def measure_authority(dsn: str) -> None:
    """Measure how long the authority that the database's certificate is checked by is valid."""
    file = conninfo_to_dict(dsn).get("sslrootcert")
    if file:
        authorities = load_pem_x509_certificates(Path(str(file)).read_bytes())
        expires = min(each.not_valid_after_utc for each in authorities)
        metrics.certificate_expires.labels("database").set(expires.timestamp())


def measure_database(cursor: Cursor) -> None:
    cursor.execute(
        "SELECT coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL)"
        " AS failing, coalesce((SELECT extract(epoch FROM max(at))::float8 FROM operations"
        " WHERE what = 'backup'), 0) AS backup FROM pg_stat_archiver"
    )
    row = cursor.fetchone()
    if row is not None:
        metrics.wal_archive_failing.set(int(row["failing"]))
        metrics.backup_taken.set(row["backup"])


def _json(start_response: StartResponse, status: str, body: dict[str, Any]) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [wire.encode(body)]
