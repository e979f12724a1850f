"""Status says what the services' own ports say."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pomona_console.probes import is_ready, lag
from pomona_console.processes import Ports

METRICS = """\
# HELP pomona_inbox_lag_events Published events of a source not applied yet.
# TYPE pomona_inbox_lag_events gauge
pomona_inbox_lag_events{source="orders"} 3.0
pomona_inbox_lag_events{source="crm"} 0.0
# HELP pomona_inbox_position Position.
# TYPE pomona_inbox_position gauge
pomona_inbox_position{source="orders"} 17.0
"""


class Service(BaseHTTPRequestHandler):
    ready = True

    def do_GET(self) -> None:
        self.send_response(200 if self.ready or self.path == "/metrics" else 503)
        self.end_headers()
        self.wfile.write(METRICS.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_lag_is_what_the_service_tells_prometheus(service):
    assert lag(service.server_port) == {"orders": 3, "crm": 0}


def test_a_service_is_ready_when_it_says_so(service, monkeypatch):
    assert is_ready(service.server_port)

    monkeypatch.setattr(Service, "ready", False)

    assert not is_ready(service.server_port)


def test_a_service_that_is_gone_is_not_ready_and_has_no_lag_to_tell():
    port = Ports().of("nobody")

    assert not is_ready(port)
    assert lag(port) == {}
