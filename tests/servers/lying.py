"""Ways in which a server lies, breaks off or asks for patience; each is a script of the versioned server."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tests.servers.versioned import Forward, Reply, Request, Script, error

_OBJECT = re.compile(rb"<Object>(.*?)</Object>", re.DOTALL)
_MARKERS = frozenset(("key-marker", "version-id-marker", "start-after", "upload-id-marker"))


def deletes_nothing(request: Request, forward: Forward) -> Reply | None:
    """Say that everything went, and remove nothing."""
    if request.method == "DELETE":
        return Reply(204)
    if not request.deletes:
        return forward(request)
    deleted = b"".join(b"<Deleted>" + each + b"</Deleted>" for each in _OBJECT.findall(request.body))
    return Reply(200, b"<DeleteResult>" + deleted + b"</DeleteResult>")


def loops(request: Request, forward: Forward) -> Reply | None:
    """Answer every page of a listing with the first."""
    if not request.lists:
        return forward(request)
    query = {name: value for name, value in request.query.items() if name not in _MARKERS}
    listing = next(name for name in ("versions", "list-type", "uploads") if name in query)
    return forward._list(listing, query)  # type: ignore[attr-defined,no-any-return]


def cuts(wanted: Callable[[Request], bool]) -> Script:
    """Break off in the middle of answers to such requests, after their effect."""

    def script(request: Request, forward: Forward) -> Reply | None:
        reply = forward(request)
        return replace(reply, cut=True) if wanted(request) and reply.body else None if wanted(request) else reply

    return script


def breaks_before(wanted: Callable[[Request], bool]) -> Script:
    """Close the connection on such requests, without their effect."""
    return lambda request, forward: None if wanted(request) else forward(request)


def breaks_after(wanted: Callable[[Request], bool]) -> Script:
    """Close the connection on such requests after their effect."""

    def script(request: Request, forward: Forward) -> Reply | None:
        reply = forward(request)
        return None if wanted(request) else reply

    return script


def asks_for_patience(times: int, wanted: Callable[[Request], bool] = lambda _request: True) -> Script:
    """Answer 503 SlowDown so many times, and serve after."""
    left = [times]

    def script(request: Request, forward: Forward) -> Reply | None:
        if wanted(request) and left[0] > 0:
            left[0] -= 1
            return error(503, "SlowDown")
        return forward(request)

    return script


def patience_for_each_key(times: int) -> Script:
    """Answer deletions with 200 and SlowDown for every key so many times, and serve after."""
    left = [times]

    def script(request: Request, forward: Forward) -> Reply | None:
        if not request.deletes or left[0] <= 0:
            return forward(request)
        left[0] -= 1
        each = b"<Error><Key>k</Key><Code>SlowDown</Code></Error>"
        return Reply(200, b"<DeleteResult>" + each * len(_OBJECT.findall(request.body)) + b"</DeleteResult>")

    return script


def expires(access_key: str) -> Script:
    """Answer ExpiredToken to requests that bear an access key."""

    def script(request: Request, forward: Forward) -> Reply | None:
        authorization = next((value for name, value in request.headers.items() if name.lower() == "authorization"), "")
        return error(400, "ExpiredToken") if f"Credential={access_key}/" in authorization else forward(request)

    return script
