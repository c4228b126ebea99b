"""The connector to directories of files: one open root, and the functions of this package on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retentiond.connectors.files.acting import act
from retentiond.connectors.files.judging import Search
from retentiond.connectors.files.layout import Layout, split
from retentiond.connectors.files.reading import Reader
from retentiond.connectors.files.returning import bring_back
from retentiond.connectors.files.surveying import survey, unmapped
from retentiond.connectors.files.tree import Tree, trouble
from retentiond.connectors.files.verifying import verify
from retentiond.connectors.files.visiting import visit
from retentiond.connectors.files.walking import scan
from retentiond.domain.dataset import Dataset, Shape, Store
from retentiond.domain.decision import Cases
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.errors import ConnectorError, DatasetRefused
from retentiond.evidence.levels import EvidenceLevel
from retentiond.ports.looking import Visit
from retentiond.ports.stores import Acted, Finding, Order, Pressure, Remnant, Survey, Verified, Window

KIND = "files"

_REMNANTS = (
    Remnant("freed disk blocks", "a file system does not overwrite what it frees"),
    Remnant("snapshots of the file system", "a snapshot keeps what was there when it was taken"),
)


class FilesOptions(BaseModel):
    """What a store of kind `files` needs.

    Attributes:
        root: The directory, relative to the configuration directory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    root: Annotated[str, Field(min_length=1, description="directory, relative to the configuration directory")]


class FilesConnector:
    """One directory tree; as `ports.stores.Connector`.

    Args:
        tree: Its open root; the connector closes it.
        store: The store's name.
    """

    kind = KIND
    shapes: frozenset[Shape] = frozenset()

    def __init__(self, tree: Tree, store: str) -> None:
        self._tree = tree
        self._store = store

    def survey(self, dataset: Dataset) -> Survey:
        """Look at a dataset's directory: what cannot be listed, removed, hidden or entered."""
        try:
            layout, _ = _parts(dataset)
        except DatasetRefused as error:
            return Survey((Finding(error.what, error.where, error.remedy, refuses=True),))
        return survey(self._tree, layout)

    def unmapped(self, datasets: Sequence[Dataset], ignored: Callable[[str], bool]) -> Iterator[str]:
        """Yield names under the root that hold files and that no dataset covers; directories end with a slash."""
        return unmapped(self._tree, [each for each in datasets if each.store == self._store], ignored)

    def scan(self, dataset: Dataset, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
        """Examine every file of a dataset, hidden ones included, directory by directory."""
        layout, reader = _parts(dataset)
        tree = self._tree.again()
        try:
            yield from scan(tree, layout, reader, cases, wanted)
        finally:
            tree.close()

    def references(self, dataset: Dataset) -> Iterator[Sequence[str]]:
        """Yield nothing: a file names no objects of another dataset."""
        del dataset
        return iter(())

    def find(self, dataset: Dataset, key: str) -> Sequence[Record]:
        """Return what stands under a path relative to the root: the file itself, and hidden ones of that path.

        A path that is not UTF-8 is given as Python gives the arguments of a program, with surrogate escapes.
        """
        layout, reader = _parts(dataset)
        try:
            path = split(os.fsencode(key))
        except ValueError:
            return ()
        if not layout.covers(path):
            return ()
        tree = self._tree.again()
        try:
            with Search(tree, layout, reader) as search:
                if search.in_foreign_quarantine(path):
                    return ()
                traces = [trace for home in search.homes for trace in search.at(home, path)]
            return tuple(trace.record for trace in traces if trace.regular)
        except OSError as error:
            raise trouble(error, "the file cannot be looked at", dataset.name) from error
        finally:
            tree.close()

    def act(self, order: Order) -> Acted:
        """Remove, hide or bring back exactly the order's files; how, and why so, stands in `acting`, `returning`."""
        work = bring_back if order.action is Action.RESTORE else act
        return work(self._tree, *_parts(order.dataset), order)

    def verify(self, order: Order) -> Verified:
        """Look for the order's files through a descriptor of its own; what that can tell stands in `verifying`."""
        return verify(self._tree, *_parts(order.dataset), order)

    def settle(self, dataset: Dataset) -> EvidenceLevel:
        """Do nothing more, for `act` has made its removals durable; blocks may be read until they are overwritten."""
        del dataset
        return EvidenceLevel.DELETED

    def remnants(self, dataset: Dataset) -> Sequence[Remnant]:
        """Return what a file system may keep of removed files."""
        del dataset
        return _REMNANTS

    def pressure(self) -> Pressure:
        """Tell of no replicas: there are none that it could see."""
        return Pressure(looked_at="a directory has no replicas")

    def now(self) -> None:
        """Tell no time: the machine's clock is the only one."""

    def close(self) -> None:
        """Let go of the root."""
        self._tree.close()


class FilesKind:
    """The kind `files`; as `ports.stores.ConnectorKind`."""

    kind = KIND
    options: type[BaseModel] = FilesOptions

    def open(self, store: Store, base: Path) -> FilesConnector:
        """Open the root of a store.

        Raises:
            ConnectorError: It is not there, is no directory, may not be listed, or this system lacks openat(2).
        """
        if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
            raise ConnectorError(
                "this system cannot reach files relative to an open directory",
                where=store.name,
                remedy="run retentiond on Linux or another POSIX system: Windows is not supported",
            )
        try:
            options = FilesOptions.model_validate(dict(store.options))
        except ValidationError as error:
            said = "; ".join(each["msg"] for each in error.errors())
            raise ConnectorError(
                f"its options are not right: {said}", where=store.name, remedy="give it a root, and nothing else"
            ) from error
        return FilesConnector(Tree(base / options.root), store.name)

    def takes(self, url: str) -> bool:
        """Tell whether a text is the path of a directory."""
        return bool(url) and "://" not in url and os.path.isdir(url)  # noqa: PTH112 - no for what cannot be a path

    def visit(self, url: str, given: Mapping[str, str]) -> Visit:
        """List the top of a directory.

        Raises:
            ConnectorError: It cannot be listed.
        """
        del given
        return visit(Path(url))


connector = FilesKind()


def _parts(dataset: Dataset) -> tuple[Layout, Reader]:
    return Layout(dataset), Reader(dataset)
