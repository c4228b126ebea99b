"""A reader of tiled logs written from the C2SP specifications alone; shares nothing with what writes them.

Rebuilds the log from its entry bundles, and computes every tile that must be there.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, over leaf hashes, level by level: an odd last hash goes up unchanged."""
    if not leaves:
        return sha256(b"")
    row = leaves
    while len(row) > 1:
        pairs = [sha256(b"\x01" + row[at] + row[at + 1]) for at in range(0, len(row) - 1, 2)]
        row = pairs + row[len(pairs) * 2 :]
    return row[0]


def numbered(number: int) -> str:
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


@dataclass
class Published:
    """What a log's directory says: its size, root and entries."""

    size: int
    root: bytes
    entries: list[bytes]


def open_note(note: str, vkey: str) -> str:
    name, key_hash, key = vkey.split("+", 2)
    text, signatures = note.rsplit("\n\n", 1)
    raw = base64.b64decode(key)
    assert raw[0] == 1
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        assert dash == "\u2014"
        blob = base64.b64decode(signature)
        if signer == name and blob[:4].hex() == key_hash:
            Ed25519PublicKey.from_public_bytes(raw[1:]).verify(blob[4:], (text + "\n").encode())
            return text + "\n"
    raise AssertionError("the note is not signed by the key")


def read(root: Path, vkey: str) -> Published:
    """Read a log, and assert that every tile of its tree is there and right."""
    origin, size_text, root_text = open_note((root / "checkpoint").read_text(encoding="utf-8"), vkey).splitlines()
    assert origin == vkey.split("+", maxsplit=1)[0]
    size = int(size_text)
    entries: list[bytes] = []
    while len(entries) < size:
        width = min(256, size - len(entries))
        path = root / "tile" / "entries" / numbered(len(entries) // 256)
        if width < 256:
            path = path.with_name(f"{path.name}.p") / str(width)
        bundle = path.read_bytes()
        while bundle:
            (length,) = struct.unpack(">H", bundle[:2])
            assert len(bundle) >= 2 + length
            entries.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
    row = [sha256(b"\x00" + entry) for entry in entries]
    found = Published(size, mth(row), entries)
    assert base64.b64encode(found.root).decode() == root_text
    level = 0
    while row:
        check_level(root, level, row)
        row = [mth(row[at : at + 256]) for at in range(0, len(row) // 256 * 256, 256)]
        level += 1
    return found


def check_level(root: Path, level: int, row: list[bytes]) -> None:
    for number in range(-(-len(row) // 256)):
        tile = row[number * 256 : (number + 1) * 256]
        path = root / "tile" / str(level) / numbered(number)
        if len(tile) < 256:
            path = path.with_name(f"{path.name}.p") / str(len(tile))
        assert path.read_bytes() == b"".join(tile)


def check_proof(text: str, entry: bytes, vkey: str) -> tuple[int, int]:
    """Verify a tlog-proof as c2sp.org/tlog-proof says; return index and tree size."""
    head, note = text.split("\n\n", 1)
    magic, index_line, *hashes = head.split("\n")
    assert magic == "c2sp.org/tlog-proof@v1"
    index = int(index_line.removeprefix("index "))
    assert index_line == f"index {index}"
    _origin, size_text, root = open_note(note, vkey).splitlines()
    # RFC 9162, 2.1.3.2.
    fn, sn, r = index, int(size_text) - 1, sha256(b"\x00" + entry)
    for p in map(base64.b64decode, hashes):
        assert sn > 0
        if fn & 1 or fn == sn:
            r = sha256(b"\x01" + p + r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha256(b"\x01" + r + p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    assert base64.b64encode(r).decode() == root
    return index, int(size_text)
