"""The manifest made beside a run is the one that is made at its end, and never one of anything else."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from retentiond.domain.plan import BatchState, Sighting
from retentiond.domain.record import Record, Ties
from retentiond.engine import drafting, manifest, preparing, receipts
from retentiond.engine.identifiers import Ended, Final
from retentiond.engine.items import item_rows, read_all
from retentiond.engine.preparing import NOTHING_PREPARED, Prepared, Preparing
from retentiond.ports.stores import Order, Verified
from retentiond.testing.hostile import NAMES
from tests.engine.office import Office, Proxy, carry

K = bytes(range(32))
ALL = list(Final)


def batch(first: int, count: int, shift: int = 0) -> Ended:
    """Return a batch of which something different became of each record."""
    records = [
        Record(
            (NAMES[number % len(NAMES)], number),
            account=None if number % 9 == 0 else f"acct-{number % 5}\u202e",
            clock=None if number % 7 == 0 else number,
            size_bytes=number,
            ties=Ties(others=("acct-x",)) if number % 11 == 0 else Ties(),
        )
        for number in range(first, first + count)
    ]
    finals = [ALL[(number + shift) % len(ALL)] for number in range(count)]
    held = {number: "matter" for number, final in enumerate(finals) if final is Final.HELD}
    return Ended(records, finals, held)


def plainly(base: Path, several: dict[int, Ended]) -> manifest.Tree:
    rows = preparing.Rows(K)
    return manifest.write_manifest(base, K, (some for each in several.values() for some in rows.of("d\n", each)))


def contents(base: Path) -> dict[str, bytes]:
    return {path.suffix: path.read_bytes() for path in base.parent.glob(f"{base.name}.*")}


def test_it_writes_what_would_be_written_without_it(tmp_path: Path) -> None:
    several = {ordinal: batch(ordinal * 50, 50 + ordinal, ordinal) for ordinal in range(40)}
    made, beside = tmp_path / "plain", tmp_path / "beside"
    with Preparing(K, tmp_path) as prepared:
        for ordinal, each in several.items():
            prepared.take(ordinal, "d\n", each)
        prepared.begin(beside)
        assert all(prepared.fits(ordinal, each) for ordinal, each in several.items())
        tree = prepared.tree()
    assert tree == plainly(made, several)
    assert contents(beside) == contents(made)
    assert len(contents(made)) >= 2


def test_a_batch_that_changed_or_was_never_heard_of_does_not_fit(tmp_path: Path) -> None:
    known = batch(0, 20)
    finals = [Final.CARRIED_OVER if final is Final.PURGED else final for final in known.finals]
    carried = Ended(known.records, [Final.CARRIED_OVER] * 20)
    with Preparing(K, tmp_path) as prepared:
        prepared.take(1, "d", known)
        assert prepared.fits(1, known)
        assert not prepared.fits(1, Ended(known.records, finals, known.reasons))
        assert not prepared.fits(1, Ended(batch(1, 20).records, known.finals, known.reasons))
        assert not prepared.fits(1, carried)
        assert not prepared.fits(2, known)
        assert prepared.fits(2, carried)
        assert not prepared.fits(2, Ended(known.records, [Final.CARRIED_OVER] * 19 + [Final.HELD], {19: "matter"}))
    assert NOTHING_PREPARED.tree() is None


def _stop(prepared: Preparing) -> None:
    os.kill(prepared._process.pid, signal.SIGKILL)
    prepared._process.wait()


def test_a_process_that_is_gone_says_nothing_and_keeps_nobody(tmp_path: Path) -> None:
    with Preparing(K, tmp_path) as prepared:
        prepared.take(0, "d", batch(0, 5))
        _stop(prepared)
        for ordinal in range(1, 200):
            prepared.take(ordinal, "d", batch(0, 500))
        prepared.begin(tmp_path / "receipt")
        assert prepared.tree() is None
    assert not (tmp_path / "receipt.items").exists()


def test_a_process_that_hangs_is_given_up_as_soon_as_so_few_records_should_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_PATIENCE_SECONDS", 0.2)
    with Preparing(K, tmp_path) as prepared:
        os.kill(prepared._process.pid, signal.SIGSTOP)
        prepared.take(0, "d", batch(0, 500))
        prepared.begin(tmp_path / "receipt")
        began = time.monotonic()
        assert prepared.tree() is None
        assert time.monotonic() - began < 20
        assert prepared._process.returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cut", [0, 3, 4, 20, 40, 70, -1], ids=str)
def test_it_writes_nothing_where_whoever_began_it_died(tmp_path: Path, cut: int) -> None:
    frames = [K, os.fsencode(tmp_path), b"d", preparing.encode_ended(batch(0, 9)), b"", os.fsencode(tmp_path / "r")]
    stream = b"".join(len(each).to_bytes(4) + each for each in frames)
    program = [sys.executable, "-P", "-c", "from retentiond.engine.preparing import main; main()"]
    done = subprocess.run(program, input=stream[:cut], capture_output=True, check=True, timeout=60)
    assert (done.stdout, list(tmp_path.iterdir())) == (b"", [])


# --- in a run ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Prepared]]:
    """Have every run prepare its manifest, in batches of three."""
    begun: list[Prepared] = []

    def begin(key: bytes, directory: Path) -> Prepared:
        begun.append(Preparing(key, directory))
        return begun[-1]

    monkeypatch.setattr(preparing, "LEAST", 0)
    monkeypatch.setattr(preparing, "beside", begin)
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 3)
    yield begun
    assert all(each._process.poll() is not None for each in begun if isinstance(each, Preparing))


def fill(office: Office) -> None:
    for number in range(10):
        office.request(f"key-{number}\n\U0001f5d1", 22, account=f"acct-{number % 3}")
        office.feedback(number, 31, f"acct-{number % 4}")


def check_manifest(office: Office) -> None:
    """Make the manifest once more from the ledger, and compare it with the one that the receipt has."""
    with office.open() as ctx, ctx.ledger.begin() as tx:
        (row,) = tx.receipts.all()
        key = ctx.wrapping.open(row.commitment_key, receipts.receipt_context(row.id))
        parts, batches = tx.plans.parts(row.plan), tx.batches.of_plan(row.plan)
    with office.open() as ctx:
        again = office.root / "again"
        tree = manifest.write_manifest(again, key, item_rows(key, parts, read_all(ctx, batches)))
        assert contents(again) == contents(receipts.manifest_base(ctx, row.id))
    assert len(batches) > 6
    signed = json.loads(base64.b64decode(json.loads(row.envelope)["payload"]))
    assert signed["predicate"]["accounts"] == {"tree": "rfc9162-sha256", "size": 16, "root": tree.root.hex()}


def test_a_run_has_the_manifest_that_its_ledger_gives(office: Office, beside: list[Prepared]) -> None:
    fill(office)
    carry(office)
    assert len(beside) == 1
    check_manifest(office)


def dies_at(ordinal: int) -> Callable[[Preparing, int, str, Ended], None]:
    real = Preparing.take

    def take(self: Preparing, number: int, dataset: str, ended: Ended) -> None:
        if number == ordinal:
            _stop(self)
        real(self, number, dataset, ended)

    return take


@pytest.mark.parametrize("ordinal", [0, 3])
def test_a_run_whose_process_dies_ends_all_the_same(
    office: Office, beside: list[Prepared], monkeypatch: pytest.MonkeyPatch, ordinal: int
) -> None:
    monkeypatch.setattr(Preparing, "take", dies_at(ordinal))
    fill(office)
    carry(office)
    assert beside
    check_manifest(office)


class Reappearing(Proxy):
    """A store in which the second look finds one record again."""

    looks = 0

    def verify(self, order: Order) -> Verified:
        seen = super().verify(order)
        if not order.records or Sighting.ABSENT not in seen.sightings:
            return seen
        self.looks += 1
        if self.looks != LOOK_THAT_FINDS:
            return seen
        return Verified([Sighting.DUE, *seen.sightings[1:]], seen.method, seen.role, seen.position)


LOOK_THAT_FINDS = 6


SLOW = """
import time
from retentiond.engine import preparing
at_once = preparing.write_gathered
preparing.write_gathered = lambda *rest: [time.sleep(0.3), at_once(*rest)][1]
preparing.main()
"""


def test_what_the_second_look_finds_again_is_in_no_manifest(
    office: Office, beside: list[Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = manifest.write_manifest

    def slowly(base: Path, key: bytes, pieces: Iterable[Sequence[bytes]]) -> manifest.Tree:
        made = at_once(base, key, pieces)
        for each in beside:
            assert isinstance(each, Preparing)
            each._process.wait(10)  # what it still has to write, it writes now
        return made

    monkeypatch.setattr(preparing, "_PROGRAM", SLOW)
    monkeypatch.setattr(manifest, "write_manifest", slowly)
    fill(office)
    office.wraps["app"] = Reappearing
    carry(office)
    assert beside
    with office.open() as ctx, ctx.ledger.begin() as tx:
        (row,) = tx.receipts.all()
        batches = tx.batches.of_plan(row.plan)
    assert sum(each.outcomes.get("carriedOver", 0) for each in batches) == 1
    assert {each.state for each in batches} == {BatchState.RECEIPTED}
    check_manifest(office)
