"""The contract of connectors whose datasets declare a tombstone: what was hidden comes back, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from retentiond.domain.condition import ALWAYS
from retentiond.domain.decision import hidden_since, undo_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import micros
from retentiond.ports.stores import Connector, Order
from retentiond.testing import hostile
from retentiond.testing.bench import (
    GRACE_DAYS,
    OLD,
    TOMBSTONE_RULE,
    YOUNG,
    FenceClosed,
    closed_fence,
    decide,
    fill,
    old_and_young,
    order,
    outcomes_of,
    scan,
)
from retentiond.testing.contract import BaseContract
from retentiond.testing.harness import DenyingHarness, Entry, FailingHarness, Harness, HidingHarness, ReusingHarness


def decided(back: Order, harness: Harness, later_days: int = 0) -> Order:
    """Return an order to bring records back as policy lets it be now, or some days later."""
    cases = undo_cases(ALWAYS, decide(harness, TOMBSTONE_RULE, later_days=later_days))
    if not back.marks:
        cases = hidden_since(cases, (micros(harness.now),))
    hidden = next(iter(back.records))._replace(tombstoned=micros(harness.now))
    return replace(back, cases=cases, case=cases.python()(hidden))


def some_of(back: Order, places: Sequence[int]) -> Order:
    """Return an order of some of its records."""
    marks = {number: back.marks[place] for number, place in enumerate(places) if place in back.marks}
    return replace(back, records=[back.records[place] for place in places], marks=marks)


def hide(connector: Connector, harness: Harness) -> Order:
    """Hide what is due, and return the order to bring it back."""
    cases = decide(harness, TOMBSTONE_RULE)
    asked = order(harness, cases, scan(connector, harness, cases).records)
    acted = connector.act(asked)
    assert set(acted.outcomes) == {Outcome.DONE}
    return decided(replace(asked, action=Action.RESTORE, marks=acted.marks), harness)


class RestoreContract(BaseContract):
    """For datasets that declare a tombstone: what it hides can be brought back."""

    def test_exactly_the_records_of_the_order_come_back(self, connector: Connector, harness: HidingHarness) -> None:
        old, young = old_and_young(harness)
        back = hide(connector, harness)
        assert set(connector.verify(back).sightings) == {Sighting.DUE}
        some = some_of(back, (0, 2))
        assert list(connector.act(some).outcomes) == [Outcome.DONE, Outcome.DONE]
        assert harness.visible() == young | {record.key for record in some.records}
        assert harness.left() == old | young
        assert list(connector.verify(back).sightings) == [Sighting.VISIBLE, Sighting.DUE, Sighting.VISIBLE]

    def test_one_that_is_gone_is_not_seen_beside_one_that_is_back(
        self, connector: Connector, harness: HidingHarness
    ) -> None:
        old_and_young(harness)
        some = some_of(hide(connector, harness), (0, 2))
        connector.act(some)
        harness.take_away(some.records[0].key)
        assert list(connector.verify(some).sightings) == [Sighting.ABSENT, Sighting.VISIBLE]
        assert list(connector.act(some).outcomes) == [Outcome.ALREADY_GONE, Outcome.ALREADY_THERE]

    def test_what_came_back_is_as_it_was(self, connector: Connector, harness: HidingHarness) -> None:
        old_and_young(harness)
        before = scan(connector, harness, decide(harness, TOMBSTONE_RULE)).records
        back = hide(connector, harness)
        connector.act(back)
        after = scan(connector, harness, decide(harness, TOMBSTONE_RULE)).records
        assert sorted(after, key=repr) == sorted(before, key=repr)
        assert hide(connector, harness).records

    def test_what_is_back_is_brought_back_twice_without_harm(
        self, connector: Connector, harness: HidingHarness
    ) -> None:
        old, young = old_and_young(harness)
        back = hide(connector, harness)
        connector.act(back)
        assert set(connector.act(back).outcomes) == {Outcome.ALREADY_THERE}
        assert set(connector.verify(back).sightings) == {Sighting.VISIBLE}
        assert harness.visible() == old | young

    def test_what_was_purged_is_gone(self, connector: Connector, harness: HidingHarness) -> None:
        _, young = old_and_young(harness)
        back = hide(connector, harness)
        for record in back.records:
            harness.take_away_hidden(record.key)
        assert set(connector.act(back).outcomes) == {Outcome.ALREADY_GONE}
        assert set(connector.verify(back).sightings) == {Sighting.ABSENT}
        assert harness.visible() == young

    def test_the_tombstone_of_somebody_else_stays(self, connector: Connector, harness: HidingHarness) -> None:
        _, young = old_and_young(harness)
        back = hide(connector, harness)
        earlier = hidden_since(undo_cases(ALWAYS, None), (micros(harness.now) - 1_000_000,))
        foreign = replace(back, cases=earlier, case=earlier.due[0])
        if back.marks:
            foreign = replace(back, marks=dict.fromkeys(back.marks, "not-ours"))
        assert set(connector.act(foreign).outcomes) == {Outcome.CHANGED}
        assert set(connector.verify(foreign).sightings) == {Sighting.CHANGED}
        assert harness.visible() == young

    def test_what_is_over_by_policy_stays_hidden(self, connector: Connector, harness: HidingHarness) -> None:
        _, young = old_and_young(harness)
        back = hide(connector, harness)
        # the case that wins within the grace does not win after it
        after = replace(decided(back, harness, later_days=GRACE_DAYS + 2), case=back.case)
        assert set(connector.act(after).outcomes) == {Outcome.CHANGED}
        assert harness.visible() == young

    def test_what_lives_under_its_name_by_now_is_never_overwritten(
        self, connector: Connector, harness: ReusingHarness
    ) -> None:
        old_and_young(harness)
        back = hide(connector, harness)
        harness.reuse(back.records[0].key)
        outcome, *others = connector.act(back).outcomes
        assert outcome in (Outcome.CHANGED, Outcome.ALREADY_THERE)
        assert set(others) == {Outcome.DONE}
        assert connector.verify(back).sightings[0] in (Sighting.CHANGED, Sighting.VISIBLE)
        assert harness.is_young(back.records[0].key)

    def test_a_closed_fence_leaves_everything_hidden(self, connector: Connector, harness: HidingHarness) -> None:
        _, young = old_and_young(harness)
        back = hide(connector, harness)
        with pytest.raises(FenceClosed):
            connector.act(replace(back, fence=closed_fence))
        assert harness.visible() == young

    def test_hostile_names_come_back(self, connector: Connector, harness: HidingHarness) -> None:
        names = [name for name in hostile.NAMES if harness.accepts(name)]
        old = fill(harness, (Entry(name, age_days=OLD) for name in names[::4]))
        young = fill(harness, (Entry(name, age_days=YOUNG) for name in names[1::4]))
        back = hide(connector, harness)
        assert harness.visible() == set(young.values())
        assert set(connector.act(back).outcomes) == {Outcome.DONE}
        assert set(connector.verify(back).sightings) == {Sighting.VISIBLE}
        assert harness.visible() == {*old.values(), *young.values()}

    def test_an_empty_order_brings_nothing_back(self, connector: Connector, harness: HidingHarness) -> None:
        _, young = old_and_young(harness)
        nothing = replace(hide(connector, harness), records=(), marks={})
        assert list(connector.act(nothing).outcomes) == []
        assert list(connector.verify(nothing).sightings) == []
        assert harness.visible() == young


class FailingRestoreContract(BaseContract):
    """For stores that can be made to fail: what is unknown is not back."""

    def test_a_failing_look_is_unknown_and_never_visible(self, connector: Connector, harness: FailingHarness) -> None:
        old_and_young(harness)
        back = hide(connector, harness)
        with harness.failing():
            assert outcomes_of(connector, back) <= {Outcome.UNKNOWN, Outcome.REFUSED}
            assert set(connector.verify(back).sightings) == {Sighting.UNKNOWN}
        assert set(connector.act(back).outcomes) == {Outcome.DONE}
        assert set(connector.verify(back).sightings) == {Sighting.VISIBLE}


class DeniedRestoreContract(BaseContract):
    """For stores that can deny changes."""

    def test_what_the_store_denies_stays_hidden_and_is_reported(
        self, connector: Connector, harness: DenyingHarness
    ) -> None:
        old_and_young(harness)
        back = hide(connector, harness)
        with harness.denying():
            acted = connector.act(back)
            assert set(acted.outcomes) == {Outcome.REFUSED}
            assert all(acted.reasons.get(index) for index in range(len(back.records)))
            assert set(connector.verify(back).sightings) == {Sighting.DUE}
