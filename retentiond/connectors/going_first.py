"""What is said of rows that a database itself would take along with others: that they have to go first."""

from __future__ import annotations

from collections.abc import Sequence

from retentiond.domain.dataset import Dataset


def first_remedy(dataset: Dataset, child: str, pairs: Sequence[tuple[str, str]], how: str) -> str:
    """Return what lets a dataset's rows go though a foreign key of another table follows them.

    Args:
        child: The other table as a person types it.
        pairs: Columns of it and the columns here that they refer to.
        how: What the foreign key does, such as `SET NULL`.
    """
    on = ", ".join(f"{mine}: {theirs}" for mine, theirs in pairs)
    clears = "".join(f"; or let it: `clears: [{{table: {child}, column: {mine}}}]`" for mine, _ in pairs[:1])
    return (
        f"let its rows go first: in the dataset of {child} declare "
        f"`parent: {{dataset: {dataset.name}, on: {{{on}}}}}`; or give the foreign key ON DELETE NO ACTION"
        f"{clears if how == 'SET NULL' and len(pairs) == 1 else ''}"
    )
