"""Looking at stores of which nothing is known but a URL, and drafting a data map. Nothing is written in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from retentiond.bootstrap.parts import ConnectorKinds
from retentiond.domain.draft import Draft, DraftStore
from retentiond.domain.drafting import SeenStore, draft
from retentiond.errors import ConfigError
from retentiond.ports.looking import Visit, Visiting
from retentiond.ports.stores import ConnectorKind

_NO_LETTERS = re.compile(r"[^a-z0-9]+")
_LETTERS = 30


def look_and_draft(urls: Sequence[str], given: Mapping[str, str]) -> Draft:
    """Look at stores and return the data map that they seem to need.

    Args:
        given: Options that a URL has no place for, such as `endpoint`; of the connectors that know them.

    Raises:
        ConfigError: A URL is none of a store that can be looked at.
        ConnectorError: A store can't be reached, or shows nothing.
    """
    kinds = ConnectorKinds()
    seen: list[SeenStore] = []
    for url in dict.fromkeys(urls):
        kind = _kind_of(url, kinds)
        seen.append(_seen(kind.kind, kind.visit(url, given), {each.store.name for each in seen}))
    return draft(seen)


class _VisitingKind(ConnectorKind, Visiting, Protocol):
    """A kind of connector that can look at stores."""


def _kind_of(url: str, kinds: ConnectorKinds) -> _VisitingKind:
    for name in sorted(kinds):
        kind = kinds[name]
        if isinstance(kind, Visiting) and kind.takes(url):
            return kind
    raise ConfigError(
        "this is no store that can be looked at",
        where="--from",
        remedy="write postgresql://user@host/database, sqlite:FILE, s3://bucket/prefix, or a file or directory",
    )


def _seen(kind: str, visit: Visit, taken: set[str]) -> SeenStore:
    plain = _NO_LETTERS.sub("-", visit.name.lower()).strip("-")[:_LETTERS].strip("-") or kind
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    variable = f"{name.upper().replace('-', '_')}_DSN" if visit.secret_option else ""
    variable = f"STORE_{variable}" if variable[:1].isdigit() else variable
    options = {visit.secret_option: variable, **visit.options} if variable else visit.options
    store = DraftStore(name, kind, options, variable, visit.notes)
    return SeenStore(store, tuple(visit.tables), tuple(visit.prefixes), visit.overwrites)
