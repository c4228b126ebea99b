"""How the graph of an account's data and what is held of one account are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

from retentiond.cli.common import table
from retentiond.domain.graph import Graph, Link, Origin, reached
from retentiond.domain.record import moment
from retentiond.engine.holdings import Holding
from retentiond.evidence.canonical import optional_rfc3339

_WORDS = {Origin.DECLARED: "", Origin.BLOBS: ", objects of rows", Origin.FOREIGN_KEY: ", as a foreign key has it"}


def graph_document(graph: Graph) -> dict[str, Any]:
    """Return the graph as programs get it: datasets in the order in which they go."""
    return {
        "datasets": [
            {
                "dataset": dataset.name,
                "store": dataset.store,
                "class": dataset.data_class,
                "reached": list(_reached(graph, dataset.name)),
                "nobody": dataset.nobody or None,
            }
            for dataset in graph.children_first()
        ],
        "links": [
            {
                "child": link.child,
                "parent": link.parent,
                "on": dict(link.on),
                "origin": link.origin,
                "orders": link not in graph.idle,
            }
            for link in graph.links
        ],
    }


def _reached(graph: Graph, name: str) -> Sequence[str]:
    return reached(graph.datamap, graph.datasets[name])


def show_graph(console: Console, graph: Graph) -> None:
    """Show the graph as a tree: what goes last at the left, and indented below it what goes before it."""
    tops = [name for name in graph.datasets if not graph.above(name)]
    shown: set[str] = set()
    for name in (*tops, *graph.datasets):
        if name in tops or name not in shown:  # of a circle nothing is at the top
            _branch(console, graph, name, "", None, shown)


def _branch(console: Console, graph: Graph, name: str, indent: str, link: Link | None, shown: set[str]) -> None:
    dataset = graph.datasets[name]
    how = f" ({', '.join(f'{mine} = {theirs}' for mine, theirs in link.on)}{_WORDS[link.origin]})" if link else ""
    again = ", see above" if name in shown else ""
    console.print(f"{indent}{name} in {dataset.store}, class {dataset.data_class}{how}{again}", markup=False)
    if again:
        return
    shown.add(name)
    owners = _reached(graph, name) or ((f"nobody's: {dataset.nobody}" if dataset.nobody else "no owner is declared"),)
    for each in owners:
        console.print(f"{indent}  owner: {each}", markup=False)
    for below in graph.links:
        if below.parent == name and below.child != name:
            _branch(console, graph, below.child, f"{indent}    ", below, shown)


def holdings_document(found: Iterable[Holding]) -> dict[str, Any]:
    """Return what is held of an account as programs get it, by dataset and by class."""
    listed = list(found)
    return {
        "datasets": [
            {
                "dataset": each.dataset,
                "remaining": None if each.trouble else each.records + each.undetermined,
                "store": each.store,
                "class": each.data_class,
                "reached": list(each.reached),
                **_counts([each]),
                "trouble": each.trouble or None,
            }
            for each in listed
        ],
        "classes": [
            {"class": name, **_counts([each for each in listed if each.data_class == name])}
            for name in dict.fromkeys(each.data_class for each in listed)
        ],
    }


def _counts(found: Sequence[Holding]) -> dict[str, Any]:
    oldest = min((each.oldest for each in found if each.oldest is not None), default=None)
    newest = max((each.newest for each in found if each.newest is not None), default=None)
    counts = {
        "records": sum(each.records for each in found),
        "bytes": sum(each.size_bytes for each in found),
        "oldest": _time(oldest),
        "newest": _time(newest),
        "held": sum(each.held for each in found),
        "undetermined": sum(each.undetermined for each in found),
        "unowned": sum(each.unowned for each in found),
    }
    unknown = any(each.trouble for each in found)
    return dict.fromkeys(counts) if unknown else counts


def _time(micros: int | None) -> str | None:
    return optional_rfc3339(None if micros is None else moment(micros).replace(microsecond=0))


def show_holdings(console: Console, found: Sequence[Holding]) -> None:
    """Show what is held of an account."""
    rows = table("dataset", "class", "#records", "#bytes", "oldest", "newest", "#held", "#undetermined", "reached")
    for each in found:
        counts = _counts([each])
        told = (counts[name] for name in ("records", "bytes", "oldest", "newest", "held", "undetermined"))
        how = "; ".join(each.reached) or "no owner is declared, so nothing is looked for"
        rows.add_row(each.dataset, each.data_class, *map(_cell, told), how)
    console.print(rows)
    for each in found:
        if each.trouble:
            console.print(f"  {each.dataset} could not be looked at: {each.trouble}", markup=False)
        if each.unowned:
            console.print(f"  {each.dataset}: of {each.unowned:,} records nobody can tell whose they are", markup=False)


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
