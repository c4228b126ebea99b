from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from retentiond.errors import LedgerError
from retentiond.ledger import SqlLedger, open_ledger
from tests.ledger import samples
from tests.ledger.samples import NOW
from tests.ledger.test_transactions import limit_pages


@pytest.fixture(scope="session")
def used_file(empty: Path) -> Path:
    """A ledger with a plan that was carried out, one that was not, and more events than one page of a check."""
    path = empty.with_name("used.sqlite")
    shutil.copy(empty, path)
    ledger = open_ledger(path)
    samples.make_plan(ledger, "plan-1")
    samples.carry_out(ledger, "plan-1")
    samples.make_plan(ledger, "plan-2", counts=(4,))
    with ledger.begin() as tx:
        for number in range(1, 2_500):
            tx.events.append("k", f"s{number}", NOW, {"n": number})
    ledger.close()
    return path


@pytest.fixture
def used(path: Path, used_file: Path) -> Iterator[SqlLedger]:
    shutil.copy(used_file, path)
    ledger = open_ledger(path)
    yield ledger
    ledger.close()


def test_a_backup_opens_as_the_ledger_that_it_was(used: SqlLedger, tmp_path: Path) -> None:
    target = tmp_path / "backup 'of' ledger?.sqlite"
    used.backup(target)
    with used.begin() as tx:
        tx.facts.set("after", "the backup")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    restored = open_ledger(target)
    assert list(restored.check()) == []
    with used.begin() as ours, restored.begin() as theirs:
        assert theirs.plans.get("plan-1") == ours.plans.get("plan-1")
        assert theirs.batches.of_plan("plan-1") == ours.batches.of_plan("plan-1")
        assert theirs.receipts.all() == ours.receipts.all()
        assert theirs.events.newest(5_000) == ours.events.newest(5_000)
        assert theirs.facts.get("after") is None
    restored.close()
    assert {file.name for file in tmp_path.iterdir() if "backup" in file.name} == {target.name}


def test_a_backup_is_made_while_somebody_acts_and_writes(used: SqlLedger, tmp_path: Path) -> None:
    with used.acting(), used.begin() as tx:
        tx.facts.set("not", "committed")
        used.backup(tmp_path / "copy")
    copy = open_ledger(tmp_path / "copy")
    with copy.begin() as tx:
        assert tx.facts.get("not") is None
    assert list(copy.check()) == []
    copy.close()


def test_a_backup_replaces_nothing(used: SqlLedger, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    with pytest.raises(LedgerError, match="such a file already") as caught:
        used.backup(target)
    assert "another name" in caught.value.remedy
    assert target.read_bytes() == b"precious"
    with pytest.raises(LedgerError, match="such a file already"):
        used.backup(Path(used.where))
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".new")] == []


def test_a_backup_that_fails_leaves_no_part_of_it(used: SqlLedger, tmp_path: Path) -> None:
    used.close()
    with Path(used.where).open("r+b") as file:
        file.write(b"\x00" * 100)
    with pytest.raises(LedgerError, match="damaged"):
        used.backup(tmp_path / "copy")
    assert list(tmp_path.iterdir()) == [Path(used.where)]
    with pytest.raises(LedgerError, match="No such file or directory"):
        used.backup(tmp_path / "no" / "copy")


def test_a_sound_ledger_has_no_findings_in_any_state_of_a_run(ledger: SqlLedger) -> None:
    assert list(ledger.check()) == []
    samples.make_plan(ledger)
    assert list(ledger.check()) == []
    with ledger.begin() as tx:
        tx.plans.begin_draft("draft", NOW)
        tx.batches.add(samples.batch(0, name="draft"), samples.PLAIN)
        tx.runs.add(samples.run())
        tx.batches.claim("plan-1", 0, NOW)
    assert list(ledger.check()) == []


def test_a_check_needs_no_turn_to_write(used: SqlLedger) -> None:
    other = open_ledger(Path(used.where))
    with other.begin() as tx:
        tx.facts.set("a", "b")
        assert list(used.check()) == []
    other.close()


@contextmanager
def unguarded(ledger: SqlLedger) -> Iterator[sqlite3.Connection]:
    """Somebody with the file in hand, who switches off what protects it and on again what would be missed."""
    with closing(sqlite3.connect(Path(ledger.where), isolation_level=None)) as raw:
        triggers = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            raw.execute(f"DROP TRIGGER {name}")
        yield raw
        for _, sql in triggers:
            raw.execute(sql)


@pytest.mark.parametrize(
    ("tampering", "finding"),
    [
        ('DELETE FROM log_entries WHERE "index" = 0', "the log lacks entry 0"),
        ("UPDATE log_entries SET entry = x'00'", "plan plan-1 is not the one that entry 0 of the log names"),
        ("UPDATE log_entries SET entry = x'00'", "receipt receipt-1 is not the one that entry 1 of the log names"),
        ('DELETE FROM log_entries WHERE "index" = 1', "the log lacks entry 1"),
        ("DELETE FROM events WHERE sequence = 7", "event 7 is missing"),
        ("DELETE FROM events WHERE sequence = 1", "event 1 is missing"),
        ("UPDATE events SET subject = 'x' WHERE sequence = 2400", "event 2400 is not what it was when it was written"),
        ("UPDATE events SET at = at + 1 WHERE sequence = 3", "event 3 is not what it was when it was written"),
        (
            """UPDATE events SET detail = '{"n":9}' WHERE sequence = 4""",
            "event 4 is not what it was when it was written",
        ),
        ("UPDATE plans SET records = 6 WHERE id = 'plan-1'", "plan plan-1 counts 6 records, its batches 5"),
        ("UPDATE parts SET due = 6 WHERE plan = 'plan-1'", "plan plan-1 counts 5 records, its parts 6"),
        (
            "UPDATE batches SET outcomes = '{\"purged\":1}' WHERE plan = 'plan-1' AND ordinal = 0",
            "batch 0 of plan plan-1 has 3 records and 1 outcomes",
        ),
        (
            "UPDATE batch_identifiers SET plain = x'00', sealed = NULL WHERE plan = 'plan-1' AND ordinal = 1",
            "batch 1 of plan plan-1 has ended, and still holds plain identifiers",
        ),
        (
            "UPDATE batch_identifiers SET plain = NULL WHERE plan = 'plan-2'",
            "batch 0 of plan plan-2 is planned, and its identifiers are gone",
        ),
        (
            "UPDATE batches SET state = 'acted' WHERE plan = 'plan-1' AND ordinal = 1",
            "run run-1 is done, but batch 1 of it is acted",
        ),
        ("UPDATE runs SET receipt = NULL", "run run-1 is done, and has no receipt"),
        ("UPDATE runs SET receipt = NULL", "receipt receipt-1 is of plan plan-1, and no run of that plan has it"),
        ("UPDATE receipts SET plan = 'plan-2'", "run run-1 names receipt receipt-1, which is of another plan"),
        ("DELETE FROM hold_epoch", "the epoch of holds is missing"),
        (
            "INSERT INTO retractions VALUES (1, 'mistaken', 0, 1)",
            "the retraction of the receipt of entry 1 is not the one that entry 1 of the log names",
        ),
        ("DELETE FROM receipts", "row 1 of runs names a row of receipts that is not there"),
        (
            "INSERT INTO closures VALUES (1, 'c', 'x', x'00', 'closed', '', 0, 0, 0, NULL, 0, NULL, NULL)",
            "closure c is closed, and has no receipt",
        ),
        (
            "INSERT INTO closures VALUES (1, 'c', 'x', x'00', 'closed', '', 0, 0, 0, 'receipt-1', 0, NULL, NULL)",
            "closure c is closed, and still holds the account",
        ),
    ],
)
def test_tampering_is_found_and_named(used: SqlLedger, tampering: str, finding: str) -> None:
    with unguarded(used) as raw:
        raw.execute(tampering)
    assert finding in list(used.check())


def test_a_trigger_that_is_gone_is_missed(used: SqlLedger) -> None:
    with closing(sqlite3.connect(Path(used.where))) as raw:
        raw.execute("DROP TRIGGER events_fixed")
    assert list(used.check()) == ["the trigger events_fixed, which keeps history from being changed, is gone"]


def test_forgotten_details_are_no_finding(used: SqlLedger) -> None:
    with closing(sqlite3.connect(Path(used.where))) as raw:
        raw.execute("UPDATE events SET detail = NULL, salt = NULL WHERE sequence < 100")
        raw.commit()
    assert list(used.check()) == []


def test_a_damaged_page_is_a_finding(used: SqlLedger) -> None:
    used.close()
    size = Path(used.where).stat().st_size
    with Path(used.where).open("r+b") as file:
        file.seek(size - 3 * 4096)
        file.write(os.urandom(3 * 4096))
    ledger = open_ledger(Path(used.where))
    assert any("damaged" in finding for finding in ledger.check())
    ledger.close()


def test_a_check_that_cannot_look_says_so_and_not_that_all_is_well(used: SqlLedger) -> None:
    limit_pages(used, 0)
    Path(used.where).rename(Path(used.where).with_name("elsewhere"))
    with pytest.raises(LedgerError, match="cannot be opened"):
        used.check()
