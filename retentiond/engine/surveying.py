"""Looking at a dataset before anything is planned: what its connector sees, and whether it can read such a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from retentiond.domain.dataset import Dataset
from retentiond.domain.policy import ContentWindow
from retentiond.engine.context import Context
from retentiond.ports.stores import Finding, Redacting, Survey


def survey(ctx: Context, dataset: Dataset) -> Survey:
    """Return what a connector sees of a dataset; only a refusal where it does not read datasets of such a shape.

    Raises:
        ConnectorError: The store cannot be looked at.
    """
    connector = ctx.connector(dataset)
    unknown = sorted(dataset.shapes - connector.shapes)
    if unknown:
        what = f"a store of the kind {dataset.store_kind} does not read {', nor '.join(unknown)}"
        remedy = "declare it without, or keep such records in a store that can"
        return Survey((Finding(what, dataset.name, remedy, refuses=True),))
    seen = connector.survey(dataset)
    if any(finding.refuses for finding in seen.findings):
        return seen
    return replace(seen, findings=(*seen.findings, *_content(ctx, dataset)))


def _content(ctx: Context, dataset: Dataset) -> Iterator[Finding]:
    """Yield what keeps the content windows of a dataset from being worked on."""
    policy = ctx.policies.of_class(dataset.data_class)
    windows = policy.windows(dataset.name) if policy else ()
    if not windows:
        return
    connector = ctx.connector(dataset)
    if not isinstance(connector, Redacting):
        what = f"a store of the kind {dataset.store_kind} cannot change parts of records"
        yield Finding(what, dataset.name, "name the `datasets:` of the content window, or remove it", refuses=True)
        return
    yield from connector.survey_changes(dataset, [window.change for window in windows])
    for window in windows:
        if not window.change.required and not any(_has_any(ctx, name, window) for name in sorted(window.datasets)):
            names = ", ".join(window.change.names)
            what = f"no table of the class {dataset.data_class} has any of the columns {names} to redact"
            yield Finding(what, dataset.name, "correct the content window in policies.yaml", refuses=True)


def _has_any(ctx: Context, name: str, window: ContentWindow) -> bool:
    dataset = ctx.datamap.datasets[name]
    connector = ctx.connector(dataset)
    return isinstance(connector, Redacting) and connector.has_any(dataset, window.change)
