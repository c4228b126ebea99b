"""`/livez`, `/readyz` and `/metrics`, for those who watch over the daemon; nothing can be changed through them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from retentiond.errors import ConfigError
from retentiond.service.health import Health
from retentiond.service.metrics import Metrics

_TEXT = "text/plain; charset=utf-8"
_REQUEST_SECONDS = 10


@contextmanager
def serving(listen: str, health: Health, metrics: Metrics) -> Iterator[str]:
    """Answer on an address (`host:port`; port 0 for a free one) while a block runs; yields the address.

    Raises:
        ConfigError: The address cannot be listened at.
    """
    if not listen:
        yield ""
        return
    host, _, port = listen.rpartition(":")
    kind = _Server6 if host.startswith("[") else _Server
    try:
        server = kind((host.strip("[]"), int(port)), _handler(health, metrics))
    except OSError as error:
        raise ConfigError(
            f"{listen} cannot be listened at: {error.strerror}",
            where="listen",
            remedy="name a free port of this machine, such as `listen: 127.0.0.1:9464`, or `listen: none`",
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Server6(_Server):
    address_family = socket.AF_INET6


def _handler(health: Health, metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers one connection."""

        server_version = "retentiond"
        sys_version = ""
        timeout = _REQUEST_SECONDS
        disable_nagle_algorithm = True  # else an answer waits until its head was acknowledged

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/livez":
                self._answer(health.alive(), "alive\n" if health.alive() else "no progress for too long\n")
            elif path == "/readyz":
                self._answer(not health.failure, f"{health.failure or 'ready'}\n")
            elif path == "/metrics":
                self._send(HTTPStatus.OK, generate_latest(metrics.registry), CONTENT_TYPE_LATEST)
            else:
                self._send(HTTPStatus.NOT_FOUND, b"there are /livez, /readyz and /metrics\n", _TEXT)

        def _answer(self, fine: bool, text: str) -> None:  # noqa: FBT001 - the answer itself
            self._send(HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE, text.encode(), _TEXT)

        def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
            """Say nothing: who asks how it is, is no unit of work."""

    return Handler
