"""Which rows of a table a dataset has, as operators write it: `where: {item_type: [Prompt, Run]}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from retentiond.domain.part import Only, Part, Word
from retentiond.settings.problems import refuse
from retentiond.settings.values import Column, Declared

_Words = Annotated[list[bool | int | str], Field(min_length=1)]


class Said(Declared):
    """What a column says of the dataset's rows: one of these, or anything but these; `missing` adds NULL to these."""

    newer: ClassVar[frozenset[str]] = frozenset(("in", "not", "missing"))

    among: _Words | None = Field(None, alias="in")
    others: _Words | None = Field(None, alias="not")
    missing: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_type(self) -> Said:
        if (self.among and self.others) or not self.words:
            raise refuse("it is neither one of some values nor none of them", "write a value, or {not: [VALUE]}")
        if len({type(each) for each in self.words if each is not None}) > 1:
            raise refuse("a column says values of one type", "write texts, whole numbers or true and false")
        if not all(map(_can_be_held, self.words)):
            raise refuse("no database holds one of these values", "write texts without NUL")
        return self

    @property
    def words(self) -> list[Word]:
        """The values; None for NULL."""
        return [*(self.among or self.others or ()), *((None,) if self.missing else ())]


def _can_be_held(word: Word) -> bool:
    return not isinstance(word, str) or ("\0" not in word and not any("\ud800" <= each <= "\udfff" for each in word))


def _said(value: object) -> object:
    if isinstance(value, Mapping):
        return value
    return {"in": value if isinstance(value, list) else [value]}


def _some(value: dict[str, Said]) -> dict[str, Said]:
    if not value:
        raise refuse("it names no column", "write `where: {COLUMN: VALUE}`, or remove it")
    return value


_Written = Said | bool | int | str | _Words
Where = Annotated[
    dict[Column, Annotated[Said, BeforeValidator(_said, json_schema_input_type=_Written)]], AfterValidator(_some)
]


def part(where: Mapping[str, Said] | None) -> Part:
    """Return which rows these are, in one order, whatever the order in which columns were written."""
    ordered = sorted((where or {}).items())
    return tuple(Only(column, tuple(said.words), others=said.others is not None) for column, said in ordered)
