"""What a service sends back: answers of many calls in one write, then their acknowledgements."""

from contextlib import AbstractContextManager
from typing import Any

import amqp
from eventlet.queue import LightQueue

from pomona import frames
from pomona.broker import ConnectionLost
from pomona.failpoints import reach
from pomona.journal import logger

log = logger(__name__)


class Answers:
    """Sends answers over one channel, transient and unconfirmed.

    A call is acknowledged after its answer was written, at the latest with the answers that follow.
    Where either is lost, the broker delivers the call again, and a command answers as before.
    """

    def __init__(
        self,
        connection: amqp.Connection,
        channel: amqp.Channel,
        writing: AbstractContextManager[Any],
    ) -> None:
        self._transport = connection.transport
        self._channel = channel.channel_id
        self._writing = writing
        self._queue: Any = LightQueue()
        self._settled_upto = 0
        self._settled: set[int] = set()
        self._lost = False

    def add(self, tag: int, exchange: str, key: str, properties: bytes, body: bytes) -> None:
        """Answer a call and acknowledge it."""
        if self._lost:
            log.warning("reply_lost")
            return
        answer = frames.publish(self._channel, exchange, key, properties, body, mandatory=False)
        self._queue.put((tag, answer))

    def acknowledge(self, tag: int) -> None:
        """Acknowledge a call that is not answered."""
        self._queue.put((tag, b""))

    def send(self) -> None:
        """Send what is there and what comes, until the connection is lost or `finish` is called."""
        acknowledged = b""
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            going_on = None not in batch
            batch = [item for item in batch if item is not None]
            try:
                with self._writing:
                    self._transport.write(acknowledged + b"".join(answer for _, answer in batch))
                    reach("reply.before_ack")
                    acknowledged = self._acknowledgements([tag for tag, _ in batch])
                    if self._queue.empty() or not going_on:
                        self._transport.write(acknowledged)
                        acknowledged = b""
            except (*ConnectionLost, AttributeError):
                self._lost = True
                log.warning("replies_lost", calls=len(batch))
                return
            if not going_on:
                return

    def finish(self) -> None:
        """Let `send` return when everything before this is sent."""
        self._queue.put(None)

    def _acknowledgements(self, tags: list[int]) -> bytes:
        """Return one frame for all calls that are answered without a gap, one each for the rest."""
        self._settled.update(tags)
        upto = self._settled_upto
        while upto + 1 in self._settled:
            upto += 1
            self._settled.discard(upto)
        self._settled_upto = upto
        acks = [frames.acknowledge(self._channel, tag) for tag in tags if tag > upto]
        # the last of these, not `upto`: that one may be acknowledged already, which is an error
        last = max((tag for tag in tags if tag <= upto), default=None)
        if last is not None:
            acks.append(frames.acknowledge(self._channel, last, upto=True))
        return b"".join(acks)
