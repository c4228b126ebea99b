"""Forged, expired, foreign, self-given and replayed: each signature is refused with its own reason, exit code 4.

The signatures are real ones, of `ssh-keygen`. Somebody who can write into the ledger, and has no key of an approver,
puts them there.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState
from retentiond.engine import manual, signing, sshsig
from retentiond.engine.approvals import approval_text, approve, reject
from retentiond.engine.holds import add_hold
from retentiond.engine.manual import Manual
from retentiond.engine.purging import ask_purge
from retentiond.engine.running import apply_plan
from retentiond.engine.signing import Signed, request_text
from retentiond.errors import ApprovalError, ConfigError, Exit, RetentiondError
from retentiond.ports.rows import PlanRow
from tests.engine.office import NOW, Office, make_office, plan

TEXT_OF_SOMETHING_ELSE = "is not one of this text"
NOT_NAMED = "the approvers file does not name"
NO_SIGNATURE = "no SSH signature, or is cut short"
WHOLE_DAY = timedelta(hours=24)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice", "bob", "carol")
    add_key(office, "alice", "alice-2")
    office.request("due", 3, account="acct-zero")
    return office


def add_key(office: Office, principal: str, key: str, options: str = "") -> None:
    public = office.key(key).with_suffix(".pub").read_text("ascii").rsplit(" ", 1)[0]
    with (office.config / "approvers").open("a", encoding="ascii") as file:
        file.write(f"{principal} {options}{' ' if options else ''}{public}\n")


@dataclass
class Desk:
    """A plan that waits, and what signs for it."""

    office: Office
    plan: PlanRow
    instance: str

    @property
    def not_after(self) -> str:
        return (self.office.clock.at + WHOLE_DAY).strftime("%Y-%m-%dT%H:%M:%SZ")

    def text(self, **changes: str) -> str:
        given = {
            "instance": self.instance,
            "plan_sha256": self.plan.sha256,
            "verdict": "approve",
            "principal": "alice",
            "not_after": self.not_after,
        }
        return approval_text(**(given | changes))

    def sign(self, text: str, who: str = "alice", namespace: str = "retentiond") -> str:
        path = self.office.root / "message"
        path.write_text(text, "utf-8")
        key = str(self.office.key(who))
        command = ["ssh-keygen", "-Y", "sign", "-q", "-f", key, "-n", namespace, str(path)]
        path.with_name("message.sig").unlink(missing_ok=True)
        subprocess.run(command, check=True, capture_output=True)
        return path.with_name("message.sig").read_text("ascii")

    def good(self) -> str:
        return self.sign(self.text())


Forgery = Callable[[Desk], dict[str, str]]


def other_plan(desk: Desk) -> str:
    desk.office.edit("policies.yaml", "keep: 2 days", "keep: 1 days")
    with desk.office.open() as ctx:
        later = plan(ctx).plan
    desk.office.edit("policies.yaml", "keep: 1 days", "keep: 2 days")
    assert later is not None
    return later.sha256


def flipped(armoured: str) -> str:
    """Change one bit of the signature itself, which stands at the end."""
    first, *lines, last = armoured.strip().split("\n")
    blob = bytearray(base64.b64decode("".join(lines)))
    blob[-1] ^= 1
    return "\n".join([first, base64.b64encode(blob).decode(), last, ""])


def cut(armoured: str) -> str:
    first, *lines, last = armoured.strip().split("\n")
    return "\n".join([first, *lines[:-2], last, ""])


FORGERIES: dict[str, tuple[Forgery, str]] = {
    "a-key-that-nobody-named": (lambda d: {"signature": d.sign(d.text(), "mallory")}, NOT_NAMED),
    "another-persons-key": (lambda d: {"signature": d.sign(d.text(), "bob")}, "is bob's, not alice's"),
    "another-persons-name": (lambda d: {"signature": d.good(), "principal": "bob"}, TEXT_OF_SOMETHING_ELSE),
    "foreign-instance": (lambda d: {"signature": d.sign(d.text(instance="elsewhere"))}, TEXT_OF_SOMETHING_ELSE),
    "replayed-of-another-plan": (
        lambda d: {"signature": d.sign(d.text(plan_sha256=other_plan(d)))},
        TEXT_OF_SOMETHING_ELSE,
    ),
    "by-id-and-not-by-digest": (lambda d: {"signature": d.sign(d.text(plan_sha256=d.plan.id))}, TEXT_OF_SOMETHING_ELSE),
    "a-rejection": (lambda d: {"signature": d.sign(d.text(verdict="reject"))}, TEXT_OF_SOMETHING_ELSE),
    "another-version": (
        lambda d: {"signature": d.sign(d.text().replace("approval/v1", "approval/v2"))},
        TEXT_OF_SOMETHING_ELSE,
    ),
    "line-ends-of-windows": (lambda d: {"signature": d.sign(d.text().replace("\n", "\r\n"))}, TEXT_OF_SOMETHING_ELSE),
    "without-its-last-newline": (lambda d: {"signature": d.sign(d.text().rstrip())}, TEXT_OF_SOMETHING_ELSE),
    "one-line-more": (lambda d: {"signature": d.sign(d.text() + "and more\n")}, TEXT_OF_SOMETHING_ELSE),
    "longer-than-it-was-signed-for": (
        lambda d: {"signature": d.good(), "not_after": "2027-06-01T12:00:00Z"},
        TEXT_OF_SOMETHING_ELSE,
    ),
    "expired": (
        lambda d: {
            "signature": d.sign(d.text(not_after="2026-06-01T11:59:59Z")),
            "not_after": "2026-06-01T11:59:59Z",
        },
        "by alice had expired",
    ),
    "a-time-that-is-none": (lambda d: {"signature": d.good(), "not_after": "tomorrow"}, "by alice had expired"),
    "namespace-of-git": (lambda d: {"signature": d.sign(d.text(), namespace="git")}, "for 'git', and not for"),
    "namespace-of-files": (lambda d: {"signature": d.sign(d.text(), namespace="file")}, "for 'file', and not for"),
    "namespace-that-begins-alike": (
        lambda d: {"signature": d.sign(d.text(), namespace="retentiond2")},
        "for 'retentiond2', and not for",
    ),
    "truncated": (lambda d: {"signature": cut(d.good())}, NO_SIGNATURE),
    "without-its-end": (lambda d: {"signature": d.good()[:-60]}, NO_SIGNATURE),
    "empty": (lambda _: {"signature": ""}, NO_SIGNATURE),
    "no-signature-at-all": (lambda _: {"signature": "approved\n"}, NO_SIGNATURE),
    "one-bit-changed": (lambda d: {"signature": flipped(d.good())}, TEXT_OF_SOMETHING_ELSE),
    "a-public-key": (
        lambda d: {"signature": d.office.key("alice").with_suffix(".pub").read_text("ascii")},
        NO_SIGNATURE,
    ),
    "unsigned": (lambda _: {"signature": "", "principal": "single-operator"}, "counts only for a single operator"),
    "a-name-with-a-line-in-it": (
        lambda d: {"signature": d.good(), "principal": f"alice\n{d.not_after}"},
        TEXT_OF_SOMETHING_ELSE,
    ),
    "a-request-for-something-else": (lambda d: {"signature": d.sign(a_request(d))}, TEXT_OF_SOMETHING_ELSE),
}


def a_request(desk: Desk) -> str:
    return request_text(desk.instance, "approve", {"plan": desk.plan.sha256}, Signed("alice", "", "0" * 32))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_approval_is_refused_with_its_reason(office: Office, name: str) -> None:
    forge, reason = FORGERIES[name]
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        approve(ctx, row.id, office.key("alice"))
        with ctx.ledger.begin() as tx:
            (known,) = tx.approvals.of_plan(row.sha256)
        changes: dict[str, Any] = forge(Desk(office, row, ctx.terms.instance))  # type: ignore[assignment]
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            tx.approvals.add(replace(known, **changes))
        with pytest.raises(ApprovalError) as caught:
            apply_plan(ctx, row.id)
    assert reason in caught.value.what
    assert caught.value.exit_code is Exit.STOPPED
    assert caught.value.remedy
    assert office.rows() == {"due"}


def test_the_same_signature_unforged_is_accepted(office: Office) -> None:
    with office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        approve(ctx, row.id, office.key("alice"))
        desk = Desk(office, row, ctx.terms.instance)
        with ctx.ledger.begin() as tx:
            (known,) = tx.approvals.of_plan(row.sha256)
            tx.approvals.add(replace(known, signature=desk.good()))
        apply_plan(ctx, row.id)
    assert office.rows() == set()


def asked(office: Office, who: str = "alice") -> PlanRow:
    with office.open() as ctx:
        row = ask_purge(ctx, Scope("requests", keys=(b"due",)), "why", office.key(who)).planned.plan
    assert row is not None
    return row


def refused(office: Office, act: Callable[[Any], object], reason: str) -> None:
    with office.open() as ctx, pytest.raises(RetentiondError) as caught:
        act(ctx)
    assert reason in caught.value.what
    assert caught.value.exit_code is Exit.STOPPED
    assert office.rows() == {"due"}


@pytest.mark.parametrize("key", ["alice", "alice-2"], ids=["self-given", "self-given-with-a-second-key"])
def test_nobody_approves_their_own_request(office: Office, key: str) -> None:
    row = asked(office)
    refused(office, lambda ctx: approve(ctx, row.id, office.key(key)), "alice asked for plan")
    refused(office, lambda ctx: apply_plan(ctx, row.id), "waits for approval")


def test_a_self_given_approval_that_was_written_into_the_ledger_does_not_count(office: Office) -> None:
    row = asked(office)
    with office.open() as ctx:
        desk = Desk(office, row, ctx.terms.instance)
        approve(ctx, row.id, office.key("bob"))
        with ctx.ledger.begin() as tx:
            (known,) = tx.approvals.of_plan(row.sha256)
    other = asked(office, "bob")
    with office.open() as ctx:
        mine = replace(known, plan_sha256=other.sha256, principal="bob")
        signature = desk.sign(desk.text(plan_sha256=other.sha256, principal="bob"), "bob")
        with ctx.ledger.begin() as tx:
            tx.approvals.add(replace(mine, signature=signature))
            tx.plans.set_state(other.id, RunState.PLANNED)
    refused(office, lambda ctx: apply_plan(ctx, other.id), "needs 1 approvals and has 0")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: replace(m, reason="another"), TEXT_OF_SOMETHING_ELSE),
        (lambda m: replace(m, scope=Scope("requests", accounts=("acct-zero",))), TEXT_OF_SOMETHING_ELSE),
        (lambda m: replace(m, signed=replace(m.signed, principal="carol")), TEXT_OF_SOMETHING_ELSE),
        (lambda m: replace(m, signed=replace(m.signed, nonce="0" * 32)), TEXT_OF_SOMETHING_ELSE),
        (lambda m: replace(m, signed=replace(m.signed, signature="")), NO_SIGNATURE),
        (lambda m: replace(m, signed=Signed("single-operator", "")), "counts only for a single operator"),
        (lambda m: replace(m, at=m.at + timedelta(days=2)), "the request of alice had expired"),
    ],
    ids=["reason", "scope", "who", "nonce", "no-signature", "unsigned", "expired"],
)
def test_a_request_that_was_changed_after_it_was_signed(
    office: Office, change: Callable[[Manual], Manual], reason: str
) -> None:
    row = asked(office)
    with office.open() as ctx:
        approve(ctx, row.id, office.key("bob"))
        with ctx.ledger.begin() as tx:  # by somebody who has the wrapping key, too
            known = manual.manual_of(ctx, tx, row)
            assert known is not None
            manual.remember(ctx, tx, row.id, change(known))
    refused(office, lambda ctx: apply_plan(ctx, row.id), reason)


def test_a_request_of_another_plan_cannot_be_put_under_a_plan(office: Office) -> None:
    row, other = asked(office), asked(office, "carol")
    with office.open() as ctx:
        approve(ctx, row.id, office.key("bob"))
        with ctx.ledger.begin() as tx:
            tx.facts.set(f"purge:{row.id}", tx.facts.get(f"purge:{other.id}") or "")
        with pytest.raises(RetentiondError):
            apply_plan(ctx, row.id)
    assert office.rows() == {"due"}


def test_a_nonce_is_used_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing.secrets, "token_hex", lambda _: "7" * 32)
    scope = Scope(accounts=("acct-zero",))
    with office.open() as ctx:
        add_hold(ctx, scope, "Case 1", "", office.key("alice"))
    refused(office, lambda ctx: add_hold(ctx, scope, "Case 1", "", office.key("alice")), "was made before")
    with office.open() as ctx, ctx.ledger.begin() as tx:
        assert len(tx.holds.active()) == 1


def test_approve_after_reject_after_expiry_and_after_the_end(office: Office) -> None:
    row = asked(office)
    with office.open() as ctx:
        reject(ctx, row.id, office.key("carol"))
    refused(office, lambda ctx: approve(ctx, row.id, office.key("bob")), "is cancelled and waits for nobody")
    refused(office, lambda ctx: reject(ctx, row.id, office.key("bob")), "is cancelled and can't be rejected")
    late = asked(office)
    office.clock.at += WHOLE_DAY
    refused(office, lambda ctx: approve(ctx, late.id, office.key("bob")), "expired at")
    last = asked(office)
    with office.open() as ctx:
        approve(ctx, last.id, office.key("bob"))
        apply_plan(ctx, last.id)
        with pytest.raises(ApprovalError, match="is done and waits for nobody"):
            approve(ctx, last.id, office.key("carol"))


@pytest.mark.parametrize(
    "options", ['valid-before="20260601"', 'valid-after="20260602"'], ids=["no-longer-valid", "not-yet-valid"]
)
def test_a_key_outside_its_time_cannot_approve(office: Office, options: str) -> None:
    add_key(office, "dora", "dora", options)
    row = asked(office)
    refused(office, lambda ctx: approve(ctx, row.id, office.key("dora")), "a key that is not valid at 2026-06-01")


def test_a_key_that_nobody_named_cannot_ask_and_cannot_approve(office: Office) -> None:
    row = asked(office)
    refused(office, lambda ctx: approve(ctx, row.id, office.key("mallory")), "belongs to nobody")
    scope = Scope("requests", keys=(b"due",))
    refused(office, lambda ctx: ask_purge(ctx, scope, "why", office.key("mallory")), "belongs to nobody")


def test_one_key_under_two_names_is_no_approvers_file(office: Office) -> None:
    add_key(office, "alice-again", "alice")
    with pytest.raises(ConfigError, match="stands in line 1 already"), office.open():
        pass


def test_a_signature_is_looked_at_before_ssh_keygen_is_asked() -> None:
    blob = json.dumps({"not": "a signature"}).encode()
    armoured = f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(blob).decode()}\n-----END SSH SIGNATURE-----\n"
    with pytest.raises(ApprovalError, match="no SSH signature"):
        sshsig.verify("text", armoured, "", NOW)
