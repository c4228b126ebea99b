"""A bucket in memory behind a small HTTP server, fast enough that its clients are the limit. It checks no signatures.

As a program (`python tests/benchmarks/s3_server.py OBJECTS VERSIONING`) it prints its port and serves until its input
ends. Keys are spread over 64 prefixes; every object is 40 days old.
"""

from __future__ import annotations

import re
import sys
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import parse_qs, quote_plus, unquote, urlsplit
from xml.sax.saxutils import unescape

BUCKET = "bench"
PREFIXES = 64
_AT = "2024-01-02T03:04:05.678Z"
_OBJECT = re.compile(rb"<Object>(?:<Key>(.*?)</Key>)(?:<VersionId>(.*?)</VersionId>)?", re.DOTALL)
_FIELDS = f"<LastModified>{_AT}</LastModified><ETag>&quot;99914b932bd37a50b983c5e7c90ae93b&quot;</ETag><Size>2</Size>"


def names(count: int) -> list[str]:
    random = Random(1)
    return sorted(f"requests/{number % PREFIXES:02x}/{random.randbytes(12).hex()}.json" for number in range(count))


class Keys:
    """The keys that are left, in order."""

    def __init__(self, count: int, versioning: str) -> None:
        self.versioning = versioning
        self._names = names(count)
        self._there = bytearray(b"\1" * count)

    def page(self, prefix: str, after: str, most: int) -> tuple[list[str], bool]:
        found = []
        for index in self._from(prefix, after):
            if not self._names[index].startswith(prefix):
                break
            if len(found) == most:
                return found, True
            found.append(self._names[index])
        return found, False

    def _from(self, prefix: str, after: str) -> Iterator[int]:
        start = max(bisect_left(self._names, prefix), bisect_right(self._names, after) if after else 0)
        index = self._there.find(1, start)
        while index >= 0:
            yield index
            index = self._there.find(1, index + 1)

    def remove(self, name: str) -> None:
        index = bisect_left(self._names, name)
        if index < len(self._names) and self._names[index] == name:
            self._there[index] = 0

    def below(self, prefix: str) -> list[str]:
        """Return what stands below a prefix up to the next slash."""
        found: list[str] = []
        after = ""
        while True:
            page, _ = self.page(prefix, after, 1)
            if not page:
                return found
            head, slash, _ = page[0][len(prefix) :].partition("/")
            found.append(prefix + head + slash)
            after = prefix + head + ("/\U0010ffff" if slash else "")

    def left(self) -> int:
        return self._there.count(1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keys: Keys
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self._send(200, b"")

    def do_GET(self) -> None:
        query = {
            name: values[0] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()
        }
        if "versioning" in query:
            status = f"<Status>{self.keys.versioning}</Status>" if self.keys.versioning else ""
            self._xml("VersioningConfiguration", status)
        elif "uploads" in query:
            self._xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")
        elif "location" in query:
            self._xml("LocationConstraint", "")
        elif "versions" in query or "list-type" in query or "prefix" in query or "delimiter" in query:
            self._list(query)
        else:
            self._send(404, b"<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>")

    def do_DELETE(self) -> None:
        self.keys.remove(unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/"))
        self._send(204, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        deleted = []
        for key, _version in _OBJECT.findall(body):
            self.keys.remove(unescape(key.decode()))
            deleted.append(b"<Deleted><Key>" + key + b"</Key></Deleted>")
        self._xml("DeleteResult", b"".join(deleted).decode() if b"<Quiet>true" not in body else "")

    def _list(self, query: dict[str, str]) -> None:
        versions = "versions" in query
        coded = query.get("encoding-type") == "url"
        after = query.get("start-after") or query.get("continuation-token") or query.get("key-marker") or ""
        prefix, most = query.get("prefix", ""), int(query.get("max-keys", "1000"))
        if query.get("delimiter"):
            names_below = self.keys.below(prefix)
            rows = "".join(f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in names_below)
            self._xml(
                "ListVersionsResult" if versions else "ListBucketResult", "<IsTruncated>false</IsTruncated>" + rows
            )
            return
        page, more = self.keys.page(prefix, after, most)
        head = f"<IsTruncated>{str(more).lower()}</IsTruncated>" + ("<EncodingType>url</EncodingType>" if coded else "")
        if more and not versions:
            head += f"<NextContinuationToken>{page[-1]}</NextContinuationToken><KeyCount>{len(page)}</KeyCount>"
        version = "<VersionId>0123456789abcdef0123456789abcdef</VersionId><IsLatest>true</IsLatest>"
        name, extra = ("Version", version) if versions else ("Contents", "")
        rows = "".join(
            f"<{name}><Key>{quote_plus(key, safe='/') if coded else key}</Key>{extra}{_FIELDS}</{name}>" for key in page
        )
        self._xml("ListVersionsResult" if versions else "ListBucketResult", head + rows)

    def _xml(self, name: str, body: str) -> None:
        self._send(200, f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{body}</{name}>'.encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def main() -> None:
    """Serve until the input ends; say then how many keys are left."""
    Handler.keys = Keys(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    print(Handler.keys.left(), flush=True)


if __name__ == "__main__":
    main()
