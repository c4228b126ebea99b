"""A policy in its canonical form, read again: what people approved once, beside what the file says today."""

from __future__ import annotations

import json
from typing import Any

from retentiond.domain.dataset import DataMap
from retentiond.domain.period import Period
from retentiond.domain.policy import Policy, PolicySet
from retentiond.errors import PolicyError
from retentiond.settings.policies import Reading
from retentiond.settings.policy_model import KeptModel, PolicyModel
from retentiond.settings.problems import Problem, validated


def read_canonical(data: bytes, datamap: DataMap, policies: PolicySet) -> Policy:
    """Return the policy of a canonical form.

    The members of lists do not stand in it: those that the policy of the same id has today are taken.

    Raises:
        PolicyError: It is none that this version can read, or asks for what datasets or lists have no more.
    """
    written: dict[str, Any] = json.loads(data)
    name, floor = written.pop("id"), Period.parse(written.pop("floor"))
    closing = [_without_nothing(each) for each in written.pop("closing", ())]
    current = policies.policies.get(name)
    problems: list[Problem] = []
    model = validated(PolicyModel, _without_nothing(written), (), problems)
    kept = [validated(KeptModel, each, (), problems) for each in closing]
    if model is not None:
        lists = dict(current.lists) if current else {}
        reading = Reading(name, model, datamap, lists, [each for each in kept if each is not None])
        problems.extend(reading.problems(floor))
        if not problems:
            return reading.policy(floor)
    raise PolicyError(
        f"the form of policy {name} that is in force can't be read any more: {problems[0].what}",
        where="policies.yaml",
        remedy="`retentiond plan` shows what is due under the new one",
    )


def _without_nothing(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value without the members that say nothing, as files leave them out."""
    if isinstance(value, dict):
        return {name: _without_nothing(each) for name, each in value.items() if each is not None}
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value
