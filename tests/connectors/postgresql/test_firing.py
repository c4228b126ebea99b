"""Triggers on deletions: let where they are what was approved, and where they do no more than that."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from retentiond.domain.dataset import Dataset, LetTrigger, TombstoneTarget, Written
from retentiond.domain.plan import Outcome, Sighting
from tests.connectors.postgresql.app import OLD, TOMBSTONE, YOUNG, App, decide, order, requests

TABLES = """
    CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, prompt text); CREATE INDEX ON requests (created);
    CREATE TABLE history (n int GENERATED ALWAYS AS IDENTITY, id int, prompt text, at timestamptz DEFAULT now());
    CREATE TABLE counters (deleted int); INSERT INTO counters VALUES (0);
    CREATE TABLE other (id int PRIMARY KEY, prompt text); INSERT INTO other VALUES (1, 'stays'), (2, 'stays');
"""
COPY = "INSERT INTO history (id, prompt) VALUES (OLD.id, OLD.prompt);"
COUNT = "UPDATE counters SET deleted = deleted + 1;"
KEEP = "Keep it's"


def function(does: str, settings: str = "SET search_path = pg_catalog, public") -> str:
    return (
        f"CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql {settings}"
        f" AS $f$ BEGIN {does} RETURN NULL; END $f$;"
    )


def fires(kind: str = "TRIGGER", how: str = "") -> str:
    return f'CREATE {kind} "{KEEP}" AFTER DELETE ON requests {how} FOR EACH ROW EXECUTE FUNCTION keep();'


def made(make: Callable[[str], App], does: str, trigger: str = "") -> App:
    app = make(TABLES + function(does) + (trigger or fires()))
    app.insert("requests", *((n, OLD, f"said {n}") for n in range(6)))
    return app


def letting(app: App, *writes: Written, name: str = KEEP) -> Dataset:
    """Return the dataset with what the refusal says that would have to be written."""
    (remedy,) = [remedy for what, remedy in app.refusals(requests()) if "acts on every DELETE" in what]
    digest = re.search("digest: ([0-9a-f]{64})", remedy)
    assert digest, remedy
    return requests(triggers=(LetTrigger(name, digest[1], writes),))


HISTORY = Written("history", "", mapped=True)
IGNORED = Written("counters", "public", mapped=False)


def test_a_trigger_that_was_read_is_let(make_on_ends: Callable[[str], App]) -> None:
    app = made(make_on_ends, COPY + COUNT)
    dataset = letting(app, HISTORY, IGNORED)
    assert app.refusals(dataset) == []
    app.purge_all(dataset)
    assert app.all("SELECT id FROM requests") == []
    assert app.all("SELECT id FROM history ORDER BY 1") == list(range(6))
    assert app.all("SELECT deleted FROM counters") == [6]


@pytest.mark.parametrize(
    ("does", "writes", "says"),
    [
        (COPY, (), "add rows to public.history"),
        (COPY + COUNT, (HISTORY,), "change or remove rows of public.counters"),
        (COPY + "UPDATE history SET at = now();", (HISTORY,), "change or remove rows of public.history"),
        ("DELETE FROM other WHERE id = OLD.id;", (HISTORY, IGNORED), "change or remove rows of public.other"),
        ("DELETE FROM other WHERE id = OLD.id;", (Written("other", "", mapped=True),), "rows of public.other"),
        ("UPDATE requests SET prompt = '' WHERE id = 50;", (), "further rows of 'public.requests'"),
        ("INSERT INTO requests VALUES (OLD.id + 100, OLD.created, OLD.prompt);", (), "further rows of"),
        ("TRUNCATE other;", (), "take public.other as a whole"),
        ("DROP TABLE IF EXISTS counters;", (IGNORED,), ""),
        ("BEGIN INSERT INTO history (id) VALUES (1); EXCEPTION WHEN others THEN NULL; END;", (), "public.history"),
        ("CREATE TEMP TABLE IF NOT EXISTS t AS SELECT OLD.prompt;", (), ""),
        ("PERFORM pg_catalog.lo_from_bytea(0, OLD.prompt::bytea);", (), "add rows to pg_catalog."),
        ("RAISE EXCEPTION 'no';", (), ""),
    ],
)
def test_a_trigger_that_does_more_undoes_all(
    make: Callable[[str], App], does: str, writes: Sequence[Written], says: str
) -> None:
    app = made(make, does)
    app.insert("requests", (50, YOUNG, "young"))
    app.run(f'GRANT TRUNCATE ON other TO {app.role}; GRANT TEMP ON DATABASE "{app.database}" TO {app.role}')
    dataset = letting(app, *writes)
    assert app.refusals(dataset) == []
    acted, sightings = app.purge(dataset, app.due(dataset))
    assert set(acted.outcomes) == {Outcome.REFUSED}
    assert all(says in reason for reason in acted.reasons.values()), acted.reasons
    assert set(sightings) == {Sighting.DUE}
    assert app.all("SELECT prompt FROM requests ORDER BY id") == [*(f"said {n}" for n in range(6)), "young"]
    assert app.all("SELECT id FROM history") == []
    assert app.all("SELECT prompt FROM other") == ["stays", "stays"]


def test_what_waits_for_the_commit_is_seen(make: Callable[[str], App]) -> None:
    app = made(make, COPY, fires("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED"))
    dataset = letting(app)
    acted, _ = app.purge(dataset, app.due(dataset))
    assert set(acted.outcomes) == {Outcome.REFUSED}
    assert app.all("SELECT id FROM history") == []
    app.purge_all(letting(app, HISTORY))
    assert len(app.all("SELECT id FROM history")) == 6


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (function(COUNT), "is not the one that the data map lets"),
        (function(COPY, ""), "is not the one that the data map lets"),
        (f'ALTER TABLE requests ENABLE ALWAYS TRIGGER "{KEEP}"', "is not the one that the data map lets"),
        (f'ALTER TABLE requests DISABLE TRIGGER "{KEEP}"', "does not act on deletions"),
        (f'DROP TRIGGER "{KEEP}" ON requests', "does not act on deletions"),
        ("CREATE TRIGGER b BEFORE DELETE ON requests FOR EACH ROW EXECUTE FUNCTION keep()", "trigger 'b' acts on"),
        ("CREATE TRIGGER c AFTER DELETE ON requests FOR EACH ROW EXECUTE FUNCTION keep()", "trigger 'c' acts on"),
        (fires().replace("AFTER", "BEFORE").replace("CREATE", "CREATE OR REPLACE"), "acts on every DELETE"),
    ],
)
def test_another_trigger_than_the_one_that_was_read_is_refused(
    make: Callable[[str], App], change: str, says: str
) -> None:
    app = made(make, COPY)
    dataset = letting(app, HISTORY, IGNORED)
    records = app.due(dataset)
    app.run(change)
    ((what, remedy),) = app.refusals(dataset)
    assert says in what
    assert remedy
    acted, _ = app.purge(dataset, records)
    assert set(acted.outcomes) == {Outcome.REFUSED}
    assert len(app.all("SELECT id FROM requests")) == 6
    assert app.all("SELECT id FROM history") == []


def test_a_function_that_is_replaced_after_a_chunk_is_looked_at_again(make: Callable[[str], App]) -> None:
    app = made(make, COPY)
    dataset = letting(app, HISTORY, IGNORED)
    app.open()._pace.rows = 2
    looked: list[int] = []

    def fence() -> None:  # asked between the look and the statement
        looked.append(1)
        if len(looked) == 2:
            app.run(function(COUNT), grant=False)  # a grant changes the table, too

    acted = app.open().act(order(dataset, app.due(dataset), fence=fence))
    assert [*acted.outcomes].count(Outcome.DONE) == 2
    assert [*acted.outcomes].count(Outcome.REFUSED) == 4
    assert len(app.all("SELECT id FROM history")) == 2
    assert app.all("SELECT deleted FROM counters") == [0]


def test_a_function_that_means_what_its_caller_means_is_refused(make: Callable[[str], App]) -> None:
    app = make(TABLES + function(COPY, "") + fires())
    ((what, remedy),) = app.refusals(letting(app, HISTORY))
    assert "means other tables to other callers" in what
    app.run(remedy)
    assert app.refusals(letting(app, HISTORY)) == []


def test_rows_that_move_to_a_quarantine_fire_them_too(make: Callable[[str], App]) -> None:
    app = made(make, COPY)
    app.run("CREATE TABLE gone (LIKE requests, tombstoned_at timestamptz NOT NULL, PRIMARY KEY (id))")
    moved = replace(letting(app, HISTORY), tombstone=TombstoneTarget(table="gone"))
    assert app.refusals(moved) == []
    cases = decide(moved, TOMBSTONE)
    acted = app.open().act(order(moved, app.scan(moved, cases)[0], cases))
    assert set(acted.outcomes) == {Outcome.DONE}
    assert app.all("SELECT id FROM gone ORDER BY 1") == app.all("SELECT id FROM history ORDER BY 1") == [*range(6)]
