"""The doors of a service: each method that others may call, and who hands it what."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from nameko.extensions import Entrypoint, register_entrypoint

from pomona.call import Call
from pomona.rpc import RpcServer


class Door(Entrypoint):  # type: ignore[misc]
    """One method that others may call; its contract stands in the service's REQUESTS."""

    server = RpcServer()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(expected_exceptions=(Exception,), **kwargs)

    def setup(self) -> None:
        self.server.register_provider(self)

    def stop(self) -> None:
        self.server.take_no_more()
        self.server.unregister_provider(self)


def command(method: Callable[..., Any]) -> Callable[..., Any]:
    """Open a method to commands: it is given a `Command` and its answer is stored with it."""

    @wraps(method)
    def once(service: Any, call: Call) -> dict[str, Any]:
        return call.exactly_once(lambda c: method(service, c))

    register_entrypoint(once, Door())
    return once


def question(method: Callable[..., Any]) -> Callable[..., Any]:
    """Open a method to questions: it is given a `Question` and changes nothing."""

    @wraps(method)
    def answer(service: Any, call: Call) -> dict[str, Any]:
        result: dict[str, Any] = method(service, call.question())
        return result

    register_entrypoint(answer, Door())
    return answer


def shared_question(name: str) -> Callable[..., Any]:
    """Open a method that the chassis answers for every service."""

    def answer(_service: Any, call: Call) -> dict[str, Any]:
        result: dict[str, Any] = getattr(call.spine, name)(call.question())
        return result

    register_entrypoint(answer, Door())
    return answer
