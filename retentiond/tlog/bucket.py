"""A log in a bucket, served as static files.

Tiles and other files that never change are written with `If-None-Match: *`, the checkpoint with `If-Match`, once a
probe has shown that the server honours both. Some servers take conditions and ignore them; then the ledger is the only
compare-and-swap, and what is there is read before it is written. Nothing is ever deleted: partial tiles stay.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from retentiond.errors import ConnectorError, LogIntegrityError, RetentiondError
from retentiond.ports.objects import Objects, Stored

CHECKPOINT = "checkpoint"
_PROBE = "conditions.probe"
_OTHER_TAG = '"00000000000000000000000000000000"'
_TRIES = 5
_UNCHANGING = ("tile/", "policies/")
_JSON, _TEXT, _BYTES = "application/json", "text/plain; charset=utf-8", "application/octet-stream"
_FOR_EVER, _FRESH = "public, max-age=31536000, immutable", "no-cache"


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which conditions of a write the server honours."""

    if_none_match: bool
    if_match: bool


class BucketStore:
    """Implements `TileStore`. What is written is durable when the server says so.

    Args:
        prefix: What all keys begin with; empty, or ending in a slash.
    """

    def __init__(self, objects: Objects, prefix: str) -> None:
        self._objects = objects
        self._prefix = prefix
        self._where = f"{objects.where}/{prefix}"
        self._seen: Stored | None = None
        self._conditions: Conditions | None = None

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None when the server says that there is no such file."""
        found = self._get(path)
        return None if found is None else found.data

    def names(self, folder: str) -> Iterator[str]:
        """Yield the paths of all files in a folder and below."""
        with self._explained(folder, "listed"):
            for key in self._objects.names(f"{self._prefix}{folder}/"):
                yield key.removeprefix(self._prefix)

    def put(self, path: str, data: bytes, *, replace: bool = False) -> None:
        """Write a file whole or not at all; one that has this content already is left alone.

        Raises:
            LogIntegrityError: It has another content and may not change: a tile or policy never does here, not even a
                partial tile, since who wrote it may be about to sign it.
        """
        replace = replace and not path.startswith(_UNCHANGING)
        if self.conditions().if_none_match:
            if self._put(path, data, {"If-None-Match": "*"}):
                return
            found = self._get(path)
        else:
            found = self._get(path)
            if found is None:
                self._put(path, data, {})
                return
        if found is not None and found.data == data:
            return
        if not replace:
            raise LogIntegrityError(
                "a published file has another content than it must have, and is never changed",
                where=f"{self._where}{path}",
                remedy="nothing was signed; find out who else writes there, and if nobody does, remove that object",
            )
        self._put(path, data, {})

    def swap(self, path: str, old: bytes | None, new: bytes) -> bool:
        """Replace a file if it still is `old`; False when it is not."""
        seen = self._seen if path == CHECKPOINT else None
        for _ in range(_TRIES):
            if seen is None or seen.data != old:
                seen = self._get(path)
            if (seen.data if seen else None) != old:
                return seen is not None and seen.data == new
            if self._put(path, new, self._condition(seen)):
                return True
            seen = None  # refused; or it was our own first try that was written, whose answer was lost
        return False

    def sync(self) -> None:
        """Do nothing: the server has said of each file that it is durable."""

    def discard_partials(self, path: str) -> None:
        """Leave them: a role that publishes needs no right to delete."""

    def remarks(self) -> list[str]:
        """Say which conditions the server honours."""
        found = self.conditions()
        words = {"If-None-Match: *": found.if_none_match, "If-Match": found.if_match}
        said = [f"a write with `{name}` is {'' if honoured else 'NOT '}honoured" for name, honoured in words.items()]
        if not all(words.values()):
            said.append("the ledger is the only compare-and-swap; let no other ledger's instance write there")
        return [f"log {self._where}: {each}" for each in said]

    def conditions(self) -> Conditions:
        """Find out which conditions the server honours, once, on an object of our own that stays."""
        if self._conditions is None:
            with self._explained(_PROBE, "probed"):
                self._conditions = Conditions(self._honours_none_match(), self._honours_match())
        return self._conditions

    def _honours_none_match(self) -> bool:
        self._probe({})
        return self._probe({"If-None-Match": "*"}) is None

    def _honours_match(self) -> bool:
        if self._probe({"If-Match": _OTHER_TAG}) is not None:
            return False
        for _ in range(_TRIES):  # another process may probe at the same time
            found = self._objects.get(f"{self._prefix}{_PROBE}")
            if found is not None and self._probe({"If-Match": found.tag}) is not None:
                return True
        return False

    def _probe(self, condition: Mapping[str, str]) -> str | None:
        headers = {"Content-Type": _TEXT, "Cache-Control": _FRESH, **condition}
        return self._objects.put(f"{self._prefix}{_PROBE}", secrets.token_hex(16).encode(), headers)

    def _condition(self, seen: Stored | None) -> dict[str, str]:
        if seen is None:
            return {"If-None-Match": "*"} if self.conditions().if_none_match else {}
        return {"If-Match": seen.tag} if self.conditions().if_match else {}

    def _get(self, path: str) -> Stored | None:
        with self._explained(path, "read"):
            found = self._objects.get(self._prefix + path)
        if path == CHECKPOINT:
            self._seen = found
        return found

    def _put(self, path: str, data: bytes, condition: Mapping[str, str]) -> bool:
        with self._explained(path, "written"):
            tag = self._objects.put(self._prefix + path, data, {**_headers(path), **condition})
        if path == CHECKPOINT:
            self._seen = Stored(data, tag) if tag else None
        return tag is not None

    @contextmanager
    def _explained(self, path: str, verb: str) -> Iterator[None]:
        try:
            yield
        except ConnectorError as error:
            raise RetentiondError(
                f"the log cannot be {verb}: {error.what}",
                where=f"{self._where}{path}",
                remedy=f"{error.remedy}; what is staged is not lost" if error.remedy else "what is staged is not lost",
            ) from error


def _headers(path: str) -> dict[str, str]:
    """Return how a file is to be served: tiles for ever, what may change only after asking."""
    partial = ".p/" in path
    kind = _JSON if path.endswith(".json") else _BYTES if path.startswith("tile/") else _TEXT
    stays = path.startswith(_UNCHANGING) and not partial
    return {"Content-Type": kind, "Cache-Control": _FOR_EVER if stays else "max-age=60" if partial else _FRESH}
