"""Verdicts for people (text) and for programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .errors import UsageError
from .verdict import Verdict

Results = Sequence[tuple[str, Verdict]]


def as_json(results: Results) -> str:
    """Give one JSON document: the verdict of one file, or `results` and `valid` of several."""
    found = [_fields(name, verdict) for name, verdict in results]
    if len(found) == 1:
        return _dump(found[0])
    return _dump({"results": found, "valid": all(verdict.valid for _, verdict in results)})


def as_text(results: Results) -> str:
    """Say in plain words what was verified, what is to be noted, and what is not proven."""
    return "\n".join(_paragraph(name, verdict) for name, verdict in results)


def error_as_json(error: UsageError) -> str:
    """Give a usage error as one JSON document."""
    return _dump({"error": "usage", "what": error.what, "where": error.where, "remedy": error.remedy})


def error_as_text(error: UsageError) -> str:
    """Give a usage error as lines for a terminal."""
    lines = [f"error: {error.what}"]
    lines += [f"  where: {error.where}"] if error.where else []
    lines += [f"  to do: {error.remedy}"] if error.remedy else []
    return "\n".join(map(_printable, lines)) + "\n"


def _fields(name: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "valid": verdict.valid,
        "outcome": verdict.outcome,
        "step": verdict.step,
        "reason": verdict.reason,
        "receipt": verdict.receipt,
        "file": name,
        "notes": list(verdict.notes),
        "proven": list(verdict.proven),
        "not_proven": list(verdict.not_proven),
    }


def _paragraph(name: str, verdict: Verdict) -> str:
    if not verdict.valid:
        lines = [
            f"INVALID  {name}",
            f"  step {verdict.step}: {verdict.reason}",
            "  Nothing that it says may be relied on.",
        ]
    else:
        lines = [f"VALID, {verdict.outcome}  {name}", f"  receipt {verdict.receipt}"]
        lines += _section("Verified", verdict.proven)
        lines += _section("Note", verdict.notes)
        lines += _section("NOT proven", verdict.not_proven)
    return "\n".join(map(_printable, lines)) + "\n"


def _section(title: str, sentences: Sequence[str]) -> list[str]:
    return [f"  {title}:", *(f"    - {sentence}" for sentence in sentences)] if sentences else []


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _printable(text: str) -> str:
    """Spell out what is not plain ASCII: what a receipt says must neither steer the terminal nor write own lines."""
    return "".join(char if char.isascii() and char.isprintable() else ascii(char)[1:-1] for char in text)
