"""The grammar of `when`: a mapping of fields to what they must be; all of them must hold.

`{flagged: true, tier: {in: [gold, silver]}, score: {at_least: 3, below: 10}}`; `any`, `all` and `not` combine mappings.
Accounts never stand in a policy's canonical form, which is published: those that are written into a condition become a
list without a name of its own, `(rule 1)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from retentiond.domain.condition import ACCOUNT, And, AnyOf, Compare, Condition, Literal, Not, Operator, Or, attribute
from retentiond.evidence.canonical import MAX_INTEGER
from retentiond.settings.document import Trail
from retentiond.settings.problems import Problem, alternatives, shown

_ORDERS = {
    "at_least": (Operator.GREATER_OR_EQUAL, "at least"),
    "at_most": (Operator.LESS_OR_EQUAL, "at most"),
    "above": (Operator.GREATER, "above"),
    "below": (Operator.LESS, "below"),
}
_MEMBERSHIPS = ("in", "not_in")
_COMBINATORS = ("any", "all", "not")
_WORDS = (*_MEMBERSHIPS, *_ORDERS)


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition, as a value and in words."""

    condition: Condition
    text: str


@dataclass(slots=True)
class WhenReader:
    """Reads the conditions of one policy.

    Attributes:
        lists: All named lists with their members.
        lacking: Tells of a field which datasets of the policy's class lack it.
        known: Fields that every dataset of the class has.
        used: The lists that conditions were found to use, with their members.
        replaced: What stands in the canonical form in place of the value at a path.
        problems: What was found to be wrong.
    """

    lists: Mapping[str, tuple[str, ...]]
    lacking: Callable[[str], Sequence[str]]
    known: frozenset[str]
    used: dict[str, tuple[str, ...]] = field(default_factory=dict)
    replaced: dict[Trail, object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _rule: str = ""
    _own: int = 0

    def read(self, value: object, path: Trail, rule: str) -> Clause | None:
        """Return the clause of one rule, or None after adding to the problems.

        Args:
            path: Where the value stands in the file.
            rule: How the rule is called where a list of its own needs a name, such as `rule 1`.
        """
        self._rule, self._own = rule, 0
        try:
            return self._mapping(value, path)
        except _Refused as refused:
            self.problems.append(refused.problem)
            return None

    def canonical(self, value: object, path: Trail) -> object:
        """Return a value that was read as it stands in the canonical form."""
        if path in self.replaced:
            return self.replaced[path]
        if isinstance(value, dict):
            return {name: self.canonical(inner, (*path, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.canonical(inner, (*path, number)) for number, inner in enumerate(value)]
        return value

    def _mapping(self, value: object, path: Trail) -> Clause:
        if not isinstance(value, dict) or not value:
            raise _refusal(path, f"{shown(value)} is no condition", "write {field: value}, such as {flagged: true}")
        return _all_of([self._part(name, inner, (*path, name)) for name, inner in value.items()])

    def _part(self, name: str, value: object, path: Trail) -> Clause:
        if name not in _COMBINATORS:
            return self._field(name, value, path)
        if name == "not":
            inner = self._mapping(value, path)
            return Clause(Not(inner.condition), f"not ({inner.text})")
        if not isinstance(value, list) or not value:
            raise _refusal(path, f"{name!r} takes a list of conditions", f"write {name}: [{{…}}, {{…}}]")
        clauses = [self._mapping(each, (*path, number)) for number, each in enumerate(value)]
        return _any_of(clauses) if name == "any" else _all_of(clauses)

    def _field(self, name: str, value: object, path: Trail) -> Clause:
        lacking = self.lacking(name)
        if lacking:
            what = f"the rule asks for {name!r}, which {' and '.join(map(repr, lacking))} of its class does not have"
            remedy = f"{alternatives(name, self.known, 'fields of the class')}; or declare it in the data map"
            raise _refusal(path, what, remedy, key=True)
        if not isinstance(value, dict):
            return self._values(name, "", [value], path)
        if not value:
            raise _refusal(path, f"nothing is said of {name!r}", f"write one of {', '.join(_WORDS)}")
        return _all_of([self._comparison(name, word, inner, (*path, word)) for word, inner in value.items()])

    def _comparison(self, name: str, word: str, value: object, path: Trail) -> Clause:
        if word in _ORDERS:
            return self._order(name, word, value, path)
        if word not in _MEMBERSHIPS:
            remedy = alternatives(word, _WORDS, "comparisons")
            raise _refusal(path, f"{word!r} is no comparison", remedy, key=True)
        if isinstance(value, str):
            return self._named(name, word, value, path)
        if isinstance(value, list) and value:
            return self._values(name, word, value, path)
        what = f"{shown(value)} is neither a list nor the name of one"
        raise _refusal(path, what, "write [one, two], or the name of a list")

    def _named(self, name: str, word: str, list_name: str, path: Trail) -> Clause:
        members = self.lists.get(list_name)
        if members is None:
            raise _refusal(
                path, f"there is no list {list_name!r}", alternatives(list_name, self.lists, "lists of this file")
            )
        self.used[list_name] = members
        return _membership(name, word, members, list_name)

    def _values(self, name: str, word: str, values: list[object], path: Trail) -> Clause:
        """Read one value to be equal to (no word), or several to be among or not."""
        literals = [value for value in values if isinstance(value, bool | int | str)]
        if len(literals) < len(values):
            odd = next(value for value in values if not isinstance(value, bool | int | str))
            raise _refusal(
                path, f"{shown(odd)} is nothing to compare with", "write text, a whole number, or a truth value"
            )
        if any(isinstance(each, int) and abs(each) > MAX_INTEGER for each in literals):
            raise _refusal(path, "a number is too large to compare with", f"write at most {MAX_INTEGER}")
        if len({type(each) for each in literals}) > 1:
            raise _refusal(path, "values of different kinds stand in one list", "keep to text, or to whole numbers")
        if name == ACCOUNT:
            return self._accounts(word, literals, path)
        if not word:
            return Clause(Compare(attribute(name), Operator.EQUAL, literals[0]), f"{name} is {_quoted(literals[0])}")
        return _membership(name, word, tuple(literals), f"[{', '.join(_quoted(each) for each in literals)}]")

    def _accounts(self, word: str, literals: Sequence[Literal], path: Trail) -> Clause:
        members = tuple(sorted({each for each in literals if isinstance(each, str)}))
        if not members:
            raise _refusal(path, f"{shown(literals[0])} is not an account", "put the account in quotes")
        self._own += 1
        own = f"({self._rule})" if self._own == 1 else f"({self._rule}, {self._own})"
        self.used[own] = members
        self.replaced[path] = own if word else {"in": own}
        return _membership(ACCOUNT, word or "in", members, own)

    def _order(self, name: str, word: str, value: object, path: Trail) -> Clause:
        if name == ACCOUNT:
            raise _refusal(path, "accounts have no order", "write account: {in: …}")
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_INTEGER:
            raise _refusal(path, f"{shown(value)} is no whole number to compare with", "write digits, such as 3")
        operator, words = _ORDERS[word]
        return Clause(Compare(attribute(name), operator, value), f"{name} is {words} {value}")


class _Refused(Exception):
    """Ends the reading of one condition."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def _refusal(path: Trail, what: str, remedy: str, *, key: bool = False) -> _Refused:
    return _Refused(Problem(path, what, remedy, key))


def _membership(name: str, word: str, literals: tuple[Literal, ...], text: str) -> Clause:
    condition = AnyOf(name if name == ACCOUNT else attribute(name), literals)
    if word == "in":
        return Clause(condition, f"{name} is in {text}")
    return Clause(Not(condition), f"{name} is not in {text}")


def _all_of(clauses: Sequence[Clause]) -> Clause:
    if len(clauses) == 1:
        return clauses[0]
    return Clause(And(tuple(each.condition for each in clauses)), " and ".join(each.text for each in clauses))


def _any_of(clauses: Sequence[Clause]) -> Clause:
    return Clause(Or(tuple(each.condition for each in clauses)), f"({' or '.join(each.text for each in clauses)})")


def _quoted(literal: Literal) -> str:
    return shown(literal) if isinstance(literal, bool | str) else str(literal)
