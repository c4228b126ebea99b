"""Builds the verifier into one file, `retentiond-verify.pyz`, for people who install nothing but `cryptography`."""

from __future__ import annotations

import os
import tempfile
import zipapp
from importlib import resources
from pathlib import Path

_PACKAGE = "retentiond_verify"
_INTERPRETER = "/usr/bin/env python3"
# The earliest time that a zip file can hold: the same sources give the same bytes.
_FIXED_SECONDS = 315_619_200
_MAIN = f"""\
import sys

try:
    import cryptography
except ImportError:
    sys.exit("error: the package 'cryptography' is missing\\n  to do: python -m pip install cryptography")

from {_PACKAGE}.command import main

sys.exit(main())
"""


def build(target: Path) -> None:
    """Write the archive.

    Args:
        target: the file to write, usually `retentiond-verify.pyz`; replaced if it is there.

    Raises:
        OSError: it cannot be written.
    """
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        _copy_sources(root / _PACKAGE)
        (root / "__main__.py").write_text(_MAIN, encoding="utf-8")
        for path in (root, *root.rglob("*")):
            os.utime(path, (_FIXED_SECONDS, _FIXED_SECONDS))
        zipapp.create_archive(root, target, interpreter=_INTERPRETER, compressed=True)


def _copy_sources(destination: Path) -> None:
    destination.mkdir()
    for source in resources.files(__package__).iterdir():
        if source.name.endswith(".py"):
            (destination / source.name).write_bytes(source.read_bytes())
