"""Problems of a file: all of them are found, the first is the error, and the others stand in its text."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from retentiond.errors import ConfigError
from retentiond.settings.document import Document, Trail

Model = TypeVar("Model", bound=BaseModel)

_SHOWN = 5
_LONG = 60
_QUOTES = "put it in quotes if it is meant as text"
_EXPECTED = {
    "string_type": ("is not text", _QUOTES),
    "int_type": ("is not a whole number", "write digits, such as 500 or 5_000_000"),
    "float_type": ("is not a number", "write digits, such as 10 or 2.5"),
    "bool_type": ("is neither true nor false", "write true or false, without quotes"),
    "list_type": ("is not a list", "write [one, two], or one `- item` a line"),
    "dict_type": ("is not a mapping", "write `name: value` lines, or {name: value}"),
    "model_type": ("is not a mapping", "write `name: value` lines, or {name: value}"),
    "too_short": ("is empty", "write one at least"),
    "model_attributes_type": ("is not a mapping", "write `name: value` lines, or {name: value}"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file.

    Attributes:
        path: Where it stands, as keys and indexes from the root.
        key: Whether the key at that path is meant, not its value.
        guard: The guard that refuses it, by its name in the table of guards; empty for any other mistake.
    """

    path: Trail
    what: str
    remedy: str
    key: bool = False
    guard: str = ""


def refuse(what: str, remedy: str) -> PydanticCustomError:
    """Return the error that a validator raises: what is wrong with the value, and what to write in its place."""
    return PydanticCustomError("refused", "{what}", {"what": what, "remedy": remedy})


def shown(value: object) -> str:
    """Return a value as an error quotes it, cut short."""
    if value is None:
        return "blank"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= _LONG else text[:_LONG] + "…"


def alternatives(word: str, known: Iterable[str], what: str) -> str:
    """Return a remedy that offers the nearest of the known names, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"{what}: {', '.join(names)}" if names else f"{what}: none"


def raise_first(document: Document, problems: Sequence[Problem], error: type[ConfigError] = ConfigError) -> None:
    """Raise the first problem in the file's order; the others are named in its text.

    Raises:
        ConfigError: There is a problem.
    """
    if problems:
        raise first_error(document, problems, error)


def first_error(document: Document, problems: Sequence[Problem], error: type[ConfigError] = ConfigError) -> ConfigError:
    """Return the error for problems, of which there is at least one."""
    first, *others = sorted(problems, key=lambda each: document.position(each.path, key=each.key))
    what = first.what
    if others:
        named = [f"{document.place(each.path, key=each.key)}: {each.what}" for each in others[:_SHOWN]]
        rest = f"; and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        what += f". Also wrong: {'; '.join(named)}{rest}"
    made = error(what, where=document.place(first.path, key=first.key), remedy=first.remedy)
    made.guard = first.guard
    return made


def declared(model: type[Model], document: Document) -> Model:
    """Return a whole file as its model.

    Raises:
        ConfigError: It is not what the model describes, or something in it is blank.
    """
    blank = blanks(document)
    try:
        found = model.model_validate(document.root)
    except ValidationError as error:
        problems = [each for each in problems_of(model, error, ()) if not _follows_from(each, blank)]
        known = {each.path for each in problems}
        raise first_error(document, [*problems, *(each for each in blank if each.path not in known)]) from error
    raise_first(document, blank)
    return found


def _follows_from(problem: Problem, blank: Sequence[Problem]) -> bool:
    """Tell whether a problem is of something that holds a blank value, and so most likely comes from that."""
    length = len(problem.path)
    return any(len(each.path) > length and each.path[:length] == problem.path for each in blank)


def blanks(document: Document) -> list[Problem]:
    """Return a problem for each value that is blank, but for the top-level lists and mappings, which may be empty."""
    found: list[Problem] = []
    pending: list[tuple[Trail, object]] = [((name,), value) for name, value in document.root.items() if value]
    while pending:
        path, value = pending.pop()
        if value is None:
            found.append(Problem(path, f"{path[-1]!r} is blank", "write a value, or remove the line"))
        elif isinstance(value, dict | list):
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            pending.extend(((*path, part), each) for part, each in inner)
    return found


def validated(model: type[Model], value: object, path: Trail, problems: list[Problem]) -> Model | None:
    """Return a value as a model, or None after adding what is wrong with it to the problems.

    Args:
        path: Where the value stands in the file.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems.extend(problems_of(model, error, path))
        return None


def problems_of(model: type[BaseModel], error: ValidationError, path: Trail) -> list[Problem]:
    """Return what pydantic found wrong, in words for an operator.

    Args:
        path: Where the value stands that was validated.
    """
    return [_problem(model, details, path) for details in error.errors(include_url=False)]


def _problem(model: type[BaseModel], details: ErrorDetails, path: Trail) -> Problem:
    kind, inner, context = details["type"], details["loc"], details.get("ctx", {})
    trail = (*path, *inner)
    if kind == "extra_forbidden":
        return _unknown_field(trail, _model_at(model, inner[:-1]))
    if inner and inner[-1] == "[key]":
        return Problem((*path, *inner[:-1]), context["what"], context["remedy"], key=True)
    if kind == "missing":
        return Problem(path + inner[:-1], f"the field {str(inner[-1])!r} is missing here", f"add `{inner[-1]}: …`")
    if kind == "refused":
        return Problem(trail, context["what"], context["remedy"])
    if kind in _EXPECTED:
        text, remedy = _EXPECTED[kind]
        return Problem(trail, f"{shown(details['input'])} {text}", remedy)
    if kind == "literal_error":
        return Problem(
            trail, f"{shown(details['input'])} is not a word that can stand here", f"write {context['expected']}"
        )
    what = details["msg"].removeprefix("Value error, ")
    return Problem(trail, f"{shown(details['input'])}: {what[:1].lower()}{what[1:]}", "correct the value")


def _unknown_field(trail: Trail, model: type[BaseModel] | None) -> Problem:
    name = str(trail[-1])
    later = getattr(model, "later", {}).get(name)
    if later:
        return Problem(trail, f"{later} is not supported yet", f"remove {name!r}", key=True)
    known = [field.alias or each for each, field in model.model_fields.items()] if model else []
    return Problem(trail, f"there is no field {name!r} here", alternatives(name, known, "fields here"), key=True)


def _model_at(model: Any, trail: Sequence[str | int]) -> type[BaseModel] | None:  # noqa: ANN401 -- annotations are of any type
    for part in trail:
        model = _inner(model, part)
    model = _plain(model)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _inner(annotation: Any, part: str | int) -> Any:  # noqa: ANN401 -- as above
    annotation = _plain(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        return fields.get(str(part))
    arguments = get_args(annotation)
    return arguments[-1] if arguments else None


def _plain(annotation: Any) -> Any:  # noqa: ANN401 -- as above
    """Return an annotation without Annotated and without None."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        annotation = next((each for each in get_args(annotation) if each is not type(None)), None)
    return annotation
