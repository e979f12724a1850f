"""W3C trace context: one trace id from the till to the last effect, a new span id at every hop."""

import re
import secrets
from contextvars import ContextVar

import structlog

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = "01"
_current: ContextVar[str] = ContextVar("traceparent", default="")


def begin() -> str:
    """Return the traceparent of a trace that begins here."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-{_SAMPLED}"


def follow(traceparent: str) -> str:
    """Return the next hop of a trace; one that cannot be read begins anew, as W3C asks."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return begin()
    trace, flags, _ = match.groups()
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


def trace_id(traceparent: str) -> str:
    """Return the trace that a traceparent belongs to, or nothing where it cannot be read."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match.group(1) if match else ""


def enter(traceparent: str) -> None:
    """Make calls and log lines of this greenlet or thread belong to a trace."""
    _current.set(traceparent)
    structlog.contextvars.bind_contextvars(trace_id=trace_id(traceparent))


def outgoing() -> str:
    """Return what a call made from here carries: the next hop, or the beginning of a trace."""
    return follow(_current.get())
