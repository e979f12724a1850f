"""The service's own small HTTP port: metrics, liveness and readiness."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import eventlet
import eventlet.wsgi
from prometheus_client import make_wsgi_app

from pomona import metrics, wire

TICK = 0.5

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


def _json(start_response: StartResponse, status: str, body: dict[str, Any]) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [wire.encode(body)]
