"""Mutations of bytes from a seed: what a fuzzer does, without its feedback, and the same each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

# What parsers trip over.
WORDS = (
    *(b"", b"\0", b"\n", b"\n\n", b"\r\n", b" ", b'"', b"\\", b"\\u0000", b"\\ud800", b"\\udfff", b"\xff"),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
        b"0",
        b"-0",
        b"1.0",
        b"1e9",
        b"9" * 20,
        b"[" * 65 + b"]" * 65,
    ),
    *(b"=", b"==", b"AAAA", b"+", b"/", b"-", b"_", b"\xe2\x80\x94 ", b"sha256:", b"index 0", b"extra "),
    *(b'"kind"', b'"a":1,"a":1', b"__proto__", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"-----BEGIN PUBLIC KEY-----", b"2026-12-31T23:59:60Z"),
)


def mutations(seeds: Sequence[bytes], chance: Random) -> Iterator[bytes]:
    """Give mutations without end, now and then of what was mutated before."""
    kept = list(seeds)
    while True:
        data = chance.choice(kept)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            data = _mutated(data, chance.choice(kept), chance)
        if chance.random() < 0.02:
            kept[len(seeds) :] = [*kept[len(seeds) :][-50:], data[:20_000]]
        yield data


def _mutated(data: bytes, other: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((0, 1, 1, 2, 4, 16, 64)))
    kind = chance.randrange(7)
    if kind == 0 and at < len(data):
        return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + chance.choice(WORDS) + data[end:]
    if kind == 2:
        return data[:at] + data[end:]
    if kind == 3:
        return data[:at] + data[at:end] * chance.choice((2, 3, 40)) + data[end:]
    if kind == 4:
        start = chance.randrange(len(other) + 1)
        return data[:at] + other[start : start + chance.randrange(200)] + data[end:]
    if kind == 5:
        return data[:at]
    return data[:at] + chance.randbytes(chance.randrange(9)) + data[end:]
