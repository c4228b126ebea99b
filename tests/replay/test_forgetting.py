"""After a hundred closures nothing that the ledger leaves names one of the accounts, and a replay still finds them."""

from __future__ import annotations

import io
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from retentiond import telemetry
from retentiond.bootstrap import initialise
from retentiond.bootstrap.initialising import Names
from retentiond.domain.hold import Scope
from retentiond.engine.approvals import approve
from retentiond.engine.blobs import BlobIndex
from retentiond.engine.checking import check
from retentiond.engine.closures import close_account
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.overview import status
from retentiond.engine.purging import ask_purge
from retentiond.engine.replaying import replay
from retentiond.engine.running import apply_plan, run_all
from retentiond.errors import UsageError
from tests.engine.leavers import ask, fill
from tests.engine.office import Office, make_office
from tests.replay.restoring import back_up, everything, restore
from tests.replay.searching import files_below, forms, hits
from tests.replay.test_check import run
from tests.replay.test_replay import age, settle
from tests.servers.postgres import Server

HOSTILE = ('it\'s "me"; --', "\u202e\U0001f5d1", "<b>%2e", "line\nbreak", "../x", "__proto__", "nul\x01", "ünïcödé")


def accounts(count: int) -> list[str]:
    """Name accounts that stand in nothing by chance."""
    return [f"acct-{secrets.token_hex(6)}{HOSTILE[n] if n < len(HOSTILE) else ''}" for n in range(count)]


def test_the_search_finds_each_form(tmp_path: Path) -> None:
    for number, form in enumerate(sorted(forms("acct-it's \u202e"))):
        (tmp_path / str(number)).write_bytes(b"before" + form + b"after")
        assert hits([tmp_path / str(number)], ["acct-it's \u202e"])
    (tmp_path / "none").write_bytes(b"acct-it is")
    assert hits([tmp_path / "none"], ["acct-it's \u202e"]) == []


@dataclass
class Scene:
    """A hundred accounts that left, of a hundred and thirty; and what is to be there once more after a restore."""

    office: Office
    leaving: list[str]
    backup: Path
    expected: dict[str, set[Any]]

    @property
    def own(self) -> list[Path]:
        """Where an instance writes: configuration, log, receipts, manifests and journal."""
        return [self.office.root / name for name in ("config", "log", "receipts", "journal")]

    def come_back(self) -> None:
        restore(self.office, self.backup)
        with self.office.open() as ctx:
            done = replay(ctx)
        assert (done.back, done.session.failures, done.session.stops) == (100, [], [])
        assert everything(self.office) == self.expected


def closed(office: Office) -> Scene:
    office.edit("policies.yaml", "max_percent: 95", "max_percent: 100")
    everybody = accounts(130)
    leaving = everybody[:100]
    fill(office, everybody, requests=1)
    settle(office)
    backup = back_up(office)
    with office.open() as ctx:
        for account in leaving[:25]:
            close_account(ctx, account, f"{account} wrote that it leaves", None)
        add_hold(ctx, Scope(accounts=tuple(leaving[:3])), "matter-1", f"keeps {leaving[0]}", None)
        status(ctx)
        check(ctx)
    ask(office, leaving[25:])
    with office.open() as ctx:
        run_all(ctx)
        release_hold(ctx, "matter-1", None)
    age(office, hours=7)
    run(office)
    age(office, hours=7)
    run(office)
    expected = everything(office)
    assert not {row[1] for row in expected["requests"]} & set(leaving)
    return Scene(office, leaving, backup, expected)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Have everything that is logged written here, whatever was configured before."""
    before, stream = structlog.get_config(), io.StringIO()
    telemetry.configure(stream, verbose=True)
    yield stream
    structlog.configure(**before)


def test_a_search_of_all_files_finds_none_of_a_hundred_closed_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    office = make_office(tmp_path)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    scene = closed(office)
    with office.open():  # as long as it is open, there is a write-ahead log
        searched = files_below(*scene.own, temporary, *office.root.glob("ledger*"))
        assert {"ledger.db", "ledger.db-wal", "ledger.db-shm"} <= {path.name for path in searched}
        assert hits(searched, scene.leaving) == []
    said = capfd.readouterr()
    told = (lines.getvalue() + said.out + said.err).encode()
    assert b"closure" in told
    assert not [form for account in scene.leaving for form in forms(account) if form in told]
    scene.come_back()


def test_a_search_of_a_dump_of_the_ledger_finds_none_of_them(tmp_path: Path, postgresql_newest: Server) -> None:
    with postgresql_newest.database() as database:
        office = make_office(tmp_path)
        office.environ = {"LEDGER_DSN": postgresql_newest.dsn(database)}
        kept = {name: (office.config / name).read_text("utf-8") for name in ("datamap.yaml", "policies.yaml")}
        for each in (office.config, office.root / "log", office.root / "keys"):
            shutil.rmtree(each, ignore_errors=True)
        initialise(
            office.config,
            state="..",
            names=Names(ledger_dsn_env="LEDGER_DSN"),
            clock=office.clock,
            environ=office.environ,
        )
        for name, text in kept.items():
            (office.config / name).write_text(text, "utf-8")
        office.edit("retentiond.yaml", "single_operator: false", "single_operator: true")
        office.edit("retentiond.yaml", "plan_expires: 24 hours", "plan_expires: 24 hours\nclock_ahead: 1000 days")
        scene = closed(office)
        dump = tmp_path / "ledger.sql"
        dump.write_text(postgresql_newest.run("pg_dump", "--format=plain", postgresql_newest.dsn(database)), "utf-8")
        assert "COPY retentiond.closures" in dump.read_text("utf-8")
        assert hits([dump, *files_below(*scene.own)], scene.leaving) == []
        scene.come_back()


def test_a_process_that_is_killed_leaves_no_name_in_a_scratch_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with BlobIndex() as index:
        index.refer([f"name-{number}" for number in range(50_000)])
        assert hits(files_below(tmp_path), ["name-4711"]) == []


def test_a_request_to_purge_is_forgotten_with_the_names_of_what_it_removed(office: Office) -> None:
    account = accounts(1)[0]
    office.request("gone", 3, account=account)
    with office.open() as ctx:
        asked = ask_purge(ctx, Scope(dataset="requests", accounts=(account,)), "ticket 7", None)
        assert asked.planned.plan is not None
        approve(ctx, asked.planned.plan.id, None)
        apply_plan(ctx, asked.planned.plan.id)
        fact = f"purge:{asked.planned.plan.id}"
    for days, kept in ((6, True), (2, False)):
        age(office, days=days)
        with office.open() as ctx:
            run_all(ctx)
            with ctx.ledger.begin() as tx:
                assert bool(tx.facts.get(fact)) is kept
    assert hits(files_below(*office.root.glob("ledger*")), [account]) == []
    with office.open() as ctx:
        assert replay(ctx).by_hand == 1


def test_a_reason_that_names_whose_records_go_is_refused(office: Office) -> None:
    scope = Scope(dataset="requests", accounts=("acct-7",))
    with office.open() as ctx, pytest.raises(UsageError, match="the reason names the account"):
        ask_purge(ctx, scope, "leaked by acct-7 (see ticket)", None)
    office.request("gone", 3, account="acct-7")
    with office.open() as ctx:
        assert ask_purge(ctx, scope, "leaked by acct-77, ticket acct-7b", None).planned.plan is not None


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = make_office(tmp_path)
    made.edit("policies.yaml", "max_percent: 95", "max_percent: 100")
    settle(made)
    return made
