"""Vectors that are refused at the steps from `statement` to `retracted`, and such as have two faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .crafting import b64, jcs, sha256
from .drafts import PLAN, PLAN_DIGEST, RECEIPT, Draft, history, log_entry, part
from .malformed import STEP as WELL_FORMED
from .vectors import (
    Change,
    Vector,
    case,
    drop,
    edit,
    later,
    over_runs,
    partial,
    put,
    slim,
    swap,
    tombstone,
    written,
)

Row = tuple[Any, ...]
OVER_RUNS = ("closure", "erasure", "attestation", "hold-notice")


def contradicting() -> list[Vector]:
    return [*_statements(), *_annexes(), *_annexes_over_runs(), *_accounts(), *_items(), *_retracted(), *_two_faults()]


def _statements() -> list[Vector]:
    return [
        case("statement-finished-before-started", "finished a second before it started", "statement", draft=slim(),
             before=[put("predicate.run.finishedAt", "2026-11-24T02:00:00Z")]),
        case("statement-issued-before-finished", "issued a second before it finished", "statement", draft=slim(),
             before=[put("predicate.issuedAt", "2026-11-24T02:41:11Z")]),
        case("statement-tombstone-deleted", "a tombstone hides and does not delete", "statement", draft=tombstone(),
             before=[put("predicate.evidence", "deleted"), put("annex.parts.0.evidence", "deleted")]),
        *(case(f"statement-{kind}-partial", f"a {kind} is never partial", "statement", draft=over_runs(kind),
               before=[put("predicate.outcome", "partial")]) for kind in OVER_RUNS),
        *(case(f"statement-{kind}-of-one-run", f"a {kind} is over runs and yet names one", "statement",
            draft=over_runs(kind),
               before=[put("kind_line", "receipt -"), put("predicate.run",
                   slim().predicate["run"])]) for kind in OVER_RUNS),
        case("statement-closure-of-an-empty-run", "a closure whose run is not null", "statement", draft=over_runs(),
             before=[put("kind_line", "receipt -"), put("predicate.run", {})]),
    ]  # fmt: skip


def _annexes() -> list[Vector]:
    only_tombstoned = [part("tombstone", "hidden", tombstoned=3, held=1)]
    two = [part(purged=3, held=1), part("redact", "all-versions-deleted", redacted=1)]
    rows: list[Row] = [
        ("outcome-missing", "nine outcomes", slim, [drop("annex.parts.0.outcomes.refused")]),
        ("outcome-more", "eleven outcomes", slim, [put("annex.parts.0.outcomes.unknown", 0)]),
        ("outcome-case", "an outcome in other case", slim, [
            drop("annex.parts.0.outcomes.alreadyGone"), put("annex.parts.0.outcomes.alreadygone", 1)]),
        ("due-above", "more due than the outcomes add up to", slim, [put("annex.parts.0.due", 5)]),
        ("due-below", "less due than the outcomes add up to", slim, [put("annex.parts.0.due", 3)]),
        ("second-part", "the outcomes of the second part do not add up", slim, [put("annex.parts", two),
            put("annex.parts.1.due", 2)]),
        ("examined-below-due", "fewer records examined than were due", slim, [put("annex.parts.0.examined", 3)]),
        ("held-more", "the list has more held than the parts", slim, [put("annex.held.0.count", 2)]),
        ("held-none", "the list has none held", slim, [put("annex.held", [])]),
        ("carried-more", "the list has something carried over, the parts have not", slim, [
            put("annex.carriedOver", [{"dataset": "requests", "reason": "failed", "count": 1, "until": None}])]),
        ("carried-unlisted", "something was carried over and is not in the list", partial, [put("annex.carriedOver",
            [])]),
        ("carried-and-complete", "complete, although something was carried over", partial, [put("predicate.outcome",
            "complete")]),
        ("partial-without-carried", "partial, although nothing was carried over", slim, [put("predicate.outcome",
            "partial")]),
        ("residue-found", "clean, although something was found", slim, [put("annex.residue.found", 1)]),
        ("residue-dirty", "not clean, although nothing was found", slim, [put("annex.residue.result", "unknown")]),
        ("residue-dirty-and-found", "nothing else than clean is issued for a purge", slim, [
            put("annex.residue.result", "dirty"), put("annex.residue.found", 1)]),
        ("residue-case", "Clean is not clean", slim, [put("annex.residue.result", "Clean")]),
        ("residue-missing", "a purge without residue", slim, [put("annex.residue", None)]),
        ("residue-for-nothing", "a residue where nothing was purged", tombstone, [put("annex.residue",
            slim().annex["residue"])]),
        ("evidence-stronger", "the statement claims more than its part", slim, [put("predicate.evidence",
            "key-destroyed")]),
        ("evidence-weaker", "the statement claims less than its part", slim, [put("predicate.evidence", "hidden")]),
        ("evidence-of-second", "the weakest part counts, not the strongest", slim, [
            put("annex.parts", two), put("predicate.evidence", "all-versions-deleted")]),
        ("evidence-of-hidden", "tombstones are no evidence of deletion", slim, [
            put("annex.parts", only_tombstoned), put("annex.residue", None)]),
        ("evidence-of-nothing-due", "a part of which nothing was due is no evidence", slim, [
            put("annex.parts", [part()]), put("annex.held", [])]),
        ("tombstone-with-purge", "a tombstone of which a part purges", tombstone, [
            put("annex.parts.0.action", "purge"), put("annex.residue", slim().annex["residue"])]),
        ("tombstone-with-redaction", "a tombstone of which a part redacts", tombstone, [put("annex.parts.0.action",
            "redact")]),
    ]  # fmt: skip
    writes: list[Row] = [
        ("space", "a space in the annex", lambda data: data.replace(b":", b": ", 1)),
        ("newline", "a newline after the annex", lambda data: data + b"\n"),
        ("escape", "a letter that is escaped for nothing", swap(b'"held"', b'"\\u0068eld"')),
    ]
    other = b64(jcs(slim().annex | {"nonce": "00" * 32}))
    return [
        *(case(f"annex-{name}", why, "annex", draft=make(), before=changes) for name, why, make, changes in rows),
        *(case(f"annex-canonical-{name}", why, "annex", draft=Draft(items=None, write_annex=written(how))) for name,
            why, how in writes),
        case("annex-exchanged", "another annex than the one that was signed", "annex", draft=slim(),
            after=[put("annex", other)]),
        case("annex-of-a-run-for-a-closure", "a run's annex in a closure's bundle", "annex", draft=over_runs(),
            after=[put("annex", other)]),
    ]  # fmt: skip


def _annexes_over_runs() -> list[Vector]:
    wrong_digest = put("predicate.runs.sha256", sha256(b"others"))
    rows: list[Row] = [
        ("runs-missing", "the list of runs is missing", [drop("annex.runs")]),
        ("runs-fewer", "a run fewer than the statement counts", [drop("annex.runs.1")]),
        ("runs-count", "the statement counts another number", [put("predicate.runs.count", 3)]),
        ("runs-digest", "the statement's digest is another's", [wrong_digest]),
        ("runs-order", "the runs in another order", [edit("annex.runs", lambda runs: runs[::-1])]),
        ("runs-other", "another run of the same number", [put("annex.runs.0.0", 13)]),
    ]
    return [
        *(case(f"annex-{name}", why, "annex", draft=over_runs(), before=changes) for name, why, changes in rows),
        *(
            case(
                f"annex-runs-digest-{kind}",
                f"a {kind} whose digest is another's",
                "annex",
                draft=over_runs(kind),
                before=[wrong_digest],
            )
            for kind in OVER_RUNS[1:]
        ),
    ]


def _accounts() -> list[Vector]:
    six = {"purged": 2, "tombstoned": 0, "redacted": 0, "pseudonymised": 0, "keyDestroyed": 0, "alreadyGone": 1}
    leaves: list[Row] = [
        ("five-actions", "five actions", {"actions": {name: count for name,
            count in six.items() if name != "redacted"}}),
        ("seven-actions", "seven actions", {"actions": six | {"held": 0}}),
        ("sum", "the actions do not add up to the records", {"actions": six | {"purged": 3}}),
        ("records-above", "more records than items", {"records": 4, "actions": six | {"purged": 3}}),
        ("items-above", "more items than records", {"items": {"size": 4, "root": "00" * 32}}),
    ]  # fmt: skip
    none: list[Row] = [
        ("oldest-of-none", "no records, and yet an oldest one", {"oldest": "2026-10-01T00:00:00Z", "newest": None}),
        ("newest-of-none", "no records, and yet a newest one", {"oldest": None, "newest": "2026-10-01T00:00:00Z"}),
    ]
    outside: list[Row] = [
        ("index-above", "the next index", edit("account.index", lambda index: index ^ 1)),
        ("index-of-the-end", "an index that the tree does not have", put("account.index", 16)),
        ("index-huge", "the largest number", put("account.index", 2**53 - 1)),
        ("path-shorter", "a hash too few", drop("account.path.3")),
        ("path-longer", "a hash too many", edit("account.path", lambda path: [*path, "00" * 32])),
        ("path-none", "no path", put("account.path", [])),
        ("path-altered", "another hash", put("account.path.0", "00" * 32)),
        ("path-reversed", "from the root to the leaf", edit("account.path", lambda path: path[::-1])),
        ("id-null", "a salt without an id", put("account.id", None)),
        ("salt-null", "an id without a salt", put("account.salt", None)),
        ("id-other", "another id", put("account.id", "acct-2")),
        ("id-normalised", "the same letters in another normal form", edit("account.id", swap("\u00e9", "e\u0301"))),
        ("id-cut-at-nul", "an id that ends at its NUL", edit("account.id", lambda name: name.split("\0")[0])),
        ("salt-other", "another salt", put("account.salt", "00" * 32)),
        ("leaf-other", "another leaf, of the same account", _another_leaf),
    ]  # fmt: skip
    return [
        *(case(f"account-{name}", why, "account", draft=Draft(leaf=leaf)) for name, why, leaf in leaves),
        *(case(f"account-{name}", why, "account", draft=Draft(items=[], leaf=leaf)) for name, why, leaf in none),
        *(case(f"account-{name}", why, "account", after=[change]) for name, why, change in outside),
        case("account-not-canonical", "a leaf that is not its own JCS", "account",
             draft=Draft(write_leaf=written(lambda leaf: leaf + b"\n"))),
        case("account-of-another-tree", "the tree's root is another", "account",
            before=[put("predicate.accounts.root", "00" * 32)]),
        case("account-tree-larger", "the tree is said to be larger than it is", "account",
            before=[put("predicate.accounts.size", 32)]),
        case("account-of-closure", "a closure whose account is another's", "account", draft=over_runs(),
            after=[put("account.id", "acct-2")]),
        case("account-of-erasure", "an erasure whose path is another's", "account", draft=over_runs("erasure"), after=[
            put("account.path.1", "00" * 32)]),
        case("account-of-attestation", "an attestation whose leaf is at another index", "account",
            draft=over_runs("attestation"), after=[
            edit("account.index", lambda index: index ^ 1)]),
        case("account-of-hold-notice", "a hold notice whose account has another salt", "account",
            draft=over_runs("hold-notice"), after=[
            put("account.salt", "00" * 32)]),
    ]  # fmt: skip


def _another_leaf(bundle: Any) -> None:
    """Fewer records retained than were signed for."""
    other = Draft(leaf={"retained": 7})
    bundle["account"]["leaf"] = case("x", "", draft=other).bundle.split(b'"leaf": "')[1].split(b'"')[0].decode()


def _items() -> list[Vector]:
    rows: list[Row] = [
        ("key", "another key", put("items.0.key", b64(b"43"))),
        ("version", "another version", put("items.1.version", b64(b"nul"))),
        ("dataset", "another dataset", put("items.0.dataset", "request")),
        ("moved-byte", "a byte moved from the dataset to the key", _moved_byte),
        ("action", "another action", put("items.0.action", "alreadyGone")),
        ("salt", "another salt", put("items.2.salt", "00" * 32)),
        ("index", "another item's index", edit("items.0.index", lambda index: (index + 1) % 3)),
        ("index-of-the-end", "an index that the tree does not have", put("items.0.index", 3)),
        ("path-longer", "a hash too many", edit("items.0.path", lambda path: [*path, "00" * 32])),
        ("path-shorter", "a hash too few", edit("items.0.path", lambda path: path[:-1])),
        ("path-altered", "another hash", put("items.1.path.0", "00" * 32)),
        ("second-wrong", "the first item is right, the last is not", put("items.2.key", "")),
        ("exchanged-places", "two items with each other's place", _exchanged),
        ("without-account", "items without their account", put("account", None)),
    ]  # fmt: skip
    return [
        *(case(f"items-{name}", why, "items", after=[change]) for name, why, change in rows),
        case(
            "items-of-none",
            "an item of an account that has none",
            "items",
            draft=over_runs("attestation"),
            after=[
                put(
                    "items",
                    [
                        {
                            "dataset": "d",
                            "key": "",
                            "version": "",
                            "action": "purge",
                            "salt": "00" * 32,
                            "index": 0,
                            "path": [],
                        }
                    ],
                )
            ],
        ),
    ]


def _moved_byte(bundle: Any) -> None:
    bundle["items"][0] |= {"dataset": "request", "key": b64(b"s42")}


def _exchanged(bundle: Any) -> None:
    one, other = bundle["items"][0], bundle["items"][1]
    for name in ("index", "path"):
        one[name], other[name] = other[name], one[name]


def _retracted() -> list[Vector]:
    def retracts(word: str) -> Callable[[str], bytes]:
        return lambda digest: log_entry(f"retract {RECEIPT} {word}", digest)

    other = sha256(b"something else")
    second = log_entry(f"receipt {PLAN}", other)
    before = {5: second}
    rows: list[Row] = [
        ("later", "a newer log retracts it", slim(), retracts("wrong-figures")),
        ("word", "whatever the reason is called", slim(), retracts("\u202ebecause")),
        ("void", "a newer log voids its plan", slim(), log_entry(f"void {PLAN} cancelled", PLAN_DIGEST)),
        ("void-word", "whatever the void's reason is called", slim(), log_entry(f"void {PLAN} whatever", PLAN_DIGEST)),
        ("second-receipt", "the plan has another receipt", slim(), second),
        ("logged-twice", "the receipt stands in the log twice", slim(), lambda digest: log_entry(f"receipt {PLAN}",
            digest)),
        ("closure", "a closure that was retracted", over_runs(), retracts("wrong-account")),
        ("tombstone", "a tombstone that was retracted", tombstone(), retracts("wrong-figures")),
        ("first-receipt", "the plan had another receipt before", Draft(items=None, further=lambda _: before),
            log_entry("state", other)),
        ("voided-before", "the plan was voided before", Draft(items=None, further=lambda _: {
            5: log_entry(f"void {PLAN} expired", PLAN_DIGEST)}), log_entry("state", other)),
        ("in-the-same-tree", "retracted within the checkpoint of its own bundle", Draft(
            items=None, further=lambda digest: {10: retracts("wrong-figures")(digest)}), log_entry("state", other)),
        ("and-then-more", "many entries after the retraction", slim(), retracts("wrong-figures")),
    ]  # fmt: skip
    more = [log_entry("state", sha256(b"%d" % number)) for number in range(250)]
    return [
        case(f"retracted-{name}", why, "retracted", draft=draft,
             log=later(data, *(more if name == "and-then-more" else [])))
        for name, why, draft, data in rows
    ]  # fmt: skip


def slug(text: str) -> str:
    return text.replace(" ", "-").replace("'", "")


def _two_faults() -> list[Vector]:
    """The earlier step is the one to report."""
    malformed: Change = put("mediaType", "application/json")
    spaced = written(swap(b'"kind":"run"', b'"kind": "run"'))
    late: Change = put("predicate.run.planEntry.index", RECEIPT)
    other_kind: Change = put("kind_line", "state")
    unordered: Change = put("predicate.run.finishedAt", "2026-11-24T02:00:00Z")
    wrong_sum: Change = put("annex.parts.0.due", 7)
    wrong_account: Change = put("account.salt", "00" * 32)
    wrong_item: Change = put("items.0.salt", "00" * 32)
    unsigned: Change = put("dsseEnvelope.signatures", [])
    unproven: Change = edit("tlogProof", swap("index 6", "index 7"))
    unvouched: Change = edit("tlogProof", swap("receipts\n11\n", "receipts\n12\n"))
    retraction = later(lambda digest: log_entry(f"retract {RECEIPT} wrong-figures", digest))
    rows: list[Row] = [
        (WELL_FORMED, "and not signed", [], [malformed, unsigned]),
        (WELL_FORMED, "and not canonical", [put("write_body", written(swap(b'"kind":"run"', b'"kind": "ran"')))], []),
        ("canonical", "and not signed", [put("write_body", spaced)], [unsigned]),
        ("signature", "and its plan is not before it", [late], [unsigned]),
        ("signature", "and not proven", [], [unsigned, unproven]),
        ("entry", "and not of its kind", [late, other_kind], []),
        ("inclusion", "and not vouched for", [], [unproven, edit("tlogProof", swap("\N{EM DASH}", "-"))]),
        ("inclusion", "and its times are not in order", [unordered], [unproven]),
        ("checkpoint", "and its times are not in order", [unordered], [unvouched]),
        ("checkpoint", "and its annex is another", [wrong_sum], [unvouched]),
        ("statement", "and its annex is another", [unordered, wrong_sum], []),
        ("annex", "and its account is another's", [wrong_sum], [wrong_account]),
        ("account", "and its item is another", [], [wrong_account, wrong_item]),
    ]  # fmt: skip
    retracted: list[Row] = [
        ("items", "and retracted", [], [wrong_item]),
        ("statement", "and retracted", [unordered], []),
        ("signature", "and retracted", [], [unsigned]),
    ]
    return [
        *(case(f"first-{step}-{slug(why)}", f"fails at {step} {why}", step, before=before, after=after)
          for step, why, before, after in rows),
        *(case(f"first-{step}-{slug(why)}", f"fails at {step} {why}", step, before=before, after=after,
            log=retraction)
          for step, why, before, after in retracted),
        case("first-well-formed-of-history", "the bundle is unsigned and the history malformed", WELL_FORMED,
            after=[unsigned],
             history=history() + b"!"),
        case("first-checkpoint-before-retracted", "the log forks and retracts", "checkpoint",
            log=_forked_and_retracting),
    ]  # fmt: skip


def _forked_and_retracting(sealed: Any) -> Any:
    log = later(lambda digest: log_entry(f"retract {RECEIPT} wrong-figures", digest))(sealed)
    log.entries[8] = log_entry("state", sha256(b"other"))
    return log
