"""A connection to a server that can be cut at a chosen message."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

_CHUNK = 65_536


class Wire:
    """Passes bytes between clients and a server on a Unix socket, until `cut_after` is seen.

    Then the message is passed on, so that the server does what it says, and its answer is not: both sides lose the
    connection.
    """

    def __init__(self, server: Path) -> None:
        self.cut_after = b""
        self.cuts = 0
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def close(self) -> None:
        """Take no more connections; those that are open end with their clients."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._run(partial(self._serve, client))

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as ready, suppress(OSError):
            server.connect(str(self._server))
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            cut = False
            while True:
                for key, _ in ready.select():
                    data = (client if key.fileobj is client else server).recv(_CHUNK)
                    if not data or (cut and key.fileobj is server):  # it has answered, so it did what it was told
                        return
                    cut = cut or self._is_last(data)
                    key.data.sendall(data)

    def _is_last(self, data: bytes) -> bool:
        if not self.cut_after or self.cut_after not in data:
            return False
        self.cut_after = b""
        self.cuts += 1
        return True


@contextmanager
def wire_to(server: Path) -> Iterator[Wire]:
    wire = Wire(server)
    try:
        yield wire
    finally:
        wire.close()
