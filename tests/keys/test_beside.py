"""A process that was there before another one rotated the keys."""

from __future__ import annotations

from pathlib import Path

from retentiond.engine.approvals import approve
from retentiond.engine.bundles import key_of, list_receipts
from retentiond.engine.running import apply_plan
from tests.engine.office import carry, make_office, plan
from tests.keys.walk import rotate


def test_whoever_was_open_seals_under_the_new_key_once_the_old_one_is_destroyed(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    office.feedback(1, 31)
    carry(office)
    with office.open() as before:
        rotate(office, "wrapping", destroy=True)
        rotate(office, "replay")
        office.feedback(2, 31)
        planned = plan(before).plan
        assert planned is not None
        approve(before, planned.id, None)
        assert apply_plan(before, planned.id).carried
        assert len(before.replay.commitments("account", "a")) == 2
    with office.open() as after:
        assert [len(key_of(after, row)) for row in list_receipts(after)] == [32, 32]
