"""The shapes of every document in a receipt: which members, of which types, with which words."""

from __future__ import annotations

from .shape import (
    Place,
    Shape,
    anything,
    base64_bytes,
    flag,
    hash_hex,
    integer,
    list_of,
    nullable,
    one_of,
    pair,
    record,
    table,
    table_of,
    text,
    time,
)

BUNDLE_TYPE = "application/vnd.retentiond.receipt-bundle.v1+json"
STATEMENT_MEDIA_TYPE = "application/vnd.in-toto+json"
KEYS_MEDIA_TYPE = "application/vnd.retentiond.keys.v1+json"
MAX_STATEMENT_BYTES = 3_499
MIN_ACCOUNTS_TREE = 16

KINDS_OF_ONE_RUN = ("run", "tombstone")
KINDS_OVER_RUNS = ("closure", "erasure", "attestation", "hold-notice")
# From the weakest to the strongest.
EVIDENCE_LEVELS = ("hidden", "deleted", "all-versions-deleted", "absent-from-live-files", "key-destroyed")
ACTION_BYTES = {"purge": 1, "tombstone": 2, "redact": 3, "pseudonymise": 4, "keyDestroyed": 5, "alreadyGone": 6}

_evidence = one_of(*EVIDENCE_LEVELS)
_path = list_of(hash_hex)


def _accounts_size(value: object, place: Place) -> None:
    integer(value, place)
    if not isinstance(value, int) or value < MIN_ACCOUNTS_TREE or value & (value - 1):
        place.refuse(f"is not a power of two of at least {MIN_ACCOUNTS_TREE}")


def _one_subject(value: object, place: Place) -> None:
    if not isinstance(value, list) or len(value) != 1:
        place.refuse("is not an array of exactly one subject")
    _subject(value[0], place.inside(0))


def envelope(media_type: str) -> Shape:
    """Give the shape of a DSSE envelope with this payload type."""
    signature = record({"sig": base64_bytes}, {"keyid": nullable(text)})
    return record({"payload": base64_bytes, "payloadType": one_of(media_type), "signatures": list_of(signature)})


_account = record(
    {
        "id": nullable(text),
        "salt": nullable(hash_hex),
        "leaf": base64_bytes,
        "index": integer,
        "path": _path,
    },
)
_item = record(
    {
        "dataset": text,
        "key": base64_bytes,
        "version": base64_bytes,
        "action": one_of(*ACTION_BYTES),
        "salt": hash_hex,
        "index": integer,
        "path": _path,
    },
)
BUNDLE = record(
    {
        "mediaType": one_of(BUNDLE_TYPE),
        "dsseEnvelope": envelope(STATEMENT_MEDIA_TYPE),
        "tlogProof": text,
        "annex": nullable(base64_bytes),
        "account": nullable(_account),
        "items": list_of(_item),
        "keys": table,
    },
)

_subject = record({"name": one_of("annex"), "digest": record({"sha256": hash_hex})})
_software = record({"name": text, "version": text})
_plan_entry = record({"index": integer, "sha256": hash_hex})
_run = record(
    {
        "id": text,
        "trigger": text,
        "referenceTime": time,
        "startedAt": time,
        "finishedAt": time,
        "planEntry": _plan_entry,
        "approvals": nullable(record({"sha256": hash_hex})),
    },
)
_PREDICATE = {
    "kind": one_of(*KINDS_OF_ONE_RUN, *KINDS_OVER_RUNS),
    "receiptId": text,
    "issuedAt": time,
    "issuer": record({"id": text, "instance": text, "software": _software}),
    "policies": list_of(record({"id": text, "sha256": hash_hex})),
    "outcome": one_of("complete", "partial"),
    "evidence": _evidence,
    "accounts": record({"tree": one_of("rfc9162-sha256"), "size": _accounts_size, "root": hash_hex}),
    "notCovered": list_of(record({"what": text, "until": nullable(time)})),
}
_predicate_of_one_run = record({**_PREDICATE, "run": _run}, {"purgeDue": time})
# That `run` is null over runs is asked in the step `statement`.
_predicate_over_runs = record({**_PREDICATE, "run": anything, "runs": record({"count": integer, "sha256": hash_hex})})


def _predicate(value: object, place: Place) -> None:
    over_runs = isinstance(value, dict) and value.get("kind") in KINDS_OVER_RUNS
    (_predicate_over_runs if over_runs else _predicate_of_one_run)(value, place)


STATEMENT = record(
    {
        "_type": one_of("https://in-toto.io/Statement/v1"),
        "subject": _one_subject,
        "predicateType": one_of("urn:retentiond:deletion-receipt:v1"),
        "predicate": _predicate,
    },
)

_part = record(
    {
        "dataset": text,
        "store": text,
        "kind": text,
        "policy": text,
        "rule": nullable(integer),
        "action": text,
        "keep": nullable(text),
        "clock": nullable(text),
        "cutoff": nullable(time),
        "examined": nullable(integer),
        "due": integer,
        "outcomes": table_of(integer),
        "bytes": nullable(integer),
        "evidence": _evidence,
        "verifiedBy": nullable(text),
        "verifiedAs": nullable(text),
        "verifiedAt": nullable(time),
        "position": anything,
        "tombstonedBetween": anything,
    },
    {"purgeDue": time},
)
_ANNEX_HEAD = {"annex": one_of("retentiond/annex/v1"), "nonce": hash_hex}
ANNEX_OF_ONE_RUN = record(
    {
        **_ANNEX_HEAD,
        "parts": list_of(_part),
        "carriedOver": list_of(
            record({"dataset": text, "reason": text, "count": integer, "until": nullable(time)}),
        ),
        "residue": nullable(record({"result": text, "method": text, "checkedAt": time, "found": integer})),
        "notCovered": list_of(
            record({"what": text, "store": nullable(text), "reason": text, "until": nullable(time)}),
        ),
        "held": list_of(record({"matterCommitment": hash_hex, "count": integer})),
        "singleOperator": flag,
    },
)
# That the list of runs is there is asked in the step `annex`.
ANNEX_OVER_RUNS = record(_ANNEX_HEAD, {"runs": list_of(pair(integer, hash_hex))})

LEAF = record(
    {
        "account": hash_hex,
        "records": integer,
        "bytes": integer,
        "actions": table_of(integer),
        "retained": integer,
        "oldest": nullable(time),
        "newest": nullable(time),
        "items": record({"size": integer, "root": hash_hex}),
    },
)
HISTORY_ENVELOPE = envelope(KEYS_MEDIA_TYPE)
HISTORY = record(
    {
        "keys": list_of(
            record(
                {
                    "role": text,
                    "key": text,
                    "validFrom": time,
                    "validUntil": nullable(time),
                    "revokedAt": nullable(time),
                    "reason": nullable(text),
                },
            ),
        ),
    },
)
