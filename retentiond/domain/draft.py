"""A data map that a program drafts: what it saw, what it guesses, how sure it is, and what it asks for each guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from retentiond.domain.looks_rules import Confidence

Said: TypeAlias = "str | bool | list[Said] | dict[str, Said]"
"""A value as the data map has it."""

BACKUPS = "how long are its backups kept? none, or {keep: 35 days}"
IGNORED = "do these hold nothing of requests, persons or accounts?"


@dataclass(frozen=True, slots=True)
class Guess:
    """One line of a dataset.

    Attributes:
        field: The field of the dataset, such as `clock`.
        question: What a person has to answer before it counts; empty for what the store itself says.
        others: What else it may be, in words.
    """

    field: str
    value: Said
    confidence: Confidence
    question: str = ""
    others: tuple[str, ...] = ()

    @property
    def stands(self) -> bool:
        """Whether it is written so that it counts: the store itself says it, and nothing is to be asked."""
        return self.confidence is Confidence.SURE and not self.question


@dataclass(frozen=True, slots=True)
class DraftDataset:
    """A dataset as it is guessed.

    Attributes:
        seen: What was seen of it, in words.
        guesses: In the order in which they are written; `store`, `table` or `prefix`, and `class` among them.
    """

    name: str
    store: str
    title: str
    seen: tuple[str, ...]
    guesses: tuple[Guess, ...]

    @property
    def stands(self) -> bool:
        """Whether it is written so that it counts: nothing that it needs has to be asked."""
        needed = ("table", "prefix", "key", "clock")
        return all(guess.stands for guess in self.guesses if guess.field in needed)

    def guess(self, of: str) -> Guess | None:
        """Return the guess of a field; None for none."""
        return next((guess for guess in self.guesses if guess.field == of), None)


@dataclass(frozen=True, slots=True)
class NotMappable:
    """What can be no dataset as it is: why, and what to do about it."""

    store: str
    title: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class DraftIgnored:
    """What seems to hold no data of requests; `pattern` matches exactly this name."""

    store: str
    title: str
    pattern: str
    reason: str


@dataclass(frozen=True, slots=True)
class DraftStore:
    """A store as the data map has it; secrets stand elsewhere.

    Attributes:
        secret_env: The environment variable in which its connection string is expected; empty for none.
        beside: What stands beside it, in words.
    """

    name: str
    kind: str
    options: Mapping[str, str]
    secret_env: str = ""
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What a person has to answer.

    Attributes:
        number: From 1, in the order of the file.
        of: The store or dataset that it is asked of; empty for the names to ignore.
        field: Which field of it.
    """

    number: int
    of: str
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted data map."""

    stores: tuple[DraftStore, ...] = ()
    datasets: tuple[DraftDataset, ...] = ()
    not_mappable: tuple[NotMappable, ...] = ()
    ignored: tuple[DraftIgnored, ...] = field(default=())

    @property
    def questions(self) -> tuple[Question, ...]:
        """All questions, in the order of the file."""
        asked = [(store.name, "backups", BACKUPS) for store in self.stores]
        asked += [(each.name, guess.field, guess.question) for each in self.datasets for guess in each.guesses]
        asked += [("", "ignore", IGNORED)] if self.ignored else []
        told = (each for each in asked if each[2])
        return tuple(Question(number, *each) for number, each in enumerate(told, 1))
