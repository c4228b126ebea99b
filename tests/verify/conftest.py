from __future__ import annotations

from pathlib import Path

import pytest

from .builder import TRUSTED


@pytest.fixture
def key_files(tmp_path: Path) -> list[str]:
    """The pinned keys as arguments of the command line, the log's first."""
    (tmp_path / "issuer.pem").write_text(TRUSTED[0], encoding="utf-8")
    (tmp_path / "log.vkey").write_text(TRUSTED[1] + "\n", encoding="utf-8")
    return ["--key", str(tmp_path / "log.vkey"), "--key", str(tmp_path / "issuer.pem")]
