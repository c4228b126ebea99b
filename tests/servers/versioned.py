"""An S3 server of the tests' own, which shares no code with the connector or its libraries.

It keeps versions, delete markers, uploads, tags, metadata and locks in memory, takes keys of any bytes, encodes them as
asked, checks every signature (AWS Signature Version 4), and does to each request what `script` says.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote_to_bytes, urlsplit
from xml.sax.saxutils import escape

SECRETS = {"test": "test"}
HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> bytes:
        return unquote_to_bytes(urlsplit(self.target).path.lstrip("/").partition("/")[2])

    @property
    def query(self) -> dict[str, str]:
        pairs = parse_qsl(urlsplit(self.target).query, keep_blank_values=True, errors="surrogateescape")
        return dict(pairs)

    @property
    def deletes(self) -> bool:
        return self.method == "DELETE" or (self.method == "POST" and "delete" in self.query)

    @property
    def lists(self) -> bool:
        return self.method == "GET" and not self.key and bool({"versions", "list-type", "uploads"} & set(self.query))


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass
class Stored:
    key: bytes
    version: str
    at: datetime
    body: bytes | None
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    lock: tuple[str, datetime] | None = None
    hold: bool = False

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body or b"", usedforsecurity=False).hexdigest()}"'


Forward = Callable[[Request], Reply]
Script = Callable[[Request, Forward], Reply | None]


@dataclass
class Bucket:
    """What the server holds; newest versions first."""

    versioning: str = "Enabled"
    lock: bool = False
    region: str = "us-east-1"
    objects: dict[bytes, list[Stored]] = field(default_factory=dict)
    uploads: dict[tuple[bytes, str], datetime] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    honours: frozenset[str] = frozenset()
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def put(self, key: str | bytes, age: timedelta = timedelta(0), body: bytes = b"{}", **more: object) -> str:
        name = key if isinstance(key, bytes) else key.encode()
        version = f"v{next(self.numbers)}" if self.versioning == "Enabled" else "null"
        stored = Stored(name, version, _now() - age, body, **more)  # type: ignore[arg-type]
        kept = [each for each in self.objects.get(name, []) if each.version != version]
        self.objects[name] = [stored, *kept]
        return version

    def hide(self, key: bytes) -> str:
        version = f"m{next(self.numbers)}" if self.versioning == "Enabled" else "null"
        kept = [each for each in self.objects.get(key, []) if each.version != version]
        self.objects[key] = [Stored(key, version, _now(), None), *kept]
        return version

    def begin_upload(self, key: str | bytes, age: timedelta) -> str:
        identifier = f"u{next(self.numbers)}"
        self.uploads[(key if isinstance(key, bytes) else key.encode(), identifier)] = _now() - age
        return identifier

    def with_data(self) -> set[bytes]:
        return {key for key, versions in self.objects.items() if any(each.body is not None for each in versions)}

    def remove(self, key: bytes, version: str | None) -> str:
        """Remove as S3 does; return an error code, or "marker:ID", or ""."""
        if version is None and self.versioning:
            return f"marker:{self.hide(key)}"
        named = [each for each in self.objects.get(key, []) if version in (None, each.version)]
        if any(each.hold or (each.lock and each.lock[1] > _now()) for each in named):
            return "AccessDenied"
        self.objects[key] = [each for each in self.objects.get(key, []) if each not in named]
        if not self.objects[key]:
            del self.objects[key]
        return ""


@dataclass
class Server:
    url: str
    bucket: Bucket
    script: Script = lambda request, forward: forward(request)
    seen: list[Request] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))
    ahead: timedelta = timedelta()  # how far the `Date` of its answers is ahead of the machine's clock

    @property
    def deletions(self) -> list[Request]:
        return [request for request in self.seen if request.deletes]


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the server's clock is the machine's


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def error(status: int, code: str, more: str = "", headers: dict[str, str] | None = None) -> Reply:
    body = HEAD + f"<Error><Code>{code}</Code><Message>{code}</Message>{more}</Error>".encode()
    return Reply(status, body, headers or {})


class Answering:
    """What an honest server answers."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def _bucket(self) -> Bucket:
        return self._server.bucket

    def __call__(self, request: Request) -> Reply:
        refused = self._refused(request)
        if refused:
            return refused
        if request.key:
            return self._of_object(request)
        if request.method == "HEAD":
            return Reply(200)
        if request.method == "POST" and "delete" in request.query:
            return self._delete(request)
        listing = next((name for name in _ROWS if name in request.query), None)
        return self._list(listing, request.query) if listing else self._setting(request.query)

    def _setting(self, query: dict[str, str]) -> Reply:
        if "versioning" in query:
            status = f"<Status>{self._bucket.versioning}</Status>" if self._bucket.versioning else ""
            return _xml("VersioningConfiguration", status)
        if "object-lock" in query and self._bucket.lock:
            return _xml("ObjectLockConfiguration", "<ObjectLockEnabled>Enabled</ObjectLockEnabled>")
        settings = {"logging": "<BucketLoggingStatus/>", **self._bucket.settings}
        body = next((body for name, body in settings.items() if name in query), None)
        if body is not None:
            return Reply(200, HEAD + body.encode())
        return error(404, next((code for name, code in _ABSENT.items() if name in query), "NoSuchConfiguration"))

    def _refused(self, request: Request) -> Reply | None:
        code = signature_problem(request, self._server.secrets, self._bucket.region)
        if code == "AuthorizationHeaderMalformed":
            region = {"x-amz-bucket-region": self._bucket.region}
            return error(400, code, f"<Region>{self._bucket.region}</Region>", region)
        return error(403, code) if code else None

    def _of_object(self, request: Request) -> Reply:
        if request.method == "PUT":
            return self._put(request)
        if request.method == "DELETE" and "uploadId" in request.query:
            gone = self._bucket.uploads.pop((request.key, request.query["uploadId"]), None)
            return Reply(204) if gone else error(404, "NoSuchUpload")
        if request.method == "DELETE":
            return self._delete_one(request)
        versions = self._bucket.objects.get(request.key, [])
        found = next((each for each in versions if request.query.get("versionId") in (None, each.version)), None)
        if found is None or found.body is None:
            return error(404, "NoSuchKey")
        return _part_of(found, request.query)

    def _put(self, request: Request) -> Reply:
        unless_there = "if-none-match" in self._bucket.honours and _header(request, "if-none-match")
        if unless_there and request.key in self._bucket.objects:
            return error(412, "PreconditionFailed")
        wanted = "if-match" in self._bucket.honours and _header(request, "if-match")
        current = self._bucket.objects.get(request.key, [])
        if wanted and not current:
            return error(404, "NoSuchKey")
        if wanted and current[0].etag != wanted:
            return error(412, "PreconditionFailed")
        version = self._bucket.put(request.key, body=request.body)
        return Reply(200, headers={"x-amz-version-id": version, "ETag": self._bucket.objects[request.key][0].etag})

    def _delete_one(self, request: Request) -> Reply:
        key = request.key
        wanted = _header(request, "if-match")
        current = self._bucket.objects.get(key, [])
        if "if-match" in self._bucket.honours and wanted and current and current[0].etag != wanted:
            return error(412, "PreconditionFailed")
        done = self._bucket.remove(key, request.query.get("versionId"))
        if done == "AccessDenied":
            return error(403, done)
        marker = done.removeprefix("marker:")
        return Reply(204, headers={"x-amz-delete-marker": "true", "x-amz-version-id": marker} if marker else {})

    def _delete(self, request: Request) -> Reply:
        answers = []
        for entry in re.findall(rb"<Object>(.*?)</Object>", request.body, re.DOTALL):
            if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]", entry):
                return error(400, "MalformedXML")
            key = _unescaped(re.search(rb"<Key>(.*?)</Key>", entry, re.DOTALL)[1])  # type: ignore[index]
            version = re.search(rb"<VersionId>(.*?)</VersionId>", entry)
            done = self._bucket.remove(key, version[1].decode() if version else None)
            name = f"<Key>{escape(key.decode('utf-8', 'replace'))}</Key>"
            if done == "AccessDenied":
                answers.append(f"<Error>{name}<Code>{done}</Code><Message>locked</Message></Error>")
            else:
                marker = done.removeprefix("marker:")
                more = f"<DeleteMarkerVersionId>{marker}</DeleteMarkerVersionId>" if marker else ""
                answers.append(f"<Deleted>{name}{more}</Deleted>")
        return _xml("DeleteResult", "".join(reversed(answers)))

    def _list(self, what: str, query: dict[str, str]) -> Reply:
        prefix = query.get("prefix", "").encode("utf-8", "surrogateescape")
        rows = [row for row in getattr(self, f"_{_ROWS[what]}")() if row[0].startswith(prefix)]
        after = tuple(query.get(name, "") for name in _AFTER[what])
        if after[0]:
            marker = after[0].encode("utf-8", "surrogateescape")
            same = [index for index, row in enumerate(rows) if row[0] == marker and row[1] == after[-1]]
            rows = rows[same[0] + 1 :] if same and len(after) > 1 else [row for row in rows if row[0] > marker]
        rows = _rolled_up(rows, prefix, query.get("delimiter", "").encode())
        most = int(query.get("max-keys") or query.get("max-uploads") or 1_000)
        coded = query.get("encoding-type") == "url"
        body = "".join(row[2].replace("{key}", _encoded(row[0], coded=coded)) for row in rows[:most])
        head = f"<IsTruncated>{str(len(rows) > most).lower()}</IsTruncated>"
        return _xml(_ROOTS[what], head + ("<EncodingType>url</EncodingType>" if coded else "") + body)

    def _versions(self) -> Iterator[tuple[bytes, str, str]]:
        for key in sorted(self._bucket.objects):
            for index, each in enumerate(self._bucket.objects[key]):
                name = "DeleteMarker" if each.body is None else "Version"
                size = "" if each.body is None else f"<Size>{len(each.body)}</Size><ETag>{escape(each.etag)}</ETag>"
                yield (
                    key,
                    each.version,
                    (
                        f"<{name}><Key>{{key}}</Key><VersionId>{each.version}</VersionId>{size}"
                        f"<IsLatest>{str(index == 0).lower()}</IsLatest>"
                        f"<LastModified>{_time(each.at)}</LastModified></{name}>"
                    ),
                )

    def _contents(self) -> Iterator[tuple[bytes, str, str]]:
        for key in sorted(self._bucket.objects):
            each = self._bucket.objects[key][0]
            if each.body is not None:
                yield (
                    key,
                    "",
                    (
                        f"<Contents><Key>{{key}}</Key><Size>{len(each.body)}</Size><ETag>{escape(each.etag)}</ETag>"
                        f"<LastModified>{_time(each.at)}</LastModified></Contents>"
                    ),
                )

    def _begun(self) -> Iterator[tuple[bytes, str, str]]:
        for key, identifier in sorted(self._bucket.uploads):
            at = _time(self._bucket.uploads[key, identifier])
            more = f"<UploadId>{identifier}</UploadId><Initiated>{at}</Initiated>"
            yield key, identifier, f"<Upload><Key>{{key}}</Key>{more}</Upload>"


def _part_of(found: Stored, query: dict[str, str]) -> Reply:
    if "tagging" in query:
        tags = "".join(f"<Tag><Key>{escape(k)}</Key><Value>{escape(v)}</Value></Tag>" for k, v in found.tags.items())
        return _xml("Tagging", f"<TagSet>{tags}</TagSet>")
    if "legal-hold" in query:
        return _xml("LegalHold", f"<Status>{'ON' if found.hold else 'OFF'}</Status>")
    if "retention" in query:
        if found.lock is None:
            return error(404, "NoSuchObjectLockConfiguration")
        mode, until = found.lock
        return _xml("Retention", f"<Mode>{mode}</Mode><RetainUntilDate>{_time(until)}</RetainUntilDate>")
    headers = {f"x-amz-meta-{name}": value for name, value in found.metadata.items()}
    headers |= {"ETag": found.etag, "x-amz-object-lock-legal-hold": "ON" if found.hold else "OFF"}
    if found.lock:
        headers["x-amz-object-lock-mode"] = found.lock[0]
        headers["x-amz-object-lock-retain-until-date"] = _time(found.lock[1])
    return Reply(200, found.body or b"", headers)


_ROWS = {"versions": "versions", "list-type": "contents", "uploads": "begun"}
_ROOTS = {"versions": "ListVersionsResult", "list-type": "ListBucketResult", "uploads": "ListMultipartUploadsResult"}
_AFTER = {
    "versions": ("key-marker", "version-id-marker"),
    "list-type": ("start-after",),
    "uploads": ("key-marker", "upload-id-marker"),
}
_ABSENT = {
    "lifecycle": "NoSuchLifecycleConfiguration",
    "object-lock": "ObjectLockConfigurationNotFoundError",
    "replication": "ReplicationConfigurationNotFoundError",
    "encryption": "ServerSideEncryptionConfigurationNotFoundError",
}


def _rolled_up(rows: list[tuple[bytes, str, str]], prefix: bytes, delimiter: bytes) -> list[tuple[bytes, str, str]]:
    if not delimiter:
        return rows
    names: dict[bytes, tuple[bytes, str, str]] = {}
    for row in rows:
        head, found, _ = row[0][len(prefix) :].partition(delimiter)
        name = prefix + head + found
        common = "<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"
        names.setdefault(name + b"\0" + row[1].encode() if not found else name, (name, "", common) if found else row)
    return list(names.values())


def _xml(name: str, body: str) -> Reply:
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return Reply(
        200, HEAD + f'<{name} xmlns="{namespace}">{body}</{name}>'.encode(), {"Content-Type": "application/xml"}
    )


def _encoded(key: bytes, *, coded: bool) -> str:
    return quote_plus(key, safe="/") if coded else escape(key.decode("utf-8", "replace"))


def _unescaped(text: bytes) -> bytes:
    for entity, char in ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&amp;", b"&")):
        text = text.replace(entity, char)
    return text


def _header(request: Request, name: str) -> str:
    return next((value for known, value in request.headers.items() if known.lower() == name), "")


def signature_problem(request: Request, secrets: dict[str, str], region: str) -> str:
    """Return an error code unless the request bears a good signature (SigV4) for the region."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
        r"SignedHeaders=([^,]+), ?Signature=(\w+)",
        _header(request, "authorization"),
    )
    if not found:
        return "AccessDenied"
    access_key, day, named, signed, signature = found.groups()
    if named != region:
        return "AuthorizationHeaderMalformed"
    if access_key not in secrets:
        return "InvalidAccessKeyId"
    parts = urlsplit(request.target)
    pairs = sorted(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
    names = signed.split(";")
    body = _header(request, "x-amz-content-sha256")
    if body != "UNSIGNED-PAYLOAD" and body != hashlib.sha256(request.body).hexdigest():
        return "XAmzContentSHA256Mismatch"
    canonical = "\n".join(
        (
            request.method,
            quote(unquote_to_bytes(parts.path), safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            "".join(f"{name}:{' '.join(_header(request, name).split())}\n" for name in names),
            signed,
            body,
        )
    )
    scope = f"{day}/{named}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", _header(request, "x-amz-date"), scope, digest))
    key = b"AWS4" + secrets[access_key].encode()
    for part in (day, named, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    good = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return "" if hmac.compare_digest(good, signature) else "SignatureDoesNotMatch"


class _Http(ThreadingHTTPServer):
    """Says nothing of clients that are killed in the middle of a request."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def versioned_server(bucket: Bucket | None = None) -> Iterator[Server]:
    """Run the server on a free port of 127.0.0.1; every path-style bucket name is its one bucket."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, dict(self.headers.items()), body)
            with lock:
                server.seen.append(request)
                reply = server.script(request, answering)
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
            self.close_connection = self.close_connection or reply.cut

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or _now().timestamp()) + server.ahead.total_seconds())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._answer)
    lock = threading.RLock()
    http = _Http(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_address[1]}", bucket or Bucket())
    answering = Answering(server)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
