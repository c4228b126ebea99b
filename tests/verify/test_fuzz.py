"""Whatever the bytes are, there is a verdict, and it is not `valid` unless the issuer said exactly that."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from retentiond.verify import Verdict, Verifier, verify
from retentiond.verify.keyring import pin

from .builder import TRUSTED, Draft, b64, history, listed, seal, write_log

SEALED = seal(Draft())
STEPS = {
    "well-formed",
    "canonical",
    "signature",
    "entry",
    "inclusion",
    "checkpoint",
    "statement",
    "annex",
    "account",
    "items",
    "retracted",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
HOSTILE = st.sampled_from(["", "\0", "\u202e", "\ud800", "' OR 1=1", "<script>", "../", "%2e", "__proto__", "x" * 1024])
VALUES = JSON | HOSTILE | st.sampled_from([2**53, -1, 2**53 - 1, 1e308, True, [], {}])


def is_a_verdict(found: Verdict) -> bool:
    if found.valid:
        return found.step is None and found.outcome == "complete"
    return found.step in STEPS and found.outcome == "invalid" and bool(found.reason)


@given(st.binary(max_size=300) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_random_bytes_are_refused(data: bytes) -> None:
    found = verify(data, TRUSTED)
    assert is_a_verdict(found)
    assert found.step == "well-formed"


@given(st.data())
@settings(max_examples=300)
def test_random_changes_of_bytes_are_refused_or_make_no_difference(data: st.DataObject) -> None:
    original = SEALED.data
    start = data.draw(st.integers(0, len(original) - 1))
    end = data.draw(st.integers(start, min(start + 20, len(original))))
    changed = original[:start] + data.draw(st.binary(max_size=20)) + original[end:]
    found = verify(changed, TRUSTED)
    assert is_a_verdict(found)
    if found.valid:
        meant, original_meant = json.loads(changed), json.loads(original)
        assert {name: meant[name] for name in ("annex", "account", "items")} == {
            name: original_meant[name] for name in ("annex", "account", "items")
        }
        assert meant["dsseEnvelope"]["payload"] == original_meant["dsseEnvelope"]["payload"]


def places(value: Any, *where: Any) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [where, *(found for name, member in inner for found in places(member, *where, name))]


def changed(document: Any, data: st.DataObject) -> Any:
    """Replace, remove or add one value somewhere."""
    copy = json.loads(json.dumps(document))
    where = data.draw(st.sampled_from(places(copy)[1:]))
    inner = copy
    for name in where[:-1]:
        inner = inner[name]
    if data.draw(st.booleans()):
        inner[where[-1]] = data.draw(VALUES)
    else:
        del inner[where[-1]]
    return copy


@given(st.data())
@settings(max_examples=400)
def test_random_changes_of_the_bundle_always_give_a_verdict(data: st.DataObject) -> None:
    assert is_a_verdict(verify(json.dumps(changed(SEALED.bundle, data)).encode(), TRUSTED))


@given(st.data())
@settings(max_examples=200)
def test_random_changes_inside_always_give_a_verdict(data: st.DataObject) -> None:
    """Of statement, annex and leaf, which stand in the bundle as base64."""
    bundle = json.loads(json.dumps(SEALED.bundle))
    holder, name = data.draw(
        st.sampled_from([(bundle["dsseEnvelope"], "payload"), (bundle, "annex"), (bundle["account"], "leaf")]),
    )
    inside = changed(json.loads(base64.b64decode(holder[name])), data)
    holder[name] = b64(json.dumps(inside).encode())
    found = verify(json.dumps(bundle).encode(), TRUSTED)
    assert is_a_verdict(found)
    assert not found.valid


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_random_changes_that_are_signed_and_logged_always_give_a_verdict(data: st.DataObject) -> None:
    """The issuer itself writes nonsense: so every step after the signature is reached."""
    draft = Draft()
    target = data.draw(st.sampled_from(["predicate", "annex", "leaf"]))
    setattr(draft, target, changed(getattr(draft, target), data))
    draft.write_body = draft.write_annex = draft.write_leaf = lambda value: json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
    ).encode()
    draft.kind_line = "receipt 270"
    try:
        sealed = seal(draft)
    except (TypeError, KeyError, AttributeError):
        reject()  # the builder itself could make nothing of it
    found = verify(sealed.data, TRUSTED)
    assert found.valid or found.step in STEPS


@given(st.text())
def test_random_proofs_always_give_a_verdict(text: str) -> None:
    for proof in (text, SEALED.bundle["tlogProof"] + text, text + SEALED.bundle["tlogProof"]):
        assert is_a_verdict(verify(json.dumps({**SEALED.bundle, "tlogProof": proof}).encode(), TRUSTED))


@given(st.data())
@settings(max_examples=200)
def test_random_changes_of_the_proof_are_refused(data: st.DataObject) -> None:
    original = SEALED.bundle["tlogProof"]
    start = data.draw(st.integers(0, len(original) - 1))
    text = original[:start] + data.draw(st.text(max_size=3)) + original[start + data.draw(st.integers(0, 3)) :]
    found = verify(json.dumps({**SEALED.bundle, "tlogProof": text}).encode(), TRUSTED)
    assert is_a_verdict(found)


@given(st.binary(max_size=200))
def test_random_histories_are_refused(data: bytes) -> None:
    assert verify(SEALED.data, TRUSTED, history=data).step == "well-formed"


@given(st.data())
def test_random_changes_of_a_history_always_give_a_verdict(data: st.DataObject) -> None:
    given_history = json.dumps(changed(json.loads(history(listed())), data)).encode()
    assert is_a_verdict(verify(SEALED.data, TRUSTED, history=given_history))


def test_random_changes_of_a_log_make_nothing_valid(tmp_path: Path) -> None:
    """Each byte of an entry bundle matters, wherever it stands."""
    log = write_log(tmp_path, SEALED.entries)
    file = log / "tile/entries/002.p/88"
    original = file.read_bytes()
    for position in range(0, len(original), 97):
        file.write_bytes(original[:position] + bytes([original[position] ^ 0x10]) + original[position + 1 :])
        assert Verifier(pin(TRUSTED), str(log)).verify(SEALED.data).step == "entry"
    file.write_bytes(original)
    assert Verifier(pin(TRUSTED), str(log)).verify(SEALED.data).valid
