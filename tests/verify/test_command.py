"""The command line: `python -m retentiond.verify`, and the same in one file with nothing but `cryptography`."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cryptography
import pytest

import retentiond.verify
from retentiond.verify.command import main
from retentiond.verify.pyz import build

from .builder import (
    ISSUER,
    RECEIPT_INDEX,
    STRANGER,
    WITNESS,
    WITNESS_1,
    Draft,
    cosign,
    entry,
    history,
    listed,
    partial,
    raw,
    seal,
    sign_note,
    vkey,
    write_log,
)

RECEIPT = "019aab3e-0000-7c55-9a53-0d3ff3a1c001"
MIB = 1024 * 1024


@pytest.fixture
def good(tmp_path: Path) -> str:
    file = tmp_path / "good.bundle.json"
    file.write_bytes(seal(Draft()).data)
    return str(file)


@pytest.fixture
def forged(tmp_path: Path) -> str:
    draft = Draft()
    draft.signers = (STRANGER,)
    file = tmp_path / "forged.bundle.json"
    file.write_bytes(seal(draft).data)
    return str(file)


def as_json(capsys: pytest.CaptureFixture[str]) -> Any:
    printed = capsys.readouterr()
    assert printed.err == ""
    return json.loads(printed.out)


def test_a_valid_receipt_exits_0(good: str, key_files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([good, *key_files]) == 0
    text = capsys.readouterr().out
    for said in ("VALID, complete", RECEIPT, "Verified:", "NOT proven:", "no cryptography proves deletion"):
        assert said in text


def test_an_invalid_receipt_exits_1_and_names_the_step(
    forged: str,
    key_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([forged, *key_files]) == 1
    text = capsys.readouterr().out
    assert "INVALID" in text
    assert "step signature" in text
    assert "Verified" not in text


def test_one_file_is_one_json_document(good: str, key_files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([good, *key_files, "--json"]) == 0
    found = as_json(capsys)
    assert {name: found[name] for name in ("valid", "outcome", "step", "reason", "receipt", "file")} == {
        "valid": True,
        "outcome": "complete",
        "step": None,
        "reason": None,
        "receipt": RECEIPT,
        "file": good,
    }
    assert all(isinstance(note, str) for note in found["notes"])


def test_an_invalid_file_is_one_json_document(
    forged: str, key_files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([forged, *key_files, "--json"]) == 1
    found = as_json(capsys)
    assert (found["valid"], found["outcome"], found["step"]) == (False, "invalid", "signature")
    assert "issuer" in found["reason"]


def test_several_files_are_one_json_document(
    good: str,
    forged: str,
    key_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([good, forged, *key_files, "--json"]) == 1
    found = as_json(capsys)
    assert found["valid"] is False
    assert [(result["file"], result["valid"]) for result in found["results"]] == [(good, True), (forged, False)]
    assert main([good, good, *key_files, "--json"]) == 0
    assert as_json(capsys)["valid"] is True


def test_log_history_and_witness_are_looked_at(
    tmp_path: Path,
    key_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    draft = Draft()
    draft.write_note = lambda body: f"{body}\n{sign_note(body)}{cosign(body, 1_790_000_000)}"
    sealed = seal(draft)
    file, keys, witness = tmp_path / "b.json", tmp_path / "history.json", tmp_path / "w.vkey"
    file.write_bytes(sealed.data)
    keys.write_bytes(history(listed()))
    witness.write_text(vkey(WITNESS, raw(WITNESS_1), 4), encoding="utf-8")
    log = write_log(tmp_path / "log", sealed.entries)
    arguments = [str(file), *key_files, "--log", str(log), "--history", str(keys), "--witness", str(witness), "--json"]
    assert main(arguments) == 0
    assert not any("--" in line for line in as_json(capsys)["not_proven"])
    keys.write_bytes(history(listed(STRANGER)))
    assert main(arguments) == 1
    assert as_json(capsys)["step"] == "signature"
    keys.write_bytes(history(listed(ISSUER)))
    write_log(tmp_path / "log", [*sealed.entries, entry(f"retract {RECEIPT_INDEX} wrong", sealed.digest)])
    assert main(arguments) == 1
    assert as_json(capsys)["step"] == "retracted"


@pytest.mark.parametrize(
    "arguments", [[], ["FILE"], ["--key", "K"], ["FILE", "--key"], ["FILE", "--key", "K", "--what"]]
)
def test_a_call_that_is_not_understood_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere.json", "", ".", "\0", "\u202e\n'; --", "x" * 5000])
def test_a_file_that_cannot_be_read_exits_2(
    tmp_path: Path,
    name: str,
    key_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = str(tmp_path / name) if name not in ("", ".") else str(tmp_path)
    assert main([where, *key_files]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "error:" in printed.err
    assert "to do:" in printed.err
    assert "\u202e" not in printed.err
    assert main([where, *key_files, "--json"]) == 2
    assert as_json(capsys)["where"] == where


def test_missing_keys_exit_2(good: str, key_files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([good, *key_files[:2]]) == 2
    assert "issuer.pem" in capsys.readouterr().err
    assert main([good, *key_files, *key_files, "--json"]) == 2
    assert set(as_json(capsys)) == {"error", "what", "where", "remedy"}


def test_a_log_that_is_not_there_exits_2(good: str, key_files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([good, *key_files, "--log", "/nowhere/at/all"]) == 2
    assert "/nowhere/at/all" in capsys.readouterr().err


def test_what_a_receipt_says_does_not_steer_the_terminal(
    tmp_path: Path,
    key_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    draft = partial()
    draft.predicate["receiptId"] = "\x1b[2J\u202eevil\x07"
    draft.predicate["notCovered"][0]["what"] = "\x1b]0;title\x07"
    draft.predicate["x\x1b[31m\n- forged line"] = "\r\nVALID"
    file = tmp_path / "b.json"
    file.write_bytes(seal(draft).data)
    assert main([str(file), *key_files]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    assert all(line.isprintable() for line in text.split("\n"))
    assert "\n- forged" not in text


def test_a_receipt_id_cannot_write_a_line_of_its_own(
    tmp_path: Path,
    key_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    draft = Draft()
    draft.predicate["receiptId"] = "a\n  Verified:\n    - everything"
    file = tmp_path / "b\nVALID.json"
    file.write_bytes(seal(draft).data)
    assert main([str(file), *key_files]) == 0
    text = capsys.readouterr().out
    assert text.count("\n  Verified:") == 1
    assert "\nVALID.json" not in text


def test_a_file_of_100_mib_is_refused_without_being_read_whole(
    tmp_path: Path,
    key_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(100 * MIB)
    assert main([str(large), *key_files, "--json"]) == 1
    assert as_json(capsys)["step"] == "well-formed"


def test_an_endless_file_is_refused(key_files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/dev/zero", *key_files, "--json"]) == 1
    assert as_json(capsys)["step"] == "well-formed"


def test_an_interruption_exits_130(
    good: str,
    key_files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("retentiond.verify.command.Verifier.verify", interrupt)
    assert main([good, *key_files]) == 130
    assert "interrupted" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ one file, alone


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pyz") / "retentiond-verify.pyz"
    build(target)
    return target


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which Python finds `cryptography` and what that needs, and nothing else."""
    libraries = tmp_path_factory.mktemp("libraries")
    site = Path(cryptography.__file__).parents[1]
    for name in site.iterdir():
        if name.name.startswith(("cryptography", "cffi", "_cffi", "pycparser")):
            (libraries / name.name).symlink_to(name)
    return {"PYTHONPATH": str(libraries), "PATH": os.environ["PATH"]}


def run_alone(pyz: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    # -S: without site-packages, so that nothing installed here helps.
    command = [sys.executable, "-S", str(pyz), *arguments]
    return subprocess.run(command, env=env, cwd=pyz.parent, capture_output=True, text=True, timeout=60, check=False)


def test_the_one_file_verifies_alone(
    pyz: Path,
    bare: dict[str, str],
    good: str,
    forged: str,
    key_files: list[str],
) -> None:
    valid = run_alone(pyz, bare, good, *key_files, "--json")
    assert (valid.returncode, valid.stderr) == (0, "")
    assert json.loads(valid.stdout)["valid"] is True
    invalid = run_alone(pyz, bare, forged, *key_files)
    assert (invalid.returncode, invalid.stderr) == (1, "")
    assert "step signature" in invalid.stdout
    usage = run_alone(pyz, bare, good)
    assert usage.returncode == 2
    assert "Traceback" not in usage.stderr


def test_the_one_file_says_when_cryptography_is_missing(pyz: Path, good: str, key_files: list[str]) -> None:
    result = run_alone(pyz, {"PATH": os.environ["PATH"]}, good, *key_files)
    assert result.returncode != 0
    assert "pip install cryptography" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_one_file_is_the_same_every_time(pyz: Path, tmp_path: Path) -> None:
    build(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == pyz.read_bytes()
    with zipfile.ZipFile(pyz) as archive:
        names = archive.namelist()
    assert all(name in ("__main__.py", "retentiond_verify/") or name.startswith("retentiond_verify/") for name in names)


def test_the_module_runs(good: str, key_files: list[str]) -> None:
    command = [sys.executable, "-m", "retentiond.verify", good, *key_files, "--json"]
    root = Path(retentiond.verify.__file__).parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["receipt"] == RECEIPT


def test_nothing_but_the_standard_library_and_cryptography_is_imported() -> None:
    package = Path(retentiond.verify.__file__).parent
    for source in package.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{source} reaches outside"
                names = [] if node.level else [node.module or ""]
            else:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            roots = {name.partition(".")[0] for name in names}
            assert roots <= sys.stdlib_module_names | {"cryptography"}, source
