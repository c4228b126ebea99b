"""Vectors that one programming language gets right by itself and another does not: large numbers, special names."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from .crafting import b64, climb, leaf_hash, note_line, pae, sha256, signature_line, steps_up
from .drafts import LOG, ORIGIN, PLAN, Draft, Json, cosigned, log_entry, part, seal
from .vectors import Change, Vector, case, edit, over_runs, put, slim, swap

BEYOND_DOUBLES = 2**53
LARGE, LARGER = (
    (2**40 + 2**33 + 7, 2**40 + 2**33 + 5),
    (10**17, BEYOND_DOUBLES + 1),
)  # a tree's size, and an index in it
BEYOND_32_BITS = (2**34, 2**33 + 5)
SPECIAL: Json = {"__proto__": {"kind": "closure"}, "constructor": None, "toString": 1, "hasOwnProperty": []}


def languages() -> list[Vector]:
    return [*_large_logs(), *_large_accounts(), *_small_trees(), *_sums(), *_names()]


def _siblings(count: int) -> list[bytes]:
    return [bytes.fromhex(sha256(b"sibling %d" % number)) for number in range(count)]


def _placed(bundle: Json, kind_line: str, size: int, index: int) -> None:
    """Put the receipt into a log of which only one path is known."""
    envelope = bundle["dsseEnvelope"]
    digest = sha256(pae(envelope["payloadType"], base64.b64decode(envelope["payload"])))
    steps = _siblings(steps_up(index, size))
    root = climb(leaf_hash(log_entry(kind_line, digest)), index, size, steps)
    body = f"{ORIGIN}\n{size}\n{b64(root)}\n"
    lines = "".join(b64(step) + "\n" for step in steps)
    bundle["tlogProof"] = f"c2sp.org/tlog-proof@v1\nindex {index}\n{lines}\n{body}\n{note_line(body, LOG, ORIGIN)}"


def _in_log(place: Sequence[int], kind_line: str = f"receipt {PLAN}") -> Change:
    size, index = place
    return lambda bundle: _placed(bundle, kind_line, size, index)


def _at_index(index: int) -> Change:
    """Claim another index for the same path."""
    return edit("tlogProof", lambda text: text.replace(text.split("\n")[1], f"index {index}", 1))


def _large_logs() -> list[Vector]:
    return [
        case("large-log", "a log of more than 2^40 entries", draft=slim(), after=[_in_log(LARGE)]),
        case("large-log-beyond-2-to-the-53", "a log whose numbers no double holds", draft=slim(),
            after=[_in_log(LARGER)]),
        case("large-log-modulo-2-to-the-32", "the index without its upper bits", "inclusion", draft=slim(),
             after=[_in_log(LARGE), _at_index(LARGE[1] % 2**32)]),
        case("large-log-rounded", "an index that is the same once it is rounded to a double", "inclusion", draft=slim(),
             after=[_in_log(LARGER), _at_index(BEYOND_DOUBLES)]),
    ]  # fmt: skip


def _large_accounts() -> list[Vector]:
    size, index = BEYOND_32_BITS
    steps = _siblings(steps_up(index, size))
    leaf = base64.b64decode(seal(Draft()).bundle["account"]["leaf"])
    root = climb(leaf_hash(leaf), index, size, steps).hex()
    before: list[Change] = [put("predicate.accounts.size", size), put("predicate.accounts.root", root)]

    def at(index: int) -> list[Change]:
        return [put("account.index", index), put("account.path", [step.hex() for step in steps])]

    return [
        case("large-accounts", "an accounts tree of 2^34 leaves", before=before, after=at(index)),
        case("large-accounts-modulo-2-to-the-32", "the index without its upper bits", "account", before=before,
             after=at(index % 2**32)),
    ]  # fmt: skip


def _small_trees() -> list[Vector]:
    alone = _in_log((1, 0), "receipt -")
    one = [{"dataset": "requests", "key": b"42", "version": b"", "action": "purge"}]
    return [
        case("log-of-one", "the receipt is all that the log has: no path", draft=over_runs(), after=[alone]),
        case("inclusion-index-in-log-of-one", "an index that a log of one entry does not have", "inclusion",
             draft=over_runs(), after=[alone, _at_index(1)]),
        case("inclusion-path-in-log-of-one", "a path in a log of one entry", "inclusion", draft=over_runs(), after=[
            alone, edit("tlogProof", swap("index 0\n", f"index 0\n{b64(bytes(32))}\n"))]),
        case("items-index-in-tree-of-one", "an index that a tree of one item does not have", "items",
             draft=Draft(items=one), after=[put("items.0.index", 1)]),
    ]  # fmt: skip


def _sums() -> list[Vector]:
    """Held in two parts: 2^53 - 1 and 2 are 2^53 + 1, which a double does not tell from 2^53."""
    parts = [part(held=2**53 - 1), part(held=2)]

    def held(*counts: int) -> list[Change]:
        listed = [{"matterCommitment": "56" * 32, "count": count} for count in counts]
        return [put("annex.parts", parts), put("annex.held", listed)]

    return [
        case("sum-beyond-2-to-the-53", "a sum that no double holds", draft=slim(), before=held(2**53 - 1, 1, 1)),
        case("annex-sum-rounded", "a sum that is the same once it is rounded to a double", "annex", draft=slim(),
             before=held(2**53 - 1, 1)),
    ]  # fmt: skip


def _names() -> list[Vector]:
    def line(name: str) -> Draft:
        return Draft(items=None, note=cosigned(lambda _: signature_line(name, b"\1\2\3\4", b"unknown")))

    def nine_and(name: str) -> Change:
        def change(draft: Any) -> None:
            outcomes = draft.annex["parts"][0]["outcomes"]
            del outcomes["refused"]
            outcomes[name] = 0

        return change

    return [
        case("unknown-special-names", "unknown members whose names are special to some languages", before=[
            put("predicate.more", SPECIAL), put("annex.__proto__", {"singleOperator": True}),
                put("predicate.__proto__", {})],
             after=[put("__proto__", {"annex": None}), put("account.constructor", "x"), put("keys", SPECIAL)]),
        *(case(f"annex-outcome-{name.strip('_').lower()}", f"{name} in place of an outcome", "annex", draft=slim(),
               before=[nine_and(name)]) for name in ("__proto__", "constructor")),
        case("item-action-constructor", "an action that every object of some languages has", "well-formed",
             after=[put("items.0.action", "constructor")]),
        case("note-name-of-no-space", "U+FEFF in an unknown signer's name is no white space in Unicode",
            draft=line("some\ufeffone")),
        case("checkpoint-line-name-of-space", "U+0085 in a signer's name is white space in Unicode", "checkpoint",
             draft=line("some\u0085one")),
        case("checkpoint-line-name-of-wide-space", "U+3000 in a signer's name is white space in Unicode", "checkpoint",
             draft=line("some\u3000one")),
    ]  # fmt: skip
