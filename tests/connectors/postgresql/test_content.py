"""Content windows in PostgreSQL: one predicate in two readings, in each type that holds JSON; what is in the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given, settings

from retentiond.domain.condition import Condition
from retentiond.domain.content import PSEUDONYM, Change, Target, as_uuid
from retentiond.domain.dataset import Dataset, TombstoneTarget
from retentiond.domain.decision import cases_of
from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.owner import OwnerSource
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action, ContentWindow, Policy, Rule
from retentiond.ports.stores import Order
from tests.connectors import contents
from tests.connectors.postgresql.app import NOW, OLD, App, requests

TABLE = """
CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, flagged int, plain text, meta {type}{more});
CREATE INDEX ON requests (created);
"""
DATASET = requests(attributes={"flagged": "flagged"})
TRIGGER = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE UPDATE ON requests FOR EACH ROW EXECUTE FUNCTION f();
"""
PLAIN = Change((Target("plain"),))
INSIDE = Change((Target("meta", JsonPath.parse("$.p")),))
MADE = {"jsonb": contents.SOUND, "json": (*contents.SOUND, *contents.TWICE),
        "text": (*contents.SOUND, *contents.TWICE, *contents.BROKEN)}  # fmt: skip


@pytest.mark.parametrize("made", MADE)
def test_both_readings_agree_on_every_row(made: str, make: Callable[[str], App]) -> None:
    app = make(TABLE.format(type=made, more=""))
    rows = list(product(contents.PLAIN, MADE[made]))
    app.insert("requests", *((n, OLD, (None, 0, 1)[n % 3], *row) for n, row in enumerate(rows)))
    store = app.open(window_rows=500)

    @settings(max_examples=25)
    @given(condition=contents.conditions)
    def agree(condition: Condition) -> None:
        cases = contents.cases_of(condition)
        found = [each for window in store.scan(DATASET, cases, frozenset((0, 1, 2))) for each in window.found]
        assert len(found) == len(rows)
        for record, case in found:
            assert case == contents.expected(condition, record, *rows[int(str(record.key[0]))])

    agree()


def redaction(app: App, change: Change, dataset: Dataset = DATASET) -> Order:
    window = ContentWindow(1, Period(days=7), change, frozenset((dataset.name,)))
    cases = cases_of(Policy("p", "content", (Rule(1, Period(days=365)),), content=(window,)), dataset, NOW)
    records, _ = app.scan(dataset, cases)
    return Order(dataset, Action.REDACT, cases, cases.due[-1], records, NOW, lambda: None, change=change)


def test_the_rest_of_json_and_of_text_stays_byte_for_byte(make: Callable[[str], App]) -> None:
    app = make(TABLE.format(type="json", more=", note text"))
    document = '{ "n":1.50,\t"p" : {"deep":["the prompt, word for word", 1e2]} , "é":"\\u00e9\\/", "n2":1.0 }'
    app.insert("requests", (1, OLD, 0, None, document, document))
    change = Change((*INSIDE.targets, Target("note", JsonPath.parse("$.p"))))
    asked = redaction(app, change)
    assert app.open().act(asked).outcomes == (Outcome.DONE,)
    left = document.replace('{"deep":["the prompt, word for word", 1e2]}', "null")
    assert app.all("SELECT meta::text FROM requests") == [left]
    assert app.all("SELECT note FROM requests") == [left]


@pytest.mark.parametrize("made", ["jsonb", "json"])
@pytest.mark.parametrize("inner", ["1" * 5_000, "[" * 1_500 + "]" * 1_500], ids=["number", "nested"])
def test_json_that_only_the_server_can_read_is_refused_and_stops_no_other(
    made: str, inner: str, make: Callable[[str], App]
) -> None:
    app = make(TABLE.format(type=made, more=""))
    app.insert("requests", (1, OLD, 0, "too", f'{{"p": "the prompt", "n": {inner}}}'), (2, OLD, 0, None, '{"p": "y"}'))
    asked = redaction(app, Change((*INSIDE.targets, *PLAIN.targets)))
    acted = app.open().act(asked)
    assert acted.outcomes == (Outcome.REFUSED, Outcome.DONE)
    assert "beyond what can be read" in acted.reasons[0]
    assert app.all("SELECT plain FROM requests ORDER BY id") == ["too", None]
    assert app.all("SELECT meta::json ->> 'p' FROM requests ORDER BY id") == ["the prompt", None]


@pytest.mark.parametrize("made", ["varchar(60)", "char(60)"])
def test_json_that_grows_too_long_is_refused_and_never_cut_off(made: str, make: Callable[[str], App]) -> None:
    app = make(TABLE.format(type=made, more=""))
    document = '{"p": "x", "keep": "what the row holds in its own right"}'[:60]
    app.insert("requests", (1, OLD, 0, None, document), (2, OLD, 0, None, '{"p": "y"}'))
    asked = redaction(app, Change((Target("meta", JsonPath.parse("$.p"), '"[redacted]"'),)))
    assert app.open().act(asked).outcomes == (Outcome.REFUSED, Outcome.DONE)
    assert app.open().verify(asked).sightings == (Sighting.DUE, Sighting.CLEARED)
    left = app.all("SELECT rtrim(meta) FROM requests ORDER BY id")
    assert left == [document, '{"p": "[redacted]"}']


@pytest.mark.parametrize(
    ("more", "after", "change", "what"),
    [
        ("", "ALTER TABLE requests ALTER plain SET NOT NULL", PLAIN, "is NOT NULL"),
        ("", "CREATE UNIQUE INDEX u ON requests (plain)", PLAIN, "unique index"),
        ("", "CREATE UNIQUE INDEX u ON requests (lower(plain))", PLAIN, "unique index"),
        ("", "CREATE UNIQUE INDEX u ON requests (id) INCLUDE (plain)", PLAIN, "unique index"),
        (", UNIQUE (plain)", "CREATE TABLE c (p text REFERENCES requests (plain))", PLAIN, "refers to"),
        ("", "CREATE TABLE t (p text PRIMARY KEY); ALTER TABLE requests ADD FOREIGN KEY (plain) REFERENCES t", PLAIN,
         "foreign key"),
        (", short text GENERATED ALWAYS AS (left(plain, 3)) STORED", "", Change((Target("short"),)), "is computed"),
        ("", TRIGGER, PLAIN, "trigger 't' acts"),
        ("", "CREATE RULE r AS ON UPDATE TO requests DO INSTEAD NOTHING", PLAIN, "rule 'r' acts"),
        ("", "", Change((Target("nowhere"),)), "no column 'nowhere'"),
        ("", "", Change((Target("flagged", None, '"x"'),)), "does not hold"),
        (", short varchar(3)", "", Change((Target("short", None, '"[redacted]"'),)), "does not hold"),
        ("", "", Change((Target("flagged", JsonPath.parse("$.p")),)), "there is no JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_redacted_is_refused_with_what_to_do(
    make: Callable[[str], App], more: str, after: str, change: Change, what: str
) -> None:
    app = make(TABLE.format(type="jsonb", more=more))
    if after:
        app.run(after)
    found = app.open().survey_changes(DATASET, (change,))
    assert [each for each in found if what in each.what]
    assert all(each.refuses and each.remedy for each in found)


def test_what_stands_in_the_quarantine_still_is_not_cleared(make: Callable[[str], App]) -> None:
    app = make(TABLE.format(type="jsonb", more=""))
    app.run("CREATE TABLE hidden (LIKE requests, tombstoned_at timestamptz NOT NULL, PRIMARY KEY (id))")
    app.insert("requests", (1, OLD, 0, "the prompt", None))
    dataset = replace(DATASET, tombstone=TombstoneTarget(table="hidden"))
    asked = redaction(app, PLAIN, dataset)
    app.insert("hidden", (1, OLD, 0, "the other prompt", None, OLD))
    assert app.open().act(asked).outcomes == (Outcome.DONE,)
    assert app.open().verify(asked).sightings != (Sighting.CLEARED,)


def test_a_danger_that_came_after_the_plan_refuses_the_batch(make: Callable[[str], App]) -> None:
    app = make(TABLE.format(type="jsonb", more=""))
    app.insert("requests", (1, OLD, 0, "the prompt", None))
    asked = redaction(app, PLAIN)
    app.run("CREATE RULE r AS ON UPDATE TO requests DO INSTEAD NOTHING")
    assert app.open().act(asked).outcomes == (Outcome.REFUSED,)
    assert app.open().verify(asked).sightings == (Sighting.DUE,)


def test_a_trigger_that_a_partition_has_from_above_refuses_it(make: Callable[[str], App]) -> None:
    app = make(
        "CREATE TABLE whole (id int, created timestamptz, plain text, PRIMARY KEY (id, created))"
        "PARTITION BY HASH (id);"
        "CREATE TABLE requests PARTITION OF whole FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        + TRIGGER.replace("requests", "whole")
    )
    (finding,) = app.open().survey_changes(requests(key=("id", "created")), (PLAIN,))
    assert "trigger 't' acts on UPDATE of public.whole" in finding.what
    app.run(finding.remedy.split(": ")[1].split(";")[0])
    assert not app.open().survey_changes(requests(key=("id", "created")), (PLAIN,))


def test_a_role_that_may_not_update_is_told_the_grant(make: Callable[[str], App]) -> None:
    app = make(TABLE.format(type="jsonb", more=""))
    app.run(f"REVOKE UPDATE ON requests FROM {app.role}", grant=False)
    (finding,) = app.open().survey_changes(DATASET, (PLAIN,))
    assert finding.remedy == f'GRANT UPDATE ("plain") ON TABLE "public"."requests" TO "{app.role}"'


def test_a_computed_column_that_says_it_still_is_seen_after_the_act(make: Callable[[str], App]) -> None:
    made = ", copy text GENERATED ALWAYS AS (coalesce(plain, note)) STORED, note text"
    app = make(TABLE.format(type="jsonb", more=made))
    app.run(f"INSERT INTO requests VALUES (1, '{OLD}', 0, 'the prompt itself', NULL)")
    asked = redaction(app, PLAIN)
    acted = app.open().act(asked)
    assert acted.outcomes == (Outcome.DONE,)
    app.run("UPDATE requests SET note = 'it was: the prompt itself'")
    assert app.open().verify(replace(asked, traces=acted.traces)).sightings == (Sighting.REMAINS,)


OWNED = """
CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, account {type}, flagged int);
CREATE INDEX ON requests (created);
"""
NAMES = {
    "text": ("acct-🗑'; --", "acct-b"),
    "uuid": ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"),
    "varchar(60)": ("a", "b"),
}


@pytest.mark.parametrize("made", NAMES)
def test_accounts_give_way_to_pseudonyms(made: str, make: Callable[[str], App]) -> None:
    app = make(OWNED.format(type=made))
    dataset = replace(DATASET, owners=(OwnerSource("account"),))
    one, two = NAMES[made]
    app.insert("requests", (1, OLD, one, 0), (2, OLD, two, 0), (3, OLD, one, 0))
    change = Change((Target("account", pseudonym=True),))
    assert not app.open().survey_changes(dataset, (change,))
    asked = redaction(app, change, dataset)
    known = {name: PSEUDONYM + digit * 32 for name, digit in ((one, "a"), (two, "b"))}
    some = replace(asked, action=Action.PSEUDONYMISE, pseudonyms={one: known[one]})
    assert set(app.open().act(some).outcomes) == {Outcome.DONE, Outcome.REFUSED}
    acted = app.open().act(replace(some, pseudonyms=known))
    assert sorted(acted.outcomes) == [Outcome.ALREADY_GONE, Outcome.ALREADY_GONE, Outcome.DONE]
    assert set(app.open().verify(replace(some, traces=acted.traces)).sightings) == {Sighting.CLEARED}
    left = app.all("SELECT account::text FROM requests ORDER BY id")
    if made == "uuid":
        known = {name: as_uuid(each) for name, each in known.items()}
        assert {UUID(each).version for each in left} == {8}
    assert left == [known[one], known[two], known[one]]
    assert redaction(app, change, dataset).records == []


@pytest.mark.parametrize(("made", "what"), [("int", "a pseudonym is text or a uuid"), ("varchar(20)", "does not hold")])
def test_a_column_in_which_no_pseudonym_fits_is_refused(made: str, what: str, make: Callable[[str], App]) -> None:
    app = make(OWNED.format(type=made))
    dataset = replace(DATASET, owners=(OwnerSource("account"),))
    (finding,) = app.open().survey_changes(dataset, (Change((Target("account", pseudonym=True),)),))
    assert what in finding.what


def test_json_in_text_is_refused_where_the_server_cannot_read_it(
    make_on_ends: Callable[[str], App],
) -> None:
    app = make_on_ends(TABLE.format(type="text", more=""))
    version = int(app.all("SELECT current_setting('server_version_num')")[0])
    found = app.open().survey_changes(DATASET, (INSIDE,))
    assert bool(found) == (version < 160_000)
    if not found:
        app.insert("requests", (1, OLD, 0, None, json.dumps({"p": "the prompt"})), (2, OLD, 0, None, '{"p": "x'))
        asked = redaction(app, INSIDE)
        assert [record.key for record in asked.records] == [(1,)]
        assert app.open().act(asked).outcomes == (Outcome.DONE,)
