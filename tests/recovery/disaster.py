"""An instance with a history: a run, holds and releases, closures and cancellations, approvals, then copies, then more.

Everything that may be lost can be put back to the copies of halfway through, or taken away altogether.
"""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from retentiond.cli import cli
from retentiond.domain.account import AccountState
from retentiond.domain.hold import Hold, Scope
from retentiond.engine.accounts import account_status
from retentiond.engine.approvals import approve
from retentiond.engine.closures import cancel_closure, close_account
from retentiond.engine.holds import add_hold, list_holds, release_hold
from retentiond.engine.running import apply_plan, run_all
from retentiond.errors import RetentiondError
from retentiond.settings import read_where
from tests.engine.office import Office, plan

HELD, KEPT = "acct-'held'\n\u202e", "acct-kept"
LEDGER, LOG, JOURNAL, BUNDLES = "ledger.db", "log", "journal", "receipts"


@dataclass
class Disaster:
    """The instance, its copies, and what an outsider had seen of it."""

    office: Office
    alice: Path = field(init=False)
    approved: str = ""
    open: int = 0

    def __post_init__(self) -> None:
        office = self.office
        office.name_approvers("alice", "bob")
        self.alice = office.key("alice")
        office.edit("policies.yaml", "grace: none", "grace: 2 days")
        for number in range(6):
            office.request(f"{number}-old", 40, account=(HELD, KEPT, "acct-a")[number % 3])
            office.hide(f"{number}-old", 10)
        for number, account in enumerate((HELD, "acct-leaves", "acct-stays")):
            office.feedback(number, 3, account)
        self._first_half()
        self.copies = office.root / "copies"
        with office.open() as ctx:
            self.copies.mkdir()
            (office.root / BUNDLES).mkdir(exist_ok=True)
            ctx.ledger.backup(self.copies / LEDGER)
        for name in (LOG, JOURNAL, BUNDLES):
            shutil.copytree(office.root / name, self.copies / name)
        self._second_half()
        self.holds = self._holds()
        self.states = self._states()
        self.receipts = self._receipts()
        self.checkpoint = (office.root / LOG / "checkpoint").read_bytes()
        self.log = self.files(LOG)

    def _first_half(self) -> None:
        """Two holds, a run of another policy, a closure that will be cancelled, and one that will be carried out."""
        with self.office.open() as ctx:
            add_hold(ctx, Scope(accounts=(HELD,)), "Case 1", "first", self.alice)
            add_hold(ctx, Scope("feedback", keys=(b"1",)), "Case 2", "", self.alice)
            close_account(ctx, "acct-stays", "by mistake", self.alice)
            close_account(ctx, "acct-leaves", "asked to", self.alice)
            row = plan(ctx, "content").plan
            assert row is not None
            self.approved = row.id

    def _second_half(self) -> None:
        """Everything after the copies: what an old ledger knows nothing of."""
        with self.office.open() as ctx:
            release_hold(ctx, "Case 2", self.alice)
            condition = read_where("{flagged: true}", "requests", ctx.datamap)
            add_hold(ctx, Scope("requests", condition=condition), "Case 3", "third", self.alice)
            add_hold(ctx, Scope(accounts=(KEPT,)), "Case 4", "", self.alice)
            cancel_closure(ctx, "acct-stays", self.alice)
            approve(ctx, self.approved, self.alice)
            apply_plan(ctx, self.approved)
        self._late("9-late")
        self.office.clock.at += timedelta(days=3)
        with self.office.open() as ctx:
            run_all(ctx)
        self._late("10-open")
        with self.office.open() as ctx:
            row = plan(ctx, "content").plan
            assert row is not None
            self.open = row.log_index

    def _late(self, key: str) -> None:
        self.office.request(key, 41)
        self.office.hide(key, 10)

    def files(self, name: str) -> dict[str, bytes]:
        """Return a directory's files by path, without those that a log discards as it grows."""
        base = self.office.root / name
        return {str(path.relative_to(base)): path.read_bytes() for path in sorted(base.rglob("*")) if path.is_file()}

    def goes_back(self, *names: str) -> None:
        """Put copies of halfway through in the place of what is there now."""
        self.vanishes(*names)
        for name in names:
            source, target = self.copies / name, self.office.root / name
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)

    def vanishes(self, *names: str) -> None:
        """Take away what is there now."""
        for name in names:
            for path in self.office.root.glob(f"{name}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def call(self, *arguments: str) -> tuple[int, Any]:
        """Call the program, in this process; return its exit code and its document, or None where it failed."""
        said = io.StringIO()
        with redirect_stdout(said):
            try:
                code = cli.main(("--config", str(self.office.config), "--json", *arguments), standalone_mode=False)
            except RetentiondError as error:
                return int(error.exit_code), None
        return int(code or 0), json.loads(said.getvalue())

    def needed(self, log: dict[str, bytes]) -> dict[str, bytes]:
        """Return the files of a log without partial tiles that a wider one of the same place replaced."""
        widest: dict[str, int] = {}
        for place, _, width in (path.rpartition("/") for path in log):
            if place.endswith(".p"):
                widest[place] = max(int(width), widest.get(place, 0))
        return {path: data for path, data in log.items() if _is_widest(path, widest)}

    def _holds(self) -> list[Hold]:
        with self.office.open() as ctx:
            return list_holds(ctx)

    def holds_now(self) -> list[Hold]:
        return self._holds()

    def _states(self) -> dict[str, AccountState]:
        with self.office.open() as ctx:
            return {account: account_status(ctx, account).state for account in ("acct-leaves", "acct-stays", "acct-a")}

    def states_now(self) -> dict[str, AccountState]:
        return self._states()

    def _receipts(self) -> set[tuple[str, str, int]]:
        with closing(sqlite3.connect(self.office.root / LEDGER)) as db:
            return set(db.execute("SELECT id, entry_sha256, log_index FROM receipts"))

    def receipts_now(self) -> set[tuple[str, str, int]]:
        return self._receipts()


def _is_widest(path: str, widest: dict[str, int]) -> bool:
    place, _, width = path.rpartition("/")
    return place not in widest or int(width) == widest[place]
