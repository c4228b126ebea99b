"""Chromium's own engine, with its own cryptography, says the same as the verifier in Python."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from retentiond.verify.webpage import script
from tests.verify.webpage.engine import in_python
from tests.verify.webpage.questions import everything

AT_ONCE = 50
ASK = """
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
globalThis.ask = async ({ bundle, padTo, history, keys, witnesses, log }) => {
    try {
        const whole = new Uint8Array(padTo).fill(0x20);
        whole.set(bytes(bundle));
        const { verdict } = await verify(whole, {
            keys: await pin(keys),
            witnesses: await pinWitnesses(witnesses),
            history: history === null ? null : bytes(history),
            log: log === null ? null : { read: async (path) => (path in log ? bytes(log[path]) : null) },
        });
        const { notProven, ...rest } = verdict;
        return { ...rest, not_proven: notProven };
    } catch (error) {
        if (error instanceof UsageError) return { what: error.message };
        throw error;
    }
};
"""


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def files(log: Path | None) -> dict[str, str] | None:
    if log is None:
        return None
    return {path.relative_to(log).as_posix(): encoded(path.read_bytes()) for path in log.rglob("*") if path.is_file()}


def test_the_browser_says_the_same(browser: Browser, tmp_path: Path) -> None:
    html = tmp_path / "engine.html"
    html.write_text(f'<!doctype html><meta charset="utf-8"><script type="module">{script("verifier")}{ASK}</script>')
    page = browser.new_page()
    page.goto(html.as_uri())
    questions = list(everything(tmp_path))
    cases: list[dict[str, Any]] = [
        {
            "bundle": encoded(question.bundle.rstrip(b" ")),
            "padTo": len(question.bundle),
            "history": None if question.history is None else encoded(question.history),
            "keys": question.keys,
            "witnesses": question.witnesses,
            "log": files(question.log),
        }
        for question in questions
    ]
    answers: list[dict[str, Any]] = []
    for start in range(0, len(cases), AT_ONCE):
        answers += page.evaluate(
            "async (cases) => { const all = []; for (const one of cases) all.push(await ask(one)); return all; }",
            cases[start : start + AT_ONCE],
        )
    page.close()
    expected = map(in_python, questions)
    differences = [
        (question.name, wanted, got)
        for question, wanted, got in zip(questions, expected, answers, strict=True)
        if wanted != got
    ]
    assert differences == []
