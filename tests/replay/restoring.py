"""A copy of an office's stores, and putting it back; and what an oracle that only reads says is there."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.engine.office import Office


def back_up(office: Office, name: str = "backup") -> Path:
    """Copy the stores as a backup does: the database through its own backup interface, files with their times."""
    target = office.root / name
    target.mkdir()
    with (
        closing(sqlite3.connect(office.root / "app.db")) as source,
        closing(sqlite3.connect(target / "app.db")) as copy,
    ):
        source.backup(copy)
    shutil.copytree(office.root / "payloads", target / "payloads", copy_function=shutil.copy2)
    return target


def restore(office: Office, backup: Path) -> None:
    """Put a backup back in place of the stores."""
    for name in ("app.db", "app.db-wal", "app.db-shm"):
        (office.root / name).unlink(missing_ok=True)
    shutil.copy2(backup / "app.db", office.root / "app.db")
    for path in (office.root / "payloads").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(backup / "payloads", office.root / "payloads", copy_function=shutil.copy2, dirs_exist_ok=True)


def everything(office: Office) -> dict[str, set[Any]]:
    """Return all that is in the stores."""
    with office.db() as db:
        requests = {tuple(row) for row in db.execute("SELECT * FROM requests").fetchall()}
        feedback = {tuple(row) for row in db.execute("SELECT * FROM feedback").fetchall()}
    root = office.root / "payloads"
    files = {(str(path.relative_to(root)), path.read_bytes()) for path in root.rglob("*") if path.is_file()}
    return {"requests": requests, "feedback": feedback, "files": files}
