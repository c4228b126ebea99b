"""The lock files hold each declared dependency, exactly, by hash, and do not say where it came from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ["runtime.lock", "dev.lock"]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME: list[str] = PROJECT["project"]["dependencies"]
EVERYTHING: list[str] = [
    *RUNTIME,
    *PROJECT["project"]["optional-dependencies"]["demo"],
    *PROJECT["project"]["optional-dependencies"]["testing"],
    *PROJECT["dependency-groups"]["dev"],
    *PROJECT["build-system"]["requires"],
]


def text(lock: str) -> str:
    return (ROOT / "requirements" / lock).read_text(encoding="utf-8")


def locked(lock: str) -> list[tuple[Requirement, list[str]]]:
    """Read a lock: each requirement with its hashes."""
    entries = re.split(r"\n(?=\S)", text(lock).strip())
    return [
        (Requirement(entry.split(" \\\n")[0]), re.findall(r"--hash=sha256:([0-9a-f]{64})(?:\s|$)", entry))
        for entry in entries
    ]


def versions(lock: str) -> dict[str, set[Version]]:
    found: dict[str, set[Version]] = {}
    for requirement, _ in locked(lock):
        (pin,) = requirement.specifier
        found.setdefault(canonicalize_name(requirement.name), set()).add(Version(pin.version))
    return found


@pytest.mark.parametrize(("lock", "declared"), [("runtime.lock", RUNTIME), ("dev.lock", EVERYTHING)])
def test_every_declared_dependency_is_locked_within_its_bounds(lock: str, declared: list[str]) -> None:
    # A dependency may stand there twice, for older and for newer interpreters: one version for each.
    have = versions(lock)
    wanted: dict[str, list[Requirement]] = {}
    for wish in map(Requirement, declared):
        wanted.setdefault(canonicalize_name(wish.name), []).append(wish)
    beyond = [
        str(wish)
        for name, wishes in wanted.items()
        for wish in wishes
        if not any(version in wish.specifier for version in have.get(name, ()))
        or not all(any(version in other.specifier for other in wishes) for version in have[name])
    ]
    assert beyond == [], "run requirements/compile.sh"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_one_exact_version_with_hashes(lock: str) -> None:
    entries = locked(lock)
    assert len(entries) > len(RUNTIME)
    for requirement, hashes in entries:
        assert [pin.operator for pin in requirement.specifier] == ["=="], requirement
        assert hashes, requirement


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("trace", ["http", "://", "index-url", "find-links", "trusted-host", "file:", "/", "@"])
def test_a_lock_names_no_place_that_it_was_made_or_fetched_from(lock: str, trace: str) -> None:
    assert [line for line in text(lock).splitlines() if trace in line] == []


def test_what_runs_is_what_is_tested() -> None:
    tested = versions("dev.lock")
    assert {name: tested.get(name) for name in versions("runtime.lock")} == versions("runtime.lock")
