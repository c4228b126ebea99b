"""The journal: sealed records beside the log of what must survive a ledger that goes back in time."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path

from retentiond.errors import LogIntegrityError
from retentiond.evidence.canonical import Json, canonical_json, rfc3339
from retentiond.ports.keys import Sealer

_CONTEXT = b"journal"


class DirectoryJournal:
    """One file for each record, named by the SHA-256 of its sealed bytes. Implements the port `Journal`."""

    def __init__(self, directory: Path, sealer: Sealer) -> None:
        self._directory = directory
        self._sealer = sealer

    def append(self, record: dict[str, object], at: datetime) -> str:
        """Seal and store a record durably; return the lower-case hex SHA-256 of the sealed bytes.

        Raises:
            LogIntegrityError: It cannot be written; what it records must not count.
        """
        value: dict[str, Json] = {name: str(inner) for name, inner in record.items()}
        sealed = self._sealer.seal(canonical_json({**value, "at": rfc3339(at)}), _CONTEXT)
        name = hashlib.sha256(sealed).hexdigest()
        try:
            self._write(self._directory / f"{name}.sealed", sealed)
        except OSError as error:
            raise LogIntegrityError(
                f"the journal cannot be written: {error.strerror}",
                where=str(self._directory),
                remedy="make room or give permission, then ask again; nothing was changed",
            ) from error
        return name

    def _write(self, path: Path, data: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
