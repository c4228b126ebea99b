"""Parts of rows that were redacted come back with a restore, and are redacted again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from sqlite3 import connect

from retentiond.engine.replaying import replay
from tests.engine.office import carry, make_office, outcomes
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
