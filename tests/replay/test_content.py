"""Parts of rows that were redacted come back with a restore, and are redacted again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import connect

import pytest

from retentiond.engine import drafting
from retentiond.engine.enforcement import unfinished
from retentiond.engine.failover import looks
from retentiond.engine.replaying import replay
from retentiond.engine.running import Session, apply_plan, run_all
from retentiond.errors import GuardStopped
from retentiond.ports.stores import Connector, Order, Verified
from tests.engine.office import Office, Proxy, carry, make_office, outcomes
from tests.engine.test_content import WINDOW, fill, with_windows
from tests.replay.restoring import back_up, restore
from tests.replay.test_check import looked
from tests.replay.test_replay import age


def test_what_was_redacted_is_redacted_again(tmp_path: Path) -> None:
    office = with_windows(make_office(tmp_path), WINDOW)
    fill(office, "old", 5)
    fill(office, "young", 1)
    backup = back_up(office)
    assert outcomes(carry(office))["requests"] == {"redacted": 1}

    def rows() -> set[tuple[object, ...]]:
        with closing(connect(office.root / "app.db")) as db:
            return {tuple(row) for row in db.execute("SELECT * FROM requests")}

    expected = rows()
    age(office, hours=1)
    assert looked(office) == []
    restore(office, backup)
    assert rows() != expected
    assert any("1 records of requests were past their retention period" in each for each in looked(office))
    with office.open() as ctx:
        done = replay(ctx)
    assert outcomes(done.session)["requests"] == {"redacted": 1}
    assert rows() == expected
    assert looked(office) == []


@dataclass
class Place:
    """Where a store stands; it goes back as soon as what it was told to do is verified, where it is told how."""

    timeline: int = 1
    goes_back: Callable[[], None] | None = None


class Moving(Proxy):
    """A store that says where it stands."""

    def __init__(self, real: Connector, place: Place) -> None:
        super().__init__(real)
        self.place = place

    def verify(self, order: Order) -> Verified:
        verified = replace(self.real.verify(order), position={"timeline": self.place.timeline})
        if self.place.goes_back and self.orders:
            self.place.goes_back()
            self.place.timeline, self.place.goes_back = self.place.timeline + 1, None
        return verified


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Return an office of three rows, of two of which a part is due."""
    made = with_windows(make_office(tmp_path), WINDOW)
    for key, days in (("older", 6), ("old", 5), ("young", 1)):
        fill(made, key, days)
    return made


@pytest.fixture
def place(office: Office) -> Place:
    place = Place()
    office.wraps["app"] = lambda real: Moving(real, place)
    return place


def replayed(office: Office) -> Session:
    with office.open() as ctx:
        return replay(ctx).session


def test_what_a_replay_redacted_is_looked_for_where_the_store_went_back_before_its_receipt(
    office: Office, place: Place
) -> None:
    backup = back_up(office)
    assert outcomes(carry(office))["requests"] == {"redacted": 2}
    age(office, hours=1)
    restore(office, backup)
    place.goes_back = lambda: restore(office, backup)
    assert outcomes(replayed(office))["requests"] == {"carriedOver": 2}


def test_what_a_replay_redacted_is_looked_for_where_the_store_goes_back_later(office: Office, place: Place) -> None:
    backup = back_up(office)
    carry(office)
    age(office, hours=1)
    restore(office, backup)
    assert outcomes(replayed(office))["requests"] == {"redacted": 2}
    age(office, hours=1)
    restore(office, backup)
    place.timeline += 1
    with office.open() as ctx:
        assert outcomes(run_all(ctx))["requests"] == {"redacted": 2}
        (found,) = looks(ctx)
    assert (found.batches, found.unreadable, found.records) == (2, 0, 4)


@pytest.mark.parametrize("changed", ["policies.yaml", "datamap.yaml"])
def test_what_nobody_can_look_for_again_is_not_called_redacted(
    office: Office, place: Place, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)
    backup = back_up(office)
    edits = {
        "policies.yaml": ("after: 3 days", "after: 2 days"),
        "datamap.yaml": ("earliest: 2023-01-01", "earliest: 2022-01-01"),
    }

    def goes_back() -> None:
        restore(office, backup)
        office.edit(changed, *edits[changed])

    place.goes_back = goes_back
    with pytest.raises(GuardStopped, match="changed"):
        carry(office)
    with office.open() as ctx:
        (left,) = unfinished(ctx)
        ended = apply_plan(ctx, left.id)
    assert outcomes(ended)["requests"] == {"carriedOver": 2}
