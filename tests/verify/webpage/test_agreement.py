"""The verifier in Python and the one of the page say the same of everything: verdict, step, reason, and all notes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.verify.webpage.engine import in_javascript, in_python
from tests.verify.webpage.questions import everything

STEPS = 11


def test_both_verifiers_say_the_same(tmp_path: Path) -> None:
    questions = list(everything(tmp_path))
    expected = [in_python(question) for question in questions]
    answers = in_javascript(questions, tmp_path)
    differences = [
        (question.name, wanted, got)
        for question, wanted, got in zip(questions, expected, answers, strict=True)
        if wanted != got
    ]
    assert differences == []
    steps = Counter(answer.get("step", "usage") for answer in answers)
    assert len(steps) == STEPS + len(("valid", "usage")), steps
