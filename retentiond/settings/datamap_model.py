"""The data map as operators write it (ARCHITECTURE.md, Data map)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_validator,
)

from retentiond.domain.dataset import EARLIEST, ClockFormat
from retentiond.settings.pace_model import PaceModel
from retentiond.settings.problems import refuse, shown
from retentiond.settings.tables import ClearedModel, Table, TriggerModel
from retentiond.settings.values import (
    Column,
    Declared,
    Grace,
    JsonPathValue,
    Label,
    MaybePeriod,
    Moment,
    Name,
    Text,
    What,
    Zone,
    empty_if_blank,
)
from retentiond.settings.where_model import Where

PARENT = "parent"
_NO_FORMATS = (ClockFormat.MODIFIED, ClockFormat.PATTERN, ClockFormat.NONE)
_COLUMN_FORMATS = tuple(each for each in ClockFormat if each not in _NO_FORMATS)
_RESERVED = frozenset(("account", "all", "any", "clock", "not", "tombstoned"))


def _word_or_mapping(what: str, shape: Any, *words: str) -> BeforeValidator:  # noqa: ANN401 -- a type for the schema
    """Return a validator that takes each of some words for `{word: true}`."""

    def read(value: object) -> object:
        if isinstance(value, str) and value in words:
            return {value: True}
        if isinstance(value, str):
            raise refuse(f"{shown(value)} is not {what}", f"write {', '.join(words)}, or a mapping")
        return value

    return BeforeValidator(read, json_schema_input_type=shape)


def _exactly_one(model: Declared, names: tuple[str, ...], what: str) -> None:
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        raise refuse(f"{what} needs exactly one of {', '.join(names)}", "give one, and remove the others")


def _format(value: object) -> ClockFormat:
    if isinstance(value, str) and value in _COLUMN_FORMATS:
        return ClockFormat(value)
    raise refuse(f"{shown(value)} is no format of a column's clock", f"write one of {', '.join(_COLUMN_FORMATS)}")


_Join = Annotated[dict[Column, Column], Field(min_length=1)]


def label_of(tag: str | None, metadata: str | None) -> str:
    """Return how a dataset names a tag or a piece of metadata of its objects; empty for neither."""
    return f"tag:{tag}" if tag is not None else f"metadata:{metadata}" if metadata is not None else ""


class ObjectLabel(Declared):
    """Where an attribute of an object stands: in a tag, or in its metadata."""

    newer: ClassVar[frozenset[str]] = frozenset(("tag", "metadata"))

    tag: Text | None = None
    metadata: Text | None = None

    @model_validator(mode="after")
    def _one_place(self) -> ObjectLabel:
        _exactly_one(self, ("tag", "metadata"), "an attribute")
        return self


class Clock(Declared):
    """Where a record's clock stands: in a column, its JSON or another table, in the key, or with the object."""

    newer: ClassVar[frozenset[str]] = frozenset(("json_path", "json", "tag", "metadata", "via", "on", "take", "none"))

    column: Column | None = None
    json_path: JsonPathValue | None = Field(None, alias="json")
    tag: Text | None = None
    metadata: Text | None = None
    pattern: Text | None = None
    modified: Literal[True] | None = None
    via: Table | None = None
    on: _Join | None = None
    take: Column | None = None
    none: Literal[True] | None = None
    format: Annotated[ClockFormat, BeforeValidator(_format, json_schema_input_type=Literal[_COLUMN_FORMATS])] = (
        ClockFormat.AUTO
    )
    zone: Zone = "UTC"
    earliest: Moment = EARLIEST

    @property
    def label(self) -> str:
        """The tag or metadata that it stands in, such as `tag:created`; empty for none."""
        return label_of(self.tag, self.metadata)

    @model_validator(mode="after")
    def _one_place(self) -> Clock:
        _exactly_one(self, ("column", "pattern", "modified", "tag", "metadata", "via", "none"), "a clock")
        if (self.via is None) != (self.on is None) or (self.via is None) != (self.take is None):
            remedy = "write {via: TABLE, on: {column here: column there}, take: COLUMN}"
            raise refuse("a clock in another table needs `via`, `on` and `take`", remedy)
        if self.none and self.model_fields_set != {"none"}:
            raise refuse("rows without a clock have neither format nor zone", "write `clock: none` alone")
        if (self.pattern or self.modified) and "format" in self.model_fields_set:
            raise refuse("only a clock in a column, a tag or metadata has a format", "remove `format`")
        if self.column is None and self.json_path is not None:
            raise refuse("only a column holds JSON", "add `column`, or remove `json`")
        if self.modified and "zone" in self.model_fields_set:
            raise refuse("the time of an object's last change needs no zone", "remove `zone`")
        return self


class StepModel(Declared):
    """A table on the way to the owner, and how its rows are found from those before."""

    table: Table
    on: _Join


class Account(Declared):
    """Where a record's owner stands: in a column or its JSON, in another table, in the key, in a tag or in metadata."""

    newer: ClassVar[frozenset[str]] = frozenset(
        ("json_path", "json", "array", "via", "on", "take", "optional", "tag", "metadata", "through", "nobody")
    )

    column: Column | None = None
    pattern: Text | None = None
    tag: Text | None = None
    metadata: Text | None = None
    json_path: JsonPathValue | None = Field(None, alias="json")
    array: Literal[True] | None = None
    via: Table | None = None
    on: _Join | None = None
    through: Annotated[list[StepModel], Field(min_length=1)] | None = None
    take: Column | None = None
    nobody: Label | None = None
    optional: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Account:
        _exactly_one(self, ("column", "pattern", "via", "through", "tag", "metadata", "nobody"), "an owner")
        if self.through is not None:
            self._check_through()
            return self
        if self.inherits:
            return self
        if self.column is None and (self.json_path is not None or self.array):
            remedy = "add `column`, or remove `json` and `array`; what a `parent` finds in JSON, {via: parent} does"
            raise refuse("only a column holds JSON or an array", remedy)
        if (self.via is None) != (self.on is None) or (self.via is None) != (self.take is None):
            remedy = "write {via: TABLE, on: {column here: column there}, take: COLUMN}, or {via: parent}"
            raise refuse("an owner in another table needs `via`, `on` and `take`", remedy)
        return self

    def _check_through(self) -> None:
        if self.take is None or self.on is not None:
            remedy = "write {through: [{table: T, on: {column here: column there}}, …], take: COLUMN}"
            raise refuse("an owner that is found through tables needs `through` and `take`, and nothing else", remedy)

    @property
    def inherits(self) -> bool:
        """Whether it is that of the parent's row."""
        bare = self.on is None and self.take is None
        return self.via is not None and bare and (self.via.schema_name, self.via.name) == ("", PARENT)

    @property
    def label(self) -> str:
        """The tag or metadata that it stands in, such as `tag:owner`; empty for none."""
        return label_of(self.tag, self.metadata)


def _accounts(value: object) -> object:
    listed = value if isinstance(value, list) else [value]
    return [{"column": each} if isinstance(each, str) else each for each in listed]


_PLACES = BeforeValidator(_accounts, json_schema_input_type=Account | str | list[Account | str])


def _places(value: list[Account], who: str, field: str) -> list[Account]:
    if not value:
        raise refuse(f"no {who} is named", f"name a column, or remove `{field}`")
    if any(each in value[:number] for number, each in enumerate(value)):
        raise refuse(f"the same {who} is named twice in one place", "name each place once")
    if any(each.nobody for each in value) and (len(value) > 1 or value[0].optional):
        raise refuse("it says that the records are nobody's, and more", f"write `{field}: {{nobody: REASON}}` alone")
    if any(each.pattern or each.label for each in value) and len(value) > 1:
        raise refuse(f"an object has one {who}", f"write one `{field}: {{pattern: …}}`, {{tag: …}} or {{metadata: …}}")
    return value


def _owners(value: list[Account]) -> list[Account]:
    if len(value) == 1 and value[0].optional and not value[0].nobody:
        raise refuse("the only owner is never optional", "remove `optional`: a record without an owner is kept")
    return _places(value, "owner", "account")


def _users(value: list[Account]) -> list[Account]:
    if any(each.optional and (each.pattern or each.label) for each in value):
        raise refuse("an object has one user, always", "remove `optional`")
    return _places(value, "user", "user")


def _one_or_all(value: list[Any], plain: SerializerFunctionWrapHandler) -> Any:  # noqa: ANN401 -- JSON
    found = plain(value)
    return found[0] if len(found) == 1 else found


class Parent(Declared):
    """The dataset whose rows go after these, though no foreign key says so."""

    dataset: Name
    on: _Join


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _parents(value: list[Parent]) -> list[Parent]:
    if not value:
        raise refuse("no parent is named", "name a dataset, or remove `parent`")
    if any(each in value[:number] for number, each in enumerate(value)):
        raise refuse("a parent is named twice by the same columns", "name each once")
    return value


class Tombstone(Declared):
    """How a record is hidden."""

    column: Column | None = None
    table: Table | None = None
    directory: Text | None = None
    marker: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Tombstone:
        _exactly_one(self, ("column", "table", "directory", "marker"), "a tombstone")
        return self

    @property
    def way(self) -> str:
        """The field that is set."""
        return next(name for name in ("column", "table", "directory", "marker") if getattr(self, name) is not None)


class Blobs(Declared):
    """The column in which a row names its object, and the dataset of that object."""

    column: Column
    dataset: Name


def _key(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _attributes(value: dict[str, str | ObjectLabel]) -> dict[str, str | ObjectLabel]:
    for name in value:
        if name in _RESERVED:
            raise refuse(f"an attribute cannot be called {name!r}, a word of conditions", "give it another name")
    return value


class DatasetModel(Declared):
    """The records in one store that share a shape, an owner and a clock."""

    newer: ClassVar[frozenset[str]] = frozenset(("parent", "user", "where", "clears", "triggers"))
    later: ClassVar[Mapping[str, str]] = {
        "enforce": "removal by the store's own rule",
    }

    store: Name
    data_class: Name = Field(alias="class")
    table: Table | None = None
    where: Where | None = None
    clears: Annotated[list[ClearedModel], Field(min_length=1)] | None = None
    triggers: Annotated[dict[Text, TriggerModel], Field(min_length=1)] | None = None
    prefix: str | None = None
    key: Annotated[list[Column], BeforeValidator(_key, json_schema_input_type=list[str] | str)] = Field(
        default_factory=list
    )
    clock: (
        Annotated[Clock, _word_or_mapping("a clock", Clock | Literal["modified", "none"], "modified", "none")] | None
    ) = None
    account: Annotated[list[Account], _PLACES, AfterValidator(_owners), WrapSerializer(_one_or_all)] | None = None
    user: Annotated[list[Account], _PLACES, AfterValidator(_users), WrapSerializer(_one_or_all)] | None = None
    attributes: Annotated[dict[Name, Column | ObjectLabel], AfterValidator(_attributes)] = Field(default_factory=dict)
    tombstone: Annotated[Tombstone, _word_or_mapping("a tombstone", Tombstone | Literal["marker"], "marker")] | None = (
        None
    )
    blobs: Blobs | None = None
    key_pattern: Text | None = None
    follows: Name | None = None
    keys: Literal["write-once"] | None = None
    parent: (
        Annotated[
            list[Parent],
            BeforeValidator(_listed, json_schema_input_type=Parent | list[Parent]),
            AfterValidator(_parents),
            WrapSerializer(_one_or_all),
        ]
        | None
    ) = None


class Backups(Declared):
    """How long a store's backups are kept."""

    keep: Grace


def _backups(value: object) -> object:
    if value == "none":
        return {"keep": "none"}
    if isinstance(value, str):
        raise refuse(f"{shown(value)} says nothing of backups", "write none, or {keep: 35 days}")
    return value


class StoreModel(Declared):
    """One system that holds data; what else it needs is said by the connector of its kind."""

    model_config = ConfigDict(extra="allow")

    kind: Name
    backups: Annotated[Backups, BeforeValidator(_backups, json_schema_input_type=Backups | Literal["none"])] | None = (
        None
    )
    pace: PaceModel | None = None


class IgnoredModel(Declared):
    """Names in a store that no dataset covers on purpose."""

    store: Name
    pattern: Text
    reason: Label


class DownstreamModel(Declared):
    """A copy that retentiond does not reach."""

    what: What
    owner: Label
    expires: MaybePeriod = None


_Stores = dict[Name, StoreModel]
_Datasets = dict[Name, DatasetModel]


class DataMapFile(Declared):
    """Where data lives: datamap.yaml."""

    stores: Annotated[_Stores, empty_if_blank(dict, _Stores)] = Field(default_factory=dict)
    datasets: Annotated[_Datasets, empty_if_blank(dict, _Datasets)] = Field(default_factory=dict)
    ignore: Annotated[list[IgnoredModel], empty_if_blank(list, list[IgnoredModel])] = Field(default_factory=list)
    downstream: Annotated[list[DownstreamModel], empty_if_blank(list, list[DownstreamModel])] = Field(
        default_factory=list
    )
    unmapped: Literal["refuse", "report"] = "refuse"
