"""Precision and recall of the rules on public schemas.

As a program (`python -m tests.coverage.measure [NAME…]`) it prints the tables of docs/coverage.md, and what the rules
got wrong in the schemas that are named.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from retentiond.domain.draft import DraftDataset, DraftStore, Said
from retentiond.domain.drafting import SeenStore, draft
from retentiond.domain.looks import looks_of
from retentiond.domain.looks_rules import CONFIDENCES, RULES, Confidence, Kind
from tests.coverage.schemas import HELD_OUT, TUNED, UNSEEN, Application, application


@dataclass(frozen=True)
class Score:
    """How the rules did: columns found that are, found that are not, and missed."""

    right: frozenset[tuple[str, str]]
    wrong: frozenset[tuple[str, str]]
    missed: frozenset[tuple[str, str]]

    @property
    def precision(self) -> float:
        return len(self.right) / max(1, len(self.right) + len(self.wrong))

    @property
    def recall(self) -> float:
        return len(self.right) / max(1, len(self.right) + len(self.missed))


def score(app: Application, kind: Kind, least: Confidence) -> Score:
    """Compare what rules of at least a confidence say with what a person says."""
    strong = CONFIDENCES[: CONFIDENCES.index(least) + 1]
    looks = {
        (table.name, look.column)
        for table in app.tables
        for look in looks_of(table)
        if look.kind is kind and look.confidence in strong
    }
    truth = app.labelled(kind)
    return Score(frozenset(looks & truth), frozenset(looks - truth), frozenset(truth - looks))


def rows(names: Sequence[str] = (TUNED, *HELD_OUT, UNSEEN)) -> Iterator[str]:
    """Yield the rows of the table in docs/coverage.md."""
    for name in names:
        app = application(name)
        for kind in Kind:
            cells = [str(len(app.labelled(kind)))]
            for least in CONFIDENCES[1:]:
                found = score(app, kind, least)
                cells.append(f"{found.precision:.2f} / {found.recall:.2f}")
            yield f"| {app.source['name']} {app.source['version']} | {kind} | " + " | ".join(cells) + " |"


def drafts(names: Sequence[str] = (TUNED, *HELD_OUT, UNSEEN)) -> Iterator[str]:
    """Yield the rows of the table of drafts in docs/coverage.md."""
    for name in names:
        app = application(name)
        made = draft([SeenStore(DraftStore("x", "sqlite", {}), tuple(app.tables))])
        clock, owner = guesses(app)
        counts = (len(app.tables), len(made.datasets), len(made.ignored), len(made.not_mappable), len(made.questions))
        cells = [*map(str, counts), f"{clock:.2f}", f"{owner:.2f}"]
        yield f"| {app.source['name']} {app.source['version']} | {' | '.join(cells)} |"


def guesses(app: Application) -> tuple[float, float]:
    """Return the share of clocks, and of owners, that a draft guesses as a person did, of those that a person told."""
    drafted = {
        each.title: each for each in draft([SeenStore(DraftStore("x", "sqlite", {}), tuple(app.tables))]).datasets
    }
    return _share(app, drafted, "clock"), _share(app, drafted, "account")


def _share(app: Application, drafted: Mapping[str, DraftDataset], field: str) -> float:
    told = {title: kinds["owner" if field == "account" else field] for title, kinds in app.labels.items()}
    asked = [(title, names) for title, names in told.items() if names]
    return sum(_column(drafted.get(title), field) in names for title, names in asked) / max(1, len(asked))


def _column(dataset: DraftDataset | None, field: str) -> Said:
    guess = dataset.guess(field) if dataset else None
    if guess is None:
        return ""
    return guess.value.get("column", "") if isinstance(guess.value, dict) else guess.value


def rules() -> Iterator[str]:
    """Yield the rows of the table of rules in docs/coverage.md."""
    for rule in RULES:
        names = ", ".join(" ".join(each) for each in rule.names) or "any name"
        types = ", ".join(sorted(rule.families))
        needs = ["beside requests"] if rule.beside else []
        needs += ["a table of persons"] if rule.tables else []
        needs += ["the whole name"] if rule.whole else []
        needs += [f"not after {', '.join(sorted(rule.unless))}"] if rule.unless else []
        yield f"| {rule.id} | {rule.kind} | {rule.confidence} | {rule.says} | {names} | {types} | {'; '.join(needs)} |"


if __name__ == "__main__":
    print("\n".join([*rows(), *drafts(), *rules()]))  # noqa: T201 -- a program
    for given in sys.argv[1:]:
        for what in Kind:
            seen = score(application(given), what, Confidence.POSSIBLE)
            print(given, what, "wrong:", *sorted(".".join(each) for each in seen.wrong))  # noqa: T201
            print(given, what, "missed:", *sorted(".".join(each) for each in seen.missed))  # noqa: T201
