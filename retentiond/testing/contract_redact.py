"""The contracts of connectors that change parts of records: what is to go from a record goes, and nothing else of it.

The harness's table has three columns besides: `prompt`, a text that may be empty, `meta`, which holds JSON, and
`other`, a text that no window names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import pytest

from retentiond.domain.content import PSEUDONYM, Change, Target
from retentiond.domain.decision import Cases, Disposition, cases_of
from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action, ContentWindow, Policy, Rule
from retentiond.domain.record import Key, Record
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Connector, Order, Redacting
from retentiond.testing import hostile
from retentiond.testing.bench import FenceClosed, closed_fence, scan
from retentiond.testing.contract import BaseContract
from retentiond.testing.harness import ChangingHarness, Entry, Harness

CHANGE = Change((Target("prompt"), Target("meta", JsonPath.parse('$.a[1]."b c"'))))
CONSTANT = Change((Target("prompt", None, '"[redacted]"'), Target("meta", JsonPath.parse("$.a"), "[]")))
DUE, YOUNG = 10, 1
TEXT = 'what\'s "it" \\ worth?\n\t\u202e \U0001f5d1 ; DROP TABLE requests; --'


class RedactingHarness(ChangingHarness, Protocol):
    """A store whose connector changes parts of records."""

    def write(self, key: Key, prompt: str | None, meta: str | None, other: str | None) -> None:
        """Fill the three columns of a record as an application would; `meta` is a text of JSON."""
        ...

    def read(self, key: Key) -> tuple[str | None, str | None, str | None]:
        """Return the three columns as they stand in the store, JSON as its text."""
        ...

    def owner(self, key: Key) -> str | None:
        """Return what stands in a record's owner column."""
        ...

    def damage(self, key: Key) -> bool:
        """Write into `meta` what is no JSON; False where its type takes nothing of the kind."""
        ...


@runtime_checkable
class RedactingConnector(Connector, Redacting, Protocol):
    """A connector that changes parts of records."""


def meta(secret: str | None, **more: object) -> str:
    """Return a document in which the secret stands where the change looks for it."""
    return json.dumps({"kept": 1, "a": [0, {"b c": secret, "n": 2}], **more})


def windows(harness: Harness, change: Change = CHANGE, action: Action = Action.REDACT) -> Cases:
    """Return the cases of a policy that redacts after a week and purges after a year."""
    window = ContentWindow(1, Period(days=7), change, frozenset((harness.dataset.name,)), action)
    policy = Policy("contract", harness.dataset.data_class, (Rule(1, Period(days=365)),), content=(window,))
    return cases_of(policy, harness.dataset, harness.now)


def put(harness: RedactingHarness, name: str, age_days: int = DUE, text: str = TEXT) -> Key:
    """Put a record whose prompt stands in two places."""
    key = harness.put(Entry(name, age_days=age_days))
    harness.write(key, f"{text} {name}", meta(f"{text} {name}"), "kept")
    return key


def redaction(harness: Harness, records: Sequence[Record], change: Change = CHANGE) -> Order:
    """Return the order to redact records."""
    cases = windows(harness, change)
    case = next(index for index in cases.due if cases.cases[index].change)
    return Order(harness.dataset, Action.REDACT, cases, case, records, harness.now, lambda: None, change=change)


def due(connector: Connector, harness: Harness, change: Change = CHANGE) -> Order:
    """Return the order to redact all that a scan says is due."""
    return redaction(harness, scan(connector, harness, windows(harness, change)).records, change)


class RedactContract(BaseContract):
    """For connectors that have `Redacting`."""

    def test_exactly_the_named_places_of_exactly_the_records_of_the_order_are_emptied(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        keys = [put(harness, f"r-{number}") for number in range(9)]
        young = put(harness, "young", YOUNG)
        asked = due(connector, harness)
        assert {record.key for record in asked.records} == set(keys)
        some = replace(asked, records=asked.records[:6])
        left = {key: harness.read(key) for key in (young, *(each.key for each in asked.records[6:]))}
        acted = connector.act(some)
        assert list(acted.outcomes) == [Outcome.DONE] * 6
        assert {key: harness.read(key) for key in left} == left
        for record in some.records:
            prompt, inside, other = harness.read(record.key)
            assert prompt is None
            assert json.loads(inside or "") == json.loads(meta(None))
            assert other == "kept"
        assert set(connector.verify(replace(some, traces=acted.traces)).sightings) == {Sighting.CLEARED}
        assert list(connector.verify(asked).sightings) == [Sighting.CLEARED] * 6 + [Sighting.DUE] * 3

    def test_what_was_redacted_is_not_due_again(self, connector: RedactingConnector, harness: RedactingHarness) -> None:
        put(harness, "one")
        empty = harness.put(Entry("empty", age_days=DUE))
        harness.write(empty, None, None, None)
        elsewhere = harness.put(Entry("elsewhere", age_days=DUE))
        harness.write(elsewhere, None, '{"a": {"b c": "is no array"}, "b c": "is elsewhere"}', TEXT)
        asked = due(connector, harness)
        assert len(asked.records) == 1
        connector.act(asked)
        assert due(connector, harness).records == []

    def test_a_batch_carried_out_twice_says_absent_and_not_done(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        put(harness, "one")
        gone = put(harness, "gone")
        asked = due(connector, harness)
        connector.act(asked)
        harness.take_away(gone)
        again = connector.act(asked)
        assert set(again.outcomes) == {Outcome.ALREADY_GONE}
        assert not again.traces
        seen = connector.verify(asked).sightings
        assert [asked.records[place].key for place, each in enumerate(seen) if each is Sighting.ABSENT] == [gone]
        assert set(seen) == {Sighting.ABSENT, Sighting.CLEARED}

    def test_constants_take_the_place_of_what_stood_there(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        key = put(harness, "one")
        asked = due(connector, harness, CONSTANT)
        acted = connector.act(asked)
        prompt, inside, _ = harness.read(key)
        assert (prompt, json.loads(inside or "")) == ("[redacted]", {"kept": 1, "a": []})
        assert list(connector.verify(replace(asked, traces=acted.traces)).sightings) == [Sighting.CLEARED]
        assert due(connector, harness, CONSTANT).records == []

    def test_a_record_that_says_it_elsewhere_is_left_as_it_is(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        free, twice, beside = (put(harness, name) for name in ("free", "twice", "beside"))
        harness.write(twice, f"{TEXT} twice", meta(None), f"see: {TEXT} twice.")
        harness.write(beside, None, meta(f"{TEXT} beside", copy=[f"{TEXT} beside"]), None)
        left = (harness.read(twice), harness.read(beside))
        asked = due(connector, harness)
        acted = connector.act(asked)
        ended = {record.key: outcome for record, outcome in zip(asked.records, acted.outcomes, strict=True)}
        assert ended == {free: Outcome.DONE, twice: Outcome.REFUSED, beside: Outcome.REFUSED}
        assert (harness.read(twice), harness.read(beside)) == left
        assert sorted(acted.traces) == [place for place, each in enumerate(asked.records) if each.key == free]

    def test_a_copy_that_comes_before_the_look_is_seen(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        key = put(harness, "one")
        asked = due(connector, harness)
        acted = connector.act(asked)
        harness.write(key, None, meta(None), f"again: {TEXT} one")
        assert list(connector.verify(replace(asked, traces=acted.traces)).sightings) == [Sighting.REMAINS]

    def test_what_cannot_be_read_is_undetermined(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        key = put(harness, "broken")
        if not harness.damage(key):
            return  # its type has nothing that cannot be read
        cases = windows(harness)
        seen = scan(connector, harness, cases)
        assert seen.records == []
        (case,) = seen.tallies
        assert cases.cases[case].disposition is Disposition.UNDETERMINED
        (record,) = connector.find(harness.dataset, harness.spell(key))
        assert list(connector.contents(harness.dataset, (CHANGE,), [record])) == [{CHANGE: None}]
        assert list(connector.act(redaction(harness, [record])).outcomes) == [Outcome.CHANGED]
        harness.write(key, None, meta(None), None)
        harness.damage(key)
        assert list(connector.verify(redaction(harness, [record])).sightings) == [Sighting.CHANGED]

    def test_a_record_that_is_written_anew_after_the_plan_is_left(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        key = put(harness, "one")
        asked = due(connector, harness)
        harness.renew(key)
        left = harness.read(key)
        assert list(connector.act(asked).outcomes) == [Outcome.CHANGED]
        assert list(connector.verify(asked).sightings) == [Sighting.CHANGED]
        assert harness.read(key) == left

    def test_a_closed_fence_stops_everything(self, connector: RedactingConnector, harness: RedactingHarness) -> None:
        key = put(harness, "one")
        left = harness.read(key)
        with pytest.raises(FenceClosed):
            connector.act(replace(due(connector, harness), fence=closed_fence))
        assert harness.read(key) == left

    def test_hostile_texts_go_from_under_hostile_names(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        names = [name for name in hostile.NAMES if harness.accepts(name)]
        keys = [put(harness, name, text=f"{TEXT} and {name}") for name in names]
        asked = due(connector, harness)
        acted = connector.act(asked)
        assert set(acted.outcomes) == {Outcome.DONE}
        assert set(connector.verify(replace(asked, traces=acted.traces)).sightings) == {Sighting.CLEARED}
        assert {harness.read(key)[0] for key in keys} == {None}

    def test_what_stands_in_a_record_can_be_asked(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        keys = [harness.put(Entry(name, age_days=YOUNG)) for name in ("there", "gone")]
        harness.write(keys[0], TEXT, None, None)
        found = [connector.find(harness.dataset, harness.spell(key))[0] for key in keys]
        said = connector.contents(harness.dataset, (CHANGE,), found)
        assert [each[CHANGE] for each in said] == [True, False]

    def test_columns_that_are_not_there_are_found_before_anything_is_planned(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        assert list(connector.survey_changes(harness.dataset, (CHANGE, CONSTANT))) == []
        missing = Change((Target("nowhere"),))
        (finding,) = connector.survey_changes(harness.dataset, (missing,))
        assert finding.refuses
        assert finding.remedy
        assert list(connector.survey_changes(harness.dataset, (replace(missing, required=False),))) == []
        assert not connector.has_any(harness.dataset, missing)
        assert connector.has_any(harness.dataset, CHANGE)
        with pytest.raises(ConnectorError):
            scan(connector, harness, windows(harness, missing))
        assert scan(connector, harness, windows(harness, replace(missing, required=False))).records == []


def pseudonymisation(connector: Connector, harness: Harness, *accounts: str) -> Order:
    """Return the order to pseudonymise all that is due, with a pseudonym of each of these accounts."""
    (owner,) = harness.dataset.owners
    change = Change((Target(owner.column, pseudonym=True),))
    cases = windows(harness, change, Action.PSEUDONYMISE)
    case = next(index for index in cases.due if cases.cases[index].change)
    records, at = scan(connector, harness, cases).records, harness.now
    names = {account: f"{PSEUDONYM}{number:032x}" for number, account in enumerate(accounts, 1)}
    made = Order(harness.dataset, Action.PSEUDONYMISE, cases, case, records, at, lambda: None, change=change)
    return replace(made, pseudonyms=names)


class PseudonymContract(BaseContract):
    """For connectors that have `Redacting`, and whose harness has its owners in a column of text."""

    def test_accounts_give_way_to_their_pseudonyms_and_are_not_due_again(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        accounts = ("account-1-of-many", "account'; --\U0001f5d1", "account-1-of-many")
        keys = [harness.put(Entry(f"r-{n}", account=account, age_days=DUE)) for n, account in enumerate(accounts)]
        young = harness.put(Entry("young", account=accounts[0], age_days=YOUNG))
        asked = pseudonymisation(connector, harness, *accounts[:2])
        assert {record.key for record in asked.records} == set(keys)
        acted = connector.act(asked)
        assert set(acted.outcomes) == {Outcome.DONE}
        assert [harness.owner(key) for key in keys] == [asked.pseudonyms[account] for account in accounts]
        assert harness.owner(young) == accounts[0]
        assert set(connector.verify(replace(asked, traces=acted.traces)).sightings) == {Sighting.CLEARED}
        assert set(connector.act(asked).outcomes) == {Outcome.ALREADY_GONE}
        assert pseudonymisation(connector, harness).records == []

    def test_a_record_of_an_account_without_a_pseudonym_and_one_that_names_its_account_twice_are_left(
        self, connector: RedactingConnector, harness: RedactingHarness
    ) -> None:
        other, twice = (
            harness.put(Entry(name, account=f"account-{name}", age_days=DUE)) for name in ("other", "twice")
        )
        harness.write(twice, None, None, "a note of account-twice, with more")
        asked = pseudonymisation(connector, harness, "account-twice")
        assert set(connector.act(asked).outcomes) == {Outcome.REFUSED}
        assert (harness.owner(other), harness.owner(twice)) == ("account-other", "account-twice")
        assert set(connector.verify(asked).sightings) == {Sighting.DUE}
