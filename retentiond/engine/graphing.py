"""The graph of the data map with what the stores know: the order of planning, and what `check` says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retentiond.domain.graph import Graph, Link, Origin, reached
from retentiond.engine.context import Context
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Finding, ForeignKey, Referring


def foreign_keys(ctx: Context, store: str) -> Sequence[ForeignKey]:
    """Return the foreign keys of a store that lead to tables of its datasets; none where it has no such thing.

    Raises:
        ConnectorError: It cannot be looked at.
    """
    connector = ctx.store(store)
    datasets = [dataset for dataset in ctx.datamap.datasets.values() if dataset.store == store and dataset.table]
    return connector.foreign_keys(datasets) if datasets and isinstance(connector, Referring) else ()


def known_keys(ctx: Context) -> list[ForeignKey]:
    """Return the foreign keys of all stores that can be looked at."""
    found: list[ForeignKey] = []
    for store in ctx.datamap.stores:
        try:
            found.extend(foreign_keys(ctx, store))
        except ConnectorError:
            continue  # whatever else is asked of that store fails, and says so
    return found


def graph_of(ctx: Context, keys: Sequence[ForeignKey] | None = None) -> Graph:
    """Return the graph of all datasets.

    Args:
        keys: What the stores know; None to ask them.
    """
    known = known_keys(ctx) if keys is None else keys
    ordering = (key for key in known if key.child and not _is_cleared(ctx, key))
    links = (Link(key.child, key.parent, key.on, Origin.FOREIGN_KEY) for key in ordering)
    return Graph(ctx.datamap, links)


def _is_cleared(ctx: Context, key: ForeignKey) -> bool:
    """Whether the database may empty a key's column when the row goes that it names: that asks for no order."""
    child = ctx.datamap.datasets[key.child]
    named = {(each.schema, each.table, each.column) for each in ctx.datamap.datasets[key.parent].clears}
    return len(key.on) == 1 and (child.schema, child.table, key.on[0][0]) in named


def pseudonym_findings(ctx: Context, graph: Graph) -> Iterator[Finding]:
    """Yield where rows that no closure reaches any more keep rows of an account that leaves."""
    policies = ctx.policies.policies.values()
    nameless = {
        name for policy in policies for each in policy.content if each.change.pseudonymises for name in each.datasets
    }
    for child in sorted(nameless):
        for parent in filter(graph.has_owner, graph.above(child)):
            what = f"its rows bear pseudonyms, which no closure or erasure reaches, and go before rows of {parent!r}"
            yield Finding(
                f"{what}: an account that leaves is not closed before its rows here went by their own rule",
                f"dataset {child}",
                "keep them no longer than a closure may take; or redact, and leave the account where it is",
            )


def graph_findings(graph: Graph, keys: Sequence[ForeignKey]) -> Iterator[Finding]:
    """Yield what keeps an account from being followed through all datasets, or from being removed in order."""
    for name, owned in graph.ownerless():
        dataset = graph.datasets[name]
        if owned:
            what = f"its rows name rows of {owned!r}, which have owners, and it has none: no closure takes them"
        else:
            what = "other datasets have owners, and it has none: no closure takes it"
        remedy = "write `account: {via: parent}` beside its `parent`" if owned and dataset.table else "write `account:`"
        yield Finding(what, f"dataset {name}", f"{remedy}, or `account: {{nobody: REASON}}`")
    for name, link in graph.estranged():
        ((mine, theirs),) = link.on
        owners = ", ".join(reached(graph.datamap, graph.datasets[link.parent]))
        yield Finding(
            f"its account is {mine!r}, the name of a row of {link.parent!r} that is another account's ({owners}): no "
            "closure of that one takes it",
            f"dataset {name}",
            f"take the owner from there, with `via` or `through`; or declare `account: {theirs}` in {link.parent!r}",
        )
    for link, circle in graph.circles():
        what = f"a foreign key goes in a circle with others ({' before '.join((*circle, circle[0]))}): it has no effect"
        remedy = (
            "declare as `parent` which of them goes last; a key that may be blank, give ON DELETE SET NULL and `clears`"
        )
        yield Finding(f"{what} on the order", f"dataset {link.child}", remedy)
    for key in dict.fromkeys(keys):
        if not key.child:
            what = (
                f"table {key.child_table!r}, which is no dataset, names rows of {key.parent_table!r} by {_columns(key)}"
            )
            yield Finding(
                f"{what}: these cannot go while it does",
                f"dataset {key.parent}",
                f"describe {key.child_table!r} as a dataset with `parent: {{dataset: {key.parent}, …}}`",
            )


def graph_notes(graph: Graph) -> Iterator[str]:
    """Yield what the database knows of links that the data map does not declare."""
    for link in graph.links:
        if link.origin is not Origin.FOREIGN_KEY:
            continue
        pairs = ", ".join(f"{mine}: {theirs}" for mine, theirs in link.on)
        if link.child == link.parent:
            yield f"{link.child}: its rows name each other ({pairs}): those that others name go with them or after them"
        elif link not in graph.idle:
            yield (
                f"{link.child} goes before {link.parent}, as a foreign key has it; where it may go alone, declare "
                f"`parent: {{dataset: {link.parent}, on: {{{pairs}}}}}`"
            )


def _columns(key: ForeignKey) -> str:
    return ", ".join(mine for mine, _ in key.on)
