"""A search of files for names, in each way in which a program is likely to have written them down."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from pathlib import Path


def forms(name: str) -> set[bytes]:
    """Return the bytes under which a name may stand in a file: as it is, escaped, in hexadecimals, in base64."""
    raw = name.encode()
    found = {raw, json.dumps(name)[1:-1].encode(), json.dumps(name, ensure_ascii=False)[1:-1].encode()}
    found |= {raw.hex().encode(), raw.hex().upper().encode(), name.encode("utf-16-le")}
    for shift in range(3):  # base64 of it in the midst of something else: what does not depend on its neighbours
        for encoded in (base64.b64encode, base64.urlsafe_b64encode):
            text = encoded(b"\x00" * shift + raw).rstrip(b"=")
            found.add(text[(shift * 8 + 5) // 6 : len(text) - 1])
    return {each for each in found if len(each) >= len(raw) // 2}


def hits(files: Iterable[Path], names: Sequence[str]) -> list[tuple[str, bytes]]:
    """Return (file, what was found in it) for each form of a name that stands in a file's bytes."""
    wanted = [form for name in names for form in forms(name)]
    found = []
    for path in files:
        data = path.read_bytes()
        found += [(str(path), form) for form in wanted if form in data]
    return found


def files_below(*roots: Path) -> list[Path]:
    """Return all files, whatever their names."""
    return [path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()]
