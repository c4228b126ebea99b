"""How records of a bucket are named, in requests and in the ledger, and which names need care on their way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from retentiond.domain.record import Key, Record
from retentiond.domain.versions import MARKER

NULL = "null"
UPLOAD = "upload"

# What XML 1.0 cannot carry, or carries as something else; such a key makes a whole DeleteObjects fail.
_UNFIT_FOR_XML = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
# What a server or proxy may take out of a URL's path, so that the request reaches another key.
_UNFIT_FOR_URL = re.compile(r"(?:^|/)(?:\.{0,2})(?:/|$)")


class Name(NamedTuple):
    """One version of an object, or one upload, as requests name it; no version in buckets that keep none."""

    key: str
    version: str
    upload: bool = False


def name_of(record: Record) -> Name:
    """Return a record's name as requests have it."""
    return Name(text_of(record), record.version.decode(), record.place == UPLOAD)


def text_of(record: Record) -> str:
    """Return a record's key as requests have it; bytes that are not UTF-8 become lone surrogates."""
    part = record.key[0]
    return part.decode("utf-8", "surrogateescape") if isinstance(part, bytes) else str(part)


def key_of(key: str) -> Key:
    """Return the key of a record: bytes where they are not UTF-8."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return (key.encode("utf-8", "surrogateescape"),)
    return (key,)


def in_order(key: str) -> bytes:
    """Return what keys are ordered by in listings: their bytes."""
    return key.encode("utf-8", "surrogateescape")


def is_marker(record: Record) -> bool:
    """Tell whether a record is a delete marker."""
    return record.place == MARKER


def unfit(key: str) -> bool:
    """Tell whether a key must travel alone, in a URL."""
    return _UNFIT_FOR_XML.search(key) is not None


def unsafe(key: str) -> bool:
    """Tell whether no request without a version id can name a key and be sure to reach no other."""
    return unfit(key) and _UNFIT_FOR_URL.search(key) is not None


def requests_for(names: Sequence[Name], most: int) -> Iterator[list[int]]:
    """Yield the indexes of names that go into one request together: at most so many, uploads and unfit ones alone."""
    together: list[int] = []
    for index, name in enumerate(names):
        if name.upload or unfit(name.key):
            yield [index]
            continue
        together.append(index)
        if len(together) == most:
            yield together
            together = []
    if together:
        yield together
