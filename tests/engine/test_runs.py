"""Runs against stores that lie, fail and change: what is not seen to be gone is never said to be gone."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from retentiond.cli.views import session_exit
from retentiond.domain.dataset import Dataset
from retentiond.domain.plan import Outcome, RunState, Sighting
from retentiond.engine import drafting
from retentiond.engine.approvals import approve
from retentiond.engine.enforcement import unfinished
from retentiond.engine.planning import Request, make_plan
from retentiond.engine.retrying import TRIES
from retentiond.engine.running import Session, apply_plan, run_all
from retentiond.errors import ConnectorError, Exit, Interrupted, PurgeNotVerified
from retentiond.ports.stores import Acted, Order, Verified
from tests.engine.office import Office, Proxy, carry, outcomes, plan


@pytest.fixture(autouse=True)
def _small_and_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 2)
    monkeypatch.setattr("retentiond.engine.retrying._PAUSE_SECONDS", 0.0)


def due(office: Office, requests: int = 6) -> None:
    for number in range(requests):
        office.request(f"due-{number}", 3, account="acct-zero")
    office.request("young", 1, account="acct-zero")
    for number in range(3):
        office.feedback(number, 31)


def only(dataset: str, change: Callable[[Proxy, Order], Any], verb: str = "verify") -> type[Proxy]:
    """Make a connector that answers one verb for one dataset as a test says."""

    class Changed(Proxy):
        def act(self, order: Order) -> Acted:
            if verb == "act" and order.dataset.name == dataset:
                return change(self, order)  # type: ignore[no-any-return]
            return super().act(order)

        def verify(self, order: Order) -> Verified:
            if verb == "verify" and order.dataset.name == dataset:
                return change(self, order)  # type: ignore[no-any-return]
            return self.real.verify(order)

    return Changed


def annex(office: Office) -> dict[str, Any]:
    (bundle,) = office.bundles()
    found: dict[str, Any] = json.loads(base64.b64decode(bundle["annex"]))
    return found


def statement(office: Office) -> dict[str, Any]:
    (bundle,) = office.bundles()
    found: dict[str, Any] = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return found


def lies(_proxy: Proxy, order: Order) -> Acted:
    return Acted([Outcome.DONE] * len(order.records))


def test_a_store_that_lies_stops_its_dataset_at_the_first_batch_and_no_other(office: Office) -> None:
    due(office)
    office.wraps["app"] = only("requests", lies, "act")
    session = carry(office)
    assert outcomes(session) == {"requests": {"carriedOver": 6}, "feedback": {"purged": 3}}
    assert session.overdue == 6
    assert session.carried[0].run.state is RunState.PARTIAL
    assert session_exit(session) is Exit.PARTLY
    assert statement(office)["predicate"]["outcome"] == "partial"
    reasons = {each["reason"]: each["count"] for each in annex(office)["carriedOver"]}
    assert reasons == {"not-verified": 2, "dataset-stopped": 4}
    assert len(office.rows()) == 7
    assert office.rows("feedback") == set()


def refuses(_proxy: Proxy, order: Order) -> Acted:
    reasons = dict.fromkeys(range(len(order.records)), "a trigger keeps them")
    return Acted([Outcome.REFUSED] * len(order.records), reasons)


def fails(_proxy: Proxy, _order: Order) -> Acted:
    raise ConnectorError("no route to the server", where="app", remedy="mend the network")


@pytest.mark.parametrize(
    ("change", "why", "remedy"),
    [
        (lies, "not-verified", "`retentiond check`"),
        (refuses, "store-failed (a trigger keeps them)", "`retentiond check`"),
        (fails, "store-failed (no route to the server)", "mend the network"),
    ],
)
def test_people_are_told_why_a_dataset_stops_and_what_to_do(
    office: Office, change: Callable[[Proxy, Order], Acted], why: str, remedy: str
) -> None:
    due(office)
    office.wraps["app"] = only("requests", change, "act")
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        approve(ctx, row.id, None)
        apply_plan(ctx, row.id)
        (note,) = ctx.reporter.notes  # type: ignore[attr-defined]
    assert note.startswith(f"dataset requests stops at batch 0: {why}\n  what to do: {remedy}")


def test_what_a_read_cannot_tell_is_carried_over_and_not_called_purged(office: Office) -> None:
    due(office, 2)
    office.wraps["app"] = only(
        "requests", lambda _, order: Verified([Sighting.UNKNOWN] * len(order.records), "select-by-key")
    )
    session = carry(office, "content")
    assert outcomes(session) == {"requests": {"carriedOver": 2}}
    assert annex(office)["parts"][0]["outcomes"]["purged"] == 0


def test_a_read_that_fails_for_good_leaves_its_batch_carried_over(office: Office) -> None:
    def fails(_proxy: Proxy, _order: Order) -> Verified:
        raise ConnectorError("no route to the replica", where="app")

    due(office)
    office.wraps["app"] = only("requests", fails)
    session = carry(office)
    assert outcomes(session) == {"requests": {"carriedOver": 6}, "feedback": {"purged": 3}}
    reasons = {each["reason"] for each in annex(office)["carriedOver"]}
    assert reasons == {"store-failed", "dataset-stopped"}


def test_a_passing_failure_is_tried_again(office: Office) -> None:
    failures = iter([True, True, False])

    def stutters(proxy: Proxy, order: Order) -> Acted:
        if next(failures, False):
            raise ConnectorError("database is locked", transient=True)
        return proxy.real.act(order)

    due(office)
    office.wraps["app"] = only("requests", stutters, "act")
    assert outcomes(carry(office))["requests"] == {"purged": 6}
    assert office.rows() == {"young"}


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_connection_that_is_lost_while_planning_leaves_nothing_out_at_first(office: Office, failures: int) -> None:
    left = iter([True] * failures)

    class Breaks(Proxy):
        def scan(self, dataset: Dataset, *arguments: Any) -> Iterator[Any]:
            """Give what the real one gives, and break at its end."""
            yield from self.real.scan(dataset, *arguments)
            if dataset.name == "requests" and next(left, False):
                raise ConnectorError("the connection was lost", transient=True)

    due(office)
    office.wraps["app"] = Breaks
    with office.open() as ctx:
        planned = make_plan(ctx, Request())
    requests = [each for each in planned.forecasts if each.dataset == "requests"]
    assert [each.due for each in requests] == ([6] if failures < TRIES else [])
    assert [name for name, _ in planned.failures] == ([] if failures < TRIES else ["requests"])
    assert planned.plan is not None


def test_a_failure_after_the_effect_is_never_called_purged_by_this_run(office: Office) -> None:
    # The statement was committed and the reply lost; the second try finds nothing left.
    first = iter([True])

    def loses_the_reply(proxy: Proxy, order: Order) -> Acted:
        acted = proxy.real.act(order)
        if next(first, False):
            raise ConnectorError("the connection was lost", transient=True)
        return acted

    due(office, 2)
    office.wraps["app"] = only("requests", loses_the_reply, "act")
    assert outcomes(carry(office, "content"))["requests"] == {"alreadyGone": 2}


def test_a_store_that_answers_for_fewer_records_is_not_believed(office: Office) -> None:
    due(office, 2)
    office.wraps["app"] = only("requests", lambda *_: Verified([Sighting.ABSENT], "select-by-key"))
    assert outcomes(carry(office, "content"))["requests"] == {"carriedOver": 2}


def test_what_changed_since_the_plan_is_left_and_reported(office: Office) -> None:
    due(office)
    with office.open() as ctx:
        row = plan(ctx, "content").plan
        assert row is not None
        approve(ctx, row.id, None)
        with office.db() as db:
            db.execute("UPDATE requests SET created = ? WHERE id = 'due-1'", (office.ago(0),))
            db.execute("DELETE FROM requests WHERE id = 'due-2'")
        session = apply_plan(ctx, row.id)
    assert outcomes(session)["requests"] == {"purged": 4, "changed": 1, "alreadyGone": 1}
    assert office.rows() == {"due-1", "young"}


def test_what_is_back_before_the_receipt_is_carried_over(office: Office) -> None:
    due(office, 2)
    with office.db() as db:
        saved = list(db.execute("SELECT * FROM requests WHERE id = 'due-0'"))

    def restores(proxy: Proxy, order: Order) -> Verified:
        seen = proxy.real.verify(order)
        with office.db() as db:
            db.executemany("INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?, ?)", saved)
        return seen

    office.wraps["app"] = only("requests", restores)
    assert outcomes(carry(office, "content"))["requests"] == {"purged": 1, "carriedOver": 1}
    assert annex(office)["carriedOver"] == [{"count": 1, "dataset": "requests", "reason": "reappeared", "until": None}]
    assert annex(office)["residue"]["found"] == 0


def second_look_fails() -> Callable[[Proxy, Order], Verified]:
    looks = iter([False])

    def fails(proxy: Proxy, order: Order) -> Verified:
        if next(looks, True):
            return Verified([Sighting.UNKNOWN] * len(order.records), "select-by-key")
        return proxy.real.verify(order)

    return fails


def test_without_a_second_look_there_is_no_receipt_and_the_other_policies_go_on(office: Office) -> None:
    due(office, 2)
    carry(office)
    for number in range(2):
        office.request(f"due-{number}", 3, account="acct-zero")
    office.feedback(7, 31)
    office.feedback(8, 1)
    office.wraps["app"] = only("requests", second_look_fails())
    with pytest.raises(PurgeNotVerified):
        carry(office, "content")
    assert len(office.bundles()) == 1
    with office.open() as ctx:
        assert len(unfinished(ctx)) == 1
        session = run_all(ctx)
    assert [type(failure) for failure in session.failures] == [PurgeNotVerified]
    assert office.rows("feedback") == {8}
    office.wraps.clear()
    with office.open() as ctx:
        session = run_all(ctx)
        assert not unfinished(ctx)
    assert outcomes(session)["requests"] == {"purged": 2}


class Died(BaseException):
    """The process is gone: nothing catches this."""


@pytest.mark.parametrize("verb", ["act", "verify"])
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_a_run_that_died_goes_on_and_ends_in_one_receipt(office: Office, verb: str, *, after: bool) -> None:
    calls = iter([False, True])

    def dies(proxy: Proxy, order: Order) -> Any:
        if not next(calls, False):
            return getattr(proxy.real, verb)(order)
        if after:
            getattr(proxy.real, verb)(order)
        raise Died

    due(office)
    office.wraps["app"] = only("requests", dies, verb)
    with pytest.raises(Died):
        carry(office)
    office.wraps.clear()
    with office.open() as ctx:
        session = run_all(ctx)
        assert run_all(ctx).carried == []
    found = outcomes(session)["requests"]
    assert sum(found.values()) == 6
    assert set(found) <= {"purged", "alreadyGone"}
    assert office.rows() == {"young"}
    assert len(office.bundles()) == 1
    assert statement(office)["predicate"]["outcome"] == "complete"


def test_an_interrupted_run_finishes_the_batch_in_hand_and_goes_on_later(office: Office) -> None:
    due(office)
    answers = iter([False, True])
    office.stop = lambda: next(answers, False)
    with pytest.raises(Interrupted):
        carry(office, "content")
    assert len(office.rows()) == 5
    with office.open() as ctx:
        session: Session = run_all(ctx)
    assert outcomes(session)["requests"] == {"purged": 6}
    assert office.rows() == {"young"}


def test_a_plan_that_was_carried_out_is_not_carried_out_again(office: Office) -> None:
    due(office)
    first = carry(office)
    plan_id = first.carried[0].plan.id
    office.request("due-0", 3, account="acct-zero")
    with office.open() as ctx:
        again = apply_plan(ctx, plan_id)
    assert outcomes(again) == outcomes(first)
    assert "due-0" in office.rows()
    assert len(office.bundles()) == 1
