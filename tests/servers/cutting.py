"""A way to a server on loopback that is cut at a chosen exchange: before the request goes on, or after its effect.

An exchange is what a client sends until the server answers; they are counted over all connections, from one. The
protocol does not matter, as long as it is not encrypted. After the cut everything passes again.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

_MOST = 1 << 16
_ANSWER_SECONDS = 20


class Cut(Enum):
    """Where the way is cut: what was asked never arrives, or the answer to it is lost."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(slots=True)
class Way:
    """Connections to a port of 127.0.0.1, led on to a server; `plan` and `arm` each prepare one cut.

    Attributes:
        count: How many exchanges there were.
        cuts: How often a connection was cut.
    """

    target: int
    port: int = 0
    count: int = 0
    cuts: int = 0
    _word: bytes = b""
    _at: int = 0
    _cut: Cut = Cut.BEFORE
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, word: bytes, cut: Cut) -> None:
        """Cut the connection that next carries a word from the client, once."""
        with self._lock:
            self._word, self._at, self._cut = word, 0, cut

    def arm(self, at: int, cut: Cut = Cut.BEFORE) -> None:
        """Begin to count again, and cut at an exchange; 0 for none."""
        with self._lock:
            self._word, self._at, self._cut, self.count, self.cuts = b"", at, cut, 0, 0

    def _take(self, data: bytes, *, begins: bool) -> Cut | None:
        with self._lock:
            self.count += begins
            if not (begins and self.count == self._at) and not (self._word and self._word in data):
                return None
            self._word, self._at = b"", 0
            self.cuts += 1
            return self._cut

    def lead(self, client: socket.socket) -> None:
        """Carry one connection until an end closes it, or it is cut."""
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Carried(self, client, server).carry()


class _Carried:
    """One connection."""

    def __init__(self, way: Way, client: socket.socket, server: socket.socket) -> None:
        self._way = way
        self._client = client
        self._server = server
        self._asking = threading.Event()
        self._doomed = threading.Event()

    def carry(self) -> None:
        back = threading.Thread(target=self._carry_back, daemon=True)
        back.start()
        with suppress(OSError):
            while chunk := self._client.recv(_MOST):
                begins = not self._asking.is_set()
                self._asking.set()
                cut = self._way._take(chunk, begins=begins)
                if cut is Cut.BEFORE:
                    break
                if cut is Cut.AFTER:
                    self._doomed.set()
                self._server.sendall(chunk)
        if self._doomed.is_set():
            back.join(_ANSWER_SECONDS)
        for end in (self._server, self._client):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _carry_back(self) -> None:
        with suppress(OSError):
            while chunk := self._server.recv(_MOST):
                if self._doomed.is_set():
                    break  # the server has answered, so the effect is there; nobody hears of it
                self._asking.clear()
                self._client.sendall(chunk)
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)


@contextmanager
def way_to(target: int) -> Iterator[Way]:
    """Listen on a free port of 127.0.0.1 and lead each connection on to the target port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        way = Way(target, listener.getsockname()[1])
        thread = threading.Thread(target=_accept, args=(listener, way), daemon=True)
        thread.start()
        yield way
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _accept(listener: socket.socket, way: Way) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=way.lead, args=(client,), daemon=True).start()
