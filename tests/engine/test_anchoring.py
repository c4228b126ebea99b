"""Events are anchored once a day, and forgotten at the end of their own retention period."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from retentiond.engine.anchoring import anchor_events
from retentiond.evidence.entry import EntryKind, parse_entry
from tests.engine.office import Office
from tests.tlog import reader


def happen(office: Office, count: int, kind: str = "test.happened") -> None:
    with office.open() as ctx, ctx.ledger.begin() as tx:
        for number in range(count):
            tx.events.append(kind, f"{number}", office.clock.at, {"number": number})


def anchor(office: Office) -> None:
    with office.open() as ctx:
        anchor_events(ctx)


def anchored(office: Office) -> list[tuple[int, int, str]]:
    with closing(sqlite3.connect(office.root / "ledger.db")) as db:
        rows = db.execute("SELECT log_index, first_event, last_event, root FROM anchors ORDER BY 1").fetchall()
        for index, _, _, root in rows:
            (data,) = db.execute('SELECT entry FROM log_entries WHERE "index" = ?', (index,)).fetchone()
            entry = parse_entry(bytes(data))
            assert (entry.kind, entry.sha256) == (EntryKind.ANCHOR, root)
    return [row[1:] for row in rows]


def events(office: Office) -> list[tuple[bytes, bool]]:
    with closing(sqlite3.connect(office.root / "ledger.db")) as db:
        rows = db.execute("SELECT digest, detail IS NULL AND salt IS NULL FROM events ORDER BY sequence").fetchall()
    return [(bytes(digest), bool(gone)) for digest, gone in rows]


def test_each_day_with_events_has_one_root_over_their_digests_in_the_log(office: Office) -> None:
    anchor(office)
    happen(office, 3)
    anchor(office)
    assert anchored(office) == []  # the day is not over
    office.clock.at += timedelta(days=1)
    happen(office, 2)
    anchor(office)
    anchor(office)
    office.clock.at += timedelta(days=3)
    anchor(office)
    office.clock.at += timedelta(days=3)
    anchor(office)
    digests = [digest for digest, _ in events(office)]
    roots = [
        reader.mth([reader.sha256(b"\x00" + digest) for digest in some]).hex() for some in (digests[:3], digests[3:])
    ]
    assert anchored(office) == [(1, 3, roots[0]), (4, 5, roots[1])]
    with office.open() as ctx:
        assert ctx.log.published()[1] == ctx.ledger.log_state.size()


def test_what_events_say_is_forgotten_in_time_once_it_is_anchored(office: Office) -> None:
    office.edit("retentiond.yaml", "keep: 2 years", "keep: 30 days")
    happen(office, 2)
    office.clock.at += timedelta(days=31)
    happen(office, 2)
    assert [gone for _, gone in events(office)] == [False] * 4
    anchor(office)
    before = events(office)
    assert [gone for _, gone in before] == [True, True, False, False]
    office.clock.at += timedelta(days=31)
    happen(office, 1)
    anchor(office)
    assert [gone for _, gone in events(office)] == [True] * 4 + [False]
    assert [digest for digest, _ in events(office)][:4] == [digest for digest, _ in before]
    with office.open() as ctx:
        assert list(ctx.ledger.check()) == []
        with ctx.ledger.begin() as tx:
            assert [each.detail for each in tx.events.newest(2)] == [{"number": 0}, {}]


@pytest.mark.parametrize("change", ["DELETE FROM anchors", "UPDATE anchors SET last_event = 9"])
def test_anchors_are_history(office: Office, change: str) -> None:
    happen(office, 1)
    office.clock.at += timedelta(days=1)
    anchor(office)
    with (
        closing(sqlite3.connect(office.root / "ledger.db")) as db,
        pytest.raises(sqlite3.IntegrityError, match="history"),
    ):
        db.execute(change)
