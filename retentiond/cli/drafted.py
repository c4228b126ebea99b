"""How a drafted data map is shown: all of it for programs, what is to be done for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retentiond.domain.draft import Draft, DraftDataset


def draft_document(draft: Draft) -> dict[str, Any]:
    """Return a draft as programs get it; its questions have the numbers that they have in the file."""
    return {
        "stores": [
            {
                "store": each.name,
                "kind": each.kind,
                "options": dict(each.options),
                "secret_env": each.secret_env or None,
                "notes": list(each.beside),
            }
            for each in draft.stores
        ],
        "datasets": [_dataset(each) for each in draft.datasets],
        "not_mappable": [
            {"store": each.store, "name": each.title, "why": each.why, "remedy": each.remedy}
            for each in draft.not_mappable
        ],
        "ignored": [
            {"store": each.store, "name": each.title, "pattern": each.pattern, "reason": each.reason}
            for each in draft.ignored
        ],
        "questions": [
            {"question": each.number, "of": each.of or None, "field": each.field, "text": each.text}
            for each in draft.questions
        ],
    }


def _dataset(found: DraftDataset) -> dict[str, Any]:
    return {
        "dataset": found.name,
        "store": found.store,
        "name": found.title,
        "counts": found.stands,
        "seen": list(found.seen),
        "guesses": [
            {
                "field": each.field,
                "value": each.value,
                "confidence": each.confidence.value,
                "question": each.question or None,
                "others": list(each.others),
            }
            for each in found.guesses
        ],
    }


def draft_lines(draft: Draft) -> Iterator[str]:
    """Yield what was drafted and what is to be done, for people."""
    counting = sum(each.stands for each in draft.datasets)
    yield (
        f"drafted: {len(draft.datasets)} datasets, {counting} of which count as they stand; "
        f"{len(draft.ignored)} names to ignore; {len(draft.not_mappable)} that can be no dataset as they are; "
        f"{len(draft.questions)} questions"
    )
    for store in draft.stores:
        if store.secret_env:
            yield f"set {store.secret_env} to the connection string of the role that is to act; it stands in no file"
        yield from (f"{store.name}: {note}" for note in store.beside)
    for each in draft.not_mappable:
        yield f"{each.store}, {each.title}: {each.why}; {each.remedy}"
    yield "next: answer the questions in datamap.yaml, `retentiond check`, then write policies.yaml"
