"""The four invariants, judged by somebody who shares no code with the program.

I1 nothing outside of the plan is gone · I2 nothing marked done is still there · I3 exactly one receipt for the plan,
and its counts are the oracle's · I4 every checkpoint ever seen is a prefix of the log. Entries, roots and notes are
read as C2SP's specifications and RFC 9162 say, signatures with `cryptography`, the ledger as plain SQLite.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature

from tests.faults.keeping import Row
from tests.faults.papers import Paper, open_checkpoint, plans_without_one_end, read_entries, read_papers, tree_root
from tests.faults.world import ACCOUNTS, Seen, World

DATASETS = ("events", "requests", "exports", "payloads")


@dataclass(slots=True)
class Oracle:
    """Looks at a world before, during and after a run.

    Attributes:
        carried: Records that may be left although they were due, by dataset: the run was told to leave them.
        told: How many accounts' own receipts are read; each takes a start of the program.
        earlier: Receipts of before, which count what `before` does not have any more.
    """

    world: World
    before: Seen
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    carried: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    told: int = 0
    earlier: set[str] = field(default_factory=set)

    def say(self, what: str) -> None:
        self.violations.append(what)

    def glance(self) -> None:
        """Check what must hold at any moment, also right after a kill."""
        now = self.world.look()
        self._nothing_else_gone(now)
        outcomes, notes = self.world.keeping.ask(_OUTCOMES, "SELECT note FROM log_checkpoint")
        if not self.earlier:  # what ended before is not in `before`
            self._done_is_gone(now, add_up(outcomes))
        self._see(bytes(notes[0][0]).decode() if notes else "")
        self._see(self._log("checkpoint").read_text(encoding="utf-8"))

    def final(self, plan: str, *, kind: str = "run", outcome: str = "complete") -> None:
        """Check what must hold when a plan has ended."""
        papers = self._papers()
        if len(papers) != 1:
            self.say(f"I3 there are {len(papers)} receipts")
            return
        self._receipt(papers[0], kind, outcome)
        self._ledger_is_whole(plan)

    def settled(self) -> None:
        """Check what must hold when nothing is due any more, in however many runs that came about.

        Of what nobody could tell in its run no receipt says that it is gone; it is carried over.
        """
        now, totals = self.world.look(), Counter[str]()
        for paper in self._papers():
            for part in paper.annex.get("parts", ()):
                totals.update({f"{part['dataset']} {name}": count for name, count in part["outcomes"].items()})
        for dataset in DATASETS:
            gone, due = len(self.gone(now, dataset)), len(self.world.due[dataset])
            said = totals[f"{dataset} purged"] + totals[f"{dataset} alreadyGone"]
            if not gone - totals[f"{dataset} carriedOver"] <= said <= gone:
                self.say(f"I3 receipts say that {said} of {dataset} went, and {gone} did: {dict(totals)}")
            if gone != due:
                self.say(f"I3 {due - gone} due records of {dataset} are still there")
        hidden = len(self.hidden(now))
        if not hidden - totals["requests carriedOver"] <= totals["requests tombstoned"] <= hidden:
            self.say(f"I3 receipts say that {totals['requests tombstoned']} are hidden, and {hidden} are")
        if hidden != len(self.world.hide):
            self.say(f"I3 {len(self.world.hide) - hidden} requests are not hidden")

    def closed(self, accounts: int = 1) -> None:
        """Check what must hold when accounts have left: besides `settled`, exactly one receipt of each closure."""
        self.settled()
        kinds = Counter(paper.predicate["kind"] for paper in self._papers())
        if kinds["closure"] != accounts:
            self.say(f"I3 there are {kinds['closure']} receipts of {accounts} closures: {dict(kinds)}")
        states = self.world.keeping.ask("SELECT state FROM closures")[0]
        if states != [("closed",)] * accounts:
            self.say(f"I3 the closure did not end: {states}")

    def _papers(self) -> list[Paper]:
        self.glance()
        entries = read_entries(self.world.config / "log", self._checkpoint_of("checkpoint")[0])
        self._prefixes(entries)
        papers = read_papers(self.world.config, entries)
        for wrong in [*plans_without_one_end(entries), *(wrong for paper in papers for wrong in paper.wrong)]:
            self.say(f"I3 {wrong}")
        return [paper for paper in papers if paper.predicate["receiptId"] not in self.earlier]

    # --- I1, I2 ---

    def _nothing_else_gone(self, now: Seen) -> None:
        for dataset in DATASETS:
            was, still = self.before.of(dataset), now.of(dataset)
            lost = was.keys() - still.keys() - self.world.due[dataset].keys()
            if lost:
                self.say(f"I1 {len(lost)} records of {dataset} are gone, and were not planned: {sorted(lost)[:3]}")
            if still.keys() - was.keys():
                self.say(f"I1 {dataset} has records that nobody made: {sorted(still.keys() - was.keys())[:3]}")
            for key in still.keys() & was.keys():
                hidden = dataset == "requests" and key in self.world.hide and still[key][:-1] == was[key][:-1]
                if still[key] != was[key] and not hidden:
                    self.say(f"I1 {dataset} {key} was changed, and was not planned")

    def gone(self, now: Seen, dataset: str) -> set[str]:
        return self.before.of(dataset).keys() - now.of(dataset).keys()

    def hidden(self, now: Seen) -> set[str]:
        return {key for key in self.world.hide if now.requests.get(key, (None,))[-1] is not None}

    def _done_is_gone(self, now: Seen, done: dict[str, Counter[str]]) -> None:
        for dataset in DATASETS:
            said = done[dataset]["purged"] + done[dataset]["alreadyGone"]
            if said > len(self.gone(now, dataset)):
                self.say(f"I2 {said} of {dataset} are marked gone, and {len(self.gone(now, dataset))} are")
        if done["requests"]["tombstoned"] > len(self.hidden(now)):
            self.say("I2 more requests are marked hidden than are")

    # --- I3 ---

    def _receipt(self, paper: Paper, kind: str, outcome: str) -> None:
        predicate = paper.predicate
        if (predicate["kind"], predicate["outcome"]) != (kind, outcome):
            self.say(f"I3 the receipt is of kind {predicate['kind']}, {predicate['outcome']}")
        self._figures(paper.annex)
        self._accounts(predicate["receiptId"])

    def _figures(self, annex: dict[str, Any]) -> None:
        now = self.world.look()
        totals: dict[str, Counter[str]] = {dataset: Counter() for dataset in DATASETS}
        for part in annex["parts"]:
            totals[part["dataset"]].update(part["outcomes"])
            if part["evidence"] == "absent-from-live-files":
                self._no_traces(now)
        for dataset, total in totals.items():
            gone = len(self.gone(now, dataset))
            if total["purged"] + total["alreadyGone"] != gone:
                self.say(f"I3 the receipt says that {dict(total)} of {dataset} went, and {gone} did")
            left = len(self.world.due[dataset]) - gone
            hidden = len(self.hidden(now)) if dataset == "requests" else 0
            hidden_due = len(self.world.hide) if dataset == "requests" else 0
            if total["tombstoned"] != hidden:
                self.say(f"I3 the receipt says that {total['tombstoned']} of {dataset} are hidden, and {hidden} are")
            if left + hidden_due - hidden != self.carried[dataset]:
                self.say(f"I3 {left} due records of {dataset} are still there, {hidden_due - hidden} not hidden")
            if total["held"] + total["carriedOver"] + total["changed"] + total["refused"] != self.carried[dataset]:
                self.say(f"I3 the receipt says {dict(total)} of {dataset}, and {self.carried[dataset]} were to stay")

    def _no_traces(self, now: Seen) -> None:
        """Where the receipt says that nothing is left in the live files, no purged secret is in their bytes."""
        kept = {str(row[3]).encode() for row in (*now.events.values(), *now.requests.values())}
        for path in self.world.keeping.live_files():
            raw = path.read_bytes()
            found = {raw[at : at + 23] for at in positions(raw, b"secret-")} & (self.world.secrets - kept)
            if found:
                self.say(f"I2 {len(found)} purged secrets are still in {path.name}")

    def _accounts(self, receipt: str) -> None:
        """Compare what each customer is told with what became of that customer's records."""
        now = self.world.look()
        for account in ACCOUNTS[: self.told]:
            path = self.world.root / f"{account}.json"
            ended = self.world.run("receipt", "export", receipt, "-o", str(path), "--account", account)
            gone = sum(
                self.world.due[dataset][key] == account for dataset in DATASETS for key in self.gone(now, dataset)
            )
            hidden = sum(self.world.hide[key] == account for key in self.hidden(now))
            if ended.code:
                if gone + hidden:
                    self.say(f"I3 {account} gets no receipt: {ended.err}")
                continue
            leaf = json.loads(base64.b64decode(json.loads(path.read_bytes())["account"]["leaf"]))
            said = leaf["actions"]["purged"] + leaf["actions"]["alreadyGone"]
            if (said, leaf["actions"]["tombstoned"], leaf["records"]) != (gone, hidden, gone + hidden):
                self.say(f"I3 {account} is told {leaf['actions']}; {gone} are gone, {hidden} hidden")

    def _ledger_is_whole(self, plan: str) -> None:
        for answer in self.world.keeping.damage():
            self.say(f"I3 the ledger is damaged: {answer}")
        runs, plain = self.world.keeping.ask(
            f"SELECT count(*), count(receipt) FROM runs WHERE plan = '{plan}'",
            "SELECT count(*) FROM batch_identifiers WHERE plain IS NOT NULL",
        )
        if runs != [(1, 1)]:
            self.say(f"I3 the plan has {runs[0][0]} runs with {runs[0][1]} receipts")
        if plain != [(0,)]:
            self.say(f"I3 identifiers of {plain[0][0]} batches were left unsealed")

    # --- I4 ---

    def _see(self, note: str) -> None:
        try:
            size, root = open_checkpoint(note, self._log("keys/log.vkey").read_text(encoding="utf-8").strip())
        except (ValueError, InvalidSignature) as error:
            self.say(f"I4 a checkpoint cannot be read: {error!r}")
            return
        if self.checkpoints.setdefault(size, root) != root:
            self.say(f"I4 two checkpoints of {size} entries differ")

    def _checkpoint_of(self, name: str) -> tuple[int, bytes]:
        vkey = self._log("keys/log.vkey").read_text(encoding="utf-8").strip()
        return open_checkpoint(self._log(name).read_text(encoding="utf-8"), vkey)

    def _prefixes(self, entries: list[bytes]) -> None:
        leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
        for size, root in self.checkpoints.items():
            if size > len(entries) or tree_root(leaves[:size]) != root:
                self.say(f"I4 the checkpoint of {size} entries is no prefix of the log of {len(entries)}")

    def _log(self, name: str) -> Path:
        return self.world.config / "log" / name


_OUTCOMES = (
    "SELECT parts.dataset, batches.outcomes FROM batches"
    " JOIN parts ON parts.plan = batches.plan AND parts.ordinal = batches.part"
)


def add_up(rows: list[Row]) -> dict[str, Counter[str]]:
    """Add up what the ledger marks as ended, by dataset."""
    totals: dict[str, Counter[str]] = {dataset: Counter() for dataset in DATASETS}
    for dataset, outcomes in rows:
        totals[dataset].update((json.loads(outcomes) if isinstance(outcomes, str) else outcomes) or {})
    return totals


def positions(raw: bytes, needle: bytes) -> list[int]:
    """Return where a needle stands."""
    found, at = [], raw.find(needle)
    while at >= 0:
        found.append(at)
        at = raw.find(needle, at + 1)
    return found
