"""Keys that take another's place: what verifies before, while both count, and after; and whatever is interrupted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.engine import keychange
from retentiond.engine.recovery import recover
from retentiond.errors import GuardStopped, LedgerError, LogIntegrityError, UsageError
from retentiond.ledger.sqlite import SqliteBackend
from tests.engine.office import Office, make_office, plan
from tests.keys.walk import history, judged, pins, receipts, records, rotate, run

DAY = timedelta(days=1)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)


def entries(office: Office) -> list[str]:
    """Name the kinds of all entries, in order."""
    parts = (office.root / "log" / "tile" / "entries" / "000.p").iterdir()
    text = max(parts, key=lambda path: int(path.name)).read_bytes().decode("utf-8", "replace")
    return [each.split("\n")[1].split(" ")[0] for each in text.split("retentiond/log-entry/")[1:]]


def test_another_issuer_signs_and_whoever_pins_both_verifies_both(office: Office) -> None:
    before, first = pins(office), run(office, "first")
    rotate(office, "issuer")
    after, second = pins(office), run(office, "second")
    assert (before.vkey, before.pem == after.pem) == (after.vkey, False)
    both = (before.pem, *after.both)
    assert [judged(office, each, *both).reason for each in (first, second)] == [None, None]
    for own, others in ((first, second), (second, first)):
        key = before if own is first else after
        assert judged(office, own, *key.both).valid
        assert judged(office, own, *key.both, history=None, log=None).valid
        assert judged(office, others, *key.both).step == "signature"
    kinds = entries(office)
    last = len(kinds) - 1 - kinds[::-1].index("key")
    assert kinds[last + 1 :] == ["state", "plan", "state", "receipt"] or "receipt" in kinds[last:]
    assert kinds[:last].count("receipt") == 1
    old, _, new = records(office)
    assert (old["validUntil"], new["validUntil"]) == ("2026-06-08T14:00:00Z", None)
    assert new["validFrom"] == "2026-06-01T14:00:00Z"


def test_another_log_key_signs_beside_the_old_one_until_the_overlap_ends(office: Office) -> None:
    before, first = pins(office), run(office, "first")
    rotate(office, "log", "2 days")
    after = pins(office)
    checkpoint = (office.root / "log" / "checkpoint").read_text("utf-8")
    assert checkpoint.count("\n\u2014 ") == 2
    second = run(office, "second")
    for key in (before, after):
        assert judged(office, second, *key.both).reason is None
    assert judged(office, first, *before.both).reason is None
    assert judged(office, first, *after.both).step == "checkpoint"
    office.clock.at += 2 * DAY
    third = run(office, "third")
    assert judged(office, third, *after.both).reason is None
    assert judged(office, third, *before.both).step == "entry"  # the log that is there is not signed by it any more
    assert judged(office, third, *before.both, log=None).step == "checkpoint"
    both = (before.vkey, *after.both)
    assert [judged(office, each, *both).reason for each in (first, second, third)] == [None] * 3


def test_without_an_overlap_the_new_log_key_signs_alone_at_once(office: Office) -> None:
    before = pins(office)
    rotate(office, "log", "none")
    receipt = run(office, "first")
    assert (office.root / "log" / "checkpoint").read_text("utf-8").count("\n\u2014 ") == 1
    assert judged(office, receipt, *pins(office).both).reason is None
    assert judged(office, receipt, before.vkey, before.pem, log=None).step == "checkpoint"
    assert len(json.loads(history(office))["signatures"]) == 2  # the old key vouches for the new one
    assert judged(office, receipt, before.vkey, before.pem, log=None, history=None).step == "checkpoint"


def test_a_key_whose_time_is_over_signs_nothing(office: Office, tmp_path: Path) -> None:
    other = tmp_path / "replica"
    shutil.copytree(office.root / "keys", other)
    rotate(office, "issuer", "1 day")
    office.edit("retentiond.yaml", "keys: ../keys", f"keys: {other}")  # a replica that was given nothing
    office.request("due", 3, account="acct-zero")
    run(office, "in-time")
    assert pins(office).pem == (office.root / "keys" / "issuer.pem").read_text("utf-8")
    office.clock.at += DAY
    with office.open() as ctx, pytest.raises(GuardStopped, match="counted until 2026-06-02T13:00:00Z") as caught:
        plan(ctx)
    assert caught.value.guard == "key-not-in-force"
    assert "copy its keys here" in caught.value.remedy


def test_of_two_who_change_the_keys_at_once_one_is_told(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    real, first = keychange.encode_history, iter([True])

    def encode(*arguments: Any) -> bytes:
        if next(first, False):
            rotate(office, "issuer")  # while the other one signs
        return real(*arguments)

    monkeypatch.setattr(keychange, "encode_history", encode)
    with pytest.raises(LedgerError, match="somebody else changed the keys meanwhile"):
        rotate(office, "log")
    assert [each["role"] for each in records(office)] == ["issuer", "log", "issuer"]
    rotate(office, "log")
    assert [each["role"] for each in records(office)] == ["issuer", "log", "issuer", "log"]


def test_nobody_may_rotate_where_nobody_may_sign(tmp_path: Path) -> None:
    office = make_office(tmp_path, single_operator=False)
    before = sorted(path.name for path in (office.root / "keys").iterdir())
    with pytest.raises(GuardStopped, match="nobody is named"):
        rotate(office, "issuer")
    with pytest.raises(UsageError, match="not a period"):
        rotate(office, "issuer", "soon")
    assert sorted(path.name for path in (office.root / "keys").iterdir()) == before


# ------------------------------------------------------------------------------------------------------- interruptions


class Killed(BaseException):
    """What a test ends the program with."""

    @classmethod
    def now(cls, *_arguments: object) -> None:
        raise cls


@contextmanager
def killed_at(step: int) -> Iterator[list[str]]:
    """End the program at its nth commit, synchronisation, renaming or removal; give what was counted."""
    seen: list[str] = []

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            seen.append(name)
            if len(seen) == step:
                raise Killed
            return real(*arguments, **named)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", counting("fsync", os.fsync))
        patch.setattr(Path, "replace", counting("replace", Path.replace))
        patch.setattr(Path, "unlink", counting("unlink", Path.unlink))
        patch.setattr(SqliteBackend, "commit", counting("commit", SqliteBackend.commit))
        try:
            yield seen
        except Killed:
            seen.append("killed")


@pytest.mark.parametrize(("role", "every"), [("issuer", 23), ("log", 29)])
def test_a_rotation_that_is_killed_anywhere_goes_on(office: Office, tmp_path: Path, role: str, every: int) -> None:
    before = pins(office)
    steps, end = 1, False
    while not end:
        root = tmp_path / f"{role}-{steps}"
        shutil.copytree(office.root, root, ignore=shutil.ignore_patterns(f"{role}-*"))
        copy = Office(root)
        with killed_at(steps) as seen:
            rotate(copy, role)
        end = "killed" not in seen
        goes_on(copy, before.both, role)
        shutil.rmtree(root)
        steps += every
    assert steps > 30


def goes_on(office: Office, before: list[str], role: str) -> None:
    """A receipt verifies under the old or the new key; the rotation is ended, and no other begun; so does the next."""
    first = run(office, "first")
    middle = pins(office).both
    assert any(judged(office, first, *keys).valid for keys in (before, middle))
    began = len([each for each in records(office) if each["role"] == role]) > 1
    assert rotate(office, role).went_on is False or began
    names = [path.name for path in (office.root / "keys").iterdir()]
    assert not [name for name in names if "next" in name or name.endswith(".part")]
    assert (office.root / "keys" / "history.json").read_bytes() == history(office)
    assert judged(office, first, *before, *middle, *pins(office).both).reason is None


def test_a_key_that_was_logged_is_in_use_whatever_came_after(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("issuer", "log"):
        with monkeypatch.context() as patch:
            patch.setattr(keychange, "publish", Killed.now)
            with pytest.raises(Killed):
                rotate(office, role, "none")  # from now on the one before signs nothing
        receipt = run(office, f"after-{role}")
        assert judged(office, receipt, *pins(office).both).reason is None
        assert rotate(office, role, "none").went_on
    assert [each["role"] for each in records(office)] == ["issuer", "log", "issuer", "log"]


# ------------------------------------------------------------------------------------------------------------ recovery


def test_a_ledger_from_before_a_rotation_learns_of_it_from_the_log(office: Office) -> None:
    run(office, "first")
    shutil.copy(office.root / "ledger.db", office.root / "old.db")
    before = history(office)
    rotate(office, "issuer", "none")
    rotate(office, "log", "none")
    receipt = run(office, "second")
    shutil.copy(office.root / "old.db", office.root / "ledger.db")
    for beside in office.root.glob("ledger.db-*"):
        beside.unlink()
    published = office.root / "log" / "keys" / "history.json"
    kept = published.read_bytes()
    for path in (published, office.root / "keys" / "history.json"):
        path.write_bytes(before)
    with office.open() as ctx, pytest.raises(LogIntegrityError, match="history of keys that the log names"):
        recover(ctx)
    (office.root / "keys" / "history.json").write_bytes(kept)
    with office.open() as ctx:
        assert recover(ctx).unreadable == []
    with office.open() as ctx:
        ctx.keys.check()
    assert len(receipts(office)) == 2
    published.write_bytes(kept)
    assert judged(office, receipt, *pins(office).both).valid
