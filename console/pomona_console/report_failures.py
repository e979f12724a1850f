"""Turns what services and databases could not do into a sentence for the person at the keyboard."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pomona.errors import Refused, Unavailable
from pomona_console.trouble import Trouble


@contextmanager
def told_plainly() -> Iterator[None]:
    """Raise `Trouble` with the next step instead of what went wrong inside."""
    try:
        yield
    except (Unavailable, psycopg.OperationalError) as error:
        raise Trouble(
            "有服务或数据库没有应答。请用 pomona status 查看，恢复后重新执行。",
            "A service or database does not answer."
            " Look at `pomona status`, and run this again when it is back.",
        ) from error
    except Refused as refused:
        raise Trouble(
            f"服务拒绝了请求：{refused.message}（{refused.code}）",
            f"A service refused a request: {refused.message} ({refused.code})",
        ) from refused
