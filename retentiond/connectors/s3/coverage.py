"""What a bucket holds that no dataset covers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from retentiond.connectors.s3.bucket import Bucket


def uncovered(
    bucket: Bucket, prefixes: Sequence[str], ignored: Callable[[str], bool], below: str = ""
) -> Iterator[str]:
    """Yield keys, and prefixes that end in a slash, which no dataset covers; as high up as can be told.

    Args:
        prefixes: What the keys of the datasets begin with.
        below: Where to look.
    """
    for name in bucket.names_below(below):
        if ignored(name) or any(name.startswith(prefix) for prefix in prefixes):
            continue
        if any(prefix.startswith(name) for prefix in prefixes) and name.endswith("/"):
            yield from uncovered(bucket, prefixes, ignored, name)
        else:
            yield name
