"""The port to a bucket in which files are published: whole objects, with conditions that a server may ignore."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's content, and the tag (ETag) that tells it from what stood or will stand under its key."""

    data: bytes
    tag: str


class Objects(Protocol):
    """One bucket.

    Attributes:
        where: The bucket, for messages.

    Raises (all methods):
        ConnectorError: It cannot be told whether the request had its effect, or the server refused it.
    """

    where: str

    def get(self, key: str) -> Stored | None:
        """Return an object; None only when the server says that there is none."""
        ...

    def put(self, key: str, data: bytes, headers: Mapping[str, str]) -> str | None:
        """Write an object; return its tag, or None when the server says that a condition does not hold.

        Args:
            headers: `Content-Type` and `Cache-Control`, and as a condition `If-None-Match` or `If-Match`.
        """
        ...

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix."""
        ...
