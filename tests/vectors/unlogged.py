"""Vectors that are refused at `entry`, `inclusion` and `checkpoint`: where it stands in the log."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from .crafting import (
    b64,
    cosignature,
    note_id,
    note_line,
    pae,
    raw,
    sha256,
    signature_line,
)
from .drafts import (
    ISSUER,
    LOG,
    ORIGIN,
    OTHER_WITNESS_KEY,
    PLAN,
    PLAN_DIGEST,
    RECEIPT,
    STRANGER,
    WITNESS,
    WITNESS_KEY,
    WITNESSED_AT,
    Draft,
    Json,
    cosigned,
    log_entry,
    proof,
    seen_by_witness,
)
from .valid import BOTH_WITNESSES
from .vectors import (
    SMALL_POINTS,
    Change,
    Vector,
    case,
    edit,
    over_runs,
    published,
    put,
    slim,
    swap,
)

Row = tuple[Any, ...]
ISSUED = "2026-11-24T03:10:37Z"


def unlogged() -> list[Vector]:
    return [*_entries(), *_logs(), *_inclusion(), *_checkpoints(), *_witnesses()]


def _entries() -> list[Vector]:
    def at(index: int) -> list[Change]:
        return [put("predicate.run.planEntry.index", index)]

    return [
        case(
            "entry-plan-is-receipt",
            "the plan's index is the receipt's own",
            "entry",
            draft=Draft(items=None, kind_line=f"receipt {RECEIPT}"),
            before=at(RECEIPT),
        ),
        case(
            "entry-plan-later",
            "the plan's index is above the receipt's own",
            "entry",
            draft=Draft(items=None, kind_line="receipt 7"),
            before=at(7),
        ),
        case(
            "entry-plan-far",
            "the plan's index is the largest number",
            "entry",
            draft=Draft(items=None, kind_line=f"receipt {2**53 - 1}"),
            before=at(2**53 - 1),
        ),
    ]


def _logs() -> list[Vector]:
    def spoil(name: str, how: Callable[[bytes], bytes] | None) -> Any:
        """Change a file of the log after its checkpoint was signed."""

        def change(log: Any) -> None:
            made = b"".join(len(data).to_bytes(2, "big") + data for data in log.entries)
            log.spoiled[name] = None if how is None else how(made)

        return published(change)

    def entries(how: Callable[[list[bytes]], Any]) -> Any:
        return published(lambda log: how(log.entries))

    def exchange(index: int, data: bytes) -> Any:
        return entries(lambda held: held.__setitem__(index, data))

    def note(write: Callable[[str], str]) -> Any:
        return published(lambda log: setattr(log, "note", write))

    bundle = "tile/entries/000.p/12"
    other = sha256(b"something else")
    rows: list[Row] = [
        ("plan-of-another-digest", "the plan's entry has another digest", exchange(PLAN, log_entry("plan", other))),
        ("plan-of-another-kind", "where the plan should stand is no plan", exchange(PLAN, log_entry("state",
            PLAN_DIGEST))),
        ("receipt-of-another-digest", "another receipt stands at the receipt's index", exchange(RECEIPT,
            log_entry(f"receipt {PLAN}", other))),
        ("ends-before", "the log ends before the receipt", entries(lambda held: held.__delitem__(slice(RECEIPT,
            None)))),
        ("empty", "a log of no entries", entries(list.clear)),
        ("without-bundle", "an entry bundle is missing", spoil(bundle, None)),
        ("cut", "an entry bundle ends in the middle of an entry", spoil(bundle, lambda made: made[:-1])),
        ("longer", "an entry bundle holds an entry too many", spoil(bundle, lambda made: made + b"\0\1x")),
        ("altered", "an entry is another than the checkpoint signs for", spoil(bundle, swap(b"anchor", b"policy"))),
        ("without-checkpoint", "no checkpoint", spoil("checkpoint", None)),
        ("checkpoint-empty", "an empty checkpoint", spoil("checkpoint", lambda _: b"")),
        ("checkpoint-not-utf8", "a checkpoint that is no text", spoil("checkpoint", lambda _: b"\xff\n")),
        ("by-stranger", "a log that somebody else signed",
            note(lambda body: f"{body}\n{note_line(body, STRANGER, ORIGIN)}")),
        ("extended", "a checkpoint with an extension line", note(
            lambda body: f"{body}more\n\n{note_line(body + 'more' + chr(10), LOG, ORIGIN)}")),
        ("of-another-origin", "a log of another name", published(lambda log: setattr(log, "origin",
            "vectors.example/other"))),
    ]  # fmt: skip
    return [case(f"log-{name}", why, "entry", draft=slim(), log=log) for name, why, log in rows]


def _inclusion() -> list[Vector]:
    def kind_line(name: str, why: str, line: str, draft: Draft | None = None) -> Vector:
        draft = draft or slim()
        draft.kind_line = line
        return case(f"inclusion-{name}", why, "inclusion", draft=draft)

    def further(name: str, why: str, data: Callable[[str], bytes]) -> Vector:
        return case(
            f"inclusion-{name}",
            why,
            "inclusion",
            draft=Draft(items=None, further=lambda digest: {RECEIPT: data(digest)}),
        )

    def lines(how: Callable[[list[str]], Any]) -> Callable[[str], str]:
        """Change the lines of a proof: the header, the index, four hashes."""

        def change(text: str) -> str:
            head, rest = text.split("\n\n", 1)
            held = head.split("\n")
            how(held)
            return "\n".join(held) + "\n\n" + rest

        return change

    def line(number: int, value: str) -> Callable[[list[str]], Any]:
        return lambda held: held.__setitem__(number, value)

    stranger = b64(bytes(32))
    rows: list[Row] = [
        ("index-above", "the next entry's index", lines(line(1, "index 7"))),
        ("index-below", "the index before", lines(line(1, "index 5"))),
        ("index-of-the-end", "an index that the tree does not have", lines(line(1, "index 11"))),
        ("index-huge", "an index of 18 digits", lines(line(1, "index " + "9" * 18))),
        ("path-longer", "a hash too many", lines(lambda held: held.append(stranger))),
        ("path-long", "a hundred hashes too many", lines(lambda held: held.extend([stranger] * 100))),
        ("path-shorter", "a hash too few", lines(list.pop)),
        ("path-none", "no hashes", lines(lambda held: held.__delitem__(slice(2, None)))),
        ("path-exchanged", "two hashes in the wrong order", lines(lambda held: held.__setitem__(slice(2, 4),
            held[3:1:-1]))),
        ("path-reversed", "from the root to the leaf", lines(lambda held: held.__setitem__(slice(2, None),
            held[:1:-1]))),
        ("path-altered", "another hash", lines(line(2, stranger))),
        ("size-none", "a tree of no entries", swap("receipts\n11\n", "receipts\n0\n")),
        ("size-small", "a tree that ends before the receipt", swap("receipts\n11\n", "receipts\n6\n")),
        ("size-large", "a tree in which the path would be longer", swap("receipts\n11\n", "receipts\n20\n")),
    ]  # fmt: skip
    return [
        kind_line("of-another-plan", "the entry names another plan", "receipt 3"),
        kind_line("of-no-plan", "the entry of a run's receipt names no plan", "receipt -"),
        kind_line("closure-of-plan", "the entry of a closure names a plan", f"receipt {PLAN}", over_runs()),
        kind_line("as-plan", "the entry is a plan's", "plan"),
        kind_line("as-state", "the entry is a state's", "state"),
        kind_line("as-retraction", "the entry retracts", f"retract {PLAN} wrong-figures"),
        kind_line("leading-zero", "the entry's number has a leading zero", f"receipt 0{PLAN}"),
        kind_line("two-spaces", "the entry has two spaces", f"receipt  {PLAN}"),
        further(
            "upper-case",
            "the entry's digest is in upper case",
            lambda digest: log_entry(f"receipt {PLAN}", digest.upper()),
        ),
        further(
            "version",
            "an entry of another version",
            lambda digest: log_entry(f"receipt {PLAN}", digest).replace(b"/v1", b"/v2"),
        ),
        further(
            "without-newline",
            "an entry without its last newline",
            lambda digest: log_entry(f"receipt {PLAN}", digest)[:-1],
        ),
        further("more", "an entry with a line more", lambda digest: log_entry(f"receipt {PLAN}", digest) + b"more\n"),
        further(
            "not-there", "another receipt's entry", lambda _: log_entry(f"receipt {PLAN}", sha256(b"something else"))
        ),
        *(
            case(f"inclusion-{name}", why, "inclusion", draft=slim(), after=[edit("tlogProof", how)])
            for name, why, how in rows
        ),
    ]


def _checkpoints() -> list[Vector]:
    def note(*lines: Callable[[str], str]) -> Callable[[str], str]:
        return lambda body: f"{body}\n" + "".join(line(body) for line in lines)

    def good(body: str) -> str:
        return note_line(body, LOG, ORIGIN)

    def spoiled(body: str) -> str:
        return note_line(body + "!", LOG, ORIGIN)

    def extended(body: str) -> str:
        return f"{body}more\n\n{good(body + 'more' + chr(10))}"

    def renamed(body: str) -> str:
        body = body.replace(ORIGIN, "vectors.example/other")
        return f"{body}\n{note_line(body, LOG, 'vectors.example/other')}"

    def other_kind(body: str) -> str:
        return signature_line(ORIGIN, note_id(ORIGIN, b"\4" + raw(LOG)), LOG.sign(body.encode()))

    rows: list[Row] = [
        ("without-signature", "no signature line", note()),
        ("by-stranger", "signed by somebody else", note(lambda body: note_line(body, STRANGER, ORIGIN))),
        ("by-stranger-with-id", "signed by somebody else under the log's name and key id",
         note(lambda body: signature_line(ORIGIN, note_id(ORIGIN, b"\1" + raw(LOG)), STRANGER.sign(body.encode())))),
        ("by-issuer", "the issuer's key does not answer for the log", note(lambda body: note_line(body, ISSUER,
            ORIGIN))),
        ("by-witness", "a witness does not answer for the log", note(seen_by_witness())),
        ("wrong-beside-good", "a wrong signature under the pinned key's id, after a good one", note(good, spoiled)),
        ("wrong-before-good", "a wrong signature under the pinned key's id, before a good one", note(spoiled, good)),
        ("short-beside-good", "a signature of 3 bytes under the pinned key's id", note(
            good, lambda _: signature_line(ORIGIN, note_id(ORIGIN, b"\1" + raw(LOG)), b"abc"))),
        ("other-name", "the log's key id under another name", note(
            lambda body: signature_line("vectors.example/else", note_id(ORIGIN, b"\1" + raw(LOG)),
                LOG.sign(body.encode())))),
        ("other-kind", "the log's key with the id of another kind", note(other_kind)),
        ("without-blank", "signed without the last newline of the body", note(
            lambda body: signature_line(ORIGIN, note_id(ORIGIN, b"\1" + raw(LOG)), LOG.sign(body[:-1].encode())))),
        ("extended", "an extension line, which nobody audits", extended),
        ("of-another-origin", "another origin, signed by the log's key", renamed),
        ("hyphen", "a hyphen where the em dash stands", note(lambda body: good(body).replace("\N{EM DASH}", "-"))),
        ("line-without-space", "a signature line of two words", note(good, lambda _: "\N{EM DASH} abcdefgh\n")),
        ("line-not-base64", "an unknown signature line that is not base64", note(good,
            lambda _: "\N{EM DASH} someone !!!!\n")),
        ("line-of-id-only", "an unknown signature line with nothing after the id", note(good,
            lambda _: "\N{EM DASH} someone AQIDBA==\n")),
        ("line-without-name", "a signature line without a name", note(good, lambda _: "\N{EM DASH}  AQIDBAU=\n")),
        ("line-name-with-plus", "a plus sign in a name", note(good, lambda _: "\N{EM DASH} some+one AQIDBAU=\n")),
        ("without-last-newline", "the last newline is missing", lambda body: note(good)(body)[:-1]),
        ("line-empty", "an empty signature line", lambda body: note(good)(body) + "\n"),
        ("65-lines", "65 signature lines", note(*[good] * 65)),
    ]  # fmt: skip
    altered: list[Row] = [
        (
            "size",
            "another size, at which the path still fits",
            edit("tlogProof", swap("receipts\n11\n", "receipts\n12\n")),
        ),
    ]
    return [
        *(case(f"checkpoint-{name}", why, "checkpoint", draft=Draft(items=None, note=write)) for name, why,
            write in rows),
        *(case(f"checkpoint-{name}", why, "checkpoint", draft=slim(), after=[change]) for name, why, change in altered),
        case("checkpoint-of-another-log", "the pinned log key has another name", "checkpoint", draft=slim(),
            keys=("issuer.pem", "other-origin.vkey")),
        case("checkpoint-of-the-pinned-stranger", "another log key is pinned", "checkpoint", draft=slim(),
            keys=("issuer.pem", "stranger.vkey")),
        case("checkpoint-small-order", "a pinned log key of small order", "checkpoint", keys=("issuer.pem",
            "small-order.vkey"), draft=Draft(
            items=None, note=lambda body: f"{body}\n{_everybodys_line()}")),
        case("checkpoint-of-a-tree-of-one", "a tree made for this receipt, which nobody signed", "checkpoint",
            draft=slim(), after=[_alone]),
        case("checkpoint-fork", "the log shows another history at that size", "checkpoint", draft=slim(),
             log=published(lambda log: log.entries.__setitem__(8, log_entry("state", sha256(b"other"))))),
        case("checkpoint-ahead", "the log is older than the receipt's checkpoint", "checkpoint", draft=slim(),
             log=published(lambda log: log.entries.__delitem__(slice(9, None)))),
    ]  # fmt: skip


def _everybodys_line() -> str:
    point = bytes.fromhex(SMALL_POINTS["order-1"])
    return signature_line(ORIGIN, note_id(ORIGIN, b"\1" + point), point + bytes(32))


def _alone(bundle: Json) -> None:
    """Put the receipt into a log of its own, with its plan, under a stranger's signature."""
    envelope = bundle["dsseEnvelope"]
    digest = sha256(pae(envelope["payloadType"], base64.b64decode(envelope["payload"])))
    entries = [log_entry("plan", PLAN_DIGEST)] * RECEIPT + [log_entry(f"receipt {PLAN}", digest)]
    bundle["tlogProof"] = proof(entries, RECEIPT, lambda body: f"{body}\n{note_line(body, STRANGER, ORIGIN)}")


def _witnesses() -> list[Vector]:
    def wrong(how: Callable[[str], str]) -> Callable[[str], str]:
        return cosigned(how)

    def over_another(body: str) -> str:
        return cosignature(body + "more\n", WITNESSED_AT, WITNESS_KEY, WITNESS)

    def without_time(body: str) -> str:
        return signature_line(WITNESS, note_id(WITNESS, b"\4" + raw(WITNESS_KEY)), WITNESS_KEY.sign(body.encode()))

    def as_note(body: str) -> str:
        return note_line(body, WITNESS_KEY, WITNESS)

    def other_time(body: str) -> str:
        made = base64.b64decode(seen_by_witness()(body).split(" ")[2])
        return signature_line(WITNESS, made[:4], (WITNESSED_AT - 1).to_bytes(8, "big") + made[12:])

    one, both = BOTH_WITNESSES[:1], BOTH_WITNESSES
    rows: list[Row] = [
        ("missing", "the pinned witness did not cosign", cosigned(), one),
        ("second-missing", "one of two pinned witnesses did not cosign", cosigned(seen_by_witness()), both),
        ("other", "another one signed under the witness's name", wrong(seen_by_witness(key=OTHER_WITNESS_KEY)), one),
        ("other-note", "a cosignature of another checkpoint", wrong(over_another), one),
        ("other-time", "a time that the witness did not sign", wrong(other_time), one),
        ("without-time", "a signature without time", wrong(without_time), one),
        ("as-note", "the witness signed as logs do, and not as witnesses do", wrong(as_note), one),
        ("time-negative", "a time of more than 63 bits", wrong(seen_by_witness(2**63)), one),
        ("wrong-beside-good", "a wrong cosignature beside a good one", cosigned(seen_by_witness(), other_time), one),
    ]
    return [
        case(f"witness-{name}", why, "checkpoint", draft=Draft(items=None, note=note), witnesses=pinned)
        for name, why, note, pinned in rows
    ]
