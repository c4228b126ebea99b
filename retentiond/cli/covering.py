"""How coverage is shown: all of it for programs, what is not covered for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retentiond.domain.looks_rules import RULES
from retentiond.engine.coverage import NAMED, Coverage, CoveredColumn, StoreCoverage, Verdict

_FEW = 5


def coverage_document(found: Coverage) -> dict[str, Any]:
    """Return coverage as programs get it."""
    return {
        "rules": len(RULES),
        "stores": [
            {
                "store": each.store,
                "tables": each.tables,
                "covered": each.covered,
                "ignored": each.ignored,
                "unmapped": list(each.unmapped),
                "beside": list(each.beside),
                "unseen": each.unseen or None,
            }
            for each in found.stores
        ],
        "columns": [_column(each) for each in found.columns],
    }


def _column(found: CoveredColumn) -> dict[str, Any]:
    return {
        "store": found.store,
        "table": found.table,
        "column": found.look.column,
        "type": found.look.type,
        "looks_like": found.look.kind.value,
        "confidence": found.look.confidence.value,
        "rules": list(found.look.rules),
        "dataset": found.dataset or None,
        "verdict": found.verdict.value,
        "why": found.why,
    }


def coverage_lines(found: Coverage) -> Iterator[str]:
    """Yield coverage for people: a line for each store, and one for each column that no dataset covers."""
    for store in found.stores:
        yield f"coverage of {store.store}: {_store(store)}"
        for column in found.columns:
            if column.store == store.store and column.dataset == "" and column.look.kind in NAMED:
                name = f"{column.table}.{column.look.column}"
                yield f"  {name if name.isprintable() else ascii(name)}: {_words(column)}"


def _store(store: StoreCoverage) -> str:
    parts = [f"{len(store.unmapped)} named by nothing"]
    if store.tables is not None:
        parts = [f"{store.tables} tables", f"{store.covered} covered", f"{store.ignored} ignored", *parts]
    if store.beside:
        more = f" and {len(store.beside) - _FEW} more" if len(store.beside) > _FEW else ""
        parts.append(f"beside it {', '.join(store.beside[:_FEW])}{more}")
    if store.unseen:
        parts.append(f"what stands beside it was not seen: {store.unseen}")
    return ", ".join(parts)


def _words(column: CoveredColumn) -> str:
    what = f"looks like {NAMED[column.look.kind]} ({', '.join(column.look.rules)}, {column.look.confidence})"
    return f"{what}; {'ignored' if column.verdict is Verdict.IGNORED else 'uncovered'}: {column.why}"
