"""A drafted data map as text: what counts, and behind `#?` what a person has to answer first.

A line that begins with `#?` counts as soon as these two signs are two spaces. Names are written as JSON texts, which
YAML reads back as they are, whatever they hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from retentiond.domain.draft import (
    BACKUPS,
    IGNORED,
    Draft,
    DraftDataset,
    DraftIgnored,
    DraftStore,
    Guess,
    NotMappable,
    Said,
)
from retentiond.errors import ConfigError
from retentiond.settings.document import MAX_BYTES

_Numbers: TypeAlias = Mapping[tuple[str, str], int]
PROPOSED = "#?"
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n|none)\Z)[A-Za-z_][\w./-]*", re.ASCII | re.IGNORECASE)
_WIDTH = 118
_HEAD = """\
# Where data lives, as a look at {stores} suggests. No row was read; nothing counts that the store itself does not say.
# Lines behind `#?` are guesses: answer the question above, correct the line, and put two spaces in place of `#?`.
# Nothing is removed before policies.yaml governs a class and somebody approves a plan. See docs/coverage.md.
"""


def draft_text(draft: Draft) -> str:
    """Return the data map's text.

    Raises:
        ConfigError: It would be longer than a data map may be.
    """
    numbers = {(each.of, each.field): each.number for each in draft.questions}
    lines = [
        *_HEAD.format(stores=_told(", ".join(each.name for each in draft.stores))).splitlines(),
        "",
        "stores:",
        *(line for store in draft.stores for line in _store(store, numbers)),
        "",
        "datasets:",
        *(line for dataset in draft.datasets for line in _dataset(dataset, numbers)),
        *_not_mappable(draft.not_mappable),
        *_ignored(draft.ignored, numbers),
        "",
        "unmapped: refuse          # what nothing above names is a finding of `check`",
    ]
    text = "\n".join(lines) + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError(
            f"the draft would have {len(text.encode()):,} bytes, and a data map has at most {MAX_BYTES:,}",
            where="--from",
            remedy="look as a role that may use fewer schemas, one after the other",
        )
    return text


def flow(value: Said) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return f"{{{', '.join(f'{flow(name)}: {flow(each)}' for name, each in value.items())}}}"


def _told(text: str) -> str:
    """Return a text as it may stand in a comment: on one line, without what cannot be seen."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _comment(text: str, indent: str) -> Iterator[str]:
    """Yield a comment on as many lines as it needs, cut at spaces."""
    line = ""
    for word in _told(text).split(" "):
        if line and len(indent) + len(line) + len(word) + 3 > _WIDTH:
            yield f"{indent}# {line}"
            line = "  " + word
        else:
            line = f"{line} {word}" if line else word
    yield f"{indent}# {line}"


def _store(store: DraftStore, numbers: _Numbers) -> Iterator[str]:
    for each in store.beside:
        yield from _comment(f"beside it: {each}", "  ")
    if store.secret_env:
        told = f"{store.secret_env}: the connection string of the role that is to act, not of the one that looked"
        yield from _comment(told, "  ")
    yield f"  {flow(store.name)}:"
    yield f"    kind: {flow(store.kind)}"
    yield from (f"    {name}: {flow(value)}" for name, value in store.options.items())
    yield from _comment(f"Q{numbers[store.name, 'backups']}: {BACKUPS}", "    ")
    yield f"{PROPOSED}  backups: {{keep: 35 days}}"


def _dataset(dataset: DraftDataset, numbers: _Numbers) -> Iterator[str]:
    yield ""
    yield from _comment("; ".join((dataset.title, *dataset.seen)), "  ")
    yield _line(f"{flow(dataset.name)}:", 2, stands=dataset.stands)
    yield _line(f"store: {flow(dataset.store)}", 4, stands=dataset.stands)
    for guess in dataset.guesses:
        yield from _guess(guess, numbers.get((dataset.name, guess.field), 0), counts=dataset.stands)


def _guess(guess: Guess, number: int, *, counts: bool) -> Iterator[str]:
    if guess.question:
        others = f" Others: {', '.join(map(repr, guess.others))}." if guess.others else ""
        yield from _comment(f"Q{number} ({guess.confidence}): {guess.question}{others}", "    ")
    told = "" if guess.question or guess.field != "class" else f"   # {guess.confidence}"
    yield _line(f"{guess.field}: {flow(guess.value)}{told}", 4, stands=counts and not guess.question)


def _line(text: str, indent: int, *, stands: bool) -> str:
    return f"{' ' * indent if stands else PROPOSED + ' ' * (indent - len(PROPOSED))}{text}"


def _not_mappable(found: Sequence[NotMappable]) -> Iterator[str]:
    if found:
        yield from ("", "# What can be no dataset as it is:")
    for each in found:
        yield from _comment(f"- {each.store}, {each.title}: {each.why}; {each.remedy}", "")


def _ignored(found: Sequence[DraftIgnored], numbers: _Numbers) -> Iterator[str]:
    yield from ("", "ignore:")
    if found:
        yield from _comment(f"Q{numbers['', 'ignore']}: {IGNORED}", "  ")
    for each in found:
        value: dict[str, Said] = {"store": each.store, "pattern": each.pattern, "reason": each.reason}
        yield _line(f"- {flow(value)}", 2, stands=False)
