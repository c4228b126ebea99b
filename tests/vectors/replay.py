"""Gives the vectors to the verifier; as a program it notes down its words: `python -m tests.vectors.replay`.

What it says is read before it is committed: `reasons.json` then holds it to that, and other verifiers may compare.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retentiond.verify import Verdict, verify

from .make import REASONS, RECEIPTS, main


@dataclass(frozen=True, slots=True)
class Given:
    """One line of the index, as files."""

    entry: dict[str, Any]
    root: Path = RECEIPTS

    @property
    def name(self) -> str:
        return str(self.entry["name"])

    @property
    def bundle(self) -> bytes:
        """The bytes to verify."""
        data = (self.root / str(self.entry["bundle"])).read_bytes()
        return data.ljust(int(self.entry.get("padTo", 0)))

    @property
    def expected(self) -> tuple[Any, ...]:
        return tuple(self.entry[name] for name in ("valid", "outcome", "step", "reason"))

    def file(self, name: str) -> str | None:
        """A path that the vector may have."""
        return str(self.root / self.entry[name]) if name in self.entry else None

    def files(self, name: str) -> list[str]:
        return [str(self.root / file) for file in self.entry.get(name, ())]

    def verdict(self) -> Verdict:
        history = self.file("history")
        return verify(
            self.bundle,
            [Path(file).read_bytes() for file in self.files("keys")],
            log=self.file("log"),
            history=None if history is None else Path(history).read_bytes(),
            witnesses=[Path(file).read_bytes() for file in self.files("witnesses")],
        )


def index() -> list[Given]:
    return [Given(entry) for entry in json.loads((RECEIPTS / "index.json").read_text(encoding="utf-8"))]


def record() -> None:
    """Note down what the verifier says of each invalid vector, and write the index again."""
    main()
    said = {given.name: given.verdict().reason for given in index() if not given.entry["valid"]}
    REASONS.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    main()


if __name__ == "__main__":
    record()
