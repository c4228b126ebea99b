"""The statements of deploy/postgresql, as psql would send them, and each single right that they give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.readme.pages import ROOT

FOLDER = ROOT / "deploy" / "postgresql"
ROLES = ("retentiond_acting", "retentiond_verifying", "retentiond_ledger")
_GRANT = re.compile(r"GRANT (?P<rights>.+?)(?: ON (?P<what>.+?))? TO (?P<roles>[\w, ]+)")
_VARIABLE = re.compile(r':"(\w+)"')


@dataclass(frozen=True, slots=True)
class Right:
    """One right of one role."""

    right: str
    what: str
    role: str

    @property
    def revoke(self) -> str:
        return f"REVOKE {self.right}{f' ON {self.what}' if self.what else ''} FROM {self.role}"

    @property
    def grant(self) -> str:
        return f"GRANT {self.right}{f' ON {self.what}' if self.what else ''} TO {self.role}"


def statements(name: str, variables: Mapping[str, str], roles: Mapping[str, str]) -> list[str]:
    """Return the statements of a file, its variables put in as psql does, and other roles in place of its own."""
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line.split("--")[0] for line in lines)
    text = _VARIABLE.sub(lambda found: '"' + variables[found[1]].replace('"', '""') + '"', text)
    for old, new in roles.items():
        text = re.sub(rf"\b{old}\b", new, text)
    return [each.strip() for each in text.split(";") if each.strip()]


def rights(statements: Sequence[str]) -> Iterator[Right]:
    """Yield each single right that is granted."""
    for statement in statements:
        grant = _GRANT.fullmatch(statement)
        assert grant, statement
        for right in grant["rights"].split(", "):
            for role in grant["roles"].split(", "):
                yield Right(right, grant["what"] or "", role)
