"""A trace keeps its id from hop to hop, and every hop is a span of its own."""

import re
import threading
from contextvars import copy_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pomona import trace

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_that_begins_is_what_w3c_asks():
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace.begin())
    assert trace.begin() != trace.begin()


def test_the_next_hop_keeps_the_trace_and_is_a_span_of_its_own():
    hop = trace.follow(GIVEN)

    assert trace.trace_id(hop) == trace.trace_id(GIVEN) == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert hop.split("-")[2] != GIVEN.split("-")[2]
    assert hop.endswith("-01")


def test_a_caller_that_samples_nothing_is_believed():
    assert trace.follow(GIVEN[:-2] + "00").endswith("-00")


def test_a_later_version_is_read_as_far_as_we_know_it():
    assert trace.trace_id(trace.follow(f"01{GIVEN[2:]}-more")) == trace.trace_id(GIVEN)


@pytest.mark.parametrize(
    "wrong",
    ["", "x", GIVEN.upper(), f"ff{GIVEN[2:]}", GIVEN[:-1], f"00-{'0' * 32}-00f067aa0ba902b7-01"],
)
def test_what_is_no_traceparent_begins_a_new_trace(wrong):
    assert trace.trace_id(wrong) == ""
    assert trace.trace_id(trace.follow(wrong)) != ""


@given(st.text())
def test_whatever_comes_a_trace_goes_on(anything):
    assert trace.trace_id(trace.follow(anything))


def test_calls_from_within_a_trace_belong_to_it_and_others_do_not():
    def elsewhere():
        found.append(trace.trace_id(trace.outgoing()))

    found = []

    def within():
        trace.enter(GIVEN)
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
        return trace.outgoing()

    outgoing = copy_context().run(within)

    assert trace.trace_id(outgoing) == trace.trace_id(GIVEN)
    assert found[0] not in ("", trace.trace_id(GIVEN))
