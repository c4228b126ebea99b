"""Schemas of public applications as facts, with what a person says of each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from retentiond.domain.looks_rules import Kind
from retentiond.domain.tableshape import ColumnShape, Family, Link, TableShape

FOLDER = Path(__file__).parent / "schemas"
TUNED, HELD_OUT, UNSEEN = "litellm", ("langfuse", "anythingllm", "openwebui"), "flowise"
FAMILIES = {
    "text": Family.TEXT,
    "varchar": Family.TEXT,
    "json": Family.JSON,
    "jsonb": Family.JSON,
    "bytea": Family.BYTES,
    "vector": Family.VECTOR,
    "integer": Family.INTEGER,
    "bigint": Family.INTEGER,
    "float": Family.NUMBER,
    "numeric": Family.NUMBER,
    "boolean": Family.BOOLEAN,
    "uuid": Family.UUID,
    "enum": Family.ENUM,
    "timestamp": Family.TIME,
    "date": Family.DATE,
}


@dataclass(frozen=True)
class Application:
    """One application's schema."""

    name: str
    source: Mapping[str, str]
    tables: Sequence[TableShape]
    labels: Mapping[str, Mapping[str, frozenset[str]]]

    def labelled(self, kind: Kind) -> set[tuple[str, str]]:
        """Return table and column of everything that a person says is of this kind."""
        return {(table, column) for table, kinds in self.labels.items() for column in kinds.get(kind, ())}


@cache
def application(name: str) -> Application:
    """Read an application's facts."""
    found: Any = YAML(typ="safe", pure=True).load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    tables, labels = [], {}
    for title, facts in found["tables"].items():
        columns = tuple(_column(each, kind) for each, kind in facts["columns"].items())
        links = tuple(_link(each) for each in facts.get("links", ()))
        keys = (tuple(facts["key"]),) if "key" in facts else ()
        tables.append(TableShape("", title, "table", columns, keys, links))
        labels[title] = {
            kind: frozenset(facts.get(kind, ()))
            | {each.name for each in columns if each.name in found["everywhere"].get(kind, ())}
            for kind in (*Kind, "owner", "clock")
        }
    return Application(name, found["source"], tables, labels)


def _column(name: str, kind: str) -> ColumnShape:
    base = kind.removesuffix("[]")
    return ColumnShape(name, kind, FAMILIES[base], array=kind.endswith("[]"))


def _link(text: str) -> Link:
    columns, table = text.split(" > ")
    return Link(tuple(columns.split(",")), "", table, ())
