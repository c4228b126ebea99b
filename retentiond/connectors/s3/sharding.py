"""Listing a large prefix in several strands at once, in the order of its keys all the same.

A listing is a chain of requests, each of which waits for the one before. Where what stands below a prefix fits into one
answer that rolls names up, these names are told apart by how they begin, and each beginning is listed by itself. This
relies on the server to leave none out; acts and verifications never list so. A key that is written under none of them
meanwhile is younger than the listing, as one written behind it would be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from threading import Event

from retentiond.connectors.s3.bucket import Bucket, Versioning
from retentiond.connectors.s3.listing import Page
from retentiond.connectors.s3.names import in_order

_ENOUGH = 8
_AHEAD = 2
_MOST = 64


def pages_at_once(bucket: Bucket, prefix: str, versioning: Versioning, strands: int) -> Iterator[Page]:
    """Yield the pages of a listing, as `Bucket.pages` does; large ones are asked for in several strands.

    Args:
        strands: How many at once; with 1 it is not asked how names roll up.

    Raises:
        ConnectorError: The listing is not complete.
    """
    whole = bucket.pages(prefix, versioning)
    first = next(whole)
    shards = _shards(bucket, prefix, versioning) if first.more and strands > 1 else []
    if not shards:
        yield first
        yield from whole
        return
    whole.close()  # type: ignore[attr-defined]  # what it held is listed again, in its shard
    yield from _in_order(bucket, shards, versioning, strands)


def _shards(bucket: Bucket, prefix: str, versioning: Versioning) -> list[str]:
    """Return beginnings of keys that together cover a prefix, in order; none where they cannot be told."""
    page = bucket.first_page(prefix, versioning, "/")
    names = sorted({each.key for each in page.with_names().versions}, key=in_order)
    if page.more or any(not name.isprintable() for name in names):
        return []
    found = _beginnings(names, len(prefix) + 1)
    return found if len(found) > 1 else []


def _beginnings(names: Sequence[str], length: int) -> list[str]:
    """Return the shortest beginnings, of one length and longer than the prefix, that make enough shards."""
    found: list[str] = []
    while len(found) < _ENOUGH and any(len(name) >= length for name in names):
        longer = list(dict.fromkeys(name[:length] for name in names))
        if len(longer) > _MOST:
            break
        found = longer
        length += 1
    # One that begins with another would be listed twice.
    return [each for each in found if not any(each != other and each.startswith(other) for other in found)]


class _Strand:
    """One shard being listed: pages wait here until it is their turn, few at a time."""

    def __init__(self) -> None:
        self.pages: Queue[Page | None] = Queue(_AHEAD)

    def run(self, bucket: Bucket, shard: str, versioning: Versioning, stop: Event) -> None:
        try:
            for page in bucket.pages(shard, versioning):
                if stop.is_set():
                    return
                self.pages.put(page)
        finally:
            self.pages.put(None)


def _in_order(bucket: Bucket, shards: Sequence[str], versioning: Versioning, strands: int) -> Iterator[Page]:
    stop = Event()
    waiting = deque(shards)
    running: deque[tuple[_Strand, Future[None]]] = deque()
    with ThreadPoolExecutor(strands, thread_name_prefix="list") as pool:
        try:
            while waiting or running:
                while waiting and len(running) < strands:
                    strand = _Strand()
                    running.append((strand, pool.submit(strand.run, bucket, waiting.popleft(), versioning, stop)))
                strand, future = running[0]
                while (page := strand.pages.get()) is not None:
                    yield page
                running.popleft()
                future.result()
        finally:
            stop.set()
            _drain(running)


def _drain(running: deque[tuple[_Strand, Future[None]]]) -> None:
    """Let strands end whose pages nobody takes any more."""
    for strand, _ in running:
        while strand.pages.get() is not None:
            pass
