"""What we pack by hand is what py-amqp would have written, and acknowledgements leave no gap."""

import threading
from types import SimpleNamespace
from typing import Any

import amqp
import pytest
from amqp.method_framing import frame_handler

from pomona import frames
from pomona.answers import Answers

HEADERS = {"nameko.token": "t" * 700, "nameko.locale": "zh-CN", "单": "果"}


def received(wire: bytes) -> list[tuple[int, tuple[int, int], amqp.Message | None]]:
    """Return what py-amqp makes of bytes: channel, method and content."""
    heard: list[Any] = []
    connection = SimpleNamespace(bytes_recv=0)
    handle = frame_handler(connection, lambda *event: heard.append((event[0], event[1], event[3])))
    # what is published reads as what is delivered: a method, a header, the body
    wire = wire.replace(b"\x00\x3c\x00\x28\x00\x00", b"\x00\x3c\x00\x3c\x00\x00", 1)
    while wire:
        size = int.from_bytes(wire[3:7], "big")
        assert wire[7 + size] == 0xCE
        handle((wire[0], int.from_bytes(wire[1:3], "big"), wire[7 : 7 + size]))
        wire = wire[8 + size :]
    return heard


@pytest.mark.parametrize("size", [0, 1, frames.FRAME_MAX - 8, frames.FRAME_MAX, 1_000_000])
def test_a_call_reads_as_it_was_packed(size):
    properties = frames.call_properties(
        HEADERS, correlation_id="c-1", reply_to="r", expiration="10000", user_id="terminal-1"
    )
    body = b"x" * size

    wire = frames.publish(7, "nameko-rpc", "orders.pay", properties, body, mandatory=True)

    ((channel, method, message),) = received(wire)
    assert (channel, method) == (7, (60, 60))
    assert bytes(message.body or b"") == body
    assert message.properties == {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "application_headers": HEADERS,
        "delivery_mode": 1,
        "correlation_id": "c-1",
        "reply_to": "r",
        "expiration": "10000",
        "user_id": "terminal-1",
    }


def test_an_event_is_durable_and_has_its_own_id():
    properties = frames.event_properties("shop-7", "service-shop")

    wire = frames.publish(1, "shop.events", "lot_sold.v1", properties, b"{}", mandatory=True)

    ((_, _, message),) = received(wire)
    assert bytes(message.body) == b"{}"
    assert message.properties == {
        "content_type": "application/cloudevents+json",
        "delivery_mode": 2,
        "message_id": "shop-7",
        "user_id": "service-shop",
    }


def test_an_answer_goes_where_the_call_came_from():
    properties = frames.answer_properties("c-1")

    wire = frames.publish(1, "", "amq.rabbitmq.reply-to.x.y", properties, b"{}", mandatory=False)

    ((_, _, message),) = received(wire)
    assert message.properties["correlation_id"] == "c-1"
    assert b"\x00\x19amq.rabbitmq.reply-to.x.y\x00\xce" in wire


class Broker:
    """Keeps the books on deliveries as RabbitMQ does: an unknown tag is an error."""

    def __init__(self, delivered: int) -> None:
        self.open = set(range(1, delivered + 1))
        self.frames = 0

    def write(self, wire: bytes) -> None:
        while wire:
            size = int.from_bytes(wire[3:7], "big")
            if wire[7:11] == b"\x00\x3c\x00\x50":
                self.frames += 1
                tag, multiple = int.from_bytes(wire[11:19], "big"), wire[19]
                assert tag in self.open, f"unknown delivery tag {tag}"
                self.open = {t for t in self.open if t > tag or (t != tag and not multiple)}
            wire = wire[8 + size :]


@pytest.mark.parametrize(
    ("batches", "in_frames"),
    [
        ([[1, 2, 3]], 1),
        ([[3, 1, 2]], 1),
        ([[2], [1], [3]], 3),
        ([[5, 3], [1, 2], [4]], 4),
        ([[4, 2], [6], [1, 3], [5]], 5),
    ],
)
def test_calls_answered_in_any_order_are_all_acknowledged_once(batches, in_frames):
    broker = Broker(max(tag for batch in batches for tag in batch))
    answers = Answers(
        SimpleNamespace(transport=broker), SimpleNamespace(channel_id=1), threading.Lock()
    )

    for batch in batches:
        for tag in batch:
            answers.acknowledge(tag)
        answers.finish()
        answers.send()

    assert broker.open == set()
    assert broker.frames == in_frames
