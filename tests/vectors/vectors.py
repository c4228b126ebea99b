"""One vector: a bundle, what the verifier is given beside it, and what it must say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from .crafting import OF_ORDER_8, add, compress, decompress, jcs, note_line, pem, raw, sha256, vkey
from .drafts import (
    ISSUER,
    LOG,
    OLD_ISSUER,
    ORIGIN,
    OTHER_WITNESS,
    OTHER_WITNESS_KEY,
    STRANGER,
    WITNESS,
    WITNESS_KEY,
    Draft,
    Sealed,
    checkpoint_body,
    log_entry,
    part,
    seal,
)

KINDS = ("run", "tombstone", "closure", "erasure", "attestation", "hold-notice")
Change = Callable[[Any], object]
NoteWriter = Callable[[str], str]
# The eight points whose order divides 8, then spellings of some of them that RFC 8032 does not decode.
SMALL_POINTS = {
    "order-1": "0100000000000000000000000000000000000000000000000000000000000000",
    "order-2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order-4": "0000000000000000000000000000000000000000000000000000000000000000",
    "order-4-negative": "0000000000000000000000000000000000000000000000000000000000000080",
    "order-8": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order-8-negative": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "order-8-other": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order-8-other-negative": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "order-1-respelled": "0100000000000000000000000000000000000000000000000000000000000080",
    "order-1-above-p": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order-4-above-p": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}
MIXED_ISSUER = compress(add(decompress(raw(ISSUER)), OF_ORDER_8))
KEYS = {
    "issuer.pem": pem(raw(ISSUER)),
    "log.vkey": vkey(ORIGIN, raw(LOG)) + "\n",
    "old-issuer.pem": pem(raw(OLD_ISSUER)),
    "stranger.pem": pem(raw(STRANGER)),
    "stranger.vkey": vkey(ORIGIN, raw(STRANGER)) + "\n",
    "log-key-as-issuer.pem": pem(raw(LOG)),
    "issuer-key-as-log.vkey": vkey(ORIGIN, raw(ISSUER)) + "\n",
    "other-origin.vkey": vkey("vectors.example/other", raw(LOG)) + "\n",
    "small-order.vkey": vkey(ORIGIN, bytes.fromhex(SMALL_POINTS["order-1"])) + "\n",
    "mixed-order.pem": pem(MIXED_ISSUER),
    "witness-one.vkey": vkey(WITNESS, raw(WITNESS_KEY), 4) + "\n",
    "witness-two.vkey": vkey(OTHER_WITNESS, raw(OTHER_WITNESS_KEY), 4) + "\n",
} | {f"small-{name}.pem": pem(bytes.fromhex(point)) for name, point in SMALL_POINTS.items()}
PINNED = ("issuer.pem", "log.vkey")


@dataclass
class Log:
    """A published log: its entries, how its checkpoint is written, and files that are replaced (None: removed)."""

    entries: list[bytes]
    note: NoteWriter = lambda body: f"{body}\n{note_line(body, LOG, ORIGIN)}"
    origin: str = ORIGIN
    spoiled: dict[str, bytes | None] = field(default_factory=dict)


LogMaker = Callable[[Sealed], Log]


@dataclass
class Vector:
    """What stands in the index, and the bytes behind it."""

    name: str
    kind: str
    why: str
    bundle: bytes
    step: str | None
    outcome: str
    keys: Sequence[str]
    history: bytes | None
    log: Log | None
    witnesses: Sequence[str]
    said: Sequence[str]
    padded_to: int | None


def case(  # noqa: PLR0913 - each says what one vector has that others have not
    name: str,
    why: str,
    step: str | None = None,
    *,
    draft: Draft | None = None,
    before: Sequence[Change] = (),
    after: Sequence[Change] = (),
    text: Callable[[bytes], bytes] = bytes,
    keys: Sequence[str] = PINNED,
    history: bytes | None = None,
    log: LogMaker | None = None,
    witnesses: Sequence[str] = (),
    said: Sequence[str] = (),
    padded_to: int | None = None,
) -> Vector:
    """Make a vector: change a draft (`before`), sign and log it, change the bundle (`after`) and its bytes (`text`)."""
    draft = Draft() if draft is None else draft
    for change in before:
        change(draft)
    kind, outcome = draft.predicate.get("kind"), draft.predicate.get("outcome")
    sealed = seal(draft)
    for change in after:
        change(sealed.bundle)
    return Vector(
        name,
        kind if kind in KINDS else "run",
        why,
        text(json.dumps(sealed.bundle).encode()),
        step,
        "invalid" if step else str(outcome),
        keys,
        history,
        log(sealed) if log else None,
        witnesses,
        said,
        padded_to,
    )


# ---------------------------------------------------------------------------------------------------------- changes


def _inner(holder: Any, where: str) -> tuple[Any, Any]:
    """Walk a path such as `predicate.run.id` or `items.0.key` to its last holder."""
    *way, last = where.split(".")
    for name in way:
        holder = getattr(holder, name) if isinstance(holder, Draft) else holder[_index(holder, name)]
    return holder, last if isinstance(holder, Draft) else _index(holder, last)


def _index(holder: Any, name: str) -> Any:
    return int(name) if isinstance(holder, list) else name


def put(where: str, value: Any) -> Change:
    def change(holder: Any) -> None:
        inner, name = _inner(holder, where)
        if isinstance(inner, Draft):
            setattr(inner, name, deepcopy(value))
        else:
            inner[name] = deepcopy(value)

    return change


def drop(where: str) -> Change:
    def change(holder: Any) -> None:
        inner, name = _inner(holder, where)
        del inner[name]

    return change


def edit(where: str, how: Callable[[Any], Any]) -> Change:
    """Replace a value by what a function makes of it."""

    def change(holder: Any) -> None:
        inner, name = _inner(holder, where)
        value = getattr(inner, name) if isinstance(inner, Draft) else inner[name]
        put(where, how(value))(holder)

    return change


def swap(old: bytes | str, new: bytes | str) -> Callable[[Any], Any]:
    """Replace the first place where a text stands; it has to stand there."""

    def change(data: Any) -> Any:
        if old not in data:
            raise ValueError(f"{old!r} does not stand in {data!r}")
        return data.replace(old, new, 1)

    return change


def written(how: Callable[[bytes], bytes]) -> Callable[[Any], bytes]:
    """A writer that spoils the canonical form."""
    return lambda value: how(jcs(value))


# ------------------------------------------------------------------------------------------------------------ drafts


def slim() -> Draft:
    """A run of which no account is disclosed."""
    return Draft(items=None)


def partial() -> Draft:
    draft = slim()
    draft.predicate["outcome"] = "partial"
    draft.annex["parts"] = [part(purged=2, held=1, carriedOver=1)]
    draft.annex["carriedOver"] = [{"dataset": "requests", "reason": "object-lock", "count": 1, "until": None}]
    return draft


def tombstone() -> Draft:
    draft = slim()
    draft.predicate |= {"kind": "tombstone", "evidence": "hidden"}
    draft.annex |= {"parts": [part("tombstone", "hidden", tombstoned=3, held=1)], "residue": None}
    return draft


def over_runs(kind: str = "closure") -> Draft:
    """A statement over two runs, of one account."""
    draft = Draft() if kind in {"closure", "erasure"} else Draft(items=[])
    runs = [[12, sha256(b"a receipt")], [40, sha256(b"another receipt")]]
    draft.predicate |= {"kind": kind, "run": None, "runs": {"count": 2, "sha256": sha256(jcs(runs))}}
    draft.annex = {"annex": "retentiond/annex/v1", "nonce": "26" * 32, "runs": runs}
    if not draft.items:
        draft.leaf = {"oldest": None, "newest": None, "bytes": 0, "retained": 2}
    return draft


def closure_of_no_account() -> Draft:
    draft = over_runs()
    draft.items = None
    return draft


def owner(where: str) -> Draft:
    return Draft() if where.startswith(("account", "items")) else slim()


def listed(key: Any = ISSUER, **changes: Any) -> dict[str, Any]:
    """A key of the history, in force since the year began."""
    times = {"validFrom": "2026-01-01T00:00:00Z", "validUntil": None, "revokedAt": None, "reason": None}
    return {"role": "issuer", "key": pem(raw(key)), **times, **changes}


def nested(brackets: int) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(brackets - 1):
        value = [value]
    return value


def filled_to(size: int) -> Any:
    """Make the statement that many bytes long, by an unknown member."""

    def write(statement: Any) -> bytes:
        statement["predicate"]["filler"] = ""
        statement["predicate"]["filler"] = "x" * (size - len(jcs(statement)))
        return jcs(statement)

    return write


# -------------------------------------------------------------------------------------------------------------- logs


def later(*more: bytes | Callable[[str], bytes]) -> LogMaker:
    """The receipt's log, some entries later; an entry may be made of the receipt's digest."""

    def make(sealed: Sealed) -> Log:
        entries = [each(sealed.digest) if callable(each) else each for each in more]
        return Log([*sealed.entries, log_entry("state", sha256(b"later")), *entries])

    return make


def published(how: Callable[[Log], object] = bool, *more: bytes) -> LogMaker:
    """The receipt's log, changed by a function after it was made."""

    def make(sealed: Sealed) -> Log:
        log = later(*more)(sealed)
        how(log)
        return log

    return make


def log_files(log: Log) -> dict[str, bytes]:
    """c2sp.org/tlog-tiles: the checkpoint, the entry bundles and the tiles of the lowest level."""
    body = checkpoint_body(log.entries, log.origin)
    files: dict[str, bytes] = {"checkpoint": log.note(body).encode()}
    for start in range(0, len(log.entries), 256):
        chunk = log.entries[start : start + 256]
        name = f"{start // 256:03d}" + ("" if len(chunk) == 256 else f".p/{len(chunk)}")
        files[f"tile/entries/{name}"] = b"".join(len(data).to_bytes(2, "big") + data for data in chunk)
    for name, data in log.spoiled.items():
        if data is None:
            del files[name]
        else:
            files[name] = data
    return files
