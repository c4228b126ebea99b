"""Coverage: what every store holds, whether the data map covers it, and which columns look as if it should.

Tables, prefixes and buckets that nothing names are found by their names. Columns are judged by `domain.looks`, by name,
type and shape; nothing of any row is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import groupby

from retentiond.domain.dataset import Dataset, Ignored
from retentiond.domain.looks import Look, looks_of
from retentiond.domain.looks_rules import Confidence, Kind
from retentiond.domain.owner import OwnerSource
from retentiond.domain.tableshape import TableShape
from retentiond.engine.context import Context
from retentiond.errors import ConnectorError
from retentiond.ports.looking import Describing, Neighbouring
from retentiond.ports.stores import Connector, Finding, Located

NAMED = {Kind.CONTENT: "request content", Kind.PERSONAL: "personal data"}
"""The kinds of columns that findings name, in words."""


class Verdict(StrEnum):
    """What becomes of a column: it goes with its row, in a window of its own, is left on purpose, or is nobody's."""

    ROW = "row"
    WINDOW = "window"
    IGNORED = "ignored"
    UNCOVERED = "uncovered"


@dataclass(frozen=True, slots=True)
class CoveredColumn:
    """A column that looks like something.

    Attributes:
        dataset: The dataset whose rows it stands in; empty for none.
        why: What the verdict rests on, in words.
        own: Whether the data map names this very column, and not only its table.
        outlasts: Whether it stays with its row though other parts of the row go sooner, in windows of their own.
    """

    store: str
    table: str
    look: Look
    dataset: str
    verdict: Verdict
    why: str
    own: bool = False
    outlasts: bool = False


@dataclass(frozen=True, slots=True)
class StoreCoverage:
    """How much of a store the data map covers.

    Attributes:
        tables: How many tables it has; None for a store without tables.
        beside: What stands beside the store and that no store of the data map is, such as `s3://other-bucket`.
        unseen: Why nobody could look at something; empty for nothing.
    """

    store: str
    tables: int | None
    covered: int
    ignored: int
    unmapped: tuple[str, ...]
    beside: tuple[str, ...] = ()
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What all stores hold."""

    stores: tuple[StoreCoverage, ...] = ()
    columns: tuple[CoveredColumn, ...] = ()
    findings: tuple[Finding, ...] = field(default=())


def coverage(ctx: Context) -> Coverage:
    """Look at all stores; one that cannot be looked at is a finding, and hides no other."""
    looks: list[_StoreLook] = []
    stores: list[StoreCoverage] = []
    columns: list[CoveredColumn] = []
    findings: list[Finding] = []
    for name in ctx.datamap.stores:
        try:
            look = _StoreLook(ctx, name)
            stores.append(look.summary())
        except ConnectorError as error:
            findings.append(_failure(name, error))
            continue
        looks.append(look)
        columns += look.columns
    if ctx.datamap.refuse_unmapped:
        for look in looks:
            findings += [*unmapped_findings(look.name, look.unmapped, look.columns), *_hidden(look.name, look.columns)]
        findings += _buckets(stores)
    return Coverage(tuple(stores), tuple(columns), tuple(dict.fromkeys(findings)))


def unmapped(ctx: Context) -> Iterator[Finding]:
    """Find what holds data that no dataset names, where the data map says that this is to be refused."""
    for name in ctx.datamap.stores:
        try:
            names = _Names(ctx, name).unmapped
        except ConnectorError as error:
            yield _failure(name, error)
            continue
        if ctx.datamap.refuse_unmapped:
            yield from unmapped_findings(name, names, ())


def unmapped_findings(store: str, names: Sequence[str], columns: Sequence[CoveredColumn]) -> Iterator[Finding]:
    """Yield what holds data that no dataset names, with those of its columns that look like something."""
    for name in names:
        told = _told(each for each in columns if each.table == name)
        yield Finding(
            f"{name!r} holds data that no dataset names{told and f'; {told}'}",
            f"store {store}",
            "describe it in datamap.yaml, or list it under `ignore` with a reason",
            guard="unmapped",
        )


def _failure(store: str, error: ConnectorError) -> Finding:
    return Finding(error.what, error.where or f"store {store}", error.remedy)


class _Names:
    """What a store holds by name, and what of it the data map leaves out.

    Raises:
        ConnectorError: The store cannot be looked at.
    """

    def __init__(self, ctx: Context, store: str) -> None:
        self.connector = ctx.store(store)
        self.datasets = [dataset for dataset in ctx.datamap.datasets.values() if dataset.store == store]
        self._ignore = [each for each in ctx.datamap.ignore if each.store == store]
        self.own = _own_tables(ctx, self.connector)
        self.unmapped = tuple(self.connector.unmapped(self.datasets, self.leaves_out))

    def leaves_out(self, name: str) -> bool:
        """Tell whether a name is left out on purpose, or the ledger's own."""
        return name in self.own or self.reason([name]) is not None

    def reason(self, names: Sequence[str], but: Sequence[str] = ()) -> str | None:
        """Return why something is left out by any of its names; None where it is not.

        Args:
            but: Patterns that match any of these do not count.
        """
        matching = (each for each in self._ignore if _is_named(each, names) and not _is_named(each, but))
        return next((each.reason for each in matching), None)


class _StoreLook:
    """One store with its columns, looked at once.

    Raises:
        ConnectorError: It cannot be looked at.
    """

    def __init__(self, ctx: Context, name: str) -> None:
        self._ctx = ctx
        self.name = name
        self._names = _Names(ctx, name)
        self.unmapped = self._names.unmapped
        self._tables: Sequence[TableShape] | None = None
        self._covered: Mapping[str, list[Dataset]] = {}
        connector = self._names.connector
        if isinstance(connector, Describing):
            self._tables = [table for table in connector.tables() if table.title not in self._names.own]
            self._covered = _by_table(connector, self._names.datasets)
        self.columns = tuple(self._columns())

    def _columns(self) -> Iterator[CoveredColumn]:
        for table in self._tables or ():
            datasets = self._covered.get(table.title, [])
            for look in looks_of(table):
                found = [self._within(dataset, table, look) for dataset in datasets]
                yield min(found, key=_how_well) if found else self._beyond_datasets(table, look)

    def _within(self, dataset: Dataset, table: TableShape, look: Look) -> CoveredColumn:
        """Return what becomes of a column of a dataset's table."""
        found = CoveredColumn(self.name, table.title, look, dataset.name, Verdict.UNCOVERED, "")
        policy = self._ctx.policies.of_class(dataset.data_class)
        if policy is None:
            return replace(found, why=f"no policy governs class {dataset.data_class}")
        windows = policy.windows(dataset.name)
        mine = [window for window in windows if look.column in window.change.columns]
        if mine:
            after = ", ".join(f"{window.after} ({window.text})" for window in mine)
            return replace(found, verdict=Verdict.WINDOW, why=f"goes after {after}, under policy {policy.id}")
        own = self._own_reason(table, look.column)
        why = f"goes with its row, under policy {policy.id}"
        outlasts = bool(windows) and own is None and look.column not in _roles(dataset)
        return replace(found, verdict=Verdict.ROW, why=own or why, own=own is not None, outlasts=outlasts)

    def _beyond_datasets(self, table: TableShape, look: Look) -> CoveredColumn:
        """Return what becomes of a column of a table that is nobody's."""
        found = CoveredColumn(self.name, table.title, look, "", Verdict.UNCOVERED, "no dataset names its table")
        reason = self._names.reason(_titles(table))
        if reason is None:
            return found
        own = self._own_reason(table, look.column)
        return replace(found, verdict=Verdict.IGNORED, why=own or reason, own=own is not None)

    def _own_reason(self, table: TableShape, column: str) -> str | None:
        """Return why `ignore` names this very column; None where it does not."""
        titles = _titles(table)
        return self._names.reason([f"{title}.{column}" for title in titles], but=titles)

    def summary(self) -> StoreCoverage:
        """Return how much of the store is covered, and what stands beside it."""
        titles = [table.title for table in self._tables or ()]
        covered = sum(title in self._covered for title in titles)
        nobodys = sum(title in self.unmapped for title in titles)
        beside, unseen = self._beside()
        tables = None if self._tables is None else len(titles)
        left_out = len(titles) - covered - nobodys
        return StoreCoverage(self.name, tables, covered, left_out, self.unmapped, beside, unseen)

    def _beside(self) -> tuple[tuple[str, ...], str]:
        connector = self._names.connector
        if not isinstance(connector, Neighbouring):
            return (), ""
        found = connector.neighbours()
        if found.separate:
            return tuple(f"{found.what} {name}" for name in found.names), found.unseen
        named = {str(store.options.get("bucket")) for store in self._ctx.datamap.stores.values()}
        others = (f"s3://{name}" for name in found.names if name not in named | self._ctx.terms.own_buckets)
        return tuple(name for name in others if not self._names.leaves_out(name)), found.unseen


def _roles(dataset: Dataset) -> frozenset[str]:
    """Return the columns that the data map itself says what they are for."""
    owners = {owner.column for owner in dataset.owners} | {here for owner in dataset.owners for here in _joined(owner)}
    links = {here for parent in dataset.parents for here, _ in parent.on}
    named = {dataset.clock.column, dataset.blobs.column if dataset.blobs else "", *dataset.attributes.values()}
    hidden = {dataset.tombstone.column} if dataset.tombstone else set()
    return frozenset((*dataset.key, *owners, *links, *named, *hidden))


def _joined(owner: OwnerSource) -> Iterator[str]:
    return (here for here, _ in owner.via.on) if owner.via else iter(())


def _by_table(connector: Describing, datasets: Sequence[Dataset]) -> Mapping[str, list[Dataset]]:
    """Return the datasets of each table: more than one where each has a part of its rows."""
    found: dict[str, list[Dataset]] = {}
    for dataset in datasets:
        for title in connector.tables_of(dataset):
            found.setdefault(title, []).append(dataset)
    return found


def _how_well(column: CoveredColumn) -> int:
    """Return how well a column is covered, the worst first: where datasets share a table, that is what is told."""
    outlasting = 1 if column.outlasts else 2
    return {Verdict.UNCOVERED: 0, Verdict.ROW: outlasting}.get(column.verdict, 3)


def _titles(table: TableShape) -> Sequence[str]:
    """Return the names by which `ignore` may mean a table."""
    return [table.title] if table.schema else [table.title, f"main.{table.title}"]


def _own_tables(ctx: Context, connector: Connector) -> frozenset[str]:
    own = ctx.ledger.own_tables() if isinstance(connector, Located) else None
    ours = own.names if own and isinstance(connector, Located) and own.location == connector.location() else ()
    return frozenset(ours)


def _is_named(ignored: Ignored, names: Sequence[str]) -> bool:
    return any(fnmatchcase(name, ignored.pattern) for name in names)


def _is_told(column: CoveredColumn) -> bool:
    return column.look.kind in NAMED and column.look.confidence is not Confidence.POSSIBLE


def _told(columns: Iterable[CoveredColumn]) -> str:
    """Return which columns look like what, in words."""
    listed = sorted((each for each in columns if _is_told(each)), key=lambda each: each.look.kind)
    groups = groupby(listed, key=lambda each: each.look.kind)
    return "; ".join(_told_of(kind, list(mine)) for kind, mine in groups)


def _told_of(kind: Kind, columns: Sequence[CoveredColumn]) -> str:
    names = ", ".join(f"{each.look.column!r} ({each.look.rules[0]})" for each in columns)
    return f"{names} {'looks' if len(columns) == 1 else 'look'} like {NAMED[kind]}"


def _hidden(store: str, columns: Sequence[CoveredColumn]) -> Iterator[Finding]:
    """Find columns of request content that nobody may know of: in ignored tables, and beside parts that go sooner."""
    for column in columns:
        if column.look.kind is not Kind.CONTENT or not _is_told(column) or column.own:
            continue
        name = f"{column.table}.{column.look.column}"
        listed = f"list the column itself under `ignore`: {{store: {store}, pattern: {name!r}, reason: …}}"
        if column.verdict is Verdict.IGNORED:
            yield Finding(
                f"{name!r} looks like request content ({column.look.rules[0]}), and its table is ignored: {column.why}",
                f"store {store}",
                f"describe the table in datamap.yaml, or {listed}",
                guard="unmapped",
            )
        elif column.outlasts:
            yield Finding(
                f"{name!r} looks like request content ({column.look.rules[0]}), and stays with its row, "
                "while other parts of it go sooner",
                f"dataset {column.dataset}",
                f"name it in a content window of its policy, or {listed}",
                guard="unmapped",
            )


def _buckets(stores: Sequence[StoreCoverage]) -> Iterator[Finding]:
    """Find the buckets of an account that no store of the data map is; the first store that sees one names it."""
    seen: dict[str, str] = {}
    for look in stores:
        for name in look.beside:
            if name.startswith("s3://"):
                seen.setdefault(name, look.store)
    for name, store in seen.items():
        yield Finding(
            f"{name!r} is a bucket of this account that no store of the data map is",
            f"store {store}",
            f"declare it as a store, or list it under `ignore`: {{store: {store}, pattern: {name!r}, reason: …}}",
            guard="unmapped",
        )
