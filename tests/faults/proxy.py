"""A TCP proxy that delays, throttles, resets or swallows what goes through it."""

import selectors
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class Proxy:
    """Passes bytes between clients and one server. Its faults may change at any time."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.delay = 0.0
        self.bytes_per_second = 0
        self.swallows = False
        self._generation = 0
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def heal(self) -> None:
        self.delay, self.bytes_per_second, self.swallows = 0.0, 0, False

    def reset_all(self) -> None:
        """Break every connection of now with a reset."""
        self._generation += 1

    def close(self) -> None:
        self._closed = True
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        generation = self._generation
        other = {client: server, server: client}
        try:
            with selectors.DefaultSelector() as ready:
                for end in other:
                    ready.register(end, selectors.EVENT_READ)
                while not self._closed and generation == self._generation:
                    for key, _ in ready.select(0.2):
                        if not self._carry(key.fileobj, other[key.fileobj]):  # type: ignore[index,arg-type]
                            return
        except (OSError, ValueError, KeyError):
            return
        finally:
            for end in other:
                if generation != self._generation:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                end.close()

    def _carry(self, source: socket.socket, target: socket.socket) -> bool:
        data = source.recv(65_536)
        if not data:
            return False
        if self.swallows:
            return True
        if self.delay:
            time.sleep(self.delay)
        if self.bytes_per_second:
            time.sleep(len(data) / self.bytes_per_second)
        target.sendall(data)
        return True
