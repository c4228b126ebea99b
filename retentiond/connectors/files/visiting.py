"""Looking at a directory before any data map names it: which directories stand at its top."""

from __future__ import annotations

import os
from pathlib import Path

from retentiond.errors import ConnectorError
from retentiond.ports.looking import Visit

MOST_PREFIXES = 20


def visit(path: Path) -> Visit:
    """List the top of a directory; nothing beneath it is entered.

    Raises:
        ConnectorError: It cannot be listed.
    """
    root = path.absolute()
    try:
        with os.scandir(root) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError as error:
        remedy = "name a directory that this user may list"
        raise ConnectorError(f"{root} cannot be listed: {error.strerror}", where="--from", remedy=remedy) from error
    names = sorted(name for name, _ in found)
    parts = 0 < len(names) <= MOST_PREFIXES and all(is_directory for _, is_directory in found)
    known = parts and all(_is_text(name) for name in names)
    return Visit(root.name, {"root": str(root)}, prefixes=tuple(f"{name}/" for name in names) if known else ("",))


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
