"""`closure:` in policies.yaml: what is kept of accounts that have left, and where accounts belong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retentiond.domain.condition import ALWAYS
from retentiond.domain.policy import ClosureTerms, Jurisdiction, Obligation
from retentiond.settings.document import Trail
from retentiond.settings.policy_model import ClosureModel, KeptModel, PoliciesFile, RuleModel
from retentiond.settings.problems import Problem, alternatives
from retentiond.settings.values import longest_seconds, shortest_seconds
from retentiond.settings.when import Clause, WhenReader


class KeptReading:
    """What is kept of one class, on its way from the file to the engine.

    Args:
        path: Where it stands in the file.
        when: Reads conditions on records of the class.
    """

    def __init__(self, models: Sequence[KeptModel], path: Trail, when: WhenReader) -> None:
        self._models = models
        self._path = path
        self._when = when
        self._clauses: dict[int, Clause | None] = {}

    def problems(self, rules: Sequence[RuleModel]) -> Iterator[Problem]:
        """Read the conditions, and yield what is wrong besides.

        Args:
            rules: Those of the class: each lets a record go that it has kept long enough, whoever it was of.
        """
        lengths = [longest_seconds(rule.period) + _grace(rule) for rule in rules]
        for index, model in enumerate(self._models):
            if model.when is not None:
                trail = (*self._path, index, "when")
                self._clauses[index] = self._when.read(model.when, trail, f"closure {index + 1}")
            # Of which records a rule with a condition is cannot be told; an obligation without one is of all of them.
            always = model.when is None
            if model.keep and shortest_seconds(model.keep) > (min if always else max)(lengths, default=0):
                which = "a" if always else "every"
                what = f"it is to be kept for {model.keep}, and {which} rule of its policy removes it before"
                remedy = "keep it longer in the policy, too; what has to be kept, has to be kept of all accounts"
                yield Problem((*self._path, index, "keep"), what, remedy)

    def obligations(self) -> tuple[Obligation, ...]:
        """Return what is kept, which has no problems."""
        found = []
        for index, model in enumerate(self._models):
            clause = self._clauses.get(index)
            when = clause.condition if clause else ALWAYS
            names = tuple(sorted(model.jurisdictions or ()))
            from_closure = model.after_closure is not None
            binds = model.erasures is not False
            found.append(Obligation(index + 1, model.period, model.reason, when, names, from_closure, binds))
        return tuple(found)

    def canonical(self) -> list[dict[str, Any]]:
        """Return what stands in the policy's canonical form."""
        dumped = [model.model_dump(mode="json", by_alias=True) for model in self._models]
        for index, model in enumerate(self._models):
            dumped[index]["when"] = self._when.canonical(model.when, (*self._path, index, "when"))
        return dumped


def _grace(rule: RuleModel) -> int:
    return longest_seconds(rule.grace) if rule.grace else 0


def closure_problems(model: PoliciesFile, lists: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    """Yield what is wrong with `closure:` beside the rest of the file."""
    governed = {policy.data_class for policy in model.policies.values()}
    known = model.closure.jurisdictions
    for name, kept in model.closure.classes.items():
        path: Trail = ("closure", "classes", name)
        if name not in governed:
            remedy = f"{alternatives(name, sorted(governed), 'classes of policies')}; or write a policy of that class"
            yield Problem(path, f"no policy governs the class {name!r}", remedy, key=True)
        for index, each in enumerate(kept):
            for place, where in enumerate(each.jurisdictions or ()):
                if where not in known:
                    trail = (*path, index, "jurisdictions", place)
                    remedy = alternatives(where, known, "jurisdictions of this file")
                    yield Problem(trail, f"there is no jurisdiction {where!r}", remedy)
    yield from _list_problems(model.closure, lists)


def _list_problems(model: ClosureModel, lists: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name, each in model.jurisdictions.items():
        path: Trail = ("closure", "jurisdictions", name, "accounts")
        if each.accounts is not None and each.accounts not in lists:
            remedy = alternatives(each.accounts, lists, "lists of this file")
            yield Problem(path, f"there is no list {each.accounts!r}", remedy)
        for account in lists.get(each.accounts or "", ()):
            other = seen.setdefault(account, name)
            if other != name:
                what = f"an account stands in the lists of {other!r} and of {name!r}"
                yield Problem(path, what, "let it stand in one of them")
                return


def closure_terms(model: ClosureModel, lists: Mapping[str, tuple[str, ...]]) -> ClosureTerms:
    """Return how accounts leave."""
    jurisdictions = {
        name: Jurisdiction(*model.terms(name), frozenset(lists.get(each.accounts or "", ())))
        for name, each in model.jurisdictions.items()
    }
    limits = model.limits
    return ClosureTerms(model.grace, model.deadline, limits.per_day, limits.max_percent, jurisdictions)
