"""Rows of every make for content windows, and what stands in them by a reading that shares no code with the program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from retentiond.domain.condition import (
    ALWAYS,
    And,
    Compare,
    Condition,
    Not,
    Operator,
    Or,
    Stands,
    Unknown,
    attribute,
    python_reading,
)
from retentiond.domain.content import Change, Content, Target
from retentiond.domain.decision import Case, Cases, Disposition
from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.record import Record, Ties

PLAIN: Sequence[str | None] = (None, "", "x", "[redacted]", "[Redacted]", "0", "'; --")
SOUND: Sequence[str | None] = (
    None, "null", "{}", "[]", '"p"', "7", "false", '{"p": null}', '{"p": "s"}', '{"p": false}', '{"p": 0}',
    '{"p": {"q": ["a", null, {"r": "s"}]}}', '{"p": {"q": "a"}}', '{"p": []}', '{"p": {}}', '{"P": "s", "p ": "s"}',
    '[{"p": "s"}]', '{"q": {"p": "s"}, "z": "p"}', '{"p": "[redacted]"}', '{"p": {"q": [["s"], "t"]}}',
)  # fmt: skip
TWICE: Sequence[str] = ('{"p": 1, "p": 2}', '{"p": {"q": 1, "q": 2}}', '{"z": 1, "z": 2, "p": "s"}')
BROKEN: Sequence[str] = ("", "{", '{"p": "s"', "{'p': 1}", '{"p": NaN}', '{"p": 1} x', "p")
PATHS = ("$.p", "$.p.q", "$.p.q[0]", "$.p.q[2].r", '$."p "', "$[0].p", "$.p.q[9]")
CONSTANTS = (None, '"[redacted]"', "false", "0", "[]", "{}", '"s"')

targets = st.one_of(
    st.builds(Target, st.just("plain"), st.none(), st.sampled_from((None, '"[redacted]"', '""', "0"))),
    st.builds(Target, st.just("meta"), st.sampled_from(PATHS).map(JsonPath.parse), st.sampled_from(CONSTANTS)),
)
wanted = st.lists(targets, min_size=1, max_size=2).map(lambda some: Change(tuple(some)))
conditions: st.SearchStrategy[Condition] = st.recursive(
    st.one_of(
        st.builds(Stands, wanted),
        st.just(Compare(attribute("flagged"), Operator.EQUAL, literal=True)),
        st.just(ALWAYS),
    ),
    lambda inner: st.one_of(
        st.builds(Not, inner), st.builds(Unknown, inner), st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)  # fmt: skip


def cases_of(condition: Condition) -> Cases:
    """Return cases that say of each row whether a condition is true (0), unknown (1) or false (2)."""
    return Cases(
        (
            Case(Disposition.PURGE, condition, "true"),
            Case(Disposition.PURGE, Unknown(condition), "unknown"),
            Case(Disposition.PURGE, ALWAYS, "false"),
        )
    )


def expected(condition: Condition, record: Record, plain: str | None, meta: str | None) -> int:
    """Return the case that must win for a row of these values."""
    contents = {change: _stands(change, plain, meta) for change in cases_of(condition).changes()}
    whole = record._replace(ties=Ties(contents=contents))
    return {True: 0, None: 1, False: 2}[python_reading(condition)(whole)]


def _stands(change: Change, plain: str | None, meta: str | None) -> Content:
    found = [_target(target, plain, meta) for target in change.targets]
    return None if None in found else True in found


def _target(target: Target, plain: str | None, meta: str | None) -> Content:
    if target.json is None:
        constant = None if target.constant is None else json.loads(target.constant)
        return plain is not None and (constant is None or plain != str(constant))
    if meta is None:
        return False
    try:
        value: Any = json.loads(meta, object_pairs_hook=list, parse_constant=_no)
    except ValueError:
        return None
    for step in target.json.steps:
        if isinstance(step, int):
            is_list = isinstance(value, list) and not (value and isinstance(value[0], tuple))
            value = value[step] if is_list and step < len(value) else None
            continue
        pairs = value if isinstance(value, list) and value and isinstance(value[0], tuple) else []
        named = [inner for name, inner in pairs if name == step]
        if len(named) > 1:
            return None
        value = named[0] if named else None
    if value is None:
        return False
    return target.constant is None or json.dumps(_plain(value, meta)) != json.dumps(json.loads(target.constant))


def _plain(value: Any, meta: str) -> Any:
    """Return a value in which an object is one again; an empty one was read as an empty list."""
    if value == [] and "[]" not in meta:
        return {}
    return dict(value) if isinstance(value, list) and value and isinstance(value[0], tuple) else value


def _no(word: str) -> Any:
    raise ValueError(word)
