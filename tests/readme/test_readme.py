"""The pages for people: their commands run, their examples load, and what they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from retentiond.bootstrap import ConnectorKinds
from retentiond.cli import cli
from retentiond.domain.dataset import Shape
from retentiond.domain.graph import Graph
from retentiond.errors import Exit
from retentiond.settings import load_datamap, load_policies, load_service, parse_approvers
from retentiond.settings.datamap_model import Account, DatasetModel, Parent
from retentiond.settings.policy_model import PoliciesFile, PolicyModel, RuleModel
from retentiond.settings.service import ServiceSettings
from tests.readme.pages import PAGES, README, ROOT, blocks, walk
from tests.readme.test_first_run import FIRST_RUN

DOCS = ROOT / "docs"
CONFIGURATION = DOCS / "configuration.md"
WALKED = ("receipts.md", "audit.md", "operations.md", "holds.md", "keys.md")
LEFT_OF_THE_TABLE = 59  # 100 requests, two a day; 41 are older than 29 days and not flagged
_COMMAND = re.compile(r"\bretentiond ((?:-{0,2}[\w./-]+ ?)*)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]+))?\)")
_TESTS = re.compile(r"`(tests/[\w./-]+)`")
_TARGET = re.compile(r"\bmake ([a-z]+)")


def test_the_first_hour_and_the_pages_after_it_end_as_they_say(tmp_path: Path) -> None:
    """All in one, since it is one story, which takes its time."""
    printed = "".join(walk(README, tmp_path))
    assert "all is well" in printed
    assert f"\n{LEFT_OF_THE_TABLE}\n" in printed
    assert "VALID, complete" in printed
    assert "INVALID  forged.json\n  step annex" in printed
    assert "nothing is due: there is no plan to carry out" in printed
    assert "account acct-2: grace" in printed
    lines = {line.rstrip() for line in printed.splitlines()}
    for word in ("effective", "examined"):  # what `check` and `plan` show
        shown = next(block.text for block in blocks(README, "text") if word in block.text)
        assert {line for line in shown.splitlines() if not line.startswith("note: approvers")} <= lines
    printed = "".join(text for page in WALKED for text in walk(DOCS / page, tmp_path))
    assert "Signature Verified Successfully" in printed
    assert "the account 'acct-1' is in it" in printed
    assert "the ledger is sound and agrees with its log" in printed
    assert "the stop file exists" in printed
    assert re.search(r"issuer key [0-9a-f]{16} is in use\n-----BEGIN PUBLIC KEY", printed)
    assert re.search(r"wrapping-[0-9a-f]{16}.key; \d+ records of the journal are sealed under it", printed)


def test_every_page_with_commands_is_run() -> None:
    found = {page.name for page in PAGES if any(blocks(page, "sh"))}
    assert found == {README.name, *WALKED, FIRST_RUN.name}


def _verb(words: list[str]) -> click.Command | None:
    found: click.Command = cli
    for word in words:
        if word.startswith("-") or not isinstance(found, click.Group):
            break
        inner = found.get_command(click.Context(found), word)
        if inner is None:
            return None
        found = inner
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_and_options_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    code = [*re.findall(r"`(retentiond [^`]*)`", text)]
    code += [line.strip() for block in blocks(page, "sh", "console") for line in _lines(block.text)]
    for line in code:
        for found in _COMMAND.finditer(line.split("#")[0]):
            words = re.sub(r"--config \S+ ", "", found[1]).split()
            verb = _verb(words)
            assert verb is not None, f"{page.name}: there is no `retentiond {found[1]}`"
            options = {option for parameter in verb.params for option in parameter.opts}
            asked = _OPTION.findall(line[found.end() - len(found[1]) :].split("#")[0])
            assert set(asked) <= options | {"--config"}, f"{page.name}: {line}"


def _lines(text: str) -> list[str]:
    return [line for line in text.replace("\\\n", " ").splitlines() if re.match(r"(\$ )?retentiond ", line)]


def test_named_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    consoles = "".join(block.text for page in PAGES for block in blocks(page, "console"))
    named = set(_TARGET.findall(consoles))
    assert {"demo", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in path:
            continue
        target = page.parent / path
        assert target.exists(), f"{page.name}: {path}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {title.lower().replace(" ", "-") for title in titles}, f"{page.name}: #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_are_named_exist(page: Path) -> None:
    named = _TESTS.findall(page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """The examples of the page on configuration, as the files that they are of."""
    for block in blocks(CONFIGURATION, "yaml"):
        name = block.text.split("\n", 1)[0].removeprefix("# ")
        (tmp_path / name).write_text(block.text, encoding="utf-8")
    return tmp_path


def test_the_examples_of_the_configuration_load(examples: Path) -> None:
    service = load_service(examples, {})
    options = {name: kind.options for name, kind in ConnectorKinds().items()}
    datamap = load_datamap(examples / "datamap.yaml", options)
    policies = load_policies(examples / "policies.yaml", datamap)
    assert service.origin == "issuer.example/retention-eu-1"
    assert set(datamap.stores) == {"requests-db", "payloads", "exports-disk"}
    assert set(policies.policies) == {"request-content", "export"}


def test_the_examples_of_schemas_as_they_are_ask_for_every_shape(examples: Path) -> None:
    options = {name: kind.options for name, kind in ConnectorKinds().items()}
    datamap = load_datamap(examples / "shapes.yaml", options)
    both = (*datamap.datasets.values(), *load_datamap(examples / "parts.yaml", options).datasets.values())
    asked = frozenset[Shape]().union(*(dataset.shapes for dataset in both))
    assert asked == set(Shape) - {Shape.OWNER_IN_JSON, Shape.TRIGGERS}
    order = [dataset.name for dataset in Graph(datamap).children_first()]
    assert order == ["messages", "requests", "api_keys", "threads"]


def test_the_example_of_an_approver_is_one() -> None:
    (line,) = (block.text for block in blocks(CONFIGURATION, "text"))
    public = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    key = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode().split(" ")[1]
    _, _, _, given, _ = line.split(" ")
    assert parse_approvers("approvers", line.replace(given, key).encode()).principals[0].name == "alice"
    assert parse_approvers("approvers", line.encode()).principals[0].name == "alice"


@pytest.mark.parametrize(
    "model", [ServiceSettings, DatasetModel, Account, Parent, PoliciesFile, PolicyModel, RuleModel]
)
def test_every_field_is_described(model: type[ServiceSettings]) -> None:
    text = CONFIGURATION.read_text(encoding="utf-8")
    for name, field in model.model_fields.items():
        assert re.search(rf"\b{field.alias or name}\b", text), name


def test_every_guard_stands_in_the_table() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "retentiond").rglob("*.py"))
    named = set(re.findall(r'\bguard"?(?: = |: |=)"([a-z-]+)"', sources))
    assert named == {name for row in guard_rows() for name in re.findall("`([a-z-]+)`", row[0])}


def test_every_guard_has_trigger_message_exit_and_remedy() -> None:
    for row in guard_rows():
        assert len(row) == 5, row
        assert all(row), row
        assert re.fullmatch("[2-6](, `check` only)?", row[3]), row


def guard_rows() -> list[list[str]]:
    """Give the cells of each row of the table of guards."""
    text = (DOCS / "guards.md").read_text(encoding="utf-8")
    return [[cell.strip() for cell in row.split(" | ")] for row in re.findall(r"^\| (`.*) \|$", text, re.MULTILINE)]


def test_every_exit_code_stands_in_the_table() -> None:
    text = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == {int(code) for code in Exit}


def test_every_decision_has_context_decision_and_consequences() -> None:
    for page in (DOCS / "adr").glob("*.md"):
        titles = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert titles == ["Context", "Decision", "Consequences"], page.name
