"""The bulk data plane: listings and deletions, signed by botocore and sent by urllib3, without a client in between.

A listing through boto3 costs ten times as much of this machine as through here (measured); everything else stays boto3.
Nothing is followed that an answer names but a region: addresses come from botocore's own rules.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from retentiond.connectors.s3.answers import Failure, read_failure
from retentiond.connectors.s3.client import CONNECT_SECONDS, READ_SECONDS, Access
from retentiond.connectors.s3.pace import Pace

_CONNECTIONS = 16
_SUCCESS = 300
_PAUSES_SECONDS = (0.2, 0.6, 1.8, 5.0)
_TIMEOUT = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
_SLOW = frozenset(("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"))
_EXPIRED = frozenset(("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"))
_ELSEWHERE = frozenset(("301", "307", "400", "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"))
_PASSING = frozenset((429, 500, 502, 503, 504))


class Answer(NamedTuple):
    """What a server answered; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Again(BotoCoreError):
    """The request was refused for its region or credentials, others are used from now on, and it was not sent again."""

    fmt = "the server refused this request's {what}, and the next one bears others"


class Wire:
    """Sends requests to one bucket.

    Args:
        attempts: How often a request is sent at most; 1 where each sending must be allowed anew.
        pause: Waits so many seconds.
    """

    def __init__(self, access: Access, pace: Pace, attempts: int, pause: Callable[[float], None] = time.sleep) -> None:
        self._access = access
        self._pace = pace
        self._attempts = attempts
        self._pause = pause
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._origin = ""
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the connections."""
        if self._pool is not None:
            self._pool.close()

    def send(self, method: str, key: str = "", query: Mapping[str, str] | None = None, body: bytes = b"",
             headers: Mapping[str, str] | None = None) -> Answer:  # fmt: skip
        """Send one request and return its answer, which is a success.

        Args:
            key: The object's key; empty for the bucket itself.

        Raises:
            BotoCoreError, ClientError: As boto3 raises them.
            HTTPError: There was no complete answer; whether the request had its effect is not known.
        """
        target = _target(key, query or {})
        for pause in (*_PAUSES_SECONDS[: self._attempts - 1], None):
            try:
                answer = self._adapted(method, target, body, headers or {})
            except HTTPError:
                if pause is None:
                    raise
            else:
                failure = _failure(answer)
                if failure is None:
                    return answer
                if pause is None or answer.status not in _PASSING:
                    raise ClientError(_as_boto3(failure, answer.status), method)
            self._pause(pause)
        message = "a request has at least one attempt"
        raise AssertionError(message)

    def _adapted(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a request; where it was refused for its region or credentials, once more with the right ones."""
        credentials = self._access.credentials()
        answer = self._once(method, target, body, headers, credentials)
        refused = self._refused_for(answer, credentials)
        if not refused:
            return answer
        if self._attempts == 1:
            raise Again(what=refused)
        return self._once(method, target, body, headers, self._access.credentials())

    def _refused_for(self, answer: Answer, credentials: ReadOnlyCredentials) -> str:
        failure = _failure(answer)
        if failure is None:
            return ""
        if failure.code in _EXPIRED:
            return "credentials" if self._access.renew(credentials) else ""
        return "region" if failure.code in _ELSEWHERE and self._access.move(failure.region) else ""

    def _once(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], credentials: ReadOnlyCredentials
    ) -> Answer:
        url = self._access.base + target
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
        S3SigV4Auth(credentials, "s3", self._access.region).add_auth(request)
        path = url.removeprefix(_origin(url))
        path = path if path.startswith("/") else f"/{path}"
        self._pace.wait()
        reply = self._connections(url).urlopen(
            method,
            path,
            body=body or None,
            headers=dict(request.headers.items()),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        answer = _read(reply, method)
        failure = _failure(answer)
        if failure is not None and (failure.code in _SLOW or failure.code in ("503", "429")):
            self._pace.slower()
        else:
            self._pace.faster()
        return answer

    def _connections(self, url: str) -> urllib3.HTTPConnectionPool:
        origin = _origin(url)
        with self._lock:
            if self._pool is None or origin != self._origin:
                self.close()
                self._pool, self._origin = _open(origin, self._access), origin
            return self._pool


def _read(reply: urllib3.BaseHTTPResponse, method: str) -> Answer:
    """Read an answer; of one that is an object's content, nothing but its headers."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    if method == "GET" and is_content(headers):
        reply.close()
        return Answer(reply.status, headers, b"")
    body = reply.read()
    reply.release_conn()
    return Answer(reply.status, headers, body)


def is_content(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer is an object's content: some servers give that to whatever is asked of an object."""
    return "etag" in headers


def _open(origin: str, access: Access) -> urllib3.HTTPConnectionPool:
    parts = urlsplit(origin)
    secure = parts.scheme == "https"
    options: dict[str, Any] = {"maxsize": _CONNECTIONS, "block": True, "timeout": _TIMEOUT}
    if secure:
        options |= {"ca_certs": access.certificates, "cert_reqs": "CERT_REQUIRED"}
    proxy = getproxies().get("https") if secure and not proxy_bypass(parts.hostname or "") else None
    # Through a tunnel only: a request that names its whole URL would have the dots of keys taken out.
    manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    return manager.connection_from_host(parts.hostname, parts.port, parts.scheme)


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _target(key: str, query: Mapping[str, str]) -> str:
    path = "/" + quote(_bytes(key), safe="/~") if key else ""
    pairs = [name + ("=" + quote(_bytes(value), safe="~") if value else "") for name, value in query.items()]
    return path + ("?" + "&".join(pairs) if pairs else "")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _failure(answer: Answer) -> Failure | None:
    if answer.status < _SUCCESS:
        return None
    failure = read_failure(answer.body)
    region = answer.headers.get("x-amz-bucket-region") or failure.region
    return failure._replace(code=failure.code or str(answer.status), region=region)


def _as_boto3(failure: Failure, status: int) -> Any:  # noqa: ANN401 - what botocore types as its own answer
    metadata = {"HTTPStatusCode": status}
    return {"Error": {"Code": failure.code, "Message": failure.message, "Region": failure.region},
            "ResponseMetadata": metadata}  # fmt: skip
