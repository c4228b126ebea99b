"""Writes the vectors of tests/vectors/receipts: `python -m tests.vectors.make [DIRECTORY]`.

The same bytes each time. The reasons, which are the words of one verifier, are taken from `reasons.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .contradicting import contradicting
from .languages import languages
from .malformed import malformed
from .misshapen import misshapen
from .unlogged import unlogged
from .unsigned import unsigned
from .valid import valid
from .vectors import KEYS, Vector, log_files

HERE = Path(__file__).parent
RECEIPTS = HERE / "receipts"
REASONS = HERE / "reasons.json"


def vectors() -> list[Vector]:
    """All vectors, the valid ones first."""
    return [*valid(), *malformed(), *misshapen(), *unsigned(), *unlogged(), *contradicting(), *languages()]


def files() -> dict[str, bytes]:
    """What is written: the path of each file below the directory, and its bytes."""
    reasons = json.loads(REASONS.read_text(encoding="utf-8"))
    found = {f"keys/{name}": text.encode() for name, text in KEYS.items()}
    index = []
    for vector in vectors():
        entry = _entry(vector, reasons.get(vector.name))
        if entry["name"] in {other["name"] for other in index}:
            raise ValueError(f"two vectors are named {vector.name}")
        index.append(entry)
        found[entry["bundle"]] = vector.bundle
        if vector.history is not None:
            found[entry["history"]] = vector.history
        if vector.log is not None:
            found |= {f"{entry['log']}/{name}": data for name, data in log_files(vector.log).items()}
    found["index.json"] = (json.dumps(index, indent=1) + "\n").encode()
    return found


def _entry(vector: Vector, reason: str | None) -> dict[str, Any]:
    optional = {
        "padTo": vector.padded_to,
        "history": None if vector.history is None else f"histories/{vector.name}.json",
        "log": None if vector.log is None else f"logs/{vector.name}",
        "witnesses": [f"keys/{name}" for name in vector.witnesses],
        "said": list(vector.said),
    }
    return {
        "name": vector.name,
        "kind": vector.kind,
        "bundle": f"bundles/{vector.name}.json",
        "keys": [f"keys/{name}" for name in vector.keys],
        **{name: value for name, value in optional.items() if value},
        "valid": vector.step is None,
        "outcome": vector.outcome,
        "step": vector.step,
        "reason": reason if vector.step else None,
        "why": vector.why,
    }


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else RECEIPTS
    for name, data in files().items():
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


if __name__ == "__main__":
    main()
