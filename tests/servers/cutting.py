"""A way between client and server that is cut at a chosen moment: before the server hears something, or after."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum


class Cut(Enum):
    """Where the way is cut: what was asked never arrives, or the answer to it is lost."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(slots=True)
class Way:
    """Connections to a port of 127.0.0.1, led on to a server; `plan` arms one cut.

    Attributes:
        cuts: How often a connection was cut.
    """

    target: int
    port: int = 0
    cuts: int = 0
    _armed: tuple[bytes, Cut] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, word: bytes, cut: Cut) -> None:
        """Cut the connection that next carries a word from the client, once."""
        with self._lock:
            self._armed = (word, cut)

    def _take(self, data: bytes) -> Cut | None:
        with self._lock:
            if self._armed is None or self._armed[0] not in data:
                return None
            cut, self._armed = self._armed[1], None
            self.cuts += 1
            return cut

    def lead(self, client: socket.socket) -> None:
        """Carry one connection until an end closes it, or it is cut."""
        server = socket.create_connection(("127.0.0.1", self.target))
        back = threading.Thread(target=_carry_back, args=(server, client), daemon=True)
        silent = False
        try:
            back.start()
            while data := client.recv(65_536):
                cut = self._take(data)
                if cut is Cut.BEFORE:
                    break
                silent = cut is Cut.AFTER
                if silent:
                    client.shutdown(socket.SHUT_WR)  # the answer has nowhere to go
                server.sendall(data)
                if silent:
                    break
        except OSError:
            client.close()
        finally:
            if silent:
                threading.Event().wait(0.3)  # let the server take effect
            for end in (client, server):
                _close(end)
            back.join(5)


def _carry_back(server: socket.socket, client: socket.socket) -> None:
    try:
        while data := server.recv(65_536):
            client.sendall(data)
    except OSError:
        _close(client)
    _close(client)


def _close(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        end.close()
    end.close()


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
