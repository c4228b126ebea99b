"""Policies as operators write them (ARCHITECTURE.md, Data map, policies, promise)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from retentiond.domain.cron import Cron
from retentiond.domain.period import Period
from retentiond.domain.policy import MAX_RECORDS, Action
from retentiond.domain.statute import BUILT_IN, ONE_WEEK, THREE_YEARS
from retentiond.settings.content_model import ContentModel
from retentiond.settings.parts_model import PromiseModel, When
from retentiond.settings.problems import refuse, shown
from retentiond.settings.values import (
    Count,
    DayPeriod,
    Declared,
    FixedPeriod,
    Grace,
    Label,
    MaybeDayPeriod,
    MaybeFixedPeriod,
    MaybePeriod,
    Name,
    Percent,
    PeriodValue,
    Text,
    Zone,
    empty_if_blank,
    longest_seconds,
    read_fixed_period,
    shortest_seconds,
)

_LEAST_ZERO_RETENTION = Period(seconds=300)
_LEAST_CHECK = Period(seconds=60)
_ACTIONS = (Action.PURGE, Action.TOMBSTONE)
_CONTENT_ACTIONS = (Action.REDACT, Action.PSEUDONYMISE)
_EVERY = "every "


class ZeroRetention(Declared):
    """Removal as soon as it can be done at all."""

    after: FixedPeriod
    check_every: MaybeFixedPeriod = None

    @model_validator(mode="after")
    def _possible(self) -> ZeroRetention:
        if shortest_seconds(self.after) < shortest_seconds(_LEAST_ZERO_RETENTION):
            raise refuse(f"zero retention after {self.after} is too soon", f"write {_LEAST_ZERO_RETENTION} at least")
        if self.check_every and shortest_seconds(self.check_every) < shortest_seconds(_LEAST_CHECK):
            raise refuse(f"checking every {self.check_every} is too often", f"write {_LEAST_CHECK} at least")
        return self


def _action(value: object) -> Action:
    if value in _ACTIONS:
        return Action(str(value))
    if value in _CONTENT_ACTIONS:
        remedy = f"write {', '.join(_ACTIONS)}, and a window under `content:` for a part that goes sooner"
        raise refuse(f"{value} is of parts of a record: a rule says when all of it goes", remedy)
    raise refuse(f"{shown(value)} is no action", f"write one of {', '.join(_ACTIONS)}")


Then = Annotated[Action, BeforeValidator(_action, json_schema_input_type=Literal["purge", "tombstone"])]


class RuleModel(Declared):
    """One rule: for which records, how long they are kept, and what happens then."""

    later: ClassVar[Mapping[str, str]] = {"enforce": "removal by the store's own rule"}

    when: When = None
    keep: MaybePeriod = None
    then: Then = Action.PURGE
    grace: Grace = None
    zero_retention: ZeroRetention | None = None
    promise: PromiseModel | None = None

    @model_validator(mode="after")
    def _whole(self) -> RuleModel:
        if (self.keep is None) == (self.zero_retention is None):
            raise refuse("a rule needs exactly one of keep, zero_retention", "write `keep: 30 days`, for instance")
        if self.zero_retention and self.model_fields_set & {"then", "grace"}:
            raise refuse("zero retention purges at once: it has no `then` and no `grace`", "remove them")
        if self.then is Action.TOMBSTONE and "grace" not in self.model_fields_set:
            raise refuse("it does not say how long a tombstone lasts", "write `grace: 5 days`, or `grace: none`")
        if self.then is Action.PURGE and "grace" in self.model_fields_set:
            raise refuse("a purge has no grace", "write `then: tombstone`, or remove `grace`")
        return self

    @property
    def period(self) -> Period:
        """How long its records are kept; one of the two is always given."""
        given = (self.keep, self.zero_retention.after if self.zero_retention else None)
        return next(period for period in given if period)


class ScheduleModel(Declared):
    """When runs start: an interval, or a cron expression in a zone."""

    every: MaybeFixedPeriod = None
    cron: Text | None = None
    zone: Zone = "UTC"

    @model_validator(mode="after")
    def _one_way(self) -> ScheduleModel:
        if (self.every is None) == (self.cron is None):
            raise refuse("a schedule needs exactly one of every, cron", 'write "every 6 hours", or {cron: …, zone: …}')
        if self.every:
            return self
        try:
            Cron.parse(self.cron or "", self.zone)
        except ValueError as error:
            raise refuse(str(error), 'write it like "15 4 * * *"') from error
        return self


def _schedule(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.startswith(_EVERY):
        raise refuse(f"{shown(value)} is no schedule", 'write "every 6 hours", or {cron: "15 4 * * *", zone: UTC}')
    return {"every": read_fixed_period(value.removeprefix(_EVERY))}


class LimitsModel(Declared):
    """Caps of one plan, beyond which it needs approval."""

    max_records: Count = MAX_RECORDS
    max_percent: Percent = 10.0
    longest_run: FixedPeriod = Period(seconds=7200)

    @model_validator(mode="after")
    def _one_plan(self) -> LimitsModel:
        if self.max_records > MAX_RECORDS:
            raise refuse(f"a plan holds at most {MAX_RECORDS:,} records", f"write {MAX_RECORDS:_} at most")
        return self


class PolicyModel(Declared):
    """What was promised of a class of data, and the rules that keep the promise."""

    data_class: Name = Field(alias="class")
    promise: PromiseModel | None = None
    rules: Annotated[list[RuleModel], Field(min_length=1)]
    content: list[ContentModel] = Field(default_factory=list)
    schedule: Annotated[ScheduleModel, BeforeValidator(_schedule, json_schema_input_type=ScheduleModel | str)] = (
        ScheduleModel(every=Period(seconds=6 * 3600))
    )
    limits: LimitsModel = LimitsModel()


class ClosureLimits(Declared):
    """Caps of closures in one day."""

    per_day: Count = 500
    max_percent: Percent | None = None


class KeptModel(Declared):
    """What has to be kept of accounts that have left, how long, and whether against requests for erasure, too."""

    newer: ClassVar[frozenset[str]] = frozenset(("keep", "after_closure", "erasures"))

    when: When = None
    keep: MaybePeriod = None
    after_closure: MaybePeriod = None
    reason: Label
    jurisdictions: Annotated[list[Name], Field(min_length=1)] | None = None
    erasures: bool | None = None

    @model_validator(mode="after")
    def _one_clock(self) -> KeptModel:
        if (self.keep is None) == (self.after_closure is None):
            remedy = "write `keep: 10 years`, from a record's own clock, or `after_closure: 90 days`"
            raise refuse("what has to be kept needs exactly one of keep, after_closure", remedy)
        return self

    @property
    def period(self) -> Period:
        """How long; one of the two is always given."""
        return next(period for period in (self.keep, self.after_closure) if period)


def _kept(value: object) -> object:
    return value if isinstance(value, list) else [value]


class JurisdictionModel(Declared):
    """How accounts leave that belong to a jurisdiction; what it does not say is as for all others."""

    grace: Grace = None
    deadline: PeriodValue | None = None
    accounts: Name | None = None


class ClosureModel(Declared):
    """How accounts leave."""

    grace: Grace = Period(days=14)
    deadline: PeriodValue = Period(days=30)
    limits: ClosureLimits = ClosureLimits()
    classes: dict[
        Name,
        Annotated[
            list[KeptModel],
            BeforeValidator(_kept, json_schema_input_type=KeptModel | list[KeptModel]),
            Field(min_length=1),
        ],
    ] = Field(default_factory=dict)
    jurisdictions: dict[Name, JurisdictionModel] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _in_time(self) -> ClosureModel:
        _check_time(self.grace, self.deadline, "")
        for name in self.jurisdictions:
            _check_time(*self.terms(name), f" of {name}")
        return self

    def terms(self, jurisdiction: str) -> tuple[Period | None, Period]:
        """Return the grace, None for none, and the deadline of a jurisdiction."""
        model = self.jurisdictions[jurisdiction]
        grace = model.grace if "grace" in model.model_fields_set else self.grace
        return grace, model.deadline or self.deadline


def _check_time(grace: Period | None, deadline: Period, whose: str) -> None:
    if grace and longest_seconds(grace) >= shortest_seconds(deadline):
        what = f"the deadline{whose} of {deadline} leaves no time after a grace of {grace}"
        raise refuse(what, "shorten the grace, or give more time")


class LawModel(Declared):
    """Within what time a law has requests for erasure answered."""

    name: Label
    answer: DayPeriod
    extension: MaybeDayPeriod = None
    confirm: Count | None = None


class ErasureLimits(Declared):
    """Caps of requests for erasure."""

    per_day: Count = 100
    max_percent: Percent | None = None


_Laws = dict[Name, LawModel]


class ErasureModel(Declared):
    """How requests for erasure are answered."""

    zone: Zone = "UTC"
    alert_before: FixedPeriod = ONE_WEEK
    keep: PeriodValue = THREE_YEARS
    laws: Annotated[_Laws, empty_if_blank(dict, _Laws)] = Field(default_factory=dict)
    limits: ErasureLimits = ErasureLimits()

    @model_validator(mode="after")
    def _own_names(self) -> ErasureModel:
        for name in self.laws:
            if name in BUILT_IN:
                raise refuse(
                    f"the law {name!r} is built in, and its time is what it says", "declare it by another name"
                )
        return self


def _member(value: str) -> str:
    if not value:
        raise refuse("a member of a list is blank", "write it, or remove it")
    return value


Member = Annotated[str, AfterValidator(_member)]


class ListModel(Declared):
    """A list: written out, or in a file of its own, one member a line."""

    later: ClassVar[Mapping[str, str]] = {
        "query": "a list that a query gives",
        "store": "a list that a query gives",
    }

    members: list[Member] | None = None
    file: Text | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ListModel:
        if (self.members is None) == (self.file is None):
            raise refuse("a list is written out, or names its file", "write [one, two], or {file: accounts.txt}")
        return self


def _list(value: object) -> object:
    return {"members": value} if isinstance(value, list) else value


def _list_name(value: str) -> str:
    if value.startswith("("):
        raise refuse(f"{value!r} cannot be a list's name", "begin it with another sign: ( is for lists without a name")
    return value


_ListValue = Annotated[ListModel, BeforeValidator(_list, json_schema_input_type=ListModel | list[str])]
_Policies = dict[Name, PolicyModel]
_Lists = dict[Annotated[Name, AfterValidator(_list_name)], _ListValue]


class PlanLimits(Declared):
    """How large one plan may be; what is due beyond makes a chain of plans."""

    chain_records: Count = MAX_RECORDS

    @model_validator(mode="after")
    def _one_plan(self) -> PlanLimits:
        if self.chain_records > MAX_RECORDS:
            raise refuse(f"one plan of a chain holds at most {MAX_RECORDS:,} records", f"write {MAX_RECORDS:_} at most")
        return self


class PoliciesFile(Declared):
    """What was promised: policies.yaml."""

    policies: Annotated[_Policies, empty_if_blank(dict, _Policies)] = Field(default_factory=dict)
    lists: Annotated[_Lists, empty_if_blank(dict, _Lists)] = Field(default_factory=dict)
    closure: ClosureModel = ClosureModel()
    erasure: ErasureModel = ErasureModel()
    floor: PeriodValue = Period(seconds=3600)
    limits: PlanLimits = PlanLimits()
