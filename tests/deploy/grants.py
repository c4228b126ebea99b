"""The statements of deploy/postgresql, part by part, and each single right that they give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.readme.pages import ROOT

FOLDER = ROOT / "deploy" / "postgresql"
ROLES = ("retentiond_acting", "retentiond_verifying", "retentiond_ledger")
_GRANT = re.compile(r"GRANT (?P<rights>.+?)(?: ON (?P<what>.+?))? TO (?P<roles>[\w, ]+)")


@dataclass(frozen=True, slots=True)
class Right:
    """One right of one role."""

    right: str
    what: str
    role: str

    def __str__(self) -> str:
        return f"{self.right} {self.what} {self.role}"

    @property
    def revoke(self) -> str:
        return f"REVOKE {self.right}{f' ON {self.what}' if self.what else ''} FROM {self.role}"


def statements(name: str) -> dict[str, list[str]]:
    """Return the statements of a file by the part that they stand in; what stands before the first part under ''."""
    found: dict[str, list[str]] = {}
    part = ""
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-- part: "):
            part = re.split(r"[,;`]", line.removeprefix("-- part: "))[0].strip() or "pace"
        elif line and not line.startswith("--"):
            found.setdefault(part, []).append(line.split("--")[0].strip())
    return found


def rights(statements: Sequence[str]) -> Iterator[Right]:
    """Yield each single right that is granted."""
    for statement in statements:
        grant = _GRANT.fullmatch(statement.removesuffix(";"))
        assert grant, statement
        for right in grant["rights"].split(", "):
            for role in grant["roles"].split(", "):
                yield Right(right, grant["what"] or "", role)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a statement with other names of roles and databases."""
    for old, new in names.items():
        text = re.sub(rf"\b{old}\b", new, text)
    return text
