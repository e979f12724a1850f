"""The thinnest echo there is over AMQP: `python -m benchmarks.raw_echo URI`."""

import sys

import amqp

from pomona.broker import connect

QUEUE = "bench.raw_echo"
PREFETCH = 100


def main() -> None:
    connection = connect(sys.argv[1])
    channel = connection.channel()
    channel.queue_declare(QUEUE, durable=True, auto_delete=False)
    channel.queue_purge(QUEUE)
    channel.basic_qos(0, PREFETCH, a_global=False)

    def say(message: amqp.Message) -> None:
        answer = amqp.Message(
            message.body,
            correlation_id=message.properties["correlation_id"],
            delivery_mode=1,
        )
        channel.basic_publish(answer, "", message.properties["reply_to"])
        channel.basic_ack(message.delivery_tag)

    channel.basic_consume(QUEUE, callback=say)
    while True:
        try:
            connection.drain_events(timeout=5)
        except TimeoutError:
            connection.heartbeat_tick()


if __name__ == "__main__":
    main()
