"""The log as the public sees it, read by an independent reader; crashes, races, lost and forged parts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retentiond.errors import LedgerBehindLog, LogIntegrityError, RetentiondError
from retentiond.evidence.merkle import is_consistent
from retentiond.evidence.vkey import VerifierKey
from retentiond.tlog.directory import DirectoryStore
from retentiond.tlog.note import Checkpoint, open_checkpoint, sign_note
from retentiond.tlog.publish import LogKeys, TileLog
from tests.tlog import reader
from tests.tlog.parts import ORIGIN, VKEY, Crasher, CrashError, FixedKey, MemoryState, content, open_log

SIZES = (0, 1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537)


def published(root: Path, state: MemoryState) -> reader.Published:
    found = reader.read(root, VKEY)
    assert found.entries == state.staged[: found.size]
    return found


@pytest.mark.parametrize("size", SIZES)
def test_a_log_written_at_once(tmp_path: Path, size: int) -> None:
    state = MemoryState()
    state.stage(size)
    log = open_log(tmp_path, state)
    assert log.publish() == size
    assert published(tmp_path, state).size == size
    assert log.rebuild_check() == size
    assert list(log.read_entries()) == state.staged
    log.compare()


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6), st.data())
@settings(max_examples=25)
def test_a_log_written_in_steps_is_the_one_written_at_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], draw: st.DataObject
) -> None:
    root, state = tmp_path_factory.mktemp("log"), MemoryState()
    log, roots = open_log(root, state), []
    for step in steps:
        state.stage(step)
        log.publish()
        roots.append((len(state.staged), published(root, state).root))
        log.compare()
    at_once = tmp_path_factory.mktemp("log")
    open_log(at_once, MemoryState(state.staged)).publish()
    assert {path: data for path, data in content(root).items() if path in content(at_once)} == content(at_once)
    size = len(state.staged)
    if size:
        index = draw.draw(st.integers(0, size - 1))
        assert reader.check_proof(log.prove(index), state.staged[index], VKEY) == (index, size)


@pytest.mark.parametrize("steps", [(65_536, 1), (65_535, 1, 1), (65_280, 256, 300)])
def test_a_log_goes_on_where_tiles_of_two_levels_are_complete(tmp_path: Path, steps: tuple[int, ...]) -> None:
    state = MemoryState()
    for step in steps:
        state.stage(step)
        log = open_log(tmp_path, state)
        assert log.publish() == len(state.staged)
        log.compare()
    assert published(tmp_path, state).size == sum(steps)


def test_every_step_extends_the_one_before(tmp_path: Path) -> None:
    state = MemoryState()
    log = open_log(tmp_path, state)
    for step in (1, 254, 1, 1, 300, 1):
        state.stage(step)
        log.publish()
    key = VerifierKey.parse(VKEY)
    checkpoints = [open_checkpoint(note, key) for note in state.signed]
    hashes = [reader.sha256(b"\x00" + entry) for entry in state.staged]
    for checkpoint in checkpoints:
        assert checkpoint.root == reader.mth(hashes[: checkpoint.size])
    assert [checkpoint.size for checkpoint in checkpoints] == [1, 255, 256, 257, 557, 558]
    assert not is_consistent((1, checkpoints[0].root), (255, checkpoints[1].root), [])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600, 65_536 + 300])
def test_proofs_verify(tmp_path: Path, size: int) -> None:
    state = MemoryState()
    state.stage(size)
    log = open_log(tmp_path, state)
    log.publish()
    for index in {0, 1, 254, 255, 256, 511, 512, size // 2, size - 1} & set(range(size)):
        assert reader.check_proof(log.prove(index), state.staged[index], VKEY) == (index, size)


@pytest.mark.parametrize("index", [-1, 2, 3, 10**12])
def test_no_proof_of_what_is_not_published(tmp_path: Path, index: int) -> None:
    state = MemoryState()
    state.stage(2)
    log = open_log(tmp_path, state)
    with pytest.raises(LogIntegrityError, match="not published yet"):
        log.prove(index)
    log.publish()
    state.stage(1)
    with pytest.raises(LogIntegrityError, match="not published yet"):
        log.prove(index)


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(300)
    log = open_log(tmp_path, state)
    log.publish()
    before, times = content(tmp_path), {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    log.publish()
    open_log(tmp_path, state).publish()
    assert content(tmp_path) == before
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == times
    assert len(state.signed) == 1


def test_files_are_readable_for_everyone_whatever_the_umask(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(300)
    before = os.umask(0o077)
    try:
        open_log(tmp_path / "a" / "log", state).publish()
    finally:
        os.umask(before)
    for path in (tmp_path / "a").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


def test_partial_tiles_go_once_the_complete_one_is_published(tmp_path: Path) -> None:
    state = MemoryState()
    log = open_log(tmp_path, state)
    for _ in range(3):
        state.stage(100)
        log.publish()
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert names == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ]


class BreakingStore(DirectoryStore):
    """A directory in which every change is a step of a crasher."""

    def __init__(self, root: Path, crasher: Crasher) -> None:
        super().__init__(root)
        self._crasher = crasher

    def put(self, path: str, data: bytes, *, replace: bool = False) -> None:
        self._crasher.step(lambda: super(BreakingStore, self).put(path, data, replace=replace))

    def sync(self) -> None:
        self._crasher.step(super().sync)

    def discard_partials(self, path: str) -> None:
        self._crasher.step(lambda: super(BreakingStore, self).discard_partials(path))


class BreakingState(MemoryState):
    """A ledger whose swap is a step of a crasher."""

    crasher: Crasher

    def swap_checkpoint(self, old: bytes | None, new: bytes) -> bool:
        return self.crasher.step(lambda: super(BreakingState, self).swap_checkpoint(old, new))


def crashed(root: Path, crasher: Crasher) -> BreakingState:
    """Publish 250 entries in peace, then 270 more under the crasher."""
    state = BreakingState()
    state.crasher = Crasher()
    state.stage(250)
    open_log(root, state).publish()
    state.stage(270)
    state.crasher = crasher
    log = TileLog(ORIGIN, FixedKey(), state, BreakingStore(root, crasher))
    try:
        log.publish()
    except CrashError:
        state.crasher = Crasher()
    return state


def count_steps(root: Path) -> int:
    crasher = Crasher()
    crashed(root, crasher)
    return crasher.steps


def test_a_crash_at_any_step_is_finished_by_the_next_run(tmp_path: Path) -> None:
    steps = count_steps(tmp_path / "whole")
    assert steps >= 12
    for step in range(1, steps + 1):
        for before in (True, False):
            root = tmp_path / f"{step}-{before}"
            state = crashed(root, Crasher(step, before=before))
            published(root, state)
            open_log(root, state).compare()
            assert open_log(root, state).publish() == 520
            assert content(root) == content(tmp_path / "whole")
            assert published(root, state).size == 520
            assert len(state.signed) == 2
            assert open_log(root, state).rebuild_check() == 520


def test_entries_staged_between_a_crash_and_the_next_run_do_not_fork_the_log(tmp_path: Path) -> None:
    for step in range(1, count_steps(tmp_path / "whole") + 1):
        root = tmp_path / str(step)
        state = crashed(root, Crasher(step, before=False))
        state.stage(5)
        assert open_log(root, state).publish() == 525
        published(root, state)
        sizes = [open_checkpoint(note, VerifierKey.parse(VKEY)).size for note in state.signed]
        assert sizes in ([250, 525], [250, 520, 525])


class RacingState(MemoryState):
    """A ledger in which somebody else publishes just before the swap."""

    rival: Callable[[], object] | None = None

    def swap_checkpoint(self, old: bytes | None, new: bytes) -> bool:
        rival, self.rival = self.rival, None
        if rival:
            rival()
        return super().swap_checkpoint(old, new)


@pytest.mark.parametrize("more", [0, 1, 300])
def test_the_loser_of_a_race_extends_what_the_winner_signed(tmp_path: Path, more: int) -> None:
    state = RacingState()
    state.stage(10)

    def rival() -> None:
        state.stage(more)
        open_log(tmp_path, state).publish()

    state.rival = rival
    assert open_log(tmp_path, state).publish() == 10 + more
    assert published(tmp_path, state).size == 10 + more
    sizes = [open_checkpoint(note, VerifierKey.parse(VKEY)).size for note in state.signed]
    assert sizes == [10 + more]


def test_a_writer_that_was_overtaken_does_not_show_its_older_checkpoint(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(10)

    class OvertakenStore(DirectoryStore):
        def put(self, path: str, data: bytes, *, replace: bool = False) -> None:
            if path == "checkpoint" and len(state.staged) == 10:
                state.stage(7)
                open_log(tmp_path, state).publish()
            super().put(path, data, replace=replace)

    TileLog(ORIGIN, FixedKey(), state, OvertakenStore(tmp_path)).publish()
    assert published(tmp_path, state).size == 17


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_another_writer_does_while_we_look_is_no_log_that_is_ahead(tmp_path: Path, when: str) -> None:
    state = MemoryState()
    state.stage(10)
    open_log(tmp_path, state).publish()

    class BusyState(MemoryState):
        rivals = 2

        def checkpoint(self) -> bytes | None:
            read_first = super().checkpoint()
            if self.rivals:
                self.rivals -= 1
                self.stage(1)
                open_log(tmp_path, self).publish()
            return read_first if when == "after" else super().checkpoint()

    busy = BusyState(state.staged, state.note)
    open_log(tmp_path, busy).compare()
    busy.rivals = 2
    assert open_log(tmp_path, busy).publish() == len(busy.staged) == 14
    published(tmp_path, busy)


def test_a_ledger_that_never_lets_us_win_is_an_error(tmp_path: Path) -> None:
    class NeverState(MemoryState):
        def swap_checkpoint(self, old: bytes | None, new: bytes) -> bool:
            return (old, new) is None

    state = NeverState()
    state.stage(1)
    with pytest.raises(LogIntegrityError, match="times in a row"):
        open_log(tmp_path, state).publish()
    assert not (tmp_path / "checkpoint").exists()


def test_a_ledger_that_went_back_signs_nothing(tmp_path: Path) -> None:
    state = MemoryState()
    log = open_log(tmp_path, state)
    state.stage(5)
    log.publish()
    old = MemoryState(list(state.staged), state.note)
    state.stage(3)
    log.publish()
    before = content(tmp_path)
    old.staged += [b"another history %d" % number for number in range(9)]
    for gone_back in (old, MemoryState(), MemoryState(list(state.staged))):
        again = open_log(tmp_path, gone_back)
        for act in (again.publish, again.compare, again.rebuild_check):
            with pytest.raises(LedgerBehindLog, match="went back in time") as caught:
                act()
            assert caught.value.remedy
        assert gone_back.signed == []
    assert content(tmp_path) == before


def test_a_ledger_that_lost_entries_signs_nothing(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(300)
    log = open_log(tmp_path, state)
    log.publish()
    del state.staged[299:]
    for act in (log.publish, log.compare):
        with pytest.raises(LogIntegrityError, match="the ledger has 299"):
            act()


@pytest.mark.parametrize("index", [256, 299])
def test_a_ledger_with_another_entry_signs_nothing(tmp_path: Path, index: int) -> None:
    state = MemoryState()
    state.stage(300)
    log = open_log(tmp_path, state)
    log.publish()
    before = content(tmp_path)
    state.staged[index] = b"another"
    state.stage(1)
    for act in (log.publish, log.compare, log.rebuild_check):
        with pytest.raises(LogIntegrityError):
            act()
    assert (content(tmp_path), len(state.signed)) == (before, 1)


def test_an_early_entry_that_was_changed_in_the_ledger_is_found_by_the_audit(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(600)
    log = open_log(tmp_path, state)
    log.publish()
    state.staged[3] = b"another"
    with pytest.raises(LogIntegrityError):
        log.rebuild_check()
    with pytest.raises(LogIntegrityError, match="do not prove entry 3"):
        log.prove(3)
    shutil.rmtree(tmp_path / "tile")
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(LogIntegrityError, match="checkpoint of 600 entries"):
        log.publish()
    assert not (tmp_path / "checkpoint").exists()


def test_a_lost_log_is_written_again_byte_for_byte(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(600)
    log = open_log(tmp_path, state)
    log.publish()
    before = content(tmp_path)
    for lost in (["tile", "checkpoint"], ["checkpoint"], ["tile"], ["tile/1"]):
        for name in lost:
            path = tmp_path / name
            path.unlink() if path.is_file() else shutil.rmtree(path)
        log.compare()
        assert log.publish() == 600
        assert content(tmp_path) == before
    assert len(state.signed) == 1


def test_an_older_copy_of_the_log_is_brought_up_to_date(tmp_path: Path) -> None:
    state = MemoryState()
    log = open_log(tmp_path / "log", state)
    state.stage(100)
    log.publish()
    shutil.copytree(tmp_path / "log", tmp_path / "copy")
    state.stage(400)
    log.publish()
    restored = open_log(tmp_path / "copy", state)
    restored.compare()
    restored.publish()
    assert content(tmp_path / "copy") == content(tmp_path / "log")
    assert len(state.signed) == 2


def forge(root: Path, state: MemoryState, size: int) -> None:
    note = sign_note(Checkpoint(ORIGIN, size, b"f" * 32).encode(), ORIGIN, FixedKey())
    (root / "checkpoint").write_bytes(note)
    assert state.note != note


def test_two_signed_checkpoints_of_one_size_are_a_fork(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(10)
    log = open_log(tmp_path, state)
    log.publish()
    forge(tmp_path, state, 10)
    state.stage(1)
    for act in (log.publish, log.compare, log.rebuild_check):
        with pytest.raises(LogIntegrityError, match="two different checkpoints"):
            act()
    forge(tmp_path, state, 4)
    for act in (log.publish, log.compare):
        with pytest.raises(LogIntegrityError, match="checkpoint of 4 entries"):
            act()
    assert len(state.signed) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: note[:-3],
        lambda note: note.replace(b"\n10\n", b"\n11\n"),
        lambda note: note.replace(b"retentiond", b"retentions"),
        lambda _: b"",
        lambda _: b"\xff\xfe",
        lambda note: note.replace(b"\n\n", b"\nextension line\n\n"),
        lambda _: sign_note(Checkpoint(ORIGIN, 10, b"f" * 32).encode(), ORIGIN, FixedKey(2)),
        lambda _: sign_note(Checkpoint("other.example", 10, b"f" * 32).encode(), ORIGIN, FixedKey()),
        lambda _: sign_note("no checkpoint\n", ORIGIN, FixedKey()),
    ],
    ids=["cut", "size", "origin", "empty", "not-text", "extension", "other-key", "other-origin", "other-text"],
)
@pytest.mark.parametrize("where", ["ledger", "file"])
def test_a_checkpoint_that_does_not_verify_stops_everything(
    tmp_path: Path, spoil: Callable[[bytes], bytes], where: str
) -> None:
    state = MemoryState()
    state.stage(10)
    log = open_log(tmp_path, state)
    log.publish()
    assert state.note
    if where == "ledger":
        state.note = spoil(state.note)
    else:
        (tmp_path / "checkpoint").write_bytes(spoil(state.note))
    state.stage(1)
    for act in (log.publish, log.compare, log.rebuild_check):
        with pytest.raises(LogIntegrityError) as caught:
            act()
        assert caught.value.remedy
    assert len(state.signed) == 1


def test_another_key_or_origin_is_refused(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(3)
    open_log(tmp_path, state).publish()
    for other in (open_log(tmp_path, state, seed=2), open_log(tmp_path, state, origin="other.example")):
        with pytest.raises(LogIntegrityError, match="not signed by"):
            other.publish()
    with pytest.raises(LogIntegrityError, match="spaces"):
        open_log(tmp_path, state, origin="two words")


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000", "tile/0/001.p/44", "tile/1/000.p/1"])
@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: bytes([data[0] ^ 1]) + data[1:]])
def test_the_audit_finds_every_altered_or_missing_tile(
    tmp_path: Path, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    state = MemoryState()
    state.stage(300)
    log = open_log(tmp_path, state)
    log.publish()
    path = tmp_path / name
    data = path.read_bytes()
    path.write_bytes(spoil(data))
    with pytest.raises(LogIntegrityError, match="published tile") as caught:
        log.rebuild_check()
    assert caught.value.where == name
    path.unlink()
    with pytest.raises(LogIntegrityError, match="published tile"):
        log.rebuild_check()


def test_an_altered_tile_proves_nothing_and_is_not_built_upon(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(70_000)
    log = open_log(tmp_path, state)
    log.publish()
    tile = tmp_path / "tile" / "1" / "001.p" / "17"
    tile.write_bytes(b"x" * len(tile.read_bytes()))
    state.stage(1)
    with pytest.raises(LogIntegrityError, match="checkpoint of 70000 entries"):
        log.publish()
    with pytest.raises(LogIntegrityError):
        log.prove(0)
    assert len(state.signed) == 1


def test_a_complete_tile_is_never_overwritten(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(10)
    log = open_log(tmp_path, state)
    log.publish()
    foreign = tmp_path / "tile" / "0" / "000"
    foreign.write_bytes(b"somebody else's")
    state.stage(300)
    with pytest.raises(LogIntegrityError, match="never changed") as caught:
        log.publish()
    assert caught.value.where == str(foreign)
    assert foreign.read_bytes() == b"somebody else's"
    assert len(state.signed) == 1


def test_published_entries_are_handed_out_only_if_they_make_the_checkpoint(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(300)
    log = open_log(tmp_path, state)
    log.publish()
    bundle = tmp_path / "tile" / "entries" / "000"
    data = bundle.read_bytes()
    for spoiled in (data.replace(b"entry 7", b"entry X", 1), data[:-1], data[:1], b""):
        bundle.write_bytes(spoiled)
        with pytest.raises(LogIntegrityError):
            next(log.read_entries())
    bundle.unlink()
    with pytest.raises(LogIntegrityError, match="missing or short"):
        next(log.read_entries())


def test_an_empty_directory_has_no_entries(tmp_path: Path) -> None:
    assert list(open_log(tmp_path, MemoryState()).read_entries()) == []
    assert open_log(tmp_path, MemoryState()).rebuild_check() == 0


def test_a_signed_but_unpublished_checkpoint_is_not_audited_as_published(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(3)
    log = open_log(tmp_path, state)
    log.publish()
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(LogIntegrityError, match="not published"):
        log.rebuild_check()


def test_a_ledger_with_a_gap_is_an_error(tmp_path: Path) -> None:
    class Gap(MemoryState):
        def entries(self, start: int, limit: int) -> Sequence[bytes]:
            return super().entries(start, min(limit, 5 - start))

    state = Gap()
    state.stage(9)
    with pytest.raises(LogIntegrityError, match="lacks entry 5"):
        open_log(tmp_path, state).publish()
    assert state.signed == []


def test_an_entry_that_the_format_cannot_hold_is_an_error(tmp_path: Path) -> None:
    state = MemoryState([b"x" * 65_535])
    assert open_log(tmp_path, state).publish() == 1
    assert published(tmp_path, state).entries == state.staged
    state.staged.append(b"x" * 65_536)
    with pytest.raises(LogIntegrityError, match="65536 bytes"):
        open_log(tmp_path, state).publish()


def test_entries_of_any_bytes(tmp_path: Path) -> None:
    state = MemoryState([b"", b"\x00", b"\x00\x05hello", "\u202e🗑\n'; --".encode(), b"\xff" * 1024])
    log = open_log(tmp_path, state)
    log.publish()
    assert published(tmp_path, state).entries == state.staged
    assert [reader.check_proof(log.prove(at), entry, VKEY)[0] for at, entry in enumerate(state.staged)] == [*range(5)]


def test_files_beside_the_log_are_published_once(tmp_path: Path) -> None:
    log = open_log(tmp_path, MemoryState())
    log.publish_file(f"policies/{'a' * 64}.json", b"{}")
    log.publish_file(f"policies/{'a' * 64}.json", b"{}")
    with pytest.raises(LogIntegrityError, match="never changed"):
        log.publish_file(f"policies/{'a' * 64}.json", b"{ }")
    log.publish_file("keys/history.json", b"1")
    log.publish_file("keys/history.json", b"2", replace=True)
    assert (tmp_path / "keys" / "history.json").read_bytes() == b"2"
    assert (tmp_path / "policies" / f"{'a' * 64}.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    "path",
    ["checkpoint", "tile/0/000", "tile/x", "../x", "keys/../../x", "/etc/passwd", "keys/", "keys//x", "", "a/\x00",
     "keys/x\n", "keys/.hidden", "./keys/x", "KEYS/x", "keys/%2e%2e/x"],
)  # fmt: skip
def test_nothing_else_is_published_beside_the_log(tmp_path: Path, path: str) -> None:
    with pytest.raises(LogIntegrityError, match="not a path beside the log"):
        open_log(tmp_path / "log", MemoryState()).publish_file(path, b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_says_so_and_loses_nothing(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(3)
    (tmp_path / "log").write_text("a file where the directory should be")
    with pytest.raises(RetentiondError, match="the log cannot be") as caught:
        open_log(tmp_path / "log", state).publish()
    assert caught.value.where.startswith(str(tmp_path / "log"))
    assert state.signed == []
    (tmp_path / "log").unlink()
    assert open_log(tmp_path / "log", state).publish() == 3


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = MemoryState()
    state.stage(3)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RetentiondError, match="No space left on device"):
            open_log(tmp_path, state).publish()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert open_log(tmp_path, state).publish() == 3


def test_an_unreadable_checkpoint_is_unknown_and_not_absent(tmp_path: Path) -> None:
    state = MemoryState()
    state.stage(3)
    log = open_log(tmp_path, state)
    log.publish()
    (tmp_path / "checkpoint").unlink()
    (tmp_path / "checkpoint").mkdir()
    state.stage(1)
    for act in (log.publish, log.compare):
        with pytest.raises(RetentiondError, match="cannot be read"):
            act()
    assert len(state.signed) == 1


def test_a_checkpoint_that_lacks_a_key_that_counts_is_signed_again_and_grows_no_more(tmp_path: Path) -> None:
    state, store = MemoryState(), DirectoryStore(tmp_path / "log")
    old, new = FixedKey(1), FixedKey(2)
    vkeys = [VerifierKey(ORIGIN, key.public_key) for key in (new, old)]

    def log(*signers: FixedKey, known: Sequence[VerifierKey] = tuple(vkeys)) -> TileLog:
        return TileLog(ORIGIN, LogKeys(lambda: signers, lambda: known), state, store)

    state.stage(3)
    log(old).publish()
    log(new, old).publish()
    note = (tmp_path / "log" / "checkpoint").read_bytes()
    assert [open_checkpoint(note, key).size for key in vkeys] == [3, 3]
    assert open_checkpoint(note, *vkeys).root == open_checkpoint(state.signed[0], vkeys[1]).root
    for signers in ((new, old), (new,), (old,)):
        assert log(*signers).publish() == 3
    assert (tmp_path / "log" / "checkpoint").read_bytes() == note
    assert len(state.signed) == 2
    state.stage(2)
    log(new).publish()
    assert log(new).prove(0)
    with pytest.raises(LogIntegrityError, match="is not signed by"):
        log(old, known=vkeys[1:]).publish()
    assert log(new, known=vkeys[:1]).vouched(log(new).prove(4)) == 5


def test_partial_tiles_that_a_faster_writer_removed_stop_nobody(tmp_path: Path) -> None:
    slow, fast = DirectoryStore(tmp_path), DirectoryStore(tmp_path)
    slow.put("tile/0/000.p/5", b"x")
    fast.put("tile/0/000", b"xx")
    fast.discard_partials("tile/0/000")
    slow.sync()
    slow.put("tile/0/000.p/6", b"xx")
    slow.sync()
    assert slow.read("tile/0/000.p/6") == b"xx"
    slow.put("policies/a", b"x")
    shutil.rmtree(tmp_path / "policies")
    with pytest.raises(RetentiondError, match="cannot be written"):
        slow.sync()
