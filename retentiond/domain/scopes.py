"""What a hold names, as JSON and back: any text and any bytes, conditions with the types of their literals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from retentiond.domain.condition import (
    Always,
    And,
    AnyOf,
    Compare,
    Condition,
    Literal,
    Missing,
    Not,
    Operator,
    Or,
    Stands,
    Unknown,
)
from retentiond.domain.hold import Scope

Written: TypeAlias = dict[str, Any]


def write_scope(scope: Scope) -> Written:
    """Return a scope as JSON has it."""
    return {
        "dataset": scope.dataset,
        "accounts": list(scope.accounts),
        "keys": [key.hex() for key in scope.keys],
        "condition": None if scope.condition is None else write_condition(scope.condition),
    }


def read_scope(written: Written) -> Scope:
    """Return the scope that `write_scope` wrote."""
    condition = written["condition"]
    return Scope(
        dataset=written["dataset"],
        accounts=tuple(written["accounts"]),
        keys=tuple(bytes.fromhex(key) for key in written["keys"]),
        condition=None if condition is None else read_condition(condition),
    )


def write_condition(condition: Condition) -> Written:
    """Return a condition as JSON has it: one member, named for what it is."""
    match condition:
        case Always(value):
            return {"always": value}
        case Compare(field, operator, literal):
            return {"compare": [field, operator.value, _write_literal(literal)]}
        case AnyOf(field, literals):
            return {"any_of": [field, [_write_literal(literal) for literal in literals]]}
        case Missing(field):
            return {"missing": field}
        case Unknown(inner):
            return {"unknown": write_condition(inner)}
        case Not(inner):
            return {"not": write_condition(inner)}
        case And(parts):
            return {"and": [write_condition(part) for part in parts]}
        case Or(parts):
            return {"or": [write_condition(part) for part in parts]}
        case Stands():
            message = "what stands in a record is no condition that people can name"
            raise TypeError(message)


def read_condition(written: Written) -> Condition:
    """Return the condition that `write_condition` wrote.

    Raises:
        ValueError: It wrote no such thing.
    """
    ((name, value),) = written.items()
    reader = _READERS.get(name)
    if reader is None:
        message = f"a stored condition is none that this version knows: {name!r}"
        raise ValueError(message)
    return reader(value)


def _parts(written: list[Written]) -> tuple[Condition, ...]:
    return tuple(read_condition(part) for part in written)


_READERS: dict[str, Callable[[Any], Condition]] = {
    "always": Always,
    "compare": lambda value: Compare(value[0], Operator(value[1]), _read_literal(value[2])),
    "any_of": lambda value: AnyOf(value[0], tuple(_read_literal(literal) for literal in value[1])),
    "missing": Missing,
    "unknown": lambda value: Unknown(read_condition(value)),
    "not": lambda value: Not(read_condition(value)),
    "and": lambda value: And(_parts(value)),
    "or": lambda value: Or(_parts(value)),
}


# RFC 8785 has no integers beyond 2^53-1, and attributes may have them.
def _write_literal(literal: Literal) -> bool | str | Written:
    return literal if isinstance(literal, bool | str) else {"integer": str(literal)}


def _read_literal(written: bool | str | Written) -> Literal:  # noqa: FBT001 - a literal, not a flag
    return int(written["integer"]) if isinstance(written, dict) else written
