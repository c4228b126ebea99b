"""The contract that every connector fulfils, as tests. How to use it: see `retentiond.testing`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from retentiond.domain.decision import Disposition, closure_cases
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action, Rule
from retentiond.domain.record import Key, micros
from retentiond.errors import ConnectorError
from retentiond.evidence.levels import EvidenceLevel
from retentiond.ports.stores import Connector, Order
from retentiond.testing import hostile
from retentiond.testing.bench import (
    FLAGGED_RULE,
    GRACE_DAYS,
    KEEP_DAYS,
    OLD,
    PURGE_RULE,
    TOMBSTONE_RULE,
    YOUNG,
    FenceClosed,
    closed_fence,
    decide,
    doubtful,
    due_records,
    fill,
    old_and_young,
    order,
    outcomes_of,
    purge_order,
    scan,
)
from retentiond.testing.harness import ChangingHarness, DenyingHarness, Entry, FailingHarness, Harness, HidingHarness

LONGEST_WHAT_BYTES = 40


class BaseContract:
    """What every contract has: the connector under test, open."""

    @pytest.fixture
    def connector(self, harness: Harness) -> Iterator[Connector]:
        """Open the connector under test on the harness's store."""
        connector = harness.connect()
        yield connector
        connector.close()


class ConnectorContract(BaseContract):
    """What holds for every connector."""

    def test_a_scan_hands_out_exactly_what_is_due(self, connector: Connector, harness: Harness) -> None:
        old, _ = old_and_young(harness)
        seen = scan(connector, harness, decide(harness, PURGE_RULE))
        assert sorted(seen.keys, key=repr) == sorted(old, key=repr)

    def test_every_record_is_examined_once(self, connector: Connector, harness: Harness) -> None:
        old, young = old_and_young(harness, count=25)
        cases = decide(harness, PURGE_RULE)
        seen = scan(connector, harness, cases)
        assert seen.examined == len(old) + len(young)
        assert len(seen.keys) == len(set(seen.keys)) == seen.tallies[cases.due[0]].count == len(old)

    def test_the_tally_of_what_is_due_fits_its_records(self, connector: Connector, harness: Harness) -> None:
        old_and_young(harness, count=12)
        cases = decide(harness, PURGE_RULE)
        seen = scan(connector, harness, cases)
        tally = seen.tallies[cases.due[0]]
        assert tally.size_bytes == sum(record.size_bytes for record in seen.records)
        assert tally.oldest == min(record.clock for record in seen.records if record.clock is not None)

    def test_what_it_tells_of_replicas_and_of_the_time_can_be_compared(self, connector: Connector) -> None:
        pressure, now = connector.pressure(), connector.now()
        assert pressure.replica_lag is None or pressure.replica_lag >= timedelta()
        assert pressure.replica_lag is not None or pressure.looked_at
        assert now is None or now.utcoffset() is not None

    def test_a_record_bears_its_clock_and_its_owner(self, connector: Connector, harness: Harness) -> None:
        harness.put(Entry("one", account="owner-7", age_days=OLD))
        (record,) = due_records(connector, harness)
        assert record.account == "owner-7"
        assert record.clock is not None
        age = timedelta(microseconds=micros(harness.now) - record.clock)
        assert abs(age - timedelta(days=OLD)) <= timedelta(days=1)

    def test_an_empty_store_is_complete_and_has_nothing_due(self, connector: Connector, harness: Harness) -> None:
        seen = scan(connector, harness, decide(harness, PURGE_RULE))
        assert (seen.examined, seen.keys) == (0, [])

    def test_purge_removes_exactly_the_records_of_its_order(self, connector: Connector, harness: Harness) -> None:
        old, young = old_and_young(harness)
        records = due_records(connector, harness)
        acted = connector.act(purge_order(harness, records[:2]))
        assert list(acted.outcomes) == [Outcome.DONE, Outcome.DONE]
        assert harness.left() == (old | young) - {record.key for record in records[:2]}

    def test_what_was_purged_is_absent_to_a_separate_read(self, connector: Connector, harness: Harness) -> None:
        old_and_young(harness)
        done = purge_order(harness, due_records(connector, harness))
        connector.act(done)
        assert set(connector.verify(done).sightings) == {Sighting.ABSENT}

    def test_what_was_not_purged_is_seen_as_due(self, connector: Connector, harness: Harness) -> None:
        old_and_young(harness)
        records = due_records(connector, harness)
        connector.act(purge_order(harness, records[1:]))
        sightings = connector.verify(purge_order(harness, records)).sightings
        assert list(sightings) == [Sighting.DUE, Sighting.ABSENT, Sighting.ABSENT]

    def test_a_batch_carried_out_twice_ends_the_same(self, connector: Connector, harness: Harness) -> None:
        _, young = old_and_young(harness)
        done = purge_order(harness, due_records(connector, harness))
        connector.act(done)
        assert set(connector.act(done).outcomes) == {Outcome.ALREADY_GONE}
        assert set(connector.verify(done).sightings) == {Sighting.ABSENT}
        assert harness.left() == young

    def test_a_batch_found_half_done_is_finished(self, connector: Connector, harness: Harness) -> None:
        _, young = old_and_young(harness, count=4)
        records = due_records(connector, harness)
        connector.act(purge_order(harness, records[::2]))
        acted = connector.act(purge_order(harness, records))
        assert list(acted.outcomes) == [Outcome.ALREADY_GONE, Outcome.DONE] * 2
        assert harness.left() == young

    def test_a_record_that_vanished_is_already_gone(self, connector: Connector, harness: Harness) -> None:
        old_and_young(harness)
        records = due_records(connector, harness)
        harness.take_away(records[1].key)
        acted = connector.act(purge_order(harness, records))
        assert list(acted.outcomes) == [Outcome.DONE, Outcome.ALREADY_GONE, Outcome.DONE]

    def test_an_empty_order_does_nothing(self, connector: Connector, harness: Harness) -> None:
        old, young = old_and_young(harness)
        nothing = purge_order(harness, [])
        assert list(connector.act(nothing).outcomes) == []
        assert list(connector.verify(nothing).sightings) == []
        assert harness.left() == old | young

    def test_a_closed_fence_stops_everything_and_passes_through(self, connector: Connector, harness: Harness) -> None:
        old, young = old_and_young(harness)
        records = due_records(connector, harness)
        with pytest.raises(FenceClosed):
            connector.act(purge_order(harness, records, closed_fence))
        assert harness.left() == old | young
        assert set(connector.verify(purge_order(harness, records)).sightings) == {Sighting.DUE}

    def test_nothing_is_removed_before_the_fence_was_asked(self, connector: Connector, harness: Harness) -> None:
        old, young = old_and_young(harness)
        seen_at_fence: list[frozenset[Key]] = []
        records = due_records(connector, harness)
        connector.act(purge_order(harness, records, lambda: seen_at_fence.append(harness.left())))
        assert seen_at_fence[0] == old | young

    def test_hostile_names_go_and_their_neighbours_stay(self, connector: Connector, harness: Harness) -> None:
        names = [name for name in hostile.NAMES if harness.accepts(name)]
        old = fill(harness, (Entry(name, age_days=OLD) for name in names[::2]))
        young = fill(harness, (Entry(name, age_days=YOUNG) for name in names[1::2]))
        assert len(set(old.values()) | set(young.values())) == len(names) > len(hostile.NAMES) // 2
        records = due_records(connector, harness)
        assert {record.key for record in records} == set(old.values())
        done = purge_order(harness, records)
        assert set(connector.act(done).outcomes) == {Outcome.DONE}
        assert set(connector.verify(done).sightings) == {Sighting.ABSENT}
        assert harness.left() == set(young.values())

    def test_a_record_is_found_by_its_key_as_typed(self, connector: Connector, harness: Harness) -> None:
        names = [name for name in hostile.NAMES if harness.accepts(name)]
        keys = fill(harness, (Entry(name, age_days=OLD) for name in names))
        for key in keys.values():
            found = connector.find(harness.dataset, harness.spell(key))
            assert [record.key for record in found] == [key]

    def test_what_is_not_there_is_not_found(self, connector: Connector, harness: Harness) -> None:
        key = harness.put(Entry("gone", age_days=OLD))
        harness.put(Entry("gone-too", age_days=OLD))
        harness.take_away(key)
        assert list(connector.find(harness.dataset, harness.spell(key))) == []

    def test_closing_an_account_takes_all_of_it_and_nobody_elses(self, connector: Connector, harness: Harness) -> None:
        fill(harness, [Entry("mine", "leaving", OLD), Entry("mine-too", "leaving", YOUNG)])
        others = fill(harness, [Entry("other", "Leaving", OLD), Entry("longer", "leaving-not", YOUNG)])
        cases = closure_cases("leaving")
        done = order(harness, cases, scan(connector, harness, cases).records)
        assert list(connector.act(done).outcomes) == [Outcome.DONE, Outcome.DONE]
        assert harness.left() == set(others.values())

    def test_closing_many_accounts_is_one_scan_and_one_order(self, connector: Connector, harness: Harness) -> None:
        fill(harness, [Entry(f"mine-{number}", f"leaving-{number}", OLD + number % 2) for number in range(9)])
        others = fill(harness, [Entry("other", "leaving-9999", OLD), Entry("longer", "leaving-1-not", YOUNG)])
        cases = closure_cases(*(f"leaving-{number}" for number in range(1_200)))
        found = scan(connector, harness, cases).records
        assert {record.account for record in found} == {f"leaving-{number}" for number in range(9)}
        done = order(harness, cases, found)
        assert list(connector.act(done).outcomes) == [Outcome.DONE] * 9
        assert set(connector.verify(done).sightings) == {Sighting.ABSENT}
        assert harness.left() == set(others.values())

    def test_what_no_dataset_covers_is_named(self, connector: Connector, harness: Harness) -> None:
        harness.put(Entry("one"))
        stray = harness.add_stray()
        assert list(connector.unmapped([harness.dataset], lambda _name: False)) == [stray]
        assert list(connector.unmapped([harness.dataset], lambda name: name == stray)) == []

    def test_a_sound_dataset_is_not_refused(self, connector: Connector, harness: Harness) -> None:
        old_and_young(harness)
        assert [finding for finding in connector.survey(harness.dataset).findings if finding.refuses] == []

    def test_a_store_that_is_not_there_says_what_to_do(self, harness: Harness) -> None:
        with pytest.raises(ConnectorError) as raised:
            list(harness.connect_to_nothing().scan(harness.dataset, decide(harness, PURGE_RULE), frozenset()))
        assert raised.value.remedy
        assert raised.value.where or harness.dataset.store in raised.value.what

    def test_evidence_and_remnants_can_stand_in_a_receipt(self, connector: Connector, harness: Harness) -> None:
        old_and_young(harness)
        connector.act(purge_order(harness, due_records(connector, harness)))
        assert connector.settle(harness.dataset) >= EvidenceLevel.DELETED
        for remnant in connector.remnants(harness.dataset):
            assert 0 < len(remnant.what.encode()) <= LONGEST_WHAT_BYTES
            assert remnant.reason


class ChangeContract(BaseContract):
    """For stores in which a record can change under its identity."""

    def test_a_record_that_changed_since_the_plan_is_left(self, connector: Connector, harness: ChangingHarness) -> None:
        _, young = old_and_young(harness)
        records = due_records(connector, harness)
        harness.renew(records[1].key)
        asked = purge_order(harness, records)
        assert list(connector.act(asked).outcomes) == [Outcome.DONE, Outcome.CHANGED, Outcome.DONE]
        assert list(connector.verify(asked).sightings) == [Sighting.ABSENT, Sighting.CHANGED, Sighting.ABSENT]
        assert harness.left() == young | {records[1].key}


class DoubtContract(BaseContract):
    """For stores in which a clock or an owner can be unreadable."""

    def test_what_cannot_be_told_is_kept_and_counted(self, connector: Connector, harness: Harness) -> None:
        old = harness.put(Entry("old", age_days=OLD))
        fill(harness, [Entry("no-clock", age_days=None), Entry("no-owner", account=None, age_days=OLD)])
        fill(harness, [Entry("ancient", age_days=366 * 40), Entry("unborn", age_days=-30)])
        cases = decide(harness, PURGE_RULE)
        seen = scan(connector, harness, cases)
        doubts = {
            cases.reason(case).reason: tally.count for case, tally in seen.tallies.items() if doubtful(cases, case)
        }
        assert seen.keys == [old]
        assert doubts == {"clock-unreadable": 1, "owner-unreadable": 1, "clock-out-of-range": 2}


class AttributeContract(BaseContract):
    """For datasets that declare the attribute `flagged`."""

    def test_an_attribute_decides_and_an_unknown_one_keeps(self, connector: Connector, harness: Harness) -> None:
        plain = harness.put(Entry("plain", age_days=OLD, flagged=False))
        fill(harness, [Entry("flagged", age_days=OLD, flagged=True), Entry("unknown", age_days=OLD, flagged=None)])
        cases = decide(harness, FLAGGED_RULE, Rule(2, Period(days=KEEP_DAYS)))
        seen = scan(connector, harness, cases)
        assert seen.keys == [plain]
        assert sum(tally.count for case, tally in seen.tallies.items() if doubtful(cases, case)) == 1


class TombstoneContract(BaseContract):
    """For datasets that declare a tombstone."""

    def _hide(self, connector: Connector, harness: HidingHarness) -> Order:
        cases = decide(harness, TOMBSTONE_RULE)
        found = scan(connector, harness, cases)
        hidden = order(harness, cases, found.records)
        assert hidden.action is Action.TOMBSTONE
        assert set(connector.act(hidden).outcomes) == {Outcome.DONE}
        return hidden

    def test_a_tombstone_hides_and_removes_nothing(self, connector: Connector, harness: HidingHarness) -> None:
        old, young = old_and_young(harness)
        hidden = self._hide(connector, harness)
        assert set(connector.verify(hidden).sightings) == {Sighting.HIDDEN}
        assert harness.visible() == young
        assert harness.left() == old | young

    def test_a_tombstone_ordered_twice_ends_the_same(self, connector: Connector, harness: HidingHarness) -> None:
        old, young = old_and_young(harness)
        hidden = self._hide(connector, harness)
        assert set(connector.act(hidden).outcomes) == {Outcome.CHANGED}
        assert set(connector.verify(hidden).sightings) == {Sighting.HIDDEN}
        assert harness.visible() == young
        assert harness.left() == old | young

    def test_a_tombstone_that_was_not_set_is_not_seen(self, connector: Connector, harness: HidingHarness) -> None:
        old_and_young(harness)
        cases = decide(harness, TOMBSTONE_RULE)
        asked = order(harness, cases, scan(connector, harness, cases).records)
        with pytest.raises(FenceClosed):
            connector.act(order(harness, cases, asked.records, closed_fence))
        assert set(connector.verify(asked).sightings) == {Sighting.DUE}

    def test_hidden_records_wait_for_the_end_of_their_grace(self, connector: Connector, harness: HidingHarness) -> None:
        old, young = old_and_young(harness)
        self._hide(connector, harness)
        during = scan(connector, harness, decide(harness, TOMBSTONE_RULE, later_days=GRACE_DAYS - 2))
        after = scan(connector, harness, decide(harness, TOMBSTONE_RULE, later_days=GRACE_DAYS + 2))
        assert (during.keys, during.examined >= len(old | young)) == ([], True)
        assert set(after.keys) == old
        assert all(record.tombstoned is not None for record in after.records)

    def test_hidden_records_are_purged_after_it(self, connector: Connector, harness: HidingHarness) -> None:
        _, young = old_and_young(harness)
        self._hide(connector, harness)
        cases = decide(harness, TOMBSTONE_RULE, later_days=GRACE_DAYS + 2)
        found = scan(connector, harness, cases)
        done = Order(harness.dataset, Action.PURGE, cases, found.cases[0], found.records, harness.now, lambda: None)
        assert cases.reason(found.cases[0]).disposition is Disposition.PURGE
        assert set(connector.act(done).outcomes) == {Outcome.DONE}
        assert set(connector.verify(done).sightings) == {Sighting.ABSENT}
        assert harness.left() == young

    def test_a_closure_takes_hidden_records_too(self, connector: Connector, harness: HidingHarness) -> None:
        old_and_young(harness)
        self._hide(connector, harness)
        cases = closure_cases("account-1")
        done = order(harness, cases, scan(connector, harness, cases).records)
        connector.act(done)
        assert set(connector.verify(done).sightings) == {Sighting.ABSENT}
        assert harness.left() == frozenset()


class FailureContract(BaseContract):
    """For stores that can be made to fail: what is unknown is never done, never absent, never zero."""

    def test_a_scan_that_fails_says_so(self, connector: Connector, harness: FailingHarness) -> None:
        old_and_young(harness)
        cases = decide(harness, PURGE_RULE)
        with harness.failing(), pytest.raises(ConnectorError):
            list(connector.scan(harness.dataset, cases, frozenset(cases.due)))

    def test_a_failing_look_is_unknown_and_never_absent(self, connector: Connector, harness: FailingHarness) -> None:
        old_and_young(harness)
        asked = purge_order(harness, due_records(connector, harness))
        connector.act(asked)
        with harness.failing():
            assert set(connector.verify(asked).sightings) == {Sighting.UNKNOWN}
        assert set(connector.verify(asked).sightings) == {Sighting.ABSENT}

    def test_a_failing_act_claims_nothing(self, connector: Connector, harness: FailingHarness) -> None:
        old, young = old_and_young(harness)
        asked = purge_order(harness, due_records(connector, harness))
        with harness.failing():
            assert outcomes_of(connector, asked) <= {Outcome.UNKNOWN, Outcome.REFUSED}
        assert harness.left() == old | young
        assert set(connector.act(asked).outcomes) == {Outcome.DONE}


class DenialContract(BaseContract):
    """For stores that can deny removal."""

    def test_what_the_store_denies_is_left_and_reported(self, connector: Connector, harness: DenyingHarness) -> None:
        old, young = old_and_young(harness)
        asked = purge_order(harness, due_records(connector, harness))
        with harness.denying():
            acted = connector.act(asked)
            assert set(acted.outcomes) == {Outcome.REFUSED}
            assert all(acted.reasons.get(index) for index in range(len(asked.records)))
            assert set(connector.verify(asked).sightings) == {Sighting.DUE}
        assert harness.left() == old | young
