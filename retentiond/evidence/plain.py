"""A receipt in plain words: what went, when, why, how sure, what is not covered, and how to check it.

What it says is what the receipt says; whether that is so is for a verifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Document: TypeAlias = Mapping[str, Any]

_KINDS = {
    "run": "It says what one run did with records that were due by policy, by request, or since their account left.",
    "tombstone": "It says what one run hid. Nothing that it names is gone yet: it can still be brought back.",
    "closure": "It says that an account was closed, and that nothing of it was left when it was looked at last.",
    "erasure": "It says that what somebody asked to have erased is gone.",
    "attestation": "It says that all that had to go by the end of a period was gone when everything was looked at.",
    "hold-notice": "It says how many records of an account are retained under a legal obligation.",
}
_OUTCOMES = {
    "purged": "removed",
    "tombstoned": "hidden",
    "redacted": "redacted",
    "pseudonymised": "pseudonymised",
    "keyDestroyed": "made unreadable for good",
    "alreadyGone": "gone already when it was their turn",
    "changed": "left, since they had changed",
    "held": "kept under a legal hold",
    "refused": "left, since the store refused",
    "carriedOver": "left to a later run",
}
_ACTIONS = {
    "purge": "removed",
    "tombstone": "hidden",
    "redact": "redacted",
    "pseudonymise": "pseudonymised",
    "keyDestroyed": "made unreadable for good",
    "alreadyGone": "gone already when it was its turn",
}
_EVIDENCE = {
    "hidden": "The records are hidden from users. They are still there, and can be brought back until they are purged.",
    "deleted": "No query of the store finds what was removed. Its bytes may lie in unused space for a time.",
    "all-versions-deleted": "The store has no version of what was removed any more.",
    "absent-from-live-files": "What was removed is in none of the files that the store works with any more.",
    "key-destroyed": "What was removed can't be read any more: the only key to it is destroyed.",
}
_TRIGGERS = {
    "schedule": "it was due by schedule",
    "manual": "somebody asked for it",
    "closure": "accounts left",
    "erasure": "somebody asked to have data erased",
    "replay": "a store had been restored, and what came back went again",
}
_NOT_GONE = "What is hidden is not gone: it can be brought back, and its purge will have a receipt of its own."
_OF_NO_RUN = ("attestation", "hold-notice")
_OVER_RUNS = ("closure", "erasure", "attestation", "hold-notice")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of a receipt.

    Attributes:
        predicate: What its statement says.
        annex: None where it was not handed out.
        leaf: What it says of the account that is disclosed; None where none is.
        account: That account, by its name; empty where it is not named.
        items: Disclosed records: dataset, key and version as text, and the action.
        retraction: Why and when it was taken back; None where that is not known.
        unverified: Whether it comes from a file that nobody has checked.
        linked_until: Until when an account's part can be handed out; empty where that is not known, `gone` after it.
    """

    predicate: Document
    annex: Document | None = None
    leaf: Document | None = None
    account: str = ""
    items: Sequence[Document] = ()
    retraction: tuple[str, str] | None = None
    linked_until: str = ""
    unverified: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and a line for each thing that is said under it."""

    title: str
    lines: tuple[str, ...]


def in_words(shown: Shown) -> list[Section]:
    """Return a receipt in words; sections that have nothing to say are left out."""
    sections = (
        Section("What it is", tuple(_what_it_is(shown))),
        Section("What happened", tuple(_what_happened(shown))),
        Section("This account", tuple(_account(shown))),
        Section("The records named", tuple(map(_item, shown.items))),
        Section("When", tuple(_when(shown.predicate))),
        Section("Why", tuple(_why(shown))),
        Section("How sure", tuple(_how_sure(shown))),
        Section("Not covered", tuple(_not_covered(shown.predicate))),
        Section("How to check it", tuple(_how_to_check(shown))),
    )
    return [section for section in sections if section.lines]


def _what_it_is(shown: Shown) -> Iterator[str]:
    predicate, issuer = shown.predicate, shown.predicate["issuer"]
    if shown.retraction is not None:
        reason, at = shown.retraction
        yield f"RETRACTED on {_time(at)} ({reason}): the issuer took it back. Do not rely on anything that it says."
    if shown.unverified:
        yield "This is what the file says. Nothing of it was checked: see the end."
    yield f"Receipt {predicate['receiptId']}, of the kind {predicate['kind']}."
    yield _KINDS[predicate["kind"]]
    yield f"Issued on {_time(predicate['issuedAt'])} by {issuer['id']} (instance {issuer['instance']})."
    if predicate["outcome"] == "partial":
        yield "PARTIAL: something that was due could not go, and was left to a later run with a receipt of its own."
    elif predicate["kind"] not in _OF_NO_RUN:
        yield "Complete: nothing of it was left to a later run."


def _what_happened(shown: Shown) -> Iterator[str]:
    predicate, annex = shown.predicate, shown.annex
    period, due = predicate.get("period"), predicate.get("purgeDue")
    if isinstance(period, dict):
        yield f"The period is from {_time(period.get('from'))} to {_time(period.get('to'))}."
    if annex is None and predicate["kind"] not in ("closure", "erasure", "hold-notice"):
        yield "The figures stand in an annex, which this copy does not have."
    if annex is not None:
        yield from map(_dataset, _looked_at(annex)) if predicate["kind"] in _OVER_RUNS else _figures(annex)
    if predicate["kind"] in _OVER_RUNS and (runs := predicate["runs"]["count"]):
        yield f"It rests on the receipts of runs: {runs:,}."
    if due is not None:
        yield f"It is due to be purged by {_time(due)}, and goes with the next run, which has a receipt of its own."


def _figures(annex: Document) -> Iterator[str]:
    """Say what the annex of one run says; that of several runs has another form."""
    yield from map(_part, annex["parts"])
    if any(part["outcomes"].get("tombstoned") for part in annex["parts"]):
        yield _NOT_GONE
    yield from map(_carried, annex["carriedOver"])
    if held := sum(each["count"] for each in annex["held"]):
        yield f"Due, and kept under a legal hold: {_records(held)}."


def _part(part: Document) -> str:
    counts = ", ".join(f"{count:,} {_OUTCOMES.get(name, name)}" for name, count in part["outcomes"].items() if count)
    rule = f"policy {part['policy']}, rule {part['rule']}" if part["policy"] and part["rule"] else "no policy's rule"
    hidden = part.get("tombstonedBetween")
    since = f"; hidden before, since {_time(hidden[0])}" if isinstance(hidden, list) and hidden else ""
    since += f"; to be purged by {_time(part['purgeDue'])}, with the next run" if part.get("purgeDue") else ""
    return f"{part['dataset']} (store {part['store']}, {rule}): {_records(part['due'])} due: {counts}{since}."


def _looked_at(annex: Document) -> Iterator[Document]:
    """Give what an attestation's annex says by dataset; no verifier has looked at its form."""
    listed = annex.get("datasets")
    return (each for each in listed if isinstance(each, dict)) if isinstance(listed, list) else iter(())


def _dataset(line: Document) -> str:
    remaining, oldest, held = line.get("remaining"), line.get("oldest"), line.get("held")
    rest = "" if remaining is None else f"; {remaining} remain"
    rest += f", the oldest from {_time(oldest)}" if oldest else ""
    rest += f", {held} of them under a legal hold" if held else ""
    looked = f"{line.get('examined')} were looked at on {_time(line.get('lookedAt'))} ({line.get('method')})"
    return f"{line.get('dataset')} (policy {line.get('policy')}): {looked}, overdue {line.get('overdue')}{rest}."


def _carried(each: Document) -> str:
    until = f", until {_time(each['until'])}" if each["until"] else ""
    return f"Left to a later run: {_records(each['count'])} of {each['dataset']} ({each['reason']}{until})."


def _account(shown: Shown) -> Iterator[str]:
    leaf = shown.leaf
    if leaf is None:
        return
    whose = f"Of the account {shown.account!r}" if shown.account else "Of an account that is not named"
    if leaf["records"]:
        counts = ", ".join(f"{count:,} {_OUTCOMES.get(name, name)}" for name, count in leaf["actions"].items() if count)
        yield f"{whose}: {_records(leaf['records'])}, {leaf['bytes']:,} bytes: {counts}."
        if leaf["oldest"] and leaf["newest"]:
            yield f"They are from {_time(leaf['oldest'])} to {_time(leaf['newest'])}."
        if leaf["actions"].get("tombstoned"):
            yield _NOT_GONE
    elif shown.predicate["kind"] in _OF_NO_RUN:
        yield f"{whose}. What went of it stands in the receipts of runs, not here."
    else:
        yield f"{whose}: no record was worked on."
    if leaf["retained"]:
        yield f"Retained under a legal obligation: {_records(leaf['retained'])}."


def _item(item: Document) -> str:
    version = f", version {item['version']}" if item["version"] else ""
    return f"{item['dataset']}, key {item['key']!r}{version}: {_ACTIONS[item['action']]}."


def _when(predicate: Document) -> Iterator[str]:
    run = predicate["run"]
    if run is None:
        return
    yield f"The run began on {_time(run['startedAt'])} and ended on {_time(run['finishedAt'])}."
    yield f"What was due was reckoned as of {_time(run['referenceTime'])}."
    yield f"The plan was in the public log before anything was changed (entry {run['planEntry']['index']})."


def _why(shown: Shown) -> Iterator[str]:
    run, annex = shown.predicate["run"], shown.annex or {}
    if run is not None:
        yield f"The reason: {_TRIGGERS.get(run['trigger'], run['trigger'])}."
        approvals = run["approvals"]
        yield (
            f"People approved it; the list of signatures has the digest {approvals['sha256']}."
            if approvals
            else ("It needed nobody's approval, or nobody's signature.")
        )
    for policy in shown.predicate["policies"]:
        yield f"Policy {policy['id']}, published beside the log as policies/{policy['sha256']}.json."
    asked = annex.get("request")
    if isinstance(asked, dict):
        yield f"{asked.get('by')} asked for it: {asked.get('reason')}."
    if annex.get("singleOperator"):
        yield "SINGLE OPERATOR: no second person had to approve it."


def _how_sure(shown: Shown) -> Iterator[str]:
    predicate = shown.predicate
    if predicate["kind"] not in _OVER_RUNS or predicate["runs"]["count"]:
        yield f"Evidence, the weakest of all: {predicate['evidence']}. {_EVIDENCE[predicate['evidence']]}"
    if shown.annex is not None and predicate["kind"] not in _OVER_RUNS:
        yield from _verified(shown.annex)
    yield "No signature proves that anything is gone: it proves who says so, and that it was not altered since."


def _verified(annex: Document) -> Iterator[str]:
    ways = {(part["verifiedBy"], str(part["verifiedAs"])) for part in annex["parts"] if part["verifiedBy"]}
    for method, role in sorted(ways):
        yield f"A separate read confirmed it ({method}, {role})."
    residue = annex["residue"]
    if residue is not None:
        seen = f"found {residue['found']:,} of it there ({residue['method']})"
        yield f"A second look on {_time(residue['checkedAt'])} {seen}."


def _not_covered(predicate: Document) -> Iterator[str]:
    for each in predicate["notCovered"]:
        yield f"{each['what']}: " + (f"until {_time(each['until'])}" if each["until"] else "nobody can say until when")


def _how_to_check(shown: Shown) -> Iterator[str]:
    yield "retentiond receipt verify FILE --key issuer.pem --key log.vkey --log LOG"
    yield "The two keys and the address of the log come from the issuer, and never from this file."
    if shown.linked_until == "gone":
        yield "Its key is destroyed: what it says of an account or a record can't be shown any more. It stays valid."
    elif shown.linked_until:
        yield f"What it says of one account or record can be shown until {_time(shown.linked_until)}."


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


def _time(text: object) -> str:
    return str(text).replace("T", " ").replace("Z", " UTC")
