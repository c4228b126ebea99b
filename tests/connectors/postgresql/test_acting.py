"""Acting on rows: exactly those, and honest about each that stays, whatever happens in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from retentiond.connectors.postgresql import verifying
from retentiond.connectors.postgresql.acting import MOST, TARGET_SECONDS, Pace
from retentiond.connectors.postgresql.judging import Judged
from retentiond.connectors.postgresql.session import APPLICATION, Session
from retentiond.domain.dataset import TombstoneTarget
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.errors import ConnectorError, DatasetRefused
from tests.connectors.postgresql.app import OLD, TOMBSTONE, YOUNG, App, decide, order, requests
from tests.servers.cutting import Cut, Way, way_to
from tests.servers.postgres import PASSWORD

TABLE = (
    "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, deleted timestamptz);"
    "CREATE INDEX ON requests (created);"
)
QUARANTINE = "CREATE TABLE hidden (LIKE requests, tombstoned_at timestamptz NOT NULL, PRIMARY KEY (id));"
HIDDEN = requests(tombstone=TombstoneTarget(column="deleted"))
MOVED = requests(tombstone=TombstoneTarget(table="hidden"))
SWALLOW = (
    "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER swallow BEFORE DELETE ON requests FOR EACH ROW EXECUTE FUNCTION swallow()"
)
DONE, GONE, CHANGED, REFUSED = Outcome.DONE, Outcome.ALREADY_GONE, Outcome.CHANGED, Outcome.REFUSED


def filled(make: Callable[[str], App], script: str = TABLE, count: int = 8) -> App:
    app = make(script)
    app.insert("requests (id, created)", *((number, OLD) for number in range(count)))
    return app


@pytest.mark.parametrize("reference", ["", "ON DELETE NO ACTION DEFERRABLE INITIALLY DEFERRED", "ON DELETE RESTRICT"])
def test_a_row_that_another_table_refers_to_is_left_and_the_others_go(
    make_on_ends: Callable[[str], App], reference: str
) -> None:
    child = f"CREATE TABLE child (request int REFERENCES requests {reference}); CREATE INDEX ON child (request);"
    app = filled(make_on_ends, TABLE + child)
    app.insert("child", (2,), (5,))
    acted, sightings = app.purge(requests(), app.due(requests()))
    assert list(acted.outcomes) == [DONE, DONE, REFUSED, DONE, DONE, REFUSED, DONE, DONE]
    assert "child_request_fkey" in acted.reasons[2]
    assert "(id)=" not in acted.reasons[2]
    assert [n for n, sighting in enumerate(sightings) if sighting is not Sighting.ABSENT] == [2, 5]
    assert app.all("SELECT id FROM requests ORDER BY 1") == [2, 5]
    assert app.all("SELECT count(*) FROM child") == [2]


def test_rows_that_refer_to_each_other_go_together(make: Callable[[str], App]) -> None:
    app = make(TABLE + "ALTER TABLE requests ADD parent int REFERENCES requests; CREATE INDEX ON requests (parent)")
    app.insert("requests", *((n, OLD, None, n - 1 if n else None) for n in range(20)))
    app.open()._pace.rows = 4
    app.purge_all(requests())
    assert app.all("SELECT id FROM requests") == []


DANGERS = [
    SWALLOW,
    "CREATE TABLE c (r int REFERENCES requests ON DELETE CASCADE); CREATE INDEX ON c (r); INSERT INTO c VALUES (1)",
    "CREATE RULE keep AS ON DELETE TO requests DO INSTEAD NOTHING",
    "CREATE TABLE heir () INHERITS (requests)",
]


@pytest.mark.parametrize("danger", DANGERS)
def test_a_danger_that_came_after_the_plan_refuses_the_batch(make_on_ends: Callable[[str], App], danger: str) -> None:
    app = filled(make_on_ends)
    records = app.due(requests())
    assert list(app.purge(requests(), records[:1])[0].outcomes) == [DONE]
    app.run(danger)
    before = app.all("SELECT id FROM requests ORDER BY 1")
    acted, sightings = app.purge(requests(), records)
    assert set(acted.outcomes) == {REFUSED}
    assert len(acted.reasons) == len(records)
    assert sightings[1:] == [Sighting.DUE] * 7
    assert app.all("SELECT id FROM requests ORDER BY 1") == before


@pytest.mark.parametrize("danger", [SWALLOW, DANGERS[2]])
def test_what_the_database_swallows_is_never_done(
    make_on_ends: Callable[[str], App], danger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that come back are the net beneath the look at the catalogue."""
    app = filled(make_on_ends)
    app.run(danger)
    monkeypatch.setattr("retentiond.connectors.postgresql.vetting.dangers", lambda _tx, _layout: ())
    acted, sightings = app.purge(requests(), app.due(requests()))
    assert set(acted.outcomes) == {REFUSED}
    assert set(sightings) == {Sighting.DUE}
    assert len(app.all("SELECT id FROM requests")) == 8


def test_a_trigger_that_swallows_some_rows_is_told_from_the_others(
    make: Callable[[str], App], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = filled(make)
    app.run(SWALLOW.replace("FOR EACH ROW", "FOR EACH ROW WHEN (old.id % 2 = 0)"))
    monkeypatch.setattr("retentiond.connectors.postgresql.vetting.dangers", lambda _tx, _layout: ())
    acted, _ = app.purge(requests(), app.due(requests()))
    assert list(acted.outcomes) == [REFUSED, DONE] * 4
    assert app.all("SELECT id FROM requests ORDER BY 1") == [0, 2, 4, 6]


def test_a_row_whose_key_is_hidden_already_is_refused_and_the_others_go(make: Callable[[str], App]) -> None:
    app = filled(make, TABLE + QUARANTINE, count=4)
    app.insert("hidden", (2, OLD, None, OLD))
    cases = decide(MOVED, TOMBSTONE)
    asked = order(MOVED, [record for record in app.scan(MOVED, cases)[0] if not record.place], cases)
    assert list(app.open().act(asked).outcomes) == [DONE, DONE, REFUSED, DONE]
    assert list(app.open().verify(asked).sightings) == [*[Sighting.HIDDEN] * 2, Sighting.DUE, Sighting.HIDDEN]
    assert app.all("SELECT id FROM requests") == [2]


def test_a_row_that_moves_while_it_is_looked_for_is_not_gone(
    make: Callable[[str], App], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table was looked at before it came back, and the quarantine is afterwards."""
    app = make(TABLE + QUARANTINE)
    app.insert("hidden", (1, OLD, None, OLD))
    asked = order(MOVED, app.due(MOVED))
    assert len(asked.records) == 1
    judge = verifying.Judge.judge

    def meanwhile(*given: Any) -> Mapping[int, Judged]:
        said = judge(*given)
        app.run(
            "INSERT INTO requests SELECT id, created, deleted FROM hidden; DELETE FROM hidden",
            grant=False,
        )
        return said

    monkeypatch.setattr(verifying.Judge, "judge", meanwhile)
    (sighting,) = app.open().verify(asked).sightings
    assert app.all("SELECT id FROM requests") == [1]
    assert sighting in (Sighting.DUE, Sighting.CHANGED, Sighting.UNKNOWN)


def test_a_quarantine_that_swallows_keeps_the_row_where_it_was(
    make: Callable[[str], App], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = filled(make, TABLE + QUARANTINE)
    app.run(SWALLOW.replace("BEFORE DELETE ON requests", "BEFORE INSERT ON hidden"))
    monkeypatch.setattr("retentiond.connectors.postgresql.vetting.dangers", lambda _tx, _layout: ())
    cases = decide(MOVED, TOMBSTONE)
    acted = app.open().act(order(MOVED, app.scan(MOVED, cases)[0], cases))
    assert set(acted.outcomes) == {REFUSED}
    assert len(app.all("SELECT id FROM requests")) == 8


def test_rows_that_a_policy_hides_are_unknown_and_never_absent(make_on_ends: Callable[[str], App]) -> None:
    app = filled(make_on_ends)
    records = app.due(requests())
    app.run("ALTER TABLE requests ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON requests USING (id % 2 = 0)")
    asked = order(requests(), records)
    assert set(app.open().verify(asked).sightings) == {Sighting.UNKNOWN}
    assert set(app.open().act(asked).outcomes) == {REFUSED}
    with pytest.raises(ConnectorError):
        app.due(requests())
    assert len(app.all("SELECT id FROM requests")) == 8


def test_locked_rows_are_left_and_the_others_go_soon(make_on_ends: Callable[[str], App]) -> None:
    app = filled(make_on_ends, count=60)
    records = app.due(requests())
    with app.connection() as other, other.transaction():
        other.execute("SELECT 1 FROM requests WHERE id IN (7, 40) FOR UPDATE")
        begun = time.monotonic()
        acted, sightings = app.purge(requests(), records)
        assert time.monotonic() - begun < 5
    assert {record.key[0] for record, each in zip(records, acted.outcomes, strict=True) if each is REFUSED} == {7, 40}
    assert all("locked" in reason for reason in acted.reasons.values())
    assert sightings.count(Sighting.DUE) == 2
    assert list(app.purge(requests(), records)[0].outcomes).count(DONE) == 2


def test_a_row_that_changes_while_it_is_waited_for_is_judged_anew(make: Callable[[str], App]) -> None:
    app = filled(make)
    records = app.due(requests())
    with app.connection() as other:
        other.execute("BEGIN")
        other.execute("UPDATE requests SET created = %s WHERE id = 3", [YOUNG])

        def fence() -> None:
            if not other.closed and other.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                other.execute("COMMIT")

        acted = app.open().act(order(requests(), records, fence=fence))
    assert [n for n, outcome in enumerate(acted.outcomes) if outcome is CHANGED] == [3]
    assert app.all("SELECT id FROM requests") == [3]


def test_the_fence_stands_before_each_statement(make: Callable[[str], App], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "learn", lambda _pace, _rows, _seconds: None)
    app = filled(make, count=10)
    app.open()._pace.rows = 4
    left: list[int] = []

    def fence() -> None:
        left.append(len(app.all("SELECT id FROM requests")))
        if len(left) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        app.open().act(order(requests(), app.due(requests()), fence=fence))
    assert left == [10, 6, 2]
    assert len(app.all("SELECT id FROM requests")) == 2


def test_permission_that_was_taken_away_refuses(make: Callable[[str], App]) -> None:
    app = filled(make)
    records = app.due(requests())
    app.run(f"REVOKE DELETE ON requests FROM {app.role}", grant=False)
    acted, sightings = app.purge(requests(), records)
    assert set(acted.outcomes) == {REFUSED}
    assert "permission" in acted.reasons[0]
    assert set(sightings) == {Sighting.DUE}


def test_an_unknown_place_or_action_is_refused(make: Callable[[str], App]) -> None:
    app = filled(make)
    records = app.due(requests())
    moved = [record._replace(place="elsewhere") for record in records]
    assert set(app.open().act(order(requests(), moved)).outcomes) == {REFUSED}
    redact = replace(order(requests(), records), action=Action.REDACT)
    assert set(app.open().act(redact).outcomes) == {REFUSED}
    assert len(app.all("SELECT id FROM requests")) == 8


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "text", "bigint", "int"])
def test_a_tombstone_is_written_as_its_column_holds_times(make: Callable[[str], App], kind: str) -> None:
    app = filled(make, TABLE.replace("deleted timestamptz", f"deleted {kind}"))
    cases = decide(HIDDEN, TOMBSTONE)
    asked = order(HIDDEN, app.scan(HIDDEN, cases)[0], cases)
    assert set(app.open().act(asked).outcomes) == {DONE}
    assert set(app.open().verify(asked).sightings) == {Sighting.HIDDEN}
    found = [app.open().find(HIDDEN, str(number))[0].tombstoned for number in range(8)]
    assert set(found) == {1_780_315_200_000_000}


def test_a_table_that_went_is_an_error_and_nothing_is_absent(make: Callable[[str], App]) -> None:
    app = filled(make)
    records = app.due(requests())
    app.run("ALTER TABLE requests RENAME TO elsewhere")
    asked = order(requests(), records)
    with pytest.raises(DatasetRefused):
        app.open().act(asked)
    assert set(app.open().verify(asked).sightings) == {Sighting.UNKNOWN}


# --- connections ------------------------------------------------------------------------------------------------------


def end_backends(app: App) -> None:
    for pid in app.server.backends(APPLICATION):
        app.all(f"SELECT pg_terminate_backend({pid})")


def test_a_backend_that_is_killed_before_the_effect_is_tried_again(make_on_ends: Callable[[str], App]) -> None:
    app = filled(make_on_ends)
    records = app.due(requests())
    killed: list[int] = []

    def fence() -> None:
        if not killed:
            killed.extend(app.server.backends(APPLICATION))
            end_backends(app)

    acted = app.open().act(order(requests(), records, fence=fence))
    assert killed
    assert set(acted.outcomes) == {DONE}
    assert set(app.open().verify(order(requests(), records)).sightings) == {Sighting.ABSENT}


def test_a_backend_that_is_killed_each_time_is_a_passing_failure(make: Callable[[str], App]) -> None:
    app = filled(make)
    records = app.due(requests())
    with pytest.raises(ConnectorError) as raised:
        app.open().act(order(requests(), records, fence=lambda: end_backends(app)))
    assert raised.value.transient
    assert len(app.all("SELECT id FROM requests")) == 8
    assert set(app.open().act(order(requests(), records)).outcomes) == {DONE}


def through(app: App, way: Way) -> None:
    dsn = app.server.dsn(app.database, app.role, PASSWORD, sslmode="disable", gssencmode="disable")
    app.dsn(dsn.replace(f"port={app.server.port}", f"port={way.port}"))


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_commit_whose_answer_is_lost_is_unknown_and_then_looked_at(
    make_on_ends: Callable[[str], App], cut: Cut
) -> None:
    app = filled(make_on_ends)
    with way_to(app.server.port) as way:
        through(app, way)
        records = app.due(requests())
        acted = app.open().act(
            order(requests(), records, fence=lambda: way.plan(b"COMMIT", cut) if not way.cuts else None)
        )
        sightings = app.open().verify(order(requests(), records)).sightings
        app.close()
    assert way.cuts == 1
    assert set(acted.outcomes) == ({Outcome.UNKNOWN} if cut is Cut.AFTER else {DONE})
    assert set(sightings) == {Sighting.ABSENT}
    assert app.all("SELECT id FROM requests") == []


def test_a_statement_whose_answer_is_lost_was_undone_and_is_tried_again(make: Callable[[str], App]) -> None:
    app = filled(make)
    with way_to(app.server.port) as way:
        through(app, way)
        records = app.due(requests())
        fence = lambda: way.plan(b"DELETE", Cut.AFTER) if not way.cuts else None  # noqa: E731
        acted = app.open().act(order(requests(), records, fence=fence))
        app.close()
    assert way.cuts == 1
    assert set(acted.outcomes) == {DONE}


def test_a_look_whose_connection_is_lost_is_begun_anew_once(make: Callable[[str], App]) -> None:
    app = filled(make)
    with way_to(app.server.port) as way:
        dsn = app.server.dsn(app.database, app.reader, PASSWORD, sslmode="disable", gssencmode="disable")
        app.patch.setenv("READER_DSN", dsn.replace(f"port={app.server.port}", f"port={way.port}"))
        asked = order(requests(), app.due(requests()))
        assert set(app.open().act(asked).outcomes) == {DONE}
        way.plan(b"pg_current_wal_lsn", Cut.AFTER)
        assert set(app.open().verify(asked).sightings) == {Sighting.ABSENT}
        assert way.cuts == 1
        way.plan(b"pg_current_wal_lsn", Cut.AFTER)
        way.target = 1  # where nobody listens: the server is gone for good
        assert set(app.open().verify(asked).sightings) == {Sighting.UNKNOWN}
        app.close()


# --- where is verified ------------------------------------------------------------------------------------------------


def test_a_look_at_a_standby_is_unknown(make: Callable[[str], App]) -> None:
    app = filled(make)
    records = app.due(requests())
    with app.server.standby() as standby:
        app.patch.setenv("READER_DSN", standby.dsn(app.database, app.reader))
        app.close()
        app.store = None
        asked = order(requests(), records)
        assert set(app.open().act(asked).outcomes) == {DONE}
        assert set(app.open().verify(asked).sightings) == {Sighting.UNKNOWN}
        app.dsn(standby.dsn(app.database, app.role))
        app.close()
        app.store = None
        ((what, remedy),) = app.refusals(requests())
        assert "standby" in what
        assert "primary" in remedy
        with pytest.raises(ConnectorError, match="standby"):
            app.open().act(order(requests(), [Record((1,))]))
        app.close()
        standby.promote()  # two primaries of one cluster: what one says is not what the other has
        app.dsn(app.server.dsn(app.database, app.role))
        app.store = None
        assert set(app.open().verify(asked).sightings) == {Sighting.UNKNOWN}
        app.close()


def test_a_statement_that_takes_too_long_is_refused_and_undone(
    make: Callable[[str], App], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = filled(make, count=120)
    app.run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN old; END';"
        "CREATE TRIGGER slow BEFORE DELETE ON requests FOR EACH ROW WHEN (old.id = 7) EXECUTE FUNCTION slow()"
    )
    monkeypatch.setattr("retentiond.connectors.postgresql.vetting.dangers", lambda _tx, _layout: ())
    monkeypatch.setitem(Session.transaction.__wrapped__.__kwdefaults__, "statement_ms", 300)  # type: ignore[attr-defined]
    acted, _ = app.purge(requests(), app.due(requests()))
    refused = {n for n, outcome in enumerate(acted.outcomes) if outcome is REFUSED}
    assert 7 in refused
    assert len(refused) <= 50
    assert len(app.all("SELECT id FROM requests")) == len(refused)


def test_a_failing_acting_connection_leaves_a_look_unknown(make: Callable[[str], App]) -> None:
    app = filled(make)
    records = app.due(requests())
    app.close()
    app.store = None
    app.dsn("host=127.0.0.1 port=1 connect_timeout=2")
    assert set(app.open().verify(order(requests(), records)).sightings) == {Sighting.UNKNOWN}


def test_a_look_at_another_database_is_unknown(make: Callable[[str], App]) -> None:
    app, other = filled(make), make(TABLE)
    app.patch.setenv("READER_DSN", app.server.dsn(other.database, app.reader))
    other.run(f"GRANT SELECT ON requests TO {app.reader}")
    app.dsn(app.server.dsn(app.database, app.role))
    records = app.due(requests())
    assert set(app.open().verify(order(requests(), records)).sightings) == {Sighting.UNKNOWN}


def test_a_look_at_a_copy_of_the_server_is_unknown(make: Callable[[str], App]) -> None:
    """A base backup that was started by itself has the system identifier, the timeline, and nothing newer."""
    app = filled(make)
    with app.server.copied() as copy:
        copy.start()
        app.patch.setenv("READER_DSN", copy.dsn(app.database, app.reader))
        ((what, _),) = app.refusals(requests())
        assert "does not lead to the primary" in what
        app.insert("requests", (100, OLD))
        asked = order(requests(), app.due(requests()))
        assert set(app.open().verify(asked).sightings) == {Sighting.UNKNOWN}
        app.close()


@pytest.mark.parametrize("knows", ["role", "reader"])
def test_a_role_that_may_not_ask_for_the_system_is_known_to_be_where_was_acted(
    make: Callable[[str], App], knows: str
) -> None:
    app = filled(make)
    function = "FUNCTION pg_catalog.pg_control_system()"
    app.run(f"REVOKE EXECUTE ON {function} FROM PUBLIC; GRANT EXECUTE ON {function} TO {getattr(app, knows)}")
    assert app.refusals(requests()) == []
    app.purge_all(requests())


def test_a_look_says_as_whom_and_where(make_on_ends: Callable[[str], App]) -> None:
    app = filled(make_on_ends)
    asked = order(requests(), app.due(requests()))
    app.open().act(asked)
    seen = app.open().verify(asked)
    position: dict[str, Any] = dict(seen.position or {})
    assert (seen.method, seen.role) == ("select-by-key", "separate role")
    assert position["systemId"] == app.all("SELECT system_identifier::text FROM pg_control_system()")[0]
    assert position["timeline"] == 1
    assert app.all(f"SELECT pg_current_wal_lsn() >= '{position['lsn']}'") == [True]
    app.close()
    app.store = None
    assert app.open(dsn_env="APP_DSN").verify(asked).role == "same role"


def test_a_verifying_role_cannot_write_even_where_it_may(make: Callable[[str], App]) -> None:
    app = filled(make)
    app.run(f"GRANT ALL ON requests TO {app.reader}")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), app.open()._verifier.transaction() as tx:
        tx.run("DELETE FROM public.requests")
    assert len(app.all("SELECT id FROM requests")) == 8


# --- pace -------------------------------------------------------------------------------------------------------------


def test_the_pace_finds_the_size_that_takes_its_time() -> None:
    pace = Pace()
    for _ in range(12):
        pace.learn(pace.rows, pace.rows / 100_000)
    assert pace.rows == pytest.approx(100_000 * TARGET_SECONDS, rel=0.05)
    pace.learn(pace.rows, 10)
    assert pace.rows == pytest.approx(50_000 * TARGET_SECONDS, rel=0.05)
    pace.learn(3, 0)  # a last, small chunk teaches nothing
    assert pace.rows == pytest.approx(50_000 * TARGET_SECONDS, rel=0.05)
    for _ in range(30):
        pace.learn(pace.rows, 0)
    assert pace.rows == MOST
