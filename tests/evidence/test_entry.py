"""Entries of the log: exactly the kind lines of the format, and nothing else."""

from __future__ import annotations

import pytest

from retentiond.errors import LogIntegrityError, ReceiptError
from retentiond.evidence import entry
from retentiond.evidence.entry import Entry, EntryKind, parse_entry

SHA = "0123456789abcdef" * 4
WRITTEN = [
    (entry.plan_entry(SHA), "plan", Entry(EntryKind.PLAN, SHA)),
    (entry.receipt_entry(0, SHA), "receipt 0", Entry(EntryKind.RECEIPT, SHA, 0)),
    (entry.receipt_entry(300, SHA), "receipt 300", Entry(EntryKind.RECEIPT, SHA, 300)),
    (entry.receipt_entry(None, SHA), "receipt -", Entry(EntryKind.RECEIPT, SHA)),
    (entry.void_entry(7, "superseded", SHA), "void 7 superseded", Entry(EntryKind.VOID, SHA, 7, "superseded")),
    (entry.retract_entry(9, "wrong-key", SHA), "retract 9 wrong-key", Entry(EntryKind.RETRACT, SHA, 9, "wrong-key")),
    (entry.policy_entry(SHA), "policy", Entry(EntryKind.POLICY, SHA)),
    (entry.state_entry(SHA), "state", Entry(EntryKind.STATE, SHA)),
    (entry.key_entry(SHA), "key", Entry(EntryKind.KEY, SHA)),
    (entry.anchor_entry(SHA), "anchor", Entry(EntryKind.ANCHOR, SHA)),
]
MISSPELLED = [
    b"",
    b"\xff",
    b"retentiond/log-entry/v1\n",
    f"retentiond/log-entry/v2\nplan\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nplan\nsha256:{SHA}".encode(),
    f"retentiond/log-entry/v1\nplan\nsha256:{SHA}\n\n".encode(),
    f"retentiond/log-entry/v1\nplan\n{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nplan\nsha256:{SHA.upper()}\n".encode(),
    f"retentiond/log-entry/v1\nplan\nsha256:{SHA[:-1]}\n".encode(),
    f"retentiond/log-entry/v1\nplan 3\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nreceipt\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nreceipt 007\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nreceipt -1\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nreceipt 1 2\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nreceipt ٣\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nvoid 7\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nvoid 7 forgotten\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nvoid - expired\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\nretract 7 two words\nsha256:{SHA}\n".encode(),
    f"retentiond/log-entry/v1\npurge\nsha256:{SHA}\n".encode(),
]


@pytest.mark.parametrize(("written", "line", "parsed"), WRITTEN, ids=[line for _, line, _ in WRITTEN])
def test_kind_lines(written: bytes, line: str, parsed: Entry) -> None:
    assert written == f"retentiond/log-entry/v1\n{line}\nsha256:{SHA}\n".encode()
    assert parse_entry(written) == parsed


@pytest.mark.parametrize("data", MISSPELLED, ids=range(len(MISSPELLED)))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(LogIntegrityError):
        parse_entry(data)


@pytest.mark.parametrize("reason", ["", "two words", "line\nbreak", "Upper", "-", "forgotten"])
def test_a_void_needs_a_reason_of_the_four(reason: str) -> None:
    with pytest.raises(ReceiptError):
        entry.void_entry(7, reason, SHA)


@pytest.mark.parametrize("index", [-1, 2**63])
def test_an_index_is_not_negative_and_fits_64_bits(index: int) -> None:
    with pytest.raises(ReceiptError):
        entry.receipt_entry(index, SHA)


@pytest.mark.parametrize("sha256", ["", SHA.upper(), SHA + "\n", SHA[:-1], "sha256:" + SHA])
def test_a_digest_is_64_lower_case_hex_digits(sha256: str) -> None:
    with pytest.raises(ReceiptError):
        entry.plan_entry(sha256)
