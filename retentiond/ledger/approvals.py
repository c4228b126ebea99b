"""Signatures under plans, nonces that were used, and pairs of policy and dataset that were approved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import bindparam, func, insert, select

from retentiond.ledger.schema import approvals, approved_pairs, columns_of, used_nonces
from retentiond.ledger.session import Session, insert_or, values_of
from retentiond.ports.rows import ApprovalRow

_ADD = insert(approvals)
_NEWEST_EACH = (
    select(func.max(approvals.c.sequence))
    .where(approvals.c.plan_sha256 == bindparam("of_plan"))
    .group_by(approvals.c.principal)
)
_OF_PLAN = (
    select(*columns_of(approvals, ApprovalRow))
    .where(approvals.c.sequence.in_(_NEWEST_EACH))
    .order_by(approvals.c.sequence)
)
_USE_NONCE = insert_or(used_nonces, "DO NOTHING")
_APPROVE_PAIR = insert(approved_pairs)
_NEWEST_PAIR = (
    select(approved_pairs.c.policy_sha256, approved_pairs.c.dataset_sha256, approved_pairs.c.lists)
    .where(approved_pairs.c.policy == bindparam("of_policy"), approved_pairs.c.dataset == bindparam("of_dataset"))
    .order_by(approved_pairs.c.sequence.desc())
    .limit(1)
)
_NEWEST_OF_DATASET = (
    select(approved_pairs.c.dataset_sha256)
    .where(approved_pairs.c.dataset == bindparam("of_dataset"))
    .order_by(approved_pairs.c.sequence.desc())
    .limit(1)
)


class SqlApprovals:
    """Signatures, used nonces and approved pairs; rows are only ever added, and the newest counts."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, approval: ApprovalRow) -> None:
        """Store a signature; the same principal's newer one replaces the older."""
        self._session.insert(_ADD, asdict(approval))

    def of_plan(self, plan_sha256: str) -> Sequence[ApprovalRow]:
        """Return the signatures under a plan, one for each principal, oldest first."""
        return [ApprovalRow(**values_of(row)) for row in self._session.rows(_OF_PLAN, of_plan=plan_sha256)]

    def use_nonce(self, nonce: str, at: datetime) -> bool:
        """Note a nonce; False when it was used before."""
        return self._session.change(_USE_NONCE, nonce=nonce, used_at=at) == 1

    def approve_pair(self, policy: tuple[str, str], dataset: tuple[str, str], lists: str) -> None:
        """Approve exactly this (policy id, sha256), (dataset name, sha256) and commitment to lists."""
        row = {
            "policy": policy[0],
            "policy_sha256": policy[1],
            "dataset": dataset[0],
            "dataset_sha256": dataset[1],
            "lists": lists,
        }
        self._session.insert(_APPROVE_PAIR, row)

    def approved_policy(self, policy: str, dataset: str) -> tuple[str, str] | None:
        """Return what was approved last of a policy for a dataset: its sha256, and the commitment to its lists."""
        newest = self._session.row(_NEWEST_PAIR, of_policy=policy, of_dataset=dataset)
        if newest is None:
            return None
        sha256, _, lists = tuple(newest)
        return (sha256, lists) if sha256 else None

    def approved_dataset(self, dataset: str) -> str | None:
        """Return the sha256 of the form of a dataset that was approved last, under whatever policy."""
        newest = self._session.row(_NEWEST_OF_DATASET, of_dataset=dataset)
        return None if newest is None else str(newest.dataset_sha256) or None

    def is_approved(self, policy: tuple[str, str], dataset: tuple[str, str], lists: str) -> bool:
        """Tell whether exactly this was approved, and nothing else for the same names since."""
        newest = self._session.row(_NEWEST_PAIR, of_policy=policy[0], of_dataset=dataset[0])
        return newest is not None and tuple(newest) == (policy[1], dataset[1], lists)
