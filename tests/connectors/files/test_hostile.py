"""Paths that break programs, and keys that are no paths at all."""

from __future__ import annotations

import os

import pytest

from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.record import Key, Record, micros
from tests.connectors.files.disk import NOW, OLD, STAMP, YOUNG, Disk

NAMES = (
    b"new\nline",
    b"carriage\rreturn",
    b"'; DROP TABLE exports; --",
    b'"quoted"',
    b"-rf",
    b"--",
    b"...",
    b"..%2f..%2fetc",
    b"%2e%2e",
    b"back\\slash",
    b"\\..\\..\\etc",
    b" ",
    b"*",
    b"\x01\x7f\x1b[31m",
    b"\xff\xfe not utf-8",
    b"\xc3\x28",
    b"\xed\xa0\x80 surrogate",
    "right\u202eto-left".encode(),
    "\U0001f5d1\ufe0f".encode(),
    "\u00e9".encode(),
    "e\u0301".encode(),
    b"n" * 255,
    "\u00e9".encode() * 127,
    b"__proto__",
    b"<script>alert(1)</script>",
    b".retentiond-leaving-not",
)


def _key(path: bytes) -> Key:
    try:
        return (path.decode(),)
    except UnicodeDecodeError:
        return (path,)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("hide", [False, True])
def test_a_hostile_name_goes_and_its_neighbours_stay(disk: Disk, name: bytes, *, hide: bool) -> None:
    disk.put(b"exports/" + name)
    disk.put(b"exports/in " + name[:200] + b"/" + name)
    disk.put("exports/neighbour", YOUNG)
    order = disk.hiding() if hide else disk.order()
    keys = {record.key for record in order.records}
    assert keys == {_key(b"exports/" + name), _key(b"exports/in " + name[:200] + b"/" + name)}
    assert set(disk.act(order).outcomes) == {Outcome.DONE}
    assert set(disk.verify(order).sightings) == {Sighting.HIDDEN if hide else Sighting.ABSENT}
    if hide:
        order = disk.after_grace()
        assert {record.key for record in order.records} == keys
        disk.act(order)
        assert set(disk.verify(order).sightings) == {Sighting.ABSENT}
    assert disk.files() == {"exports/neighbour"}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_hostile_name_is_found_as_it_is_typed(disk: Disk, name: bytes) -> None:
    disk.put(b"exports/" + name)
    found = disk.connect().find(disk.dataset, os.fsdecode(b"exports/" + name))
    assert [record.key for record in found] == [_key(b"exports/" + name)]


def test_a_path_longer_than_the_kernel_takes_in_one_call(disk: Disk) -> None:
    levels = 40
    fd = os.open(disk.root / "exports", os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d" * 200, dir_fd=fd)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    leaf = os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    old = (NOW.timestamp() - OLD * 86_400,) * 2
    os.utime(leaf, old)
    os.close(leaf)
    os.close(fd)
    order = disk.hiding()
    (record,) = order.records
    assert len(str(record.key[0])) > 8_000
    assert list(disk.act(order).outcomes) == [Outcome.DONE]
    assert list(disk.verify(order).sightings) == [Sighting.HIDDEN]
    purge = disk.after_grace()
    assert list(disk.act(purge).outcomes) == [Outcome.DONE]
    assert list(disk.verify(purge).sightings) == [Sighting.ABSENT]
    assert STAMP not in {path.name for path in (disk.root / ".quarantine").iterdir()}


@pytest.mark.parametrize(
    "key",
    [
        ("../outside/a",),
        ("exports/../../outside/a",),
        ("exports/./a",),
        ("exports//a",),
        ("/etc/passwd",),
        ("",),
        ("exports",),
        ("exports/",),
        ("exports/a\0b",),
        ("exports/\ud800",),
        (b"exports/..",),
        ("elsewhere/a",),
        (".quarantine/20260101T000000Z/exports/a",),
        ("exports/.retentiond-leaving/a",),
        (1,),
        ("exports/a", "b"),
        (),
    ],
    ids=ascii,
)
def test_a_key_that_is_no_path_of_the_dataset_reaches_nothing(disk: Disk, key: Key) -> None:
    disk.put("exports/a")
    disk.put("elsewhere/a")
    (disk.outside / "a").write_bytes(b"not ours")
    disk.age(disk.outside / "a", OLD)
    order = disk.order([Record(key, clock=micros(NOW))])
    acted = disk.act(order)
    assert (list(acted.outcomes), 0 in acted.reasons) == ([Outcome.REFUSED], True)
    assert list(disk.verify(order).sightings) == [Sighting.UNKNOWN]
    assert disk.files() == {"exports/a", "elsewhere/a"}
    assert (disk.outside / "a").exists()


def test_a_hidden_file_is_no_visible_one_whatever_the_prefix(disk: Disk) -> None:
    disk.put("exports/a")
    disk.act(disk.hiding())
    disk.declare(prefix="")
    hidden = f".quarantine/{STAMP}/exports/a"
    assert list(disk.act(disk.order([Record((hidden,))])).outcomes) == [Outcome.REFUSED]
    assert disk.files() == {hidden}


@pytest.mark.parametrize(
    "place",
    [
        "..",
        "../outside",
        "/",
        ".quarantine",
        ".quarantine/..",
        ".quarantine/now",
        ".quarantine/20261332T000000Z",
        "exports",
    ],
)
def test_a_place_that_is_none_reaches_nothing(disk: Disk, place: str) -> None:
    disk.put("exports/a")
    order = disk.order([Record(("exports/a",), place=place)])
    assert list(disk.act(order).outcomes) == [Outcome.REFUSED]
    assert list(disk.verify(order).sightings) == [Sighting.UNKNOWN]
    assert disk.files() == {"exports/a"}


@pytest.mark.parametrize("typed", ["", "..", "exports/../secret", "/etc/passwd", "exports/a\0", "n" * 4_000, "exports"])
def test_what_is_no_path_of_the_dataset_is_not_found(disk: Disk, typed: str) -> None:
    disk.put("secret")
    assert list(disk.connect().find(disk.dataset, typed)) == []
