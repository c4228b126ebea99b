"""Names and contents of tiles and entry bundles (C2SP tlog-tiles, height 8). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from retentiond.errors import LogIntegrityError

TILE_WIDTH = 256
HEIGHT = 8
LONGEST_ENTRY_BYTES = 2**16 - 1


def tile_path(level: int, number: int, width: int = TILE_WIDTH) -> str:
    """Return a hash tile's path, such as `tile/0/x001/234` or `tile/1/000.p/17`."""
    return f"tile/{level}/{_numbered(number, width)}"


def bundle_path(number: int, width: int = TILE_WIDTH) -> str:
    """Return an entry bundle's path, such as `tile/entries/x001/234.p/5`."""
    return f"tile/entries/{_numbered(number, width)}"


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Return a bundle: each entry with its length before it as 16 bits, big-endian.

    Raises:
        LogIntegrityError: An entry is longer than 65,535 bytes.
    """
    parts = []
    for entry in entries:
        if len(entry) > LONGEST_ENTRY_BYTES:
            raise LogIntegrityError(
                f"a log entry has {len(entry)} bytes; the format allows {LONGEST_ENTRY_BYTES}",
                remedy="run `retentiond ledger check`; nothing was signed",
            )
        parts += [len(entry).to_bytes(2), entry]
    return b"".join(parts)


def decode_bundle(data: bytes, path: str) -> list[bytes]:
    """Return the entries of a bundle; `path` is for the error.

    Raises:
        LogIntegrityError: The bundle ends inside an entry.
    """
    entries, at = [], 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start])
        if at > len(data) or start > len(data):
            raise LogIntegrityError("an entry bundle is cut off", where=path, remedy="run `retentiond ledger check`")
        entries.append(data[start:at])
    return entries


def _numbered(number: int, width: int) -> str:
    path = f"{number % 1000:03}"
    while number := number // 1000:
        path = f"x{number % 1000:03}/{path}"
    return path if width == TILE_WIDTH else f"{path}.p/{width}"
