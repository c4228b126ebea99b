"""Key patterns: which parts of an object's key say whose it is and from when.

`requests/{account}/{date:%Y/%m/%d}/{request_id}.json.gz`: `{name}` stands for one or more characters without a slash,
`{name:FORMAT}` for a time written in digits. A key that could be read in two ways has no reading at all: a guess would
give a record the wrong owner. Matching takes linear time, whatever the key: no group is ever tried twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

_FIELD = re.compile(r"\{([a-z_][a-z0-9_]*)(?::([^{}]*))?\}", re.ASCII)
_WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_ORDER = "YmdHMS"
_DIRECTIVES = ", ".join(f"%{letter}" for letter in _ORDER)
_DATE_LETTERS = 3
_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class _Literal:
    text: str


@dataclass(frozen=True, slots=True)
class _Name:
    name: str


@dataclass(frozen=True, slots=True)
class _Time:
    """A time in digits: literals, and directives as single letters; `parts` keeps their order in the key."""

    name: str
    parts: tuple[_Literal | str, ...]

    @property
    def letters(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    def numbers(self, text: str) -> dict[str, int]:
        """Return the number of each directive; the text has the right shape already."""
        found = {}
        at = 0
        for part in self.parts:
            width = _WIDTHS[part] if isinstance(part, str) else len(part.text)
            if isinstance(part, str):
                found[part] = int(text[at : at + width])
            at += width
        return found


_Part = _Literal | _Name | _Time


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """A pattern of keys.

    Attributes:
        text: The pattern as it was written.
        names: Its named parts, times included.
        times: Those of its named parts that are times.
        literal_prefix: What every matching key begins with.
    """

    text: str
    names: frozenset[str]
    times: frozenset[str]
    literal_prefix: str
    _parts: tuple[_Part, ...]
    _forward: re.Pattern[str]
    _backward: re.Pattern[str] | None

    @classmethod
    def parse(cls, text: str) -> KeyPattern:
        """Read a pattern.

        Raises:
            ValueError: It is no pattern; the message says why.
        """
        parts = tuple(_parse(text))
        _check_names(text, parts)
        backward = _expression(_reverse(parts)) if _may_be_ambiguous(parts) else None
        return cls(
            text=text,
            names=frozenset(part.name for part in parts if not isinstance(part, _Literal)),
            times=frozenset(part.name for part in parts if isinstance(part, _Time)),
            literal_prefix=parts[0].text if isinstance(parts[0], _Literal) else "",
            _parts=parts,
            _forward=_expression(parts),
            _backward=backward,
        )

    def match(self, key: str) -> Mapping[str, str] | None:
        """Return the text of each named part, or None where the key has no reading or more than one."""
        forward = self._forward.match(key)
        if forward is None:
            return None
        found = forward.groupdict()
        if self._backward is None:
            return found
        backward = self._backward.match(key[::-1])
        if backward is None or any(found[name] != text[::-1] for name, text in backward.groupdict().items()):
            return None
        return found

    def clock(self, key: str, field: str, zone: str) -> datetime | None:
        """Return when the time in a key has passed in full, in UTC: a day at its 24:00, an hour at its end.

        Args:
            field: The named part that is the time.
            zone: IANA zone of the time; where it is ambiguous there, the later moment counts.

        Returns:
            None where the key has no reading or names no real time.

        Raises:
            KeyError: The pattern has no time of that name.
            zoneinfo.ZoneInfoNotFoundError: The zone does not exist.
        """
        time = next((part for part in self._parts if isinstance(part, _Time) and part.name == field), None)
        if time is None:
            raise KeyError(field)
        where: tzinfo = UTC if zone == "UTC" else ZoneInfo(zone)
        found = self.match(key)
        return None if found is None else _end(time.numbers(found[field]), where)


def _parse(text: str) -> Iterable[_Part]:
    at = 0
    for field in _FIELD.finditer(text):
        if field.start() > at:
            yield _literal(text[at : field.start()])
        yield _Name(field[1]) if field[2] is None else _Time(field[1], tuple(_time_parts(field[2], field[0])))
        at = field.end()
    if at < len(text):
        yield _literal(text[at:])


def _literal(text: str) -> _Literal:
    if "{" in text or "}" in text:
        message = f"{text!r} has a brace that begins no {{name}} and no {{name:FORMAT}}"
        raise ValueError(message)
    return _Literal(text)


def _time_parts(text: str, field: str) -> Iterable[_Literal | str]:
    letters = ""
    for directive in re.finditer(r"%(.?)|([^%]+)", text, re.DOTALL):
        if directive[2] is not None:
            yield _Literal(directive[2])
            continue
        if directive[1] not in _WIDTHS:
            message = f"{field} uses {directive[0]!r}; a time in a key is written with {_DIRECTIVES}"
            raise ValueError(message)
        letters += directive[1]
        yield directive[1]
    if not letters or sorted(letters) != sorted(_ORDER[: len(letters)]):
        message = f"{field} leaves a gap: a time names its year, then month, day, hour, minute and second, each once"
        raise ValueError(message)


def _check_names(text: str, parts: Sequence[_Part]) -> None:
    if not parts:
        message = "a key pattern is never empty"
        raise ValueError(message)
    seen: set[str] = set()
    for part in parts:
        if isinstance(part, _Literal):
            continue
        if part.name in seen:
            message = f"{text!r} names {{{part.name}}} twice"
            raise ValueError(message)
        seen.add(part.name)
    for left, right in pairwise(part.name if isinstance(part, _Name) else "" for part in parts):
        if left and right:
            message = f"nothing stands between {{{left}}} and {{{right}}}, so nobody can tell where one ends"
            raise ValueError(message)


def _chunks(parts: Sequence[_Part]) -> list[list[_Literal | _Time]]:
    """Return what stands before, between and after the names: pieces of fixed width."""
    chunks: list[list[_Literal | _Time]] = [[]]
    for part in parts:
        if isinstance(part, _Name):
            chunks.append([])
        else:
            chunks[-1].append(part)
    return chunks


def _may_be_ambiguous(parts: Sequence[_Part]) -> bool:
    """Tell whether two names stand in one path segment."""
    return any("/" not in _expression_of(chunk, capture=False) for chunk in _chunks(parts)[1:-1])


def _reverse(parts: Sequence[_Part]) -> tuple[_Part, ...]:
    return tuple(_reversed_part(part) for part in reversed(parts))


def _reversed_part(part: _Part) -> _Part:
    if isinstance(part, _Literal):
        return _Literal(part.text[::-1])
    if isinstance(part, _Time):
        inner = (_Literal(each.text[::-1]) if isinstance(each, _Literal) else each for each in reversed(part.parts))
        return _Time(part.name, tuple(inner))
    return part


def _expression(parts: Sequence[_Part]) -> re.Pattern[str]:
    """Return the expression that ends each name where what follows it is first found, and never looks back."""
    first, *others = _chunks(parts)
    names = [part.name for part in parts if isinstance(part, _Name)]
    text = _expression_of(first, capture=True)
    for number, (name, chunk) in enumerate(zip(names, others, strict=True), 1):
        end = r"\Z" if number == len(names) else ""
        text += f"(?P<{name}>(?>[^/]+?(?={_expression_of(chunk, capture=False)}{end})))"
        text += _expression_of(chunk, capture=True)
    return re.compile(text + r"\Z")


def _expression_of(chunk: Sequence[_Literal | _Time], *, capture: bool) -> str:
    return "".join(
        re.escape(part.text) if isinstance(part, _Literal) else _time_expression(part, capture=capture)
        for part in chunk
    )


def _time_expression(time: _Time, *, capture: bool) -> str:
    inner = "".join(re.escape(p.text) if isinstance(p, _Literal) else f"[0-9]{{{_WIDTHS[p]}}}" for p in time.parts)
    return f"(?P<{time.name}>{inner})" if capture else inner


def _end(numbers: Mapping[str, int], zone: tzinfo) -> datetime | None:
    year, month, day, hour, minute, second = (
        numbers.get(letter, least) for letter, least in zip(_ORDER, (1, 1, 1, 0, 0, 0), strict=True)
    )
    try:
        wall = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        return _later(_following(wall, len(numbers)))
    except (ValueError, OverflowError):
        return None


def _following(wall: datetime, finest: int) -> datetime:
    """Return the start of the next year, month, day, hour, minute or second on the same wall."""
    if finest > _DATE_LETTERS:
        return wall + (timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))[finest - _DATE_LETTERS - 1]
    if finest == _DATE_LETTERS:
        return wall + timedelta(days=1)
    if finest == 1 or wall.month == _DECEMBER:
        return wall.replace(year=wall.year + 1, month=1)
    return wall.replace(month=wall.month + 1)


def _later(local: datetime) -> datetime:
    return max(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
