"""policies.yaml: read, validated, checked against the data map, turned into what the engine works with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from retentiond.domain.condition import ACCOUNT, ALWAYS
from retentiond.domain.dataset import DataMap, Dataset
from retentiond.domain.period import Period
from retentiond.domain.policy import (
    Action,
    Limits,
    Policy,
    PolicySet,
    Promise,
    Rule,
    Schedule,
)
from retentiond.domain.statute import BUILT_IN, ErasureTerms, Law
from retentiond.errors import ConfigError, PolicyError
from retentiond.settings.canonical import canonical
from retentiond.settings.closing import KeptReading, closure_problems, closure_terms
from retentiond.settings.content import order_problems, window_problems, windows_of
from retentiond.settings.document import Document, Trail, decode, read_bytes, read_document
from retentiond.settings.parts_model import PromiseModel
from retentiond.settings.policy_model import (
    ErasureModel,
    KeptModel,
    ListModel,
    PoliciesFile,
    PolicyModel,
    RuleModel,
)
from retentiond.settings.problems import Problem, declared, raise_first
from retentiond.settings.values import longest_seconds, shortest_seconds
from retentiond.settings.when import Clause, WhenReader

_LIST_BYTES = 64 << 20
_EVERYTHING = "every record"
_EVERYTHING_ELSE = "everything else"


def load_policies(path: Path, datamap: DataMap) -> PolicySet:
    """Read the policies.

    Args:
        path: The file, such as `config/policies.yaml`.

    Raises:
        ConfigError: The file, or the file of a list, is wrong.
        PolicyError: A policy contradicts itself, another one, or the datasets of its class.
    """
    document = read_document(path)
    model = declared(PoliciesFile, document)
    lists = {name: _members(document, name, each, path.parent) for name, each in model.lists.items()}
    kept = model.closure.classes
    readings = {
        name: Reading(name, each, datamap, lists, kept.get(each.data_class, ()))
        for name, each in model.policies.items()
    }
    problems = [problem for reading in readings.values() for problem in reading.problems(model.floor)]
    raise_first(document, [*_shared_classes(model), *problems, *closure_problems(model, lists)], PolicyError)
    policies = {name: reading.policy(model.floor) for name, reading in readings.items()}
    closing = closure_terms(model.closure, lists)
    return PolicySet(policies, closing, model.limits.chain_records, _erasure(model.erasure))


def uncovered_classes(datamap: DataMap, policies: PolicySet) -> tuple[str, ...]:
    """Return the classes of datasets that no policy governs: nothing of them would ever go."""
    classes = dict.fromkeys(dataset.data_class for dataset in datamap.datasets.values())
    return tuple(each for each in classes if policies.of_class(each) is None)


def idle_policies(datamap: DataMap, policies: PolicySet) -> tuple[str, ...]:
    """Return the policies whose class no dataset has: a slip of the pen, or data that is still to come."""
    classes = {dataset.data_class for dataset in datamap.datasets.values()}
    return tuple(policy.id for policy in policies.policies.values() if policy.data_class not in classes)


def _below_floor(path: Trail, keep: Period | None, floor: Period) -> Iterator[Problem]:
    if keep and keep != floor and shortest_seconds(keep) < longest_seconds(floor):
        what = f"{keep} is below the floor of {floor}"
        yield Problem(path, what, "keep it longer, lower `floor`, or ask for zero_retention", guard="floor")


def _members(document: Document, name: str, model: ListModel, base: Path) -> tuple[str, ...]:
    if model.file is None:
        return tuple(sorted(set(model.members or ())))
    path = base / model.file
    try:
        text = decode(path.name, read_bytes(path, _LIST_BYTES))
    except ConfigError as error:
        where = document.place(("lists", name, "file"))
        raise ConfigError(f"the list {name!r} cannot be read: {error}", where=where, remedy=error.remedy) from error
    members = set()
    for number, line in enumerate(text.split("\n"), 1):
        member = line.removesuffix("\r")
        if member != member.strip():
            remedy = "remove them: a member is compared as it stands"
            raise ConfigError("spaces stand around a member of a list", where=f"{path.name}:{number}:1", remedy=remedy)
        if member:
            members.add(member)
    return tuple(sorted(members))


def _shared_classes(model: PoliciesFile) -> Sequence[Problem]:
    first: dict[str, str] = {}
    found = []
    for name, policy in model.policies.items():
        other = first.setdefault(policy.data_class, name)
        if other != name:
            what = f"the class {policy.data_class!r} is governed by {other!r} already"
            found.append(Problem(("policies", name, "class"), what, "put the rules of one class into one policy"))
    return found


class Reading:
    """One policy on its way from the file to the engine: its problems first, then its value.

    Args:
        kept: What is kept of accounts that have left.
    """

    def __init__(
        self,
        name: str,
        model: PolicyModel,
        datamap: DataMap,
        lists: Mapping[str, tuple[str, ...]],
        kept: Sequence[KeptModel] = (),
    ) -> None:
        self._name = name
        self._model = model
        self._all = tuple(datamap.datasets.values())
        self._datasets = [each for each in datamap.datasets.values() if each.data_class == model.data_class]
        self._fields = {each.name: _fields(each, datamap) for each in self._datasets}
        known = frozenset[str]().union(*self._fields.values())
        self._when = WhenReader(lists, self._lacking, known.intersection(*self._fields.values()))
        self._clauses: dict[Trail, Clause] = {}
        self._kept = KeptReading(kept, ("closure", "classes", model.data_class), self._when)

    def problems(self, floor: Period) -> Sequence[Problem]:
        """Read the rules, and return what is wrong with them."""
        path = ("policies", self._name)
        found: list[Problem] = []
        for index, rule in enumerate(self._model.rules):
            found += self._rule_problems((*path, "rules", index), index, rule, floor)
        found += self._content_problems((*path, "content"), floor)
        found += self._kept.problems(self._model.rules)
        return [*found, *self._when.problems]

    def _content_problems(self, path: Trail, floor: Period) -> Iterator[Problem]:
        longest = max((longest_seconds(rule.period) for rule in self._model.rules), default=0)
        for index, content in enumerate(self._model.content):
            trail = (*path, index)
            clause = content.when is not None and self._when.read(
                content.when, (*trail, "when"), f"content {index + 1}"
            )
            if clause:
                self._clauses[trail] = clause
            yield from window_problems(trail, content, self._datasets, self._all)
            yield from _below_floor((*trail, "after"), content.after, floor)
            if shortest_seconds(content.after) >= longest:
                what = f"no record is kept as long as {content.after}: every rule removes it whole before that"
                yield Problem((*trail, "after"), what, "shorten `after`, or remove the window")
        yield from order_problems(path, self._model.content)

    def policy(self, floor: Period) -> Policy:
        """Return the policy, which has no problems."""
        limits = self._model.limits
        return Policy(
            id=self._name,
            data_class=self._model.data_class,
            rules=tuple(self._rule(index, rule) for index, rule in enumerate(self._model.rules)),
            promise=_promise(self._model.promise) or Promise(),
            schedule=Schedule(self._model.schedule.every, self._model.schedule.cron or "", self._model.schedule.zone),
            limits=Limits(limits.max_records, limits.max_percent, limits.longest_run),
            floor=floor,
            lists=dict(self._when.used),
            canonical=self._canonical(floor),
            content=windows_of(self._model.content, self._datasets, self._content_clauses()),
            kept=self._kept.obligations(),
        )

    def _content_clauses(self) -> dict[int, Clause]:
        path = ("policies", self._name, "content")
        numbers = range(len(self._model.content))
        return {index: self._clauses[*path, index] for index in numbers if (*path, index) in self._clauses}

    def _lacking(self, field: str) -> Sequence[str]:
        return [name for name, fields in self._fields.items() if field not in fields]

    def _rule_problems(self, path: Trail, index: int, rule: RuleModel, floor: Period) -> Iterator[Problem]:
        last = index == len(self._model.rules) - 1
        if rule.when is not None:
            clause = self._when.read(rule.when, (*path, "when"), f"rule {index + 1}")
            if clause:
                self._clauses[path] = clause
            if last:
                what = "the last rule has a `when`: what no rule matches would be kept for ever"
                yield Problem(
                    (*path, "when"), what, "add a last rule without `when`, such as {keep: 30 days}", key=True
                )
        elif not last:
            what = f"rule {index + 1} has no `when`, so the rules after it never count"
            yield Problem(path, what, "add a `when`, or make it the last rule")
        yield from _below_floor((*path, "keep"), rule.keep, floor)
        if rule.then is Action.TOMBSTONE:
            yield from self._tombstone_problems((*path, "then"))

    def _tombstone_problems(self, path: Trail) -> Iterator[Problem]:
        for dataset in self._datasets:
            if dataset.tombstone is None and not dataset.follows:
                what = f"the dataset {dataset.name!r} of this class declares no tombstone"
                yield Problem(path, what, "declare `tombstone:` in the data map, or write `then: purge`")

    def _rule(self, index: int, rule: RuleModel) -> Rule:
        clause = self._clauses.get(("policies", self._name, "rules", index))
        everything = _EVERYTHING if len(self._model.rules) == 1 else _EVERYTHING_ELSE
        zero = rule.zero_retention
        return Rule(
            number=index + 1,
            keep=rule.period,
            when=clause.condition if clause else ALWAYS,
            then=rule.then,
            grace=rule.grace,
            zero_retention=zero is not None,
            check_every=zero.check_every if zero else None,
            promise=_promise(rule.promise),
            text=clause.text if clause else everything,
        )

    def _canonical(self, floor: Period) -> bytes:
        dumped = self._model.model_dump(mode="json", by_alias=True)
        for index, rule in enumerate(self._model.rules):
            trail = ("policies", self._name, "rules", index, "when")
            dumped["rules"][index]["when"] = self._when.canonical(rule.when, trail)
        for index, content in enumerate(self._model.content):
            trail = ("policies", self._name, "content", index, "when")
            dumped["content"][index]["when"] = self._when.canonical(content.when, trail)
        kept = self._kept.canonical()
        closing = {"closing": kept} if kept else {}  # policies of which nothing is kept are approved as before
        return canonical({"id": self._name, **dumped, "floor": floor.iso(), **closing})


def _fields(dataset: Dataset, datamap: DataMap) -> frozenset[str]:
    """Return what rules may ask of a dataset: its own fields, and those of the rows that it follows."""
    leader = datamap.datasets.get(dataset.follows)
    return frozenset(
        field
        for each in (dataset, leader)
        if each
        for field in (*each.attributes, *((ACCOUNT,) if each.has_owner else ()))
    )


def _promise(model: PromiseModel | None) -> Promise | None:
    return Promise(model.live, model.backups) if model else None


def _erasure(model: ErasureModel) -> ErasureTerms:
    own = {name: Law(name, each.name, each.answer, each.extension, each.confirm) for name, each in model.laws.items()}
    limits = model.limits
    laws = {**BUILT_IN, **own}
    return ErasureTerms(laws, model.zone, model.alert_before, limits.per_day, limits.max_percent, model.keep)
