"""The vectors of receipts, through the verifier in each of its three forms: library, command, one file."""

from __future__ import annotations

import ast
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retentiond.cli import cli
from retentiond.verify.pyz import build

from .make import HERE, RECEIPTS, files
from .replay import Given, index

VECTORS = index()
STEPS = ["well-formed", "canonical", "signature", "entry", "inclusion", "checkpoint"]
STEPS += ["statement", "annex", "account", "items", "retracted"]


def test_they_are_written_again_the_same() -> None:
    on_disk = {str(path.relative_to(RECEIPTS)) for path in RECEIPTS.rglob("*") if path.is_file()} - {"README.md"}
    made = files()
    assert on_disk == made.keys()
    assert [name for name, data in made.items() if (RECEIPTS / name).read_bytes() != data] == []


def test_their_maker_shares_no_code_with_the_program() -> None:
    sources = {path for path in HERE.glob("*.py") if path.name not in {"replay.py", Path(__file__).name}}
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            roots = {name.partition(".")[0] for name in names if not isinstance(node, ast.ImportFrom) or not node.level}
            assert roots <= sys.stdlib_module_names | {"cryptography"}, source


def test_there_is_one_for_every_kind_and_every_step() -> None:
    valid = {vector.entry["kind"] for vector in VECTORS if vector.entry["valid"]}
    invalid = [vector.entry for vector in VECTORS if not vector.entry["valid"]]
    assert valid == {"run", "tombstone", "closure", "erasure", "attestation", "hold-notice"}
    assert {entry["kind"] for entry in invalid} == valid
    assert {entry["step"] for entry in invalid} == set(STEPS)
    assert len(invalid) >= 100


def test_the_library_agrees() -> None:
    wrong = {}
    for vector in VECTORS:
        found = vector.verdict()
        said = all(any(word in note for note in found.notes) for word in vector.entry.get("said", ()))
        if (found.valid, found.outcome, found.step, found.reason) != vector.expected or not said:
            wrong[vector.name] = found
    assert wrong == {}


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module `command` out of the one file."""
    target = tmp_path_factory.mktemp("pyz") / "retentiond-verify.pyz"
    build(target)
    sys.path.insert(0, str(target))
    try:
        from retentiond_verify import command  # type: ignore[import-not-found]  # noqa: PLC0415 - it stands in the file

        yield command
    finally:
        sys.path.remove(str(target))


@pytest.mark.parametrize("form", ["command", "one file"])
def test_the_programs_agree(form: str, one_file: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for vectors in _given_alike(1 if form == "command" else 7).values():
        by_file = {_file(vector, tmp_path): vector for vector in vectors}
        arguments = [*by_file, *_options(vectors[0]), "--json"]
        if form == "command":
            code = cli.main(["receipt", "verify", *arguments], standalone_mode=False)
        else:
            code = one_file.main(arguments)
        document = json.loads(capsys.readouterr().out)
        results = document.get("results", [document])
        assert code == (0 if all(vector.entry["valid"] for vector in vectors) else 1)
        for result in results:
            found = tuple(result[name] for name in ("valid", "outcome", "step", "reason"))
            assert found == by_file[result["file"]].expected


def _given_alike(step: int) -> dict[tuple[str, ...], list[Given]]:
    """Every so-manieth vector, by what else the verifier is given: one call for all of a group."""
    groups: defaultdict[tuple[str, ...], list[Given]] = defaultdict(list)
    for vector in VECTORS[::step]:
        groups[tuple(_options(vector))].append(vector)
    return groups


def _options(vector: Given) -> list[str]:
    words = [word for file in vector.files("keys") for word in ("--key", file)]
    words += [word for file in vector.files("witnesses") for word in ("--witness", file)]
    return words + [word for name in ("log", "history") if (file := vector.file(name)) for word in (f"--{name}", file)]


def _file(vector: Given, scratch: Path) -> str:
    if "padTo" not in vector.entry:
        return str(vector.file("bundle"))
    padded = scratch / f"{vector.name}.json"
    padded.write_bytes(vector.bundle)
    return str(padded)
