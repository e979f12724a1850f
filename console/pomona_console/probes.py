"""What a service's own HTTP port tells about it: whether it is ready, and how far behind it is."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

_LAG = "pomona_inbox_lag_events"
_PATIENCE = 2.0


def is_ready(http_port: int) -> bool:
    """Say whether the service can work now."""
    return _get(http_port, "readyz") is not None


def lag(http_port: int) -> dict[str, int]:
    """Return how many events of each source are not applied yet; empty while nobody answers.

    It is the figure that Prometheus scrapes, so that both say the same.
    """
    return {
        sample.labels["source"]: int(sample.value)
        for family in text_string_to_metric_families(_get(http_port, "metrics") or "")
        if family.name == _LAG
        for sample in family.samples
    }


def _get(http_port: int, path: str) -> str | None:
    """Return what the port answers with status 200, or None."""
    url = f"http://127.0.0.1:{http_port}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:  # refused, timed out, or a status that is no success
        return None
