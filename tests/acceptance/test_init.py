"""`init` with names and places that YAML would read as something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from retentiond.bootstrap import initialise
from retentiond.bootstrap.initialising import Names
from retentiond.errors import ConfigError
from retentiond.settings import load_service


@pytest.mark.parametrize("odd", ["- a: b #c", "{x}", "*a", '"q"', "it's", "\u00fc \U0001f5d1", "a\\b", "123", "x: y"])
def test_state_goes_where_it_was_said(tmp_path: Path, odd: str) -> None:
    config = tmp_path / "config"
    initialise(config, state=f"../{odd}")
    assert load_service(config, {}).keys == config / ".." / odd / "keys"
    assert (tmp_path / odd / "ledger.db").is_file()
    initialise(tmp_path / "beside", state=str(tmp_path / "away" / odd))
    assert load_service(tmp_path / "beside", {}).log == tmp_path / "away" / odd / "log"


@pytest.mark.parametrize("name", ["123", "true", "null", "1e3"])
def test_an_instance_is_called_what_it_was_called(tmp_path: Path, name: str) -> None:
    initialise(tmp_path, names=Names(name, "urn:x:#1"))
    found = load_service(tmp_path, {})
    assert (found.instance, found.issuer_id) == (name, "urn:x:#1")


def test_a_wrong_name_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no id of an instance"):
        initialise(tmp_path, names=Names("two words"))
    assert list(tmp_path.iterdir()) == []
    initialise(tmp_path, names=Names("one-word"))
