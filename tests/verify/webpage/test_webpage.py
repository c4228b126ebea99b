"""The page as a file: one HTML document that asks nobody for anything, and holds the keys that it was built with."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from retentiond.cli import cli
from retentiond.errors import Exit, RetentiondError
from retentiond.verify import UsageError
from retentiond.verify.webpage import page, script
from tests.verify.builder import TRUSTED, WITNESS, WITNESS_1, raw, vkey
from tests.verify.webpage.engine import NODE

SOURCES = Path(__file__).parents[3] / "retentiond" / "verify" / "page"
WITNESS_KEY = vkey(WITNESS, raw(WITNESS_1), 4)
HOSTILE = vkey("</textarea><script>alert(1)</script>", raw(WITNESS_1), 4)
BUILT = page()


def between(start: str, end: str) -> str:
    return BUILT.split(start, 1)[1].split(end, 1)[0]


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def field(text: str) -> str:
    """What a browser shows in the field of keys: a first line break is dropped."""
    return html.unescape(text.split("<textarea", 1)[1].split(">", 1)[1].split("</textarea>", 1)[0])


def test_the_policy_lets_this_script_and_this_style_be_and_nothing_else() -> None:
    policy = between('http-equiv="Content-Security-Policy" content="', '"')
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == digest(between('<script type="module">', "</script>"))
    assert rules["style-src"] == digest(between("<style>", "</style>"))
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy


def test_it_names_no_address_and_has_no_way_to_reach_one() -> None:
    for trace in ("src=", 'href="h', "@import", "url(", "fetch(", "XMLHttpRequest", "WebSocket", "sendBeacon"):
        assert trace not in BUILT, trace
    assert set(re.findall(r"https?://[\w./-]+", BUILT)) == {
        "http://www.w3.org/2000/svg",
        "https://in-toto.io/Statement/v1",
    }
    assert "innerHTML" not in BUILT
    assert "{{" not in BUILT
    assert BUILT.count("<script") == BUILT.count("</script") == 1


def test_every_module_is_in_it_once_and_its_names_are_its_own(tmp_path: Path) -> None:
    code = script()
    for module in SOURCES.glob("*.mjs"):
        first_line = module.read_text(encoding="utf-8").split("\n", 1)[0]
        assert code.count(first_line) == 1, module.name
    assert not re.search(r"^(import|export) ", code, re.MULTILINE)
    (tmp_path / "page.mjs").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [str(NODE), "--check", str(tmp_path / "page.mjs")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr  # a name that two modules have is an error
    globals_of_a_page = {"document", "window", "name", "status", "length", "top", "parent", "self", "event", "history"}
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", code, re.MULTILINE)
    assert globals_of_a_page.isdisjoint(names)


def test_sources_are_as_short_as_modules_have_to_be() -> None:
    for source in SOURCES.iterdir():
        lines = source.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 400, source.name
        assert max(map(len, lines)) <= 160, source.name


def test_keys_that_it_was_built_with_are_filled_in_and_that_is_said() -> None:
    built = page(TRUSTED, [WITNESS_KEY])
    assert field(built) == "\n".join([TRUSTED[0].strip(), TRUSTED[1], WITNESS_KEY])
    assert "were built into this page" in built
    assert field(BUILT) == ""
    assert "were built into this page" not in BUILT
    assert built == page(TRUSTED, [WITNESS_KEY])


def test_a_key_with_a_hostile_name_stays_a_text() -> None:
    built = page(TRUSTED, [HOSTILE])
    assert HOSTILE in field(built)
    assert built.count("<script") == 1


@pytest.mark.parametrize(
    ("keys", "witnesses"), [(TRUSTED[:1], []), ([], [WITNESS_KEY]), (TRUSTED, [TRUSTED[1]]), ([*TRUSTED, "x"], [])]
)
def test_keys_that_cannot_be_used_are_not_built_in(keys: list[str], witnesses: list[str]) -> None:
    with pytest.raises(UsageError):
        page(keys, witnesses)


def test_the_verb_writes_the_page(tmp_path: Path, key_files: list[str]) -> None:
    target = tmp_path / "page.html"
    done = CliRunner().invoke(cli, ["receipt", "page", "-o", str(target), *key_files, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == {"file": str(target)}
    assert TRUSTED[1] in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("where", ["", "nowhere/page.html"])
def test_a_page_that_cannot_be_written_is_a_usage_error(tmp_path: Path, where: str) -> None:
    done = CliRunner().invoke(cli, ["receipt", "page", "-o", str(tmp_path / where)])
    assert isinstance(done.exception, RetentiondError)
    assert done.exception.exit_code == Exit.USAGE
    assert "the page cannot be written" in done.exception.what
    assert done.exception.remedy
