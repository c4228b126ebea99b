"""What is planned in one go, and by which cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from retentiond.domain.account import Leaver
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Cases, cases_of, manual_cases, only_of
from retentiond.domain.erasure import Person, Persons
from retentiond.domain.hold import Scope
from retentiond.domain.obligation import erasing_cases, leaving_cases
from retentiond.domain.plan import Basis
from retentiond.domain.policy import Policy
from retentiond.domain.record import Key
from retentiond.domain.replay import replay_cases
from retentiond.engine.leaving import Whom
from retentiond.errors import DatasetRefused


@dataclass(frozen=True, slots=True)
class Subject:
    """What is planned in one go: a dataset, and the one that its rows name objects of.

    Attributes:
        policies: The policies in question, by class.
        accounts: The accounts that leave, with what is known of each, or the people whose data is erased; none where
            policy decides.
        gone: After a restore: closed accounts and erased users, each with the end of that, microseconds since the
            epoch; None where nothing was restored.
        known: What their closures and requests said of them.
        scope: What people ask to be purged; None where nobody does.
        as_of: For what people had asked to be purged: the time of that purge; None for the reference time.
        cutoff: Likewise, less the floor of that time; None for the reference time less the present one.
        exact: Of what has the keys that the scope names, only these, as the store has them; none for all.
        only: The accounts that are asked about, where policy decides; none for all.
        seen_at: When it is looked at, where that is later than the reference time; None where it is not.
    """

    dataset: Dataset
    follower: Dataset | None
    policies: Mapping[str, Policy]
    accounts: Whom = field(default_factory=dict)
    gone: Mapping[Person, int] | None = None
    known: Mapping[Person, Leaver] = field(default_factory=dict)
    scope: Scope | None = None
    as_of: datetime | None = None
    cutoff: datetime | None = None
    exact: frozenset[Key] = frozenset()
    only: tuple[str, ...] = ()
    seen_at: datetime | None = None

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The dataset, and the one that follows it."""
        return (self.dataset, self.follower) if self.follower else (self.dataset,)

    @property
    def basis(self) -> Basis:
        """Where its cases come from."""
        if self.scope is not None:
            return Basis.MANUAL
        if isinstance(self.accounts, Persons):
            return Basis.ERASURE
        if self.gone is not None:
            return Basis.REPLAY
        return Basis.CLOSURE if self.accounts else Basis.POLICY

    def cases(self, dataset: Dataset, reference: datetime) -> Cases:
        """Return the cases of one of the two datasets."""
        policy = self.policies.get(dataset.data_class)
        if isinstance(self.accounts, Persons):
            return erasing_cases(self.accounts, policy, dataset, reference)
        if self.accounts:
            return leaving_cases(self.accounts, policy, dataset, reference)
        if self.gone is not None:
            return replay_cases(self.gone, dataset, reference, policy, self.known)
        if policy is None:
            raise DatasetRefused(
                f"no policy governs class {dataset.data_class}",
                where=dataset.name,
                remedy="write one, or plan all policies",
            )
        if self.scope is not None:
            at = self.as_of or reference
            return manual_cases(self.scope.selects, dataset, at, self.cutoff or policy.floor.before(at))
        cases = cases_of(policy, dataset, reference, self.seen_at)
        return only_of(self.only, cases) if self.only and dataset.has_owner else cases
