"""A proxy on loopback that cuts a connection at one exchange: before the request went on, or after its effect.

An exchange is what a client sends until the server answers. Exchanges are counted over all connections, from one; the
protocol does not matter, as long as it is not encrypted. After the cut everything passes again.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

_MOST = 1 << 16
_ANSWER_SECONDS = 20


class Cut(Enum):
    """When the connection goes."""

    BEFORE = "before the request went on"
    AFTER = "after the effect, the reply lost"


@dataclass(slots=True)
class Proxy:
    """Passes everything on to `upstream`, and cuts once.

    Attributes:
        at: The exchange that is cut; 0 for none.
        count: How many exchanges there were.
    """

    upstream: tuple[str, int]
    at: int = 0
    cut: Cut = Cut.BEFORE
    count: int = 0
    was_cut: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def arm(self, at: int, cut: Cut) -> None:
        """Begin to count again, and cut at an exchange."""
        with self._lock:
            self.at, self.cut, self.count, self.was_cut = at, cut, 0, False

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def close(self) -> None:
        # A thread that waits in accept() holds the socket open; shutdown wakes it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self.upstream) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._exchange(client, server)

    def _exchange(self, client: socket.socket, server: socket.socket) -> None:
        """Pass bytes both ways; a send of the client's after one of the server's begins an exchange."""
        doomed = threading.Event()
        asking = threading.Event()
        back = threading.Thread(target=self._back, args=(server, client, asking, doomed), daemon=True)
        back.start()
        while chunk := client.recv(_MOST):
            if not asking.is_set():
                asking.set()
                if self._is_cut():
                    if self.cut is Cut.BEFORE:
                        break
                    doomed.set()
            server.sendall(chunk)
        if doomed.is_set():
            back.join(_ANSWER_SECONDS)
        for end in (server, client):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _back(
        self, server: socket.socket, client: socket.socket, asking: threading.Event, doomed: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(_MOST):
                if doomed.is_set():
                    break  # the server has answered, so the effect is there; nobody hears of it
                asking.clear()
                client.sendall(chunk)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _is_cut(self) -> bool:
        with self._lock:
            self.count += 1
            if self.count != self.at:
                return False
            self.was_cut = True
            return True


@contextlib.contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    """Serve a proxy to an address of this machine."""
    made = Proxy((host, port))
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join(5)
