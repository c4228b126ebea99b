"""Pseudonyms: feedback stays, and nobody can tell whose it was."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from retentiond.engine import keyverbs
from retentiond.engine.checking import check
from retentiond.engine.closures import close_account
from retentiond.engine.pseudonyms import pseudonyms_of
from retentiond.engine.running import run_all
from retentiond.errors import Interrupted, PolicyError
from retentiond.ports.stores import Order, Verified
from tests.engine.handed_out import verdict
from tests.engine.office import Office, Proxy, carry, make_office, outcomes, plan

ADA, BOB = "account-of-ada-\U0001f5d1", "account-of-bob'; --"
POLICIES = """
policies:
  feedback:
    class: feedback
    rules: [{keep: 13 months}]
    content: [{pseudonymise: [account], after: 30 days, promise: {live: 31 days}WITH}]
    limits: {max_records: 1000, max_percent: 100}
closure: {grace: none, deadline: 30 days}
"""
PSEUDONYM = re.compile(r"pseudonym-[0-9a-f]{32}")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return with_policies(make_office(tmp_path))


def with_policies(office: Office, keys: str = "") -> Office:
    (office.config / "policies.yaml").write_text(POLICIES.replace("WITH", keys), "utf-8")
    office.edit("datamap.yaml", "unmapped: refuse", "unmapped: report")
    return office


def accounts(office: Office) -> dict[int, Any]:
    with office.db() as db:
        return dict(db.execute("SELECT id, account FROM feedback"))


def annex(office: Office) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(office.bundles()[-1]["annex"]))
    return found


def unseen(office: Office, kind: str) -> list[str]:
    statements = [json.loads(base64.b64decode(each["dsseEnvelope"]["payload"])) for each in office.bundles()]
    (told,) = [each["predicate"] for each in statements if each["predicate"]["kind"] == kind]
    return [each["what"] for each in told["notCovered"]]


def test_rows_of_one_account_have_one_pseudonym_and_those_of_two_have_two(office: Office) -> None:
    for number, account in enumerate((ADA, BOB, ADA)):
        office.feedback(number, 40, account)
    office.feedback(3, 20, ADA)
    session = carry(office)
    assert outcomes(session) == {"feedback": {"pseudonymised": 3}}
    found = accounts(office)
    assert found[0] == found[2] != found[1]
    assert all(PSEUDONYM.fullmatch(found[number]) for number in range(3))
    assert found[3] == ADA
    (part,) = annex(office)["parts"]
    assert (part["action"], part["keep"], part["evidence"]) == ("pseudonymise", "P30D", "deleted")
    assert verdict(office, session.carried[0].receipt.file).valid
    with office.open() as ctx:
        assert plan(ctx).plan is None
    office.clock.at = office.clock.at.replace(month=7)
    carry(office)
    assert accounts(office)[3] == found[0]  # the same account, a month later


def test_a_row_that_names_its_account_elsewhere_stays(office: Office) -> None:
    with office.db() as db:
        db.execute("ALTER TABLE feedback ADD note TEXT")
        db.execute("INSERT INTO feedback VALUES (1, ?, ?, 5, ?)", (ADA, office.ago(40), f"from {ADA}"))
    assert outcomes(carry(office)) == {"feedback": {"carriedOver": 1}}
    assert accounts(office) == {1: ADA}


def test_a_row_that_changed_hands_after_the_plan_is_left(office: Office) -> None:
    office.feedback(1, 40, ADA)
    office.feedback(2, 40, ADA)

    class Late(Proxy):
        def act(self, order: Order) -> Any:
            with office.db() as db:
                db.execute("UPDATE feedback SET account = ? WHERE id = 2", (BOB,))
            return super().act(order)

    office.wraps["app"] = Late
    assert outcomes(carry(office)) == {"feedback": {"pseudonymised": 1, "carriedOver": 1}}
    assert accounts(office)[2] == BOB
    assert annex(office)["carriedOver"][0]["reason"] == "it is of another account since it was planned"


def test_a_batch_that_was_killed_goes_on_with_the_same_pseudonyms(office: Office) -> None:
    office.feedback(1, 40, ADA)

    class Dies(Proxy):
        def verify(self, _order: Order) -> Verified:
            raise Interrupted("killed")

    office.wraps["app"] = Dies
    with pytest.raises(Interrupted):
        carry(office)
    before = accounts(office)
    office.wraps.clear()
    with office.open() as ctx:
        assert outcomes(run_all(ctx)) == {"feedback": {"alreadyGone": 1}}
        assert pseudonyms_of(ctx, [ADA]) == {ADA: before[1]}


def test_after_its_closure_nobody_can_tell_an_accounts_pseudonym_and_others_keep_theirs(office: Office) -> None:
    office.feedback(1, 40, ADA)
    office.feedback(2, 40, BOB)
    carry(office)
    before = accounts(office)
    office.feedback(3, 1, ADA)
    with office.open() as ctx:
        assert pseudonyms_of(ctx, [ADA, BOB]) == {ADA: before[1], BOB: before[2]}
        close_account(ctx, ADA, "left", None)
        session = run_all(ctx)
        assert not session.failures
    assert accounts(office) == before  # what is nobody's stays, the rest is gone
    assert "rows under a pseudonym" in unseen(office, "closure")
    with office.open() as ctx:
        after = pseudonyms_of(ctx, [ADA, BOB])
    assert after[ADA] != before[1]
    assert after[BOB] == before[2]


def test_a_receipt_names_rows_under_a_pseudonym_though_no_salt_is_known(office: Office) -> None:
    office.feedback(1, 1, ADA)
    with office.open() as ctx:
        close_account(ctx, ADA, "left", None)
        run_all(ctx)
    assert "rows under a pseudonym" in unseen(office, "closure")


def test_check_says_that_nameless_rows_keep_the_rows_of_an_account_that_leaves(office: Office) -> None:
    with office.open() as ctx:
        assert not [each for each in check(ctx).findings if "bear pseudonyms" in each.what]
    office.edit(
        "datamap.yaml", "    class: feedback", "    class: feedback\n    parent: {dataset: requests, on: {rating: id}}"
    )
    with office.open() as ctx:
        (found,) = [each for each in check(ctx).findings if "bear pseudonyms" in each.what]
    assert found.where == "dataset feedback"
    assert "'requests'" in found.what


def test_a_key_that_policy_ends_is_destroyed_with_the_pseudonyms_made_of_it(tmp_path: Path) -> None:
    office = with_policies(make_office(tmp_path), ", keys: 90 days")
    office.feedback(1, 40, ADA)
    carry(office)
    keys = office.root / "keys"
    first = next(keys.glob("pseudonym.key")).read_bytes()
    office.clock.at = office.clock.at.replace(month=8)
    with office.open() as ctx:
        run_all(ctx)
        assert pseudonyms_of(ctx, [ADA])[ADA] == accounts(office)[1]
    office.clock.at = office.clock.at.replace(month=9)
    with office.open() as ctx:
        run_all(ctx)
        assert pseudonyms_of(ctx, [ADA])[ADA] != accounts(office)[1]
    assert [path.name for path in keys.glob("pseudonym*")] == ["pseudonym.key"]
    assert (keys / "pseudonym.key").read_bytes() != first


def test_people_have_another_key_take_its_place(office: Office) -> None:
    office.feedback(1, 40, ADA)
    carry(office)
    with office.open() as ctx:
        kept = keyverbs.rotate(ctx, "pseudonym", "none", None, destroy=False)
        assert len(kept.older) == 1
        gone = keyverbs.rotate(ctx, "pseudonym", "none", None, destroy=True)
        assert len(gone.destroyed) == 2
        assert pseudonyms_of(ctx, [ADA])[ADA] != accounts(office)[1]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("[account]", "[rating]", "no table of the class has its account in 'rating'"),
        ("[account]", "[account, rating]", "'rating' does not hold the account of 'feedback'"),
        ("pseudonymise: [account]", "pseudonymise: [account], redact: [rating]", "exactly one of redact, pseudonymise"),
        ("pseudonymise: [account]", "redact: [rating], keys: 1 year", "nothing is pseudonymised here"),
    ],
)
def test_what_is_no_account_is_not_pseudonymised(office: Office, old: str, new: str, what: str) -> None:
    office.edit("policies.yaml", old, new)
    with pytest.raises(Exception, match=re.escape(what)), office.open():
        pass


def test_a_column_in_which_others_find_their_account_stays(office: Office) -> None:
    with office.db() as db:
        db.execute("CREATE TABLE scores (id INTEGER PRIMARY KEY, feedback INTEGER, created TEXT)")
        db.execute("CREATE INDEX s ON scores (feedback)")
    office.edit(
        "datamap.yaml",
        "unmapped:",
        "  scores: {store: app, table: scores, key: [id], clock: {column: created}, class: scores,\n"
        "           account: {via: feedback, on: {feedback: id}, take: account}}\nunmapped:",
    )
    with pytest.raises(PolicyError, match="'scores' finds its account in 'account' of 'feedback'"), office.open():
        pass
