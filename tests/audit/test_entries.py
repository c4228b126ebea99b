"""What each entry demands of those before it, one wrong log for each rule; and tiles that nobody reads otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import pytest

from retentiond.verify.auditentries import EntryAudit
from retentiond.verify.auditfiles import audit_files
from retentiond.verify.auditfindings import MOST_OF_A_KIND, Audited, Findings
from retentiond.verify.audittiles import TileAudit
from retentiond.verify.errors import TooLargeError
from retentiond.verify.keyring import PinnedKeys
from retentiond.verify.merkle import leaf_hash
from retentiond.verify.note import read_key
from tests.tlog.parts import VKEY
from tests.tlog.reader import mth

A, B = "a" * 64, "b" * 64


@dataclass
class Files:
    """Published files in memory."""

    files: dict[str, bytes] = field(default_factory=dict)

    def read(self, path: str, limit: int) -> bytes | None:
        data = self.files.get(path)
        if data is not None and len(data) > limit:
            raise TooLargeError(path)
        return data

    def names(self, folder: str) -> Iterator[str]:
        return (name for name in self.files if name.startswith(folder))


def line(kind: str, digest: str = A) -> bytes:
    return f"retentiond/log-entry/v1\n{kind}\nsha256:{digest}\n".encode()


def said(*entries: bytes, late: int = 0) -> list[str]:
    audited = Audited("log.example")
    known = {index: data.decode().rpartition(":")[2].strip() for index, data in enumerate(entries) if data}
    audit = EntryAudit(Files(), audited, known.get)
    for data in entries:
        audit.take(data or None)
    audit.finish(late)
    return [f"{each.where}: {each.what}" for each in audited.findings.found]


@pytest.mark.parametrize(
    ("entries", "finding"),
    [
        ((b"anything",), "entry 0: it is no entry of this format"),
        ((line("plan") + b"\n",), "entry 0: it is no entry of this format"),
        ((line("plan x"),), "entry 0: its kind is not known here: 'plan x'"),
        ((line("receipt 0"),), "entry 0: a receipt of entry 0, which is no plan before it"),
        ((line("receipt 7"),), "entry 0: a receipt of entry 7, which is no plan before it"),
        ((line("key"), line("receipt 0")), "entry 1: a receipt of entry 0, which is no plan before it"),
        (
            (line("plan"), line("receipt 0"), line("receipt 0")),
            "entry 2: a second end (receipt) of the plan in entry 0",
        ),
        ((line("plan"), line("void 0 expired"), line("receipt 0")), "entry 2: a second end (receipt) of the plan"),
        ((line("plan"), line("void 0 expired", B)), "entry 1: a void of entry 0 with another digest"),
        ((line("plan"), line("void 0 forgotten")), "entry 1: a void for a reason that is not known: 'forgotten'"),
        ((line("receipt -"), line("retract 0 wrong", B)), "entry 1: retracts entry 0 with another digest"),
        ((line("receipt -"), line("retract 0 wrong"), line("retract 0 wrong")), "entry 2: the receipt in entry 0 is"),
        ((line("plan"), line("retract 0 wrong")), "entry 1: retracts entry 0, which is no receipt before it"),
        ((line("policy"),), f"policies/{A}.json: is missing"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_named(entries: tuple[bytes, ...], finding: str) -> None:
    assert any(each.startswith(finding) for each in said(*entries)), said(*entries)


@pytest.mark.parametrize(
    "entries",
    [
        (line("plan"), line("receipt 0", B), line("plan"), line("void 2 superseded")),
        (line("receipt -"), line("retract 0 wrong-figures"), line("state"), line("anchor"), line("key")),
        (b"", line("receipt 0"), line("retract 0 wrong"), line("void 0 expired")),  # of what nobody knows
    ],
)
def test_what_keeps_the_rules_is_no_finding(entries: tuple[bytes, ...]) -> None:
    assert said(*entries) == []


def test_a_plan_that_stays_open_is_late_once_something_tells_how_old_it_is() -> None:
    entries = (line("plan"), line("plan", B), line("receipt 1"))
    assert said(*entries) == []
    assert said(*entries, late=2) == ["entry 0: its plan is older than seven days and has neither receipt nor void"]


def test_of_one_kind_only_the_first_are_told_and_all_are_counted() -> None:
    findings = Findings()
    for number in range(500):
        findings.add(f"entry {number}", "the same")
    findings.add("checkpoint", "another")
    assert (len(findings.found), findings.total) == (MOST_OF_A_KIND + 1, 501)


@cache
def written(size: int) -> Files:
    """A log of a level of complete tiles, made by hand."""
    entries = [b"entry %d" % number for number in range(size)]
    files, row, level = Files(), [leaf_hash(entry) for entry in entries], 0
    for start in range(0, size, 256):
        part = entries[start : start + 256]
        data = b"".join(len(each).to_bytes(2, "big") + each for each in part)
        files.files[_name("entries", start // 256, len(part))] = data
    while row:
        for start in range(0, len(row), 256):
            files.files[_name(str(level), start // 256, len(row[start : start + 256]))] = b"".join(
                row[start : start + 256]
            )
        row, level = [_root(row[start : start + 256]) for start in range(0, len(row) // 256 * 256, 256)], level + 1
    return files


def _name(level: str, number: int, width: int) -> str:
    return f"tile/{level}/{number:03}" + (f".p/{width}" if width < 256 else "")


def _root(leaves: list[bytes]) -> bytes:
    return mth(leaves)


def looked_at(files: Files, size: int) -> list[str]:
    findings = Findings()
    for group in TileAudit(files, size, findings, lambda _: False).groups():
        assert group.start % 256 == 0
    return [f"{each.where}: {each.what}" for each in findings.found]


@pytest.mark.parametrize(
    ("alter", "finding"),
    [
        ({}, ""),
        ({"tile/1/000": b"x" * 8192}, "tile/1/000: its hash 0 is not that of the tile tile/0/000"),
        ({"tile/2/000.p/1": b"x" * 32}, "tile/2/000.p/1: its hash 0 is not that of the tile tile/1/000"),
        ({"tile/1/001.p/1": b""}, "tile/1/001.p/1: the hash tile has 0 bytes instead of 32"),
        ({"tile/0/003": b"x" * 8192, "tile/entries/003": b"\0\1x" * 256}, "tile/entries/003: entry 768 and its"),
        ({"tile/0/257.p/8": b"x" * 256}, "tile/entries/257.p/8: entry 65792 and its hash in tile/0/257.p/8 contradict"),
        ({"tile/entries/002": b"x" * 20_000_000}, "tile/entries/002: is larger than it can be"),
    ],
)  # fmt: skip
def test_tiles_of_every_level_are_compared(alter: dict[str, bytes], finding: str) -> None:
    files = Files(dict(written(65_800).files) | alter)
    found = looked_at(files, 65_800)
    assert [each.startswith(finding) for each in found] == ([True] if finding else [])


KEYS = PinnedKeys(b"\1" * 32, read_key(VKEY))


def beside(files: dict[str, bytes], size: int = 0) -> set[str]:
    audited = Audited("log.example", size)
    audit_files(Files(files), KEYS, EntryAudit(Files(files), audited, {}.get), audited)
    return {f"{each.where}: {each.what}" for each in audited.findings.found}


def test_keys_that_are_nowhere_are_missed() -> None:
    assert beside({}) == {
        "keys/history.json: is missing",
        "keys/issuer.pem: is missing",
        "keys/log.vkey: is missing",
        "entries: no key history was ever logged",
    }


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("tile/0/0001", "no tile of a log is called so"),
        ("tile/0/000.p/256", "no tile of a log is called so"),
        ("tile/0/x000/001", "no tile of a log is called so"),
        ("tile/entries/000.p/0", "no tile of a log is called so"),
        ("tile/0/000", "the signed log of 9 entries has no such tile"),
        ("tile/1/000.p/1", "the signed log of 9 entries has no such tile"),
        ("tile/0/000.p/3", "is no beginning of tile/0/000.p/9, which replaced it"),
        ("tile/0/.new-abc", ""),
    ],
)
def test_a_tile_that_nobody_asks_for_is_named(name: str, what: str) -> None:
    whole = {"tile/0/000.p/9": b"y" * 32 * 9, "tile/0/000.p/2": b"y" * 64}
    assert {each for each in beside({**whole, name: b"x" * 96}, 9) if each.startswith("tile")} == (
        {f"{name}: {what}"} if what else set()
    )
