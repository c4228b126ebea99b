"""The wheel holds the whole package and nothing else, and what its metadata names is there."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

import retentiond

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENTRY_POINTS = [*PROJECT["scripts"].values(), *PROJECT["entry-points"]["retentiond.connectors"].values()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    """Build the wheel with the backend that is installed, without a network."""
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.glob("*.whl")
    with ZipFile(built) as archive:
        yield archive


def metadata(wheel: ZipFile) -> Message:
    return message_from_bytes(wheel.read(f"retentiond-{retentiond.__version__}.dist-info/METADATA"))


def test_the_wheel_holds_every_file_of_the_package(wheel: ZipFile) -> None:
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "retentiond").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == sources
    assert "retentiond/py.typed" in packed


def test_the_wheel_says_its_version_its_licence_and_what_it_needs(wheel: ZipFile) -> None:
    said = metadata(wheel)
    assert said["Version"] == retentiond.__version__
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"
    assert f"retentiond-{retentiond.__version__}.dist-info/licenses/LICENSE" in wheel.namelist()
    needed = [line for line in said.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(needed) == len(PROJECT["dependencies"])
    assert [line for line in needed if line.startswith(("moto", "pytest", "hypothesis"))] == []


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_what_an_entry_point_names_can_be_imported(entry_point: str) -> None:
    module, _, attribute = entry_point.partition(":")
    assert hasattr(importlib.import_module(module), attribute)
