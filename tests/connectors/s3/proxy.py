"""A server in front of the S3 server that lies, breaks off, denies and loses replies, as a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = frozenset(("connection", "content-length", "transfer-encoding", "keep-alive"))


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def lists_versions(self) -> bool:
        return self.method == "GET" and "versions" in urlsplit(self.target).query.split("&")

    @property
    def deletes(self) -> bool:
        return self.method == "DELETE" or (self.method == "POST" and "delete" in urlsplit(self.target).query)


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Forward = Callable[[Request], Reply]
Script = Callable[[Request, Forward], Reply | None]


def honest(request: Request, forward: Forward) -> Reply | None:
    return forward(request)


@dataclass
class Proxy:
    """`script` answers each request; None loses the reply. `seen` holds every request that came."""

    url: str
    script: Script = honest
    seen: list[Request] = field(default_factory=list)

    @property
    def deletions(self) -> list[Request]:
        return [request for request in self.seen if request.deletes]


@contextmanager
def proxy_to(origin: str) -> Iterator[Proxy]:
    def forward(request: Request) -> Reply:
        with closing(HTTPConnection(urlsplit(origin).netloc, timeout=30)) as connection:
            connection.request(request.method, request.target, request.body or None, request.headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return Reply(answer.status, answer.read(), kept)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            request = Request(self.command, self.path, headers, body)
            proxy.seen.append(request)
            reply = proxy.script(request, forward)
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def error(status: int, code: str, message: str = "") -> Reply:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, body.encode(), {"Content-Type": "application/xml"})
