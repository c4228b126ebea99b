"""Looking at a dataset before anything is planned: what its connector sees, and whether it can read such a dataset."""

from __future__ import annotations

from retentiond.domain.dataset import Dataset
from retentiond.engine.context import Context
from retentiond.ports.stores import Finding, Survey


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
    return connector.survey(dataset)
