"""Canonical forms of datasets and policies: what approvals approve, and what is published (RECEIPTS.md).

They are the validated model as JSON (RFC 8785) with defaults filled in and durations in ISO 8601. No account stands in
them: members of lists are committed to on their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from retentiond.domain.policy import Policy


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the RFC 8785 form of a mapping."""
    return rfc8785.dumps(dict(value))


def digest(value: Mapping[str, Any]) -> str:
    """Return the lower-case hex SHA-256 of the RFC 8785 form of a mapping."""
    return hashlib.sha256(canonical(value)).hexdigest()


def list_commitment_input(policy: Policy) -> bytes:
    """Return the canonical JSON of the lists that a policy uses, members sorted and each once.

    Members are accounts: hash this under a key before it is kept or shown anywhere.
    """
    return canonical({name: sorted(set(members)) for name, members in policy.lists.items()})
