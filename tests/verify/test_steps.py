"""Steps 2 to 10: each rule broken alone, in a receipt that is otherwise signed, logged and proven as it should be."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import rfc8785

from retentiond.verify import Verdict, verify

from .builder import (
    ACCOUNT_ID,
    ISSUER,
    LOG,
    ORIGIN,
    PLAN_INDEX,
    RECEIPT_INDEX,
    SALT,
    STRANGER,
    TRUSTED,
    WITNESS,
    WITNESS_1,
    WITNESS_2,
    Draft,
    b64,
    checkpoint_body,
    cosign,
    entry,
    envelope,
    key_id,
    log_proof,
    over_runs,
    partial,
    raw,
    seal,
    sign_note,
    tombstone,
    vkey,
)
from .changes import Change, cases, drop, put

OVER_RUNS = ["closure", "erasure", "attestation", "hold-notice"]
Prepare = Callable[[Draft], object]


def verdict(draft: Draft, after: Change | None = None, **trusted: Any) -> Verdict:
    sealed = seal(draft)
    if after:
        after(sealed.bundle)
    return verify(sealed.data, TRUSTED, **trusted)


# ------------------------------------------------------------------------------------------------------- what is valid


@pytest.mark.parametrize(
    ("make", "outcome"),
    cases(
        [
            ("run", Draft, "complete"),
            ("partial run", partial, "partial"),
            ("tombstone", tombstone, "complete"),
            *((kind, lambda kind=kind: over_runs(kind), "complete") for kind in OVER_RUNS),
        ],
    ),
)
def test_each_kind_is_valid_as_it_should_be(make: Callable[[], Draft], outcome: str) -> None:
    found = verdict(make())
    assert (found.valid, found.outcome, found.step, found.reason) == (True, outcome, None, None)
    assert found.receipt == "019aab3e-0000-7c55-9a53-0d3ff3a1c001"


@pytest.mark.parametrize("index", [PLAN_INDEX + 1, 511, 512, 598, 599])
def test_it_may_stand_anywhere_in_the_log_after_its_plan(index: int) -> None:
    draft = Draft()
    draft.receipt_index = index
    assert verdict(draft).valid


@pytest.mark.parametrize(
    "keys", [TRUSTED, TRUSTED[::-1], [key.encode() for key in TRUSTED]], ids=["pem", "vkey", "bytes"]
)
def test_the_keys_may_come_in_any_order(keys: Any) -> None:
    assert verify(seal(Draft()).data, keys).valid


def test_without_annex_the_figures_are_said_not_to_be_shown() -> None:
    found = verdict(Draft(), put("annex", value=None))
    assert found.valid
    assert any("figures not shown" in note for note in found.notes)


def test_without_account_and_items_it_is_valid() -> None:
    def bare(bundle: dict[str, Any]) -> None:
        bundle |= {"account": None, "items": [], "annex": None}

    assert verdict(Draft(), bare).valid


def test_an_account_that_is_not_named_is_valid() -> None:
    def unnamed(bundle: dict[str, Any]) -> None:
        bundle["account"] |= {"id": None, "salt": None}

    assert verdict(Draft(), unnamed).valid


def test_records_without_an_account_stand_under_the_account_of_no_bytes() -> None:
    draft = Draft()
    draft.account_id = ""
    assert verdict(draft).valid


@pytest.mark.parametrize("count", [0, 1, 2, 5, 8, 33])
def test_an_account_may_have_any_number_of_items(count: int) -> None:
    draft = Draft()
    draft.items = [{"dataset": "d", "key": b"%d" % n, "version": b"", "action": "purge"} for n in range(count)]
    draft.leaf |= {"records": count, "actions": {**draft.leaf["actions"], "purged": count, "alreadyGone": 0}}
    if not count:
        draft.leaf |= {"oldest": None, "newest": None}
    assert verdict(draft).valid


@pytest.mark.parametrize("action", ["purge", "tombstone", "redact", "pseudonymise", "keyDestroyed", "alreadyGone"])
def test_each_action_has_its_byte(action: str) -> None:
    draft = Draft()
    draft.items[0]["action"] = action
    assert verdict(draft).valid


def test_nothing_is_said_that_is_not_so() -> None:
    draft = Draft()
    draft.annex["parts"][0]["outcomes"] |= {"held": 0, "alreadyGone": 0, "purged": 4}
    draft.annex["held"] = []
    draft.leaf["retained"] = 0
    found = verdict(draft)
    assert found.notes == ()
    assert [line.split(" (")[0] for line in found.proven] == [
        "the issuer's pinned key",
        f"it is entry 280 of 600 that the pinned key of {ORIGIN} signed for",
        "the annex is the one that was signed, and its figures agree with the statement",
        f"the account {ACCOUNT_ID!a} is in it, records: 3",
        "the disclosed items are among these records: 3",
    ]
    assert len(found.not_proven) == 6


def test_of_a_bare_receipt_only_signature_and_log_are_said_to_be_proven() -> None:
    def bare(bundle: dict[str, Any]) -> None:
        bundle |= {"items": [], "annex": None}

    found = verdict(Draft(), bare)
    assert [note.split(",")[0] for note in found.notes] == [
        "figures not shown: the annex is not in this bundle",
        "retained under a legal obligation",
    ]
    assert found.proven[2:] == (f"the account {ACCOUNT_ID!a} is in it, records: 3",)


def test_what_is_unknown_is_accepted_and_shown() -> None:
    draft = Draft()
    draft.predicate["co\u202elour"] = {"a": [1]}
    draft.predicate["run"]["mood"] = "good"
    draft.annex["weather"] = None
    draft.annex["parts"][0]["smell"] = "none"
    draft.leaf["hat"] = True
    found = verdict(draft, put("shoe", value=42))
    assert found.valid
    shown = "\n".join(found.notes)
    for name in (r"co\u202elour", "mood", "weather", "smell", "hat", "shoe"):
        assert name in shown
    assert "\u202e" not in shown


def test_a_thousand_unknown_members_are_counted() -> None:
    draft = Draft()
    draft.annex |= {f"x{number}": number for number in range(1000)}
    found = verdict(draft)
    assert found.valid
    assert len(found.notes) < 40
    assert any("980 further" in note for note in found.notes)


@pytest.mark.parametrize(
    ("draft", "said"),
    cases(
        [
            ("partial", partial(), "carried over"),
            ("held", Draft(), "held and not removed"),
            ("already gone", Draft(), "already gone"),
            ("retained", Draft(), "legal obligation"),
            ("tombstone", tombstone(), "not deleted yet"),
        ],
    ),
)
def test_what_a_reader_must_know_is_said(draft: Draft, said: str) -> None:
    assert any(said in note for note in verdict(draft).notes)


@pytest.mark.parametrize("single", [True, False])
def test_a_single_operator_is_said(single: bool) -> None:  # noqa: FBT001 - a case
    draft = Draft()
    draft.annex["singleOperator"] = single
    assert any("singleOperator" in note for note in verdict(draft).notes) is single


def test_one_key_in_two_roles_is_said() -> None:
    draft = Draft()
    draft.write_note = lambda body: f"{body}\n{sign_note(body, signer=ISSUER)}"
    keys = (TRUSTED[0], vkey(ORIGIN, raw(ISSUER)))
    found = verify(seal(draft).data, keys)
    assert any("the same key" in note for note in found.notes)
    assert not any("the same key" in note for note in verdict(Draft()).notes)


def test_what_is_not_proven_is_said() -> None:
    missing = "\n".join(verdict(Draft()).not_proven)
    for said in ("no cryptography proves deletion", "--log", "--witness", "--history", "backup", "write-ahead log"):
        assert said in missing


# ----------------------------------------------------------------------------------------------------------- canonical


def signed(body: str) -> str:
    """A note as the log signs it."""
    return f"{body}\n{sign_note(body)}"


def reversed_members(value: Any) -> bytes:
    return json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode()


NOT_CANONICAL: list[tuple[str, Callable[[Any], bytes]]] = [
    ("spaces", lambda value: json.dumps(value, sort_keys=True).encode()),
    ("other order", reversed_members),
    ("newline at the end", lambda value: rfc8785.dumps(value) + b"\n"),
    ("escaped letter", lambda value: rfc8785.dumps(value).replace(b'"vendor', b'"\\u0076endor')),
    ("escaped slash", lambda value: rfc8785.dumps(value).replace(b"https://", b"https:\\/\\/")),
]


@pytest.mark.parametrize("write", cases(NOT_CANONICAL))
def test_a_signed_statement_that_is_not_canonical_is_refused(write: Callable[[Any], bytes]) -> None:
    draft = Draft()
    draft.predicate["issuer"]["id"] = "vendor https://vendor.example"
    draft.write_body = write
    assert write(draft.predicate) != rfc8785.dumps(draft.predicate)
    assert verdict(draft).step == "canonical"


def test_names_are_ordered_by_utf16_code_units() -> None:
    draft = Draft()
    draft.predicate["\U0001f600"] = draft.predicate["\ufb33"] = draft.predicate["\u20ac"] = 1
    body = rfc8785.dumps(draft.predicate).decode()
    assert body.index("\U0001f600") < body.index("\ufb33")
    assert verdict(draft).valid


# ----------------------------------------------------------------------------------------------------------- signature


@pytest.mark.parametrize("signers", [(), (STRANGER,), (LOG,), (WITNESS_1, LOG, STRANGER)], ids=["0", "1", "log", "3"])
def test_without_the_issuers_signature_it_is_refused(signers: Any) -> None:
    draft = Draft()
    draft.signers = signers
    assert verdict(draft).step == "signature"


@pytest.mark.parametrize("position", range(16))
def test_the_issuers_signature_may_stand_in_any_of_sixteen_positions(position: int) -> None:
    draft = Draft()
    draft.signers = tuple(ISSUER if place == position else STRANGER for place in range(16))
    assert verdict(draft).valid


def test_seventeen_signatures_are_too_many() -> None:
    draft = Draft()
    draft.signers = (ISSUER,) * 17
    assert verdict(draft).step == "signature"


def first_signature(bundle: dict[str, Any]) -> dict[str, Any]:
    signature: dict[str, Any] = bundle["dsseEnvelope"]["signatures"][0]
    return signature


def flip(bundle: dict[str, Any], byte: int) -> None:
    data = bytearray(base64.b64decode(first_signature(bundle)["sig"]))
    data[byte] ^= 1
    first_signature(bundle)["sig"] = b64(bytes(data))


@pytest.mark.parametrize("byte", [0, 31, 32, 63])
def test_a_changed_signature_is_refused(byte: int) -> None:
    assert verdict(Draft(), lambda bundle: flip(bundle, byte)).step == "signature"


def test_a_wrong_signature_beside_a_right_one_by_the_same_key_does_not_matter() -> None:
    draft = Draft()
    draft.signers = (ISSUER, ISSUER)
    assert verdict(draft, lambda bundle: flip(bundle, 0)).valid


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    assert verdict(Draft(), lambda bundle: first_signature(bundle).update(sig=b64(bytes(size)))).step == "signature"


@pytest.mark.parametrize("keyid", ["", "wrong", "00" * 32, None])
def test_a_keyid_is_only_a_hint(keyid: str | None) -> None:
    assert verdict(Draft(), lambda bundle: first_signature(bundle).update(keyid=keyid)).valid


def test_a_keyid_may_be_missing() -> None:
    assert verdict(Draft(), lambda bundle: first_signature(bundle).pop("keyid")).valid


def test_keys_in_the_bundle_are_not_believed() -> None:
    draft = Draft()
    draft.signers = (STRANGER,)
    keys = {"issuer": "whatever", "log": vkey(ORIGIN, raw(STRANGER))}
    assert verdict(draft, put("keys", value=keys)).step == "signature"


def test_a_statement_exchanged_under_its_signature_is_refused() -> None:
    other = Draft()
    other.predicate["receiptId"] = "another"
    payload = seal(other).bundle["dsseEnvelope"]["payload"]
    found = verdict(Draft(), put("dsseEnvelope", "payload", value=payload))
    assert (found.step, found.receipt) == ("signature", "another")


def test_a_signature_over_the_bare_statement_is_refused() -> None:
    def sign_bare(bundle: dict[str, Any]) -> None:
        first_signature(bundle)["sig"] = b64(ISSUER.sign(base64.b64decode(bundle["dsseEnvelope"]["payload"])))

    assert verdict(Draft(), sign_bare).step == "signature"


# --------------------------------------------------------------------------------------------------------------- entry


@pytest.mark.parametrize("index", [RECEIPT_INDEX, RECEIPT_INDEX + 1, 599, 2**53 - 1])
def test_a_plan_that_is_not_before_its_receipt_is_refused(index: int) -> None:
    draft = Draft()
    draft.predicate["run"]["planEntry"]["index"] = index
    draft.kind_line = f"receipt {index}"
    assert verdict(draft).step == "entry"


# ----------------------------------------------------------------------------------------------------------- inclusion


@pytest.mark.parametrize(
    "kind_line",
    [
        "receipt -",
        "receipt 271",
        "receipt 0270",
        "receipt  270",
        "receipt 270 ",
        "Receipt 270",
        "plan",
        "retract 270 x",
    ],
)
def test_an_entry_of_another_kind_is_not_proven(kind_line: str) -> None:
    draft = Draft()
    draft.kind_line = kind_line
    assert verdict(draft).step == "inclusion"


@pytest.mark.parametrize("kind", OVER_RUNS)
def test_over_runs_the_entry_names_no_plan(kind: str) -> None:
    draft = over_runs(kind)
    draft.kind_line = f"receipt {PLAN_INDEX}"
    assert verdict(draft).step == "inclusion"


def lines_of(bundle: dict[str, Any]) -> tuple[str, str, list[str], str]:
    head, _, note = bundle["tlogProof"].partition("\n\n")
    header, index, *steps = head.split("\n")
    return header, index, steps, note


def with_steps(change: Callable[[list[str]], list[str]]) -> Change:
    def apply(bundle: dict[str, Any]) -> None:
        header, index, steps, note = lines_of(bundle)
        bundle["tlogProof"] = "\n".join([header, index, *change(steps)]) + f"\n\n{note}"

    return apply


PATHS: list[tuple[str, Callable[[list[str]], list[str]]]] = [
    ("one hash missing", lambda steps: steps[1:]),
    ("the last hash missing", lambda steps: steps[:-1]),
    ("none", lambda _steps: []),
    ("one hash too many", lambda steps: [*steps, steps[0]]),
    ("a hundred too many", lambda steps: steps + steps * 10),
    ("two exchanged", lambda steps: [steps[1], steps[0], *steps[2:]]),
    ("the last one zero", lambda steps: [*steps[:-1], b64(bytes(32))]),
]


@pytest.mark.parametrize("change", cases(PATHS))
def test_another_path_is_refused(change: Callable[[list[str]], list[str]]) -> None:
    assert verdict(Draft(), with_steps(change)).step == "inclusion"


@pytest.mark.parametrize("index", [281, 279, 599, 600, 10**17])
def test_another_index_is_refused(index: int) -> None:
    def move(bundle: dict[str, Any]) -> None:
        bundle["tlogProof"] = bundle["tlogProof"].replace("index 280", f"index {index}")

    assert verdict(Draft(), move).step == "inclusion"


@pytest.mark.parametrize("size", [0, 280, 281, 512, 1200])
def test_another_tree_size_is_refused(size: int) -> None:
    def resize(bundle: dict[str, Any]) -> None:
        bundle["tlogProof"] = bundle["tlogProof"].replace("\n600\n", f"\n{size}\n")

    assert verdict(Draft(), resize).step == "inclusion"


def test_a_tree_size_that_fits_the_path_and_was_not_signed_is_refused() -> None:
    def resize(bundle: dict[str, Any]) -> None:
        bundle["tlogProof"] = bundle["tlogProof"].replace("\n600\n", "\n599\n")

    assert verdict(Draft(), resize).step == "checkpoint"


def test_another_root_hash_is_refused() -> None:
    draft = Draft()
    draft.write_note = lambda _body: signed(f"{ORIGIN}\n600\n{b64(bytes(32))}\n")
    assert verdict(draft).step == "inclusion"


# ---------------------------------------------------------------------------------------------------------- checkpoint


def noted(write: Callable[[str], str]) -> Draft:
    draft = Draft()
    draft.write_note = write
    return draft


def foreign_line(name: str = ORIGIN, blob: bytes = b"\0" * 68) -> str:
    return f"— {name} {b64(blob)}\n"


def broken(line: str) -> str:
    name, _, encoded = line.rstrip("\n").rpartition(" ")
    data = bytearray(base64.b64decode(encoded))
    data[-1] ^= 1
    return f"{name} {b64(bytes(data))}\n"


OTHER_ORIGIN = "log.example/other"
NOTES: list[tuple[str, Callable[[str], str]]] = [
    ("no signature", lambda body: f"{body}\n"),
    ("by a stranger", lambda body: f"{body}\n{sign_note(body, signer=STRANGER)}"),
    ("by the issuer", lambda body: f"{body}\n{sign_note(body, signer=ISSUER)}"),
    ("under another name", lambda body: f"{body}\n{sign_note(body, name=OTHER_ORIGIN)}"),
    ("changed signature", lambda body: f"{body}\n{broken(sign_note(body))}"),
    ("a right and a changed signature", lambda body: signed(body) + broken(sign_note(body))),
    ("a changed and a right signature", lambda body: f"{body}\n{broken(sign_note(body))}{sign_note(body)}"),
    (
        "short signature under the key's id",
        lambda body: f"{body}\n{foreign_line(blob=key_id(ORIGIN, 1, raw(LOG)) + b'x')}",
    ),
    ("another origin", lambda body: signed(body.replace(ORIGIN, OTHER_ORIGIN))),
    ("origin in capitals", lambda body: signed(body.replace(ORIGIN, ORIGIN.upper()))),
    ("an extension line", lambda body: signed(body + "more\n")),
    ("an empty extension line", lambda body: signed(body + "\n")),
    ("no newline at the end", lambda body: signed(body).rstrip("\n")),
    ("hyphen for the em dash", lambda body: f"{body}\n{sign_note(body).replace('—', '-')}"),
    ("signature not base64", lambda body: signed(body) + f"— {ORIGIN} ***\n"),
    ("a name with plus", lambda body: signed(body) + foreign_line("a+b")),
    ("a name with a space inside", lambda body: signed(body) + foreign_line("a\u2003b")),
    ("a line without a name", lambda body: signed(body) + f"— {b64(bytes(68))}\n"),
    ("a signature of four bytes", lambda body: signed(body) + foreign_line(blob=bytes(4))),
    ("a thousand signatures", lambda body: signed(body) + foreign_line() * 1000),
]


@pytest.mark.parametrize("write", cases(NOTES))
def test_a_checkpoint_that_the_pinned_log_key_does_not_vouch_for_is_refused(write: Callable[[str], str]) -> None:
    assert verdict(noted(write)).step == "checkpoint"


@pytest.mark.parametrize("name", [ORIGIN, OTHER_ORIGIN, "wit-\u202eness"])
def test_signatures_by_unknown_keys_are_ignored(name: str) -> None:
    assert verdict(
        noted(lambda body: f"{body}\n{foreign_line(name) * 8}{sign_note(body)}{foreign_line(name) * 7}")
    ).valid


def test_64_signatures_are_looked_at_and_65_are_too_many() -> None:
    assert verdict(noted(lambda body: signed(body) + foreign_line("other") * 63)).valid
    assert verdict(noted(lambda body: signed(body) + foreign_line("other") * 64)).step == "checkpoint"


def test_a_key_with_the_logs_id_and_another_name_is_unknown() -> None:
    line = foreign_line(OTHER_ORIGIN, key_id(ORIGIN, 1, raw(LOG)) + bytes(64))
    assert verdict(noted(lambda body: f"{body}\n{line}{sign_note(body)}")).valid


PINNED = [vkey(WITNESS, raw(WITNESS_1), 4)]
SECOND = "witness.example/w2"


def cosigned(*lines: Callable[[str], str]) -> Draft:
    return noted(lambda body: signed(body) + "".join(line(body) for line in lines))


def test_a_pinned_witness_that_cosigned_is_accepted_and_named() -> None:
    found = verdict(cosigned(lambda body: cosign(body, 1_790_000_000)), witnesses=PINNED)
    assert found.valid
    assert any(WITNESS in line for line in found.proven)
    assert not any("--witness" in line for line in found.not_proven)


COSIGNATURES: list[tuple[str, Callable[[str], str]]] = [
    ("none", lambda _body: ""),
    ("of another body", lambda body: cosign(body + "x\n", 1)),
    ("by a stranger", lambda body: cosign(body, 1, signer=STRANGER)),
    ("under another name", lambda body: cosign(body, 1, name=SECOND)),
    ("changed", lambda body: broken(cosign(body, 1))),
    ("right and changed", lambda body: cosign(body, 1) + broken(cosign(body, 1))),
    ("a time beyond 2^63 - 1", lambda body: cosign(body, 2**63)),
    ("a plain note signature", lambda body: sign_note(body, signer=WITNESS_1, name=WITNESS)),
    ("short", lambda _body: foreign_line(WITNESS, key_id(WITNESS, 4, raw(WITNESS_1)) + b"1")),
]


@pytest.mark.parametrize("write", cases(COSIGNATURES))
def test_a_pinned_witness_that_did_not_cosign_is_missed(write: Callable[[str], str]) -> None:
    assert verdict(cosigned(write), witnesses=PINNED).step == "checkpoint"


def test_the_latest_time_that_there_is_is_accepted() -> None:
    assert verdict(cosigned(lambda body: cosign(body, 2**63 - 1)), witnesses=PINNED).valid


def test_every_pinned_witness_has_to_have_cosigned() -> None:
    both = [*PINNED, vkey(SECOND, raw(WITNESS_2), 4)]
    one = cosigned(lambda body: cosign(body, 1))
    two = cosigned(lambda body: cosign(body, 1), lambda body: cosign(body, 2, signer=WITNESS_2, name=SECOND))
    assert verdict(one, witnesses=both).step == "checkpoint"
    assert verdict(two, witnesses=both).valid


def test_a_cosignature_that_nobody_pinned_is_ignored() -> None:
    assert verdict(cosigned(lambda body: broken(cosign(body, 1)))).valid


# ----------------------------------------------------------------------------------------------------------- statement

STATEMENTS: list[tuple[str, Callable[[], Draft], Change]] = [
    ("finished before started", Draft, put("run", "finishedAt", value="2026-11-24T02:00:00Z")),
    ("issued before finished", Draft, put("issuedAt", value="2026-11-24T02:41:11Z")),
    ("a tombstone that claims deletion", tombstone, put("evidence", value="deleted")),
    ("a tombstone that claims destroyed keys", tombstone, put("evidence", value="key-destroyed")),
    *((f"a partial {kind}", lambda kind=kind: over_runs(kind), put("outcome", value="partial")) for kind in OVER_RUNS),
    *(
        (
            f"a {kind} of one run",
            lambda kind=kind: over_runs(kind),
            put("run", value=deepcopy(Draft().predicate["run"])),
        )
        for kind in OVER_RUNS
    ),
]


@pytest.mark.parametrize(("make", "change"), cases(STATEMENTS))
def test_a_statement_that_contradicts_itself_is_refused(make: Callable[[], Draft], change: Change) -> None:
    draft = make()
    change(draft.predicate)
    draft.kind_line = "receipt -" if "runs" in draft.predicate else None
    assert verdict(draft).step == "statement"


def test_started_finished_and_issued_may_be_the_same_second() -> None:
    draft = Draft()
    draft.predicate["issuedAt"] = draft.predicate["run"]["finishedAt"] = draft.predicate["run"]["startedAt"]
    assert verdict(draft).valid


# --------------------------------------------------------------------------------------------------------------- annex


def two_parts(first: str, second: str, *, due: int = 4) -> Draft:
    """A run of a purge and a redaction, each with its evidence."""
    draft = Draft()
    other = deepcopy(draft.annex["parts"][0])
    draft.annex["parts"][0]["evidence"] = first
    other |= {"action": "redact", "evidence": second, "due": due}
    other["outcomes"] |= {"purged": 0, "redacted": due, "alreadyGone": 0, "held": 0}
    draft.annex["parts"].append(other)
    return draft


def annex_with(*changes: Change, make: Callable[[], Draft] = Draft) -> Draft:
    draft = make()
    for change in changes:
        change(draft.annex)
    return draft


def outcomes(**counts: int) -> Change:
    return lambda annex: annex["parts"][0]["outcomes"].update(counts)


def no_longer(name: str) -> Change:
    return lambda annex: annex["parts"][0]["outcomes"].pop(name)


def residue(**members: Any) -> Change:
    return lambda annex: annex["residue"].update(members)


def outcome(word: str, draft: Draft) -> Draft:
    draft.predicate["outcome"] = word
    return draft


def hiding(part: int, draft: Draft) -> Draft:
    draft.annex["parts"][part]["action"] = "tombstone"
    return draft


def claiming(evidence: str, draft: Draft) -> Draft:
    draft.predicate["evidence"] = evidence
    return draft


ANNEXES: list[tuple[str, Draft]] = [
    *((f"{name} missing", annex_with(no_longer(name))) for name in Draft().annex["parts"][0]["outcomes"]),
    ("an eleventh outcome", annex_with(outcomes(lost=0))),
    ("an outcome in another spelling", annex_with(no_longer("purged"), outcomes(Purged=2))),
    ("due larger than the sum", annex_with(put("parts", 0, "due", value=5))),
    ("due smaller than the sum", annex_with(put("parts", 0, "due", value=3))),
    ("due larger than examined", annex_with(put("parts", 0, "examined", value=3))),
    ("held not in the list", annex_with(put("held", value=[]))),
    ("held less often in the parts", annex_with(put("held", 0, "count", value=2))),
    ("carried over not in the list", annex_with(put("carriedOver", value=[]), make=partial)),
    ("carried over only in the list", annex_with(put("carriedOver", value=partial().annex["carriedOver"]))),
    ("complete and yet carried over", outcome("complete", partial())),
    ("partial and nothing carried over", outcome("partial", Draft())),
    ("residue clean with one found", annex_with(residue(found=1))),
    ("residue found with none found", annex_with(residue(result="found"))),
    ("residue found with one found", annex_with(residue(result="found", found=1))),
    ("residue unknown", annex_with(residue(result="unknown"))),
    ("no residue for a purge", annex_with(put("residue", value=None))),
    ("residue where nothing is purged", annex_with(put("parts", 0, "action", value="redact"))),
    ("residue for a tombstone", annex_with(put("residue", value=Draft().annex["residue"]), make=tombstone)),
    ("stronger than the parts", claiming("key-destroyed", Draft())),
    ("weaker than the parts", claiming("hidden", Draft())),
    ("as the stronger of two", claiming("all-versions-deleted", two_parts("deleted", "all-versions-deleted"))),
    (
        "as the stronger of two, other order",
        claiming("absent-from-live-files", two_parts("absent-from-live-files", "deleted")),
    ),
    (
        "nothing due and yet deleted",
        annex_with(put("parts", value=[]), put("residue", value=None), put("held", value=[])),
    ),
    ("a tombstone whose part purges", annex_with(put("parts", 0, "action", value="redact"), make=tombstone)),
]


@pytest.mark.parametrize("draft", cases(ANNEXES))
def test_an_annex_whose_figures_disagree_is_refused(draft: Draft) -> None:
    assert verdict(draft).step == "annex"


RIGHT_ANNEXES: list[tuple[str, Draft]] = [
    ("examined exactly what was due", annex_with(put("parts", 0, "examined", value=4))),
    ("examined more", annex_with(put("parts", 0, "examined", value=400))),
    ("the weakest of two", claiming("deleted", two_parts("all-versions-deleted", "deleted"))),
    (
        "a weaker part with nothing due does not count",
        claiming("key-destroyed", two_parts("key-destroyed", "hidden", due=0)),
    ),
    (
        "a tombstoned part does not count",
        claiming(
            "deleted",
            hiding(1, two_parts("deleted", "hidden")),
        ),
    ),
    (
        "nothing due",
        claiming("hidden", annex_with(put("parts", value=[]), put("residue", value=None), put("held", value=[]))),
    ),
    ("a redaction needs no residue", annex_with(put("parts", 0, "action", value="redact"), put("residue", value=None))),
]


@pytest.mark.parametrize("draft", cases(RIGHT_ANNEXES))
def test_an_annex_whose_figures_agree_is_accepted(draft: Draft) -> None:
    assert verdict(draft).reason is None


@pytest.mark.parametrize("make", [Draft, over_runs])
def test_another_annex_than_the_signed_one_is_refused(make: Callable[[], Draft]) -> None:
    other = make()
    other.annex["nonce"] = "26" * 32
    assert verdict(make(), put("annex", value=seal(other).bundle["annex"])).step == "annex"


@pytest.mark.parametrize("make", [Draft, over_runs])
def test_a_signed_annex_that_is_not_canonical_is_refused(make: Callable[[], Draft]) -> None:
    draft = make()
    draft.write_annex = lambda value: rfc8785.dumps(value) + b" "
    assert verdict(draft).step == "annex"


def become_the_annex_of_one_run(annex: dict[str, Any]) -> None:
    del annex["runs"]
    annex |= Draft().annex


def other_runs(change: Change) -> Draft:
    draft = over_runs()
    change(draft.annex)
    return draft


@pytest.mark.parametrize(
    "change",
    cases(
        [
            ("no list", lambda annex: annex.pop("runs")),
            ("one run less", lambda annex: annex["runs"].pop()),
            ("one run more", lambda annex: annex["runs"].append([50, "3c" * 32])),
            ("another index", put("runs", 0, 0, value=13)),
            ("another digest", put("runs", 0, 1, value="1b" * 32)),
            ("another order", lambda annex: annex["runs"].reverse()),
            ("the annex of one run", become_the_annex_of_one_run),
        ],
    ),
)
def test_over_runs_the_annex_lists_exactly_the_runs(change: Change) -> None:
    assert verdict(other_runs(change)).step == "annex"


def test_over_runs_the_count_is_the_lists() -> None:
    draft = over_runs()
    draft.predicate["runs"]["count"] = 3
    assert verdict(draft).step == "annex"


# ------------------------------------------------------------------------------------------------------------- account


def leaf_with(*changes: Change) -> Draft:
    draft = Draft()
    for change in changes:
        change(draft.leaf)
    return draft


def empty_leaf(**times: str | None) -> Draft:
    draft = Draft()
    draft.items = []
    draft.leaf |= {
        "records": 0,
        "actions": dict.fromkeys(draft.leaf["actions"], 0),
        "oldest": None,
        "newest": None,
        **times,
    }
    return draft


LEAVES: list[tuple[str, Draft]] = [
    ("a seventh action", leaf_with(put("actions", "shredded", value=0))),
    *((f"{name} missing", leaf_with(drop("actions", name))) for name in Draft().leaf["actions"]),
    ("records more than the sum", leaf_with(put("records", value=4), put("items", value={"size": 4}))),
    ("items fewer than records", leaf_with(put("items", value={"size": 2}))),
    ("items more than records", leaf_with(put("items", value={"size": 4}))),
    ("sum more than records", leaf_with(put("actions", "redacted", value=1))),
    ("no records and an oldest one", empty_leaf(oldest="2026-10-01T00:00:00Z")),
    ("no records and a newest one", empty_leaf(newest="2026-10-01T00:00:00Z")),
    ("the commitment of another account", leaf_with(put("account", value="d2" * 32))),
]


@pytest.mark.parametrize("draft", cases(LEAVES))
def test_a_leaf_that_contradicts_itself_is_refused(draft: Draft) -> None:
    assert verdict(draft).step == "account"


def test_a_committed_leaf_that_is_not_canonical_is_refused() -> None:
    draft = Draft()
    draft.write_leaf = lambda value: json.dumps(value).encode()
    assert verdict(draft).step == "account"


def swap_first(steps: list[str]) -> None:
    steps[0], steps[1] = steps[1], steps[0]


ACCOUNTS: list[tuple[str, Change]] = [
    ("id without salt", put("account", "salt", value=None)),
    ("salt without id", put("account", "id", value=None)),
    ("another id", put("account", "id", value="acct-b")),
    ("an empty id", put("account", "id", value="")),
    ("another salt", put("account", "salt", value="ab" + SALT[2:])),
    ("an index beyond the tree", put("account", "index", value=16)),
    ("an index far beyond", put("account", "index", value=2**53 - 1)),
    ("no path", put("account", "path", value=[])),
    ("a path too short", lambda bundle: bundle["account"]["path"].pop()),
    ("a path too long", lambda bundle: bundle["account"]["path"].append("00" * 32)),
    ("another path", lambda bundle: swap_first(bundle["account"]["path"])),
    ("the neighbour's index", lambda bundle: bundle["account"].update(index=bundle["account"]["index"] ^ 1)),
    ("another leaf", put("account", "leaf", value=seal(leaf_with(put("bytes", value=1))).bundle["account"]["leaf"])),
]


@pytest.mark.parametrize("change", cases(ACCOUNTS))
def test_an_account_that_the_root_does_not_commit_to_is_refused(change: Change) -> None:
    assert verdict(Draft(), change).step == "account"


# --------------------------------------------------------------------------------------------------------------- items


def same_index(bundle: dict[str, Any]) -> None:
    bundle["items"][0]["index"] = bundle["items"][1]["index"]


ITEM_CHANGES: list[tuple[str, Change]] = [
    ("another dataset", put("items", 0, "dataset", value="logs")),
    ("another key", put("items", 0, "key", value=b64(b"43"))),
    ("another version", put("items", 0, "version", value=b64(b"1"))),
    ("a byte moved from key to version", lambda b: b["items"][0].update(key=b64(b"4"), version=b64(b"2"))),
    ("another action", put("items", 0, "action", value="redact")),
    ("already gone instead of purged", put("items", 0, "action", value="alreadyGone")),
    ("another salt", put("items", 0, "salt", value="00" * 32)),
    ("an index beyond the tree", put("items", 0, "index", value=3)),
    ("another index", same_index),
    ("no path", put("items", 0, "path", value=[])),
    ("a path too long", lambda bundle: bundle["items"][0]["path"].append("00" * 32)),
    ("the last item changed", put("items", 2, "key", value=b64(b"else"))),
    ("an item of another account", lambda bundle: bundle["items"].append({**bundle["items"][0], "key": b64(b"99")})),
    ("no account", put("account", value=None)),
]


@pytest.mark.parametrize("change", cases(ITEM_CHANGES))
def test_an_item_that_the_account_does_not_commit_to_is_refused(change: Change) -> None:
    assert verdict(Draft(), change).step == "items"


def test_one_item_alone_may_be_disclosed() -> None:
    def only_one(bundle: dict[str, Any]) -> None:
        bundle["items"] = bundle["items"][1:2]

    assert verdict(Draft(), only_one).valid


# ----------------------------------------------------------------------------------------------------- order of steps


def test_the_first_step_that_fails_is_reported() -> None:
    """Everything is wrong; repairing one step after the other shows the next."""
    draft = partial()
    draft.predicate["issuedAt"] = "2026-11-24T02:00:01Z"
    draft.predicate["outcome"] = "complete"
    draft.signers = (STRANGER,)
    draft.write_body = lambda value: rfc8785.dumps(value) + b" "
    draft.write_note = lambda body: f"{body}\n{sign_note(body, signer=STRANGER)}"
    draft.predicate["run"]["planEntry"]["index"] = 280
    draft.leaf["retained"] = 0

    def spoil(bundle: dict[str, Any]) -> None:
        bundle["account"]["index"] ^= 1
        bundle["items"][0]["dataset"] = "else"

    seen = [verdict(draft, spoil).step]
    draft.write_body = rfc8785.dumps
    seen.append(verdict(draft, spoil).step)
    draft.signers = (ISSUER,)
    seen.append(verdict(draft, spoil).step)
    draft.predicate["run"]["planEntry"]["index"] = 271
    seen.append(verdict(draft, spoil).step)
    draft.kind_line = "receipt 271"
    seen.append(verdict(draft, spoil).step)
    draft.write_note = Draft().write_note
    seen.append(verdict(draft, spoil).step)
    draft.predicate["issuedAt"] = "2026-11-24T03:10:37Z"
    seen.append(verdict(draft, spoil).step)
    draft.predicate["outcome"] = "partial"
    seen.append(verdict(draft, spoil).step)
    seen.append(verdict(draft, put("items", 0, "dataset", value="else")).step)
    seen.append(verdict(draft).step)
    order = [
        "canonical",
        "signature",
        "entry",
        "inclusion",
        "checkpoint",
        "statement",
        "annex",
        "account",
        "items",
        None,
    ]
    assert seen == order


def test_a_receipt_of_another_log_is_refused() -> None:
    sealed = seal(Draft())
    body = checkpoint_body(sealed.entries, OTHER_ORIGIN)
    other = [TRUSTED[0], vkey(OTHER_ORIGIN, raw(LOG))]
    note = f"{body}\n{sign_note(body, name=OTHER_ORIGIN)}"
    sealed.bundle["tlogProof"] = log_proof(sealed.entries, RECEIPT_INDEX, lambda _body: note)
    assert verify(sealed.data, TRUSTED).step == "checkpoint"
    assert verify(sealed.data, other).valid


def test_a_plan_is_not_taken_for_a_receipt() -> None:
    sealed = seal(Draft())
    body = rfc8785.dumps({"_type": "https://in-toto.io/Statement/v1", "predicateType": "urn:retentiond:plan:v1"})
    sealed.bundle["dsseEnvelope"] = envelope("application/vnd.in-toto+json", body, ISSUER)
    sealed.entries[RECEIPT_INDEX] = entry("plan", "00" * 32)
    assert verify(sealed.data, TRUSTED).step == "well-formed"
