"""An instance whose log is in a bucket: moved there, added to, audited, and altered there."""

from __future__ import annotations

from pathlib import Path

import pytest

from retentiond.cli.auditing import audit_context
from retentiond.domain.hold import Scope
from retentiond.engine.approvals import approve
from retentiond.engine.checking import check
from retentiond.engine.docket import holds_in_force
from retentiond.engine.holds import add_hold
from retentiond.engine.recovery import recover
from retentiond.engine.running import apply_plan
from retentiond.errors import LogIntegrityError
from tests.audit.instance import found
from tests.engine.office import carry, make_office, plan
from tests.servers.versioned import Bucket, versioned_server


def test_a_log_that_moves_to_a_bucket_is_whole_there_and_audited_there(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    office.feedback(1, 40)
    carry(office)
    bucket = Bucket(versioning="", honours=frozenset(("if-none-match", "if-match")))
    with versioned_server(bucket) as server:
        office.edit("retentiond.yaml", "log: ../log", f"log: {{url: s3://my-log/of/one, endpoint: '{server.url}'}}")
        with office.open() as ctx:
            assert recover(ctx).rewritten.entries > 3
            office.feedback(2, 40)
            planned = plan(ctx)
            assert planned.plan is not None
            approve(ctx, planned.plan.id, None)
            apply_plan(ctx, planned.plan.id)
            whole, said = audit_context(ctx), check(ctx)
        assert (whole.findings, whole.audited.receipts) == ([], 2)
        assert "log s3://my-log/of/one/: a write with `If-Match` is honoured" in said.notes
        here = {key.decode().removeprefix("of/one/") for key in bucket.objects}
        there = {str(path.relative_to(tmp_path / "log")) for path in (tmp_path / "log").rglob("*.*") if path.is_file()}
        assert {name for name in there if not name.startswith("tile/")} <= here

        policy = next(key for key in bucket.objects if key.startswith(b"of/one/policies/"))
        bucket.put(policy, body=b"{}")
        bucket.put(b"of/one/tile/0/000", body=b"x" * 8192)
        said_then = found(office)
        assert len(said_then) == 2
        assert said_then[0].startswith("policies/")
        assert said_then[1].startswith("tile/0/000: the signed log of")


def test_a_hold_counts_although_the_bucket_cannot_be_reached(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    office.edit("retentiond.yaml", "log: ../log", "log: {url: s3://my-log, endpoint: 'http://127.0.0.1:1'}")
    with office.open() as ctx, pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", lambda _: None)
        with pytest.raises(LogIntegrityError, match="in force, but not yet logged: the log cannot be read"):
            add_hold(ctx, Scope(accounts=("acct-1",)), "Case-1", "", None)
        with ctx.ledger.begin() as tx:
            assert [hold.matter for hold in holds_in_force(ctx, tx)] == ["Case-1"]
