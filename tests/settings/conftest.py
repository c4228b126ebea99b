from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from retentiond.domain.dataset import DataMap
from retentiond.domain.policy import PolicySet
from retentiond.settings import load_datamap, load_policies

from .samples import DATAMAP, OPTIONS


@pytest.fixture
def datamap_of(tmp_path: Path) -> Callable[..., DataMap]:
    """Write a data map and load it."""

    def load(text: str, options: Mapping[str, type[BaseModel]] = OPTIONS) -> DataMap:
        path = tmp_path / "datamap.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        return load_datamap(path, options)

    return load


@pytest.fixture
def policies_of(tmp_path: Path, datamap_of: Callable[..., DataMap]) -> Callable[..., PolicySet]:
    """Write policies and load them beside the data map above, or another one."""

    def load(text: str, datamap: str = DATAMAP) -> PolicySet:
        path = tmp_path / "policies.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        return load_policies(path, datamap_of(datamap))

    return load
