"""What a data map says of a table and does not reach: rows of none of its datasets, and rows that no age can reach."""

from __future__ import annotations

from collections.abc import Iterator

from retentiond.domain.dataset import ClockFormat, Dataset
from retentiond.engine.context import Context
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Finding, Parting


def leftovers(ctx: Context) -> Iterator[Finding]:
    """Find tables of which each dataset has a part, and some rows none; where such rows are to be refused."""
    tables: dict[tuple[str, str], list[Dataset]] = {}
    for dataset in ctx.datamap.datasets.values():
        if dataset.where:
            title = f"{dataset.schema}.{dataset.table}" if dataset.schema else dataset.table
            tables.setdefault((dataset.store, title.removeprefix("public.").removeprefix("main.")), []).append(dataset)
    for (store, title), datasets in tables.items():
        try:
            if ctx.datamap.refuse_unmapped and _has_more(ctx, datasets):
                asked = ", ".join(dict.fromkeys(only.column for each in datasets for only in each.where))
                yield Finding(
                    f"table {title!r} holds rows that no dataset's `where` takes",
                    f"store {store}",
                    f"look at its values of {asked}, and describe the others: `where: {{COLUMN: {{not: [VALUE, …]}}}}`",
                    guard="unmapped",
                )
        except ConnectorError as error:
            yield Finding(error.what, error.where or f"store {store}", error.remedy)


def _has_more(ctx: Context, datasets: list[Dataset]) -> bool:
    connector = ctx.connector(datasets[0])
    return isinstance(connector, Parting) and connector.leftover(datasets[0], [each.where for each in datasets])


def ageless(ctx: Context) -> Iterator[Finding]:
    """Find datasets without a clock that a policy governs: it promises what nothing can keep."""
    for dataset in ctx.datamap.datasets.values():
        policy = ctx.policies.of_class(dataset.data_class)
        if dataset.clock.format is ClockFormat.NONE and policy is not None:
            yield Finding(
                f"its rows bear no time, so policy {policy.id} never takes any; they go with their accounts only",
                dataset.name,
                "give it the clock of what its rows belong to, `clock: {via: …, on: …, take: …}`, or a class without "
                "a policy",
            )
