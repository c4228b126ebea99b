"""Many accounts that leave together: one pass over each dataset, a receipt for each, and nobody else is touched."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from retentiond.cli.dated import account_document, unowned_lines
from retentiond.cli.views import closure_document, stays_line
from retentiond.connectors.sqlite import database as sqlite_database
from retentiond.domain.account import AccountState, Remainder
from retentiond.domain.hold import Scope
from retentiond.domain.plan import Outcome, RunState, Trigger
from retentiond.domain.record import micros
from retentiond.engine import closing, closure_receipts
from retentiond.engine.accounts import account_status
from retentiond.engine.approvals import approve
from retentiond.engine.bundles import build_bundle, list_receipts
from retentiond.engine.closing import close_due, due_closures
from retentiond.engine.closures import cancel_closure, close_account
from retentiond.engine.context import Context
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.overview import status
from retentiond.engine.running import close_now, go_on_acting, has_work, run_all
from retentiond.errors import ConnectorError, NotFound
from retentiond.ports.rows import ReceiptRow
from retentiond.ports.stores import Acted, Order
from retentiond.service.metrics import of_status
from retentiond.verify import Verifier
from retentiond.verify.keyring import pin
from tests.engine.leavers import ask, contents, fill, names, states
from tests.engine.office import Office, Proxy, make_office
from tests.engine.postgres_office import on_postgresql
from tests.engine.test_waiting import DATAMAP as BUCKETS
from tests.engine.test_waiting import POLICIES as OF_BUCKETS
from tests.servers.postgres import Server
from tests.servers.versioned import versioned_server

CLOSED, CLOSING, GRACE = AccountState.CLOSED, AccountState.CLOSING, AccountState.GRACE


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = make_office(tmp_path)
    made.edit("policies.yaml", "per_day: 500, max_percent: 95", "per_day: 500, max_percent: 100")
    return made


def advance(office: Office) -> closing.Pass:
    with office.open() as ctx:
        return close_due(ctx, due_closures(ctx))


def receipts(ctx: Context, kind: str) -> list[ReceiptRow]:
    return [row for row in list_receipts(ctx) if row.kind == kind]


def predicate(row: ReceiptRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(row.envelope)["payload"]))["predicate"]
    return found


def leaf(bundle: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(bundle)["account"]["leaf"]))
    return found


def verifier(office: Office) -> Verifier:
    keys = office.root / "log" / "keys"
    pinned = pin([(keys / name).read_bytes() for name in ("issuer.pem", "log.vkey")])
    return Verifier(pinned, str(office.root / "log"))


class Scans(Proxy):
    """Counts the scans of each dataset."""

    seen: list[str]

    def scan(self, dataset: Any, cases: Any, wanted: Any) -> Any:
        self.seen.append(dataset.name)
        return self.real.scan(dataset, cases, wanted)


def record_count(number: int) -> int:
    """How many records `fill` gives an account."""
    return 4 if number % 10 == 0 else 3


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_clock_at_an_end_of_the_calendar_keeps_nobody_from_leaving(office: Office, end: str) -> None:
    ask(office, ["acct-1", "acct-2"])
    office.feedback(1, 1, "acct-1")
    with office.db() as db:
        db.execute("INSERT INTO feedback VALUES (2, 'acct-2', ?, 5)", (end,))
    office.feedback(3, 1, "acct-3")
    assert advance(office).failures == []
    assert office.rows("feedback") == {3}
    with office.open() as ctx, ctx.ledger.begin() as tx:
        (plan,) = tx.plans.in_state(RunState.DONE)
        assert len(tx.closures.in_state(CLOSED)) == 2
    (found,) = [each for each in plan.forecasts if each.due]
    assert found.oldest == min(micros(datetime.fromisoformat(end)), micros(office.clock.at - timedelta(days=1)))


def test_a_hundred_of_a_thousand_accounts_leave_in_one_run(office: Office) -> None:
    accounts = names(1_000)
    fill(office, accounts)
    leaving = [account for number, account in enumerate(accounts) if number % 10 == 3 or number < 10][:100]
    before = contents(office)
    closures = ask(office, leaving)
    seen: list[str] = []
    for store in ("app", "disk"):
        office.wraps[store] = type("Counting", (Scans,), {"seen": seen})
    with office.open() as ctx:
        session = run_all(ctx)
    assert (session.failures, session.stops, session.overdue) == ([], [], 0)
    assert {name: seen.count(name) for name in set(seen)} == {"requests": 3, "payloads": 3, "feedback": 3}

    assert contents(office) == {account: digest for account, digest in before.items() if account not in leaving}
    assert states(office, closures) == [CLOSED] * 100
    with office.open() as ctx:
        for account in leaving[:5]:
            remaining = account_status(ctx, account).remaining
            assert {count for _, count in remaining} == {0}
        of_closures, of_runs = receipts(ctx, "closure"), receipts(ctx, "run")
        assert (len(of_closures), len(of_runs)) == (100, 1)
        annex = json.loads(of_runs[0].annex)
        assert annex["residue"]["result"] == "clean"
        checked = verifier(office)
        by_closure = {row.closure: row for row in of_closures}
        assert set(by_closure) == set(closures)
        with ctx.ledger.begin() as tx:
            (plan,) = [row for row in tx.plans.in_state(*RunState) if row.trigger is Trigger.CLOSURE]
        assert plan.records == sum(record_count(accounts.index(account)) for account in leaving)
        for account, closure in zip(leaving, closures, strict=True):
            bundle = build_bundle(ctx, by_closure[closure], annex=False, account=account).encode()
            verdict = checked.verify(bundle)
            assert (verdict.valid, verdict.reason) == (True, None)
            assert verdict.outcome == "complete"
            own = leaf(bundle)
            assert own["records"] == own["actions"]["purged"] == record_count(accounts.index(account))
            # Nothing in it is of anybody else: one account, padded, and one run.
            assert predicate(by_closure[closure])["accounts"]["size"] == 16
            assert predicate(by_closure[closure])["runs"]["count"] == 1
            base = ctx.terms.receipts / "manifests" / f"{by_closure[closure].id}.items"
            rows = base.read_bytes()
            commitments = {rows[start : start + 32] for start in range(0, len(rows), 81)}
            assert commitments == {bytes.fromhex(own["account"])}
        for row in [*of_closures[:3], *of_runs]:
            assert checked.verify(Path(row.file).read_bytes()).valid


def test_what_the_run_and_the_closures_say_agrees(office: Office) -> None:
    accounts = names(30)
    fill(office, accounts)
    ask(office, accounts[:12])
    advance(office)
    with office.open() as ctx:
        (run,) = receipts(ctx, "run")
        for account in accounts[:12]:
            of_run = leaf(build_bundle(ctx, run, annex=False, account=account).encode())
            (mine,) = [
                bundle for row in receipts(ctx, "closure") if (bundle := bundle_of(ctx, row, account)) is not None
            ]
            same = ("records", "bytes", "actions", "oldest", "newest")
            assert {name: leaf(mine)[name] for name in same} == {name: of_run[name] for name in same}


def bundle_of(ctx: Context, row: ReceiptRow, account: str) -> bytes | None:
    try:
        return build_bundle(ctx, row, annex=False, account=account).encode()
    except NotFound:
        return None


# --- statements grow with the datasets, not with the accounts ---


@contextmanager
def statements_of_sqlite() -> Iterator[list[str]]:
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        begin = sqlite_database.Database.__init__

        def traced(self: Any, *arguments: Any, **named: Any) -> None:
            begin(self, *arguments, **named)
            connection: sqlite3.Connection = self._connection
            connection.set_trace_callback(seen.append)

        patch.setattr(sqlite_database.Database, "__init__", traced)
        yield seen


@contextmanager
def statements_of_postgresql() -> Iterator[list[str]]:
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        execute = psycopg.Cursor.execute

        def counted(self: Any, query: Any, *arguments: Any, **named: Any) -> Any:
            seen.append(str(query))
            return execute(self, query, *arguments, **named)

        patch.setattr(psycopg.Cursor, "execute", counted)
        yield seen


@pytest.mark.parametrize("place", ["sqlite", "postgresql"])
def test_statements_do_not_grow_with_the_accounts(place: str, office: Office, request: pytest.FixtureRequest) -> None:
    """The same 200 rows are those of 10 accounts, or of 100."""
    counting: Callable[[], Any] = statements_of_sqlite
    if place == "postgresql":
        server: Server = request.getfixturevalue("postgresql_newest")
        database = request.getfixturevalue("database_of_office")
        on_postgresql(office, server, database)
        counting = statements_of_postgresql
    counts = []
    for size in (10, 100):
        with office.db() as db:
            for number in range(200):
                row = (f"r-{size}-{number}", f"acct-{size}-{number % size}", office.ago(1), 0, None, None)
                db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)", row)
        closures = ask(office, [f"acct-{size}-{number}" for number in range(size)])
        with counting() as seen:
            advance(office)
        assert states(office, closures) == [CLOSED] * size
        counts.append(len(seen))
    assert 0 < counts[0] == counts[1]


@pytest.fixture
def database_of_office(request: pytest.FixtureRequest) -> Iterator[str]:
    server: Server = request.getfixturevalue("postgresql_newest")
    with server.database() as name:
        yield name


def test_requests_to_a_bucket_do_not_grow_with_the_accounts(office: Office) -> None:
    counts = []
    with versioned_server() as server:
        (office.config / "datamap.yaml").write_text(BUCKETS.format(url=server.url), "utf-8")
        (office.config / "policies.yaml").write_text(OF_BUCKETS, "utf-8")
        for size in (10, 100):
            for number in range(200):
                server.bucket.put(f"acct-{size}-{number % size}/{number}", timedelta(days=1))
            closures = ask(office, [f"acct-{size}-{number}" for number in range(size)])
            before = len(server.seen)
            advance(office)
            counts.append(len(server.seen) - before)
            assert states(office, closures) == [CLOSED] * size
            assert not any(server.bucket.objects.values())
    assert 0 < counts[0] == counts[1]


# --- what keeps one closure keeps no other ---


def test_a_hold_on_one_account_keeps_only_that_closure(office: Office) -> None:
    accounts = names(6)
    fill(office, accounts)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(accounts[2],)), "Case-1", "", None)
    closures = ask(office, accounts[:4])
    advance(office)
    assert states(office, closures) == [CLOSED, CLOSED, CLOSING, CLOSED]
    assert set(contents(office)) == {accounts[2], *accounts[4:]}
    with office.open() as ctx:
        (stays,) = status(ctx).closures
        assert (stays.id, stays.remainder) == (closures[2], Remainder(held=3))
        assert closure_document(stays)["stays"]["held"] == 3
        assert stays_line(stays) == "3 held"
        found = status(ctx)
        assert (found.closures_past_deadline, found.closure_records_overdue) == (0, 0)
        office.clock.at += timedelta(days=31)
        assert status(ctx).closures_past_deadline == 1
        told = {each.name: each.samples[0].value for each in of_status(status(ctx), ctx.now(), 0) if each.samples}
        assert told["retentiond_closures_past_deadline"] == 1
        assert told["retentiond_closure_overdue_records"] == 0
        office.clock.at -= timedelta(days=31)
        release_hold(ctx, "Case-1", None)
        run_all(ctx)
        assert receipts(ctx, "closure")[-1].closure == closures[2]
    assert states(office, closures) == [CLOSED] * 4


def test_what_may_be_of_one_account_keeps_only_that_closure(office: Office) -> None:
    office.edit(
        "datamap.yaml",
        "    account: account\n    class: content",
        "    account: [account, payload]\n    class: content",
    )
    office.edit("datamap.yaml", "    blobs: {column: payload, dataset: payloads}\n", "")
    office.edit("datamap.yaml", "    follows: requests\n", "")
    office.edit("datamap.yaml", "    class: content\n    clock: modified", "    class: files\n    clock: modified")
    office.edit("datamap.yaml", "unmapped: refuse", "unmapped: report")
    with office.db() as db:
        for key, account, payload in (
            ("a", "acct-a", "acct-x"),
            ("b", "acct-b", "acct-c"),
            ("c", "acct-c", b"\x00\x01"),
        ):
            db.execute("INSERT INTO requests VALUES (?, ?, ?, 0, ?, NULL)", (key, account, office.ago(1), payload))
    closures = ask(office, ["acct-a", "acct-b", "acct-c"])
    advance(office)
    assert office.rows() == {"c"}
    assert states(office, closures) == [CLOSED, CLOSED, CLOSING]
    with office.open() as ctx:
        assert [row.remainder for row in status(ctx).closures] == [Remainder(undetermined=1)]
        shared = {row.closure: row for row in receipts(ctx, "closure")}
        assert leaf(build_bundle(ctx, shared[closures[1]], annex=False, account="acct-b").encode())["records"] == 1
    with office.db() as db:
        db.execute("DELETE FROM requests")
    with office.open() as ctx:
        run_all(ctx)
        # What it shared with another one that left is in its own receipt, too.
        (own,) = [row for row in receipts(ctx, "closure") if row.closure == closures[2]]
        assert leaf(build_bundle(ctx, own, annex=False, account="acct-c").encode())["records"] == 1


class Down(Proxy):
    """A store that does not answer."""

    down = True

    def scan(self, dataset: Any, cases: Any, wanted: Any) -> Any:
        if type(self).down and dataset.name == "feedback":
            raise ConnectorError("no answer", where=dataset.store, remedy="wait", transient=True)
        return self.real.scan(dataset, cases, wanted)


def test_nobody_is_closed_while_a_dataset_cannot_be_looked_at(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = names(4)
    fill(office, accounts)
    closures = ask(office, accounts[:3])
    office.wraps["app"] = Down
    done = advance(office)
    assert [name for name, _ in done.left_out] == ["feedback"]
    assert states(office, closures) == [CLOSING] * 3
    with office.open() as ctx:
        seen = status(ctx).closures[0].remainder
        assert seen is not None
        assert seen.unseen[0].startswith("dataset feedback: ")
        assert receipts(ctx, "closure") == []
    assert all(key.startswith("r-3") for key in office.rows())  # what could go went
    monkeypatch.setattr(Down, "down", False)
    with office.open() as ctx:
        run_all(ctx)
    assert states(office, closures) == [CLOSED] * 3


def test_one_account_above_the_cap_waits_for_a_person_and_the_others_do_not(office: Office) -> None:
    office.edit("policies.yaml", "per_day: 500, max_percent: 100", "per_day: 500, max_percent: 20")
    accounts = names(10)
    fill(office, accounts, payload_each=1)
    with office.db() as db:
        for number in range(20):
            row = (f"many-{number}", accounts[0], office.ago(1), 0, None, None)
            db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)", row)
    closures = ask(office, accounts[:5])
    done = advance(office)
    assert states(office, closures) == [CLOSING, *[CLOSED] * 4]
    (stop,) = done.stops
    assert stop.guard == "closure-cap"
    assert "22 of 40 records of requests are of one account that leaves: 55.0 %" in stop.what
    assert accounts[0] not in stop.what
    assert done.overdue == 24
    with office.open() as ctx:
        done = close_due(ctx, due_closures(ctx))  # no second plan while one waits
        with ctx.ledger.begin() as tx:
            (waiting,) = tx.plans.in_state(RunState.WAITING)
        approve(ctx, waiting.id, None)
        assert has_work(ctx)
        go_on_acting(ctx)
    assert states(office, closures) == [CLOSED] * 5


def test_no_more_begin_in_a_day_than_the_limit_says(office: Office) -> None:
    office.edit("policies.yaml", "per_day: 500", "per_day: 3")
    accounts = names(8)
    fill(office, accounts)
    closures = ask(office, accounts)
    office.clock.at += timedelta(days=5)  # all of them have been due for days
    for hours, begun in ((0, 3), (1, 3), (23, 6), (24, 8)):
        office.clock.at += timedelta(hours=hours)
        advance(office)
        assert states(office, closures).count(CLOSED) == begun
    assert contents(office) == {}


def test_the_limit_counts_for_an_account_without_grace_too(office: Office) -> None:
    office.edit("policies.yaml", "per_day: 500", "per_day: 1")
    fill(office, ["one", "two"])
    with office.open() as ctx:
        for account in ("one", "two"):
            close_now(ctx, close_account(ctx, account, "left", None))
        assert [account_status(ctx, each).state for each in ("one", "two")] == [CLOSED, GRACE]
        office.clock.at += timedelta(days=1, minutes=1)
        run_all(ctx)
        assert account_status(ctx, "two").state is CLOSED


def test_none_begins_while_the_instance_only_observes(office: Office) -> None:
    fill(office, ["one", "two"])
    one, _ = closures = ask(office, ["one", "two"])
    office.edit("retentiond.yaml", "mode: enforce", "mode: observe")
    advance(office)
    with office.open() as ctx:
        assert not has_work(ctx)
        assert cancel_closure(ctx, "one", None).id == one
    office.edit("retentiond.yaml", "mode: observe", "mode: enforce")
    advance(office)
    assert states(office, closures) == [AccountState.OPEN, CLOSED]
    assert set(contents(office)) == {"one"}


# --- late writers, new data, another closure ---


class LateWriter(Proxy):
    """An application that writes for an account that leaves, whenever something of it was removed."""

    office: Office
    account = ""
    most = 0
    written = 0

    def act(self, order: Order) -> Acted:
        acted = self.real.act(order)
        own = type(self)
        if own.written < own.most:
            own.written += 1
            own.office.request(f"late-{own.written}", 0, account=own.account)
        return acted


def late(office: Office, account: str, most: int) -> None:
    office.wraps["app"] = type("Late", (LateWriter,), {"office": office, "account": account, "most": most})


def test_what_a_late_writer_adds_goes_in_the_same_run(office: Office) -> None:
    fill(office, names(3))
    closures = ask(office, names(3)[:2])
    late(office, names(3)[0], most=2)
    done = advance(office)
    assert office.wraps["app"].written == 2  # type: ignore[attr-defined]
    assert set(contents(office)) == {names(3)[2]}
    assert states(office, closures) == [CLOSED] * 2
    assert done.overdue == 0
    with office.open() as ctx:
        counts = [predicate(row)["runs"]["count"] for row in receipts(ctx, "closure")]
    assert sorted(counts) == [1, len(done.carried)]


def test_a_writer_that_never_ends_does_not_keep_the_run_from_ending(office: Office) -> None:
    fill(office, names(3))
    closures = ask(office, names(3)[:2])
    late(office, names(3)[0], most=1_000)
    done = advance(office)
    assert len(done.carried) == closing.ROUNDS
    assert states(office, closures) == [CLOSING, CLOSED]
    assert done.overdue == 1
    with office.open() as ctx:
        assert [row.remainder for row in status(ctx).closures] == [Remainder(due=1)]
    office.wraps.clear()
    advance(office)
    assert states(office, closures) == [CLOSED] * 2


class LyingLateWriter(LateWriter):
    """The store says that it removed something, and has not; meanwhile the application writes for somebody else."""

    def act(self, order: Order) -> Acted:
        own = type(self)
        if own.written < own.most:
            own.written += 1
            own.office.request(f"late-{own.written}", 0, account=own.account)
        return Acted([Outcome.DONE] * len(order.records))


def test_the_last_look_is_after_the_last_act(office: Office) -> None:
    office.request("stuck", 1, account="stuck")
    closures = ask(office, ["stuck", "empty"])
    office.wraps["app"] = type("Lying", (LyingLateWriter,), {"office": office, "account": "empty", "most": 1})
    advance(office)
    assert states(office, closures) == [CLOSING, CLOSING]
    office.wraps.clear()
    advance(office)
    assert states(office, closures) == [CLOSED, CLOSED]
    assert contents(office) == {}


def test_what_is_closed_gets_no_second_receipt(office: Office) -> None:
    fill(office, ["gone"])
    (closure,) = ask(office, ["gone"])
    advance(office)
    with office.open() as ctx:
        closure_receipts.issue_closure_receipts(ctx, {"gone": closure})
        assert len(receipts(ctx, "closure")) == 1


def test_what_comes_after_a_closure_is_not_touched_by_it(office: Office) -> None:
    fill(office, names(4))
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(names(4)[1],)), "Case-1", "", None)
    closures = ask(office, names(4)[:2])
    advance(office)
    assert states(office, closures) == [CLOSED, CLOSING]
    office.request("again", 1, account=names(4)[0], payload="again")
    with office.open() as ctx:
        release_hold(ctx, "Case-1", None)
        run_all(ctx)
    assert states(office, closures) == [CLOSED] * 2
    assert "again" in office.rows()
    assert office.blobs() == {"again"}


def test_an_account_that_leaves_again_gets_a_new_receipt_and_the_old_one_stands(office: Office) -> None:
    fill(office, names(3))
    (first,) = ask(office, names(3)[:1])
    advance(office)
    office.request("again", 1, account=names(3)[0])
    (second,) = ask(office, names(3)[:1])
    advance(office)
    assert states(office, [first, second]) == [CLOSED] * 2
    with office.open() as ctx:
        old, new = receipts(ctx, "closure")
        assert (old.closure, new.closure) == (first, second)
        for row, count in ((old, 4), (new, 1)):
            bundle = build_bundle(ctx, row, annex=False, account=names(3)[0]).encode()
            assert verifier(office).verify(bundle).valid
            assert leaf(bundle)["records"] == count


def test_a_closure_cancelled_in_its_grace_is_left_out_of_the_pass(office: Office) -> None:
    fill(office, names(3))
    closures = ask(office, names(3)[:2])
    with office.open() as ctx:
        seen = due_closures(ctx)
        cancel_closure(ctx, names(3)[0], None)
        close_due(ctx, seen)
    assert states(office, closures) == [AccountState.OPEN, CLOSED]
    assert set(contents(office)) == {names(3)[0], names(3)[2]}


# --- what was begun goes on ---


class Killed(BaseException):
    """The process ends here."""


def moments() -> Iterator[tuple[object, str, Callable[..., Any]]]:
    yield closing, "_begin", closing._begin
    yield closing, "make_plan", closing.make_plan
    yield closing, "carry_out_chain", closing.carry_out_chain
    yield closing, "_keep", closing._keep
    yield closing, "issue_closure_receipts", closing.issue_closure_receipts
    yield closure_receipts, "confirm", closure_receipts.confirm
    yield closure_receipts, "deliver", closure_receipts.deliver
    yield closure_receipts, "write_bundles", closure_receipts.write_bundles


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("place", range(8))
def test_whatever_step_it_dies_at_it_goes_on(
    place: int, after: int, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closure_receipts, "AT_ONCE", 2)
    accounts = names(7)
    fill(office, accounts)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(accounts[0],)), "Case-1", "", None)
    closures = ask(office, accounts[:6])
    owner, name, real = list(moments())[place]

    def dies(*arguments: Any, **named: Any) -> Any:
        if after:
            found = real(*arguments, **named)
            if name == "carry_out_chain":
                next(found)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        with pytest.raises(Killed):
            advance(office)
    with office.open() as ctx:
        run_all(ctx)
        assert [row.file for row in list_receipts(ctx) if not Path(row.file).exists()] == []
    assert states(office, closures) == [CLOSING, *[CLOSED] * 5]
    with office.open() as ctx:
        release_hold(ctx, "Case-1", None)
        run_all(ctx)
        of_closures = receipts(ctx, "closure")
        assert sorted(row.closure for row in of_closures) == sorted(closures)
        checked = verifier(office)
        for row in of_closures:
            assert checked.verify(Path(row.file).read_bytes()).valid
        with ctx.ledger.begin() as tx:
            assert not tx.plans.in_state(RunState.RUNNING, RunState.STOPPED, RunState.PLANNED, RunState.WAITING)
    assert set(contents(office)) == {accounts[6]}


def test_a_closure_that_stays_is_looked_at_when_a_run_is_due_and_not_between(office: Office) -> None:
    fill(office, names(2))
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(names(2)[0],)), "Case-1", "", None)
        assert not has_work(ctx)
    ask(office, names(2)[:1])
    with office.open() as ctx:
        assert has_work(ctx)
        go_on_acting(ctx)
        assert not has_work(ctx)
        release_hold(ctx, "Case-1", None)
        run_all(ctx)
        assert account_status(ctx, names(2)[0]).state is CLOSED


@pytest.mark.parametrize("nobodys", [0, 13])
def test_rows_of_unknown_owners_keep_no_account_and_its_receipt_says_how_many(office: Office, nobodys: int) -> None:
    fill(office, ["gone", "stays"])
    for number in range(nobodys):
        office.request(f"nobody-{number}", 1, account=None)
    (closure,) = ask(office, ["gone"])
    told = [{"dataset": "requests", "records": nobodys}] if nobodys else []
    with office.open() as ctx:
        document = account_document(account_status(ctx, "gone"))
        assert (document["state"], document["unowned"]) == ("grace", told)
        assert {each["dataset"]: each["remaining"] for each in document["datasets"]} == {
            "requests": 2, "payloads": 1, "feedback": 1
        }  # fmt: skip
    advance(office)
    assert states(office, [closure]) == [CLOSED]
    assert len(office.rows()) == 2 + nobodys
    with office.open() as ctx:
        found = account_status(ctx, "gone")
        assert account_document(found)["unowned"] == told
        assert dict(found.remaining) == {"requests": 0, "payloads": 0, "feedback": 0}
        (row,) = receipts(ctx, "closure")
        assert verifier(office).verify(build_bundle(ctx, row, annex=False, account="gone").encode()).valid
    said = [each["what"] for each in predicate(row)["notCovered"] if "owners" in each["what"]]
    assert said == ([f"{nobodys} records of unknown owners"] if nobodys else [])
    assert any("whose they are: 13" in line for line in unowned_lines(found)) == bool(nobodys)
