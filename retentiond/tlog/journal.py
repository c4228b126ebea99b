"""The journal: sealed records beside the log of what must survive a ledger that goes back in time.

A record is sealed first; its digest is what the log's entry says. The ledger keeps the sealed bytes until their file
stands here, so a journal never has a record that the ledger did not have first: one that neither ledger nor log knows
says that both went back in time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from retentiond.errors import LogIntegrityError
from retentiond.evidence.canonical import Json, canonical_json, rfc3339
from retentiond.ports.keys import Sealer

_CONTEXT = b"journal"
_SUFFIX = ".sealed"


class DirectoryJournal:
    """One file for each record, named by the SHA-256 of its sealed bytes. Implements the port `Journal`."""

    def __init__(self, directory: Path, sealer: Sealer) -> None:
        self._directory = directory
        self._sealer = sealer

    def seal(self, record: Mapping[str, Json], at: datetime) -> tuple[str, bytes]:
        """Return the sealed record and the lower-case hex SHA-256 of its bytes; nothing is written yet."""
        sealed = self._sealer.seal(canonical_json({**record, "at": rfc3339(at)}), _CONTEXT)
        return hashlib.sha256(sealed).hexdigest(), sealed

    def write(self, name: str, sealed: bytes) -> None:
        """Store a sealed record durably; one that stands already is left alone.

        Raises:
            LogIntegrityError: It cannot be written, or these bytes do not bear that name.
        """
        if hashlib.sha256(sealed).hexdigest() != name:
            raise self._spoilt(name)
        path = self._path(name)
        try:
            if not path.exists() or path.read_bytes() != sealed:
                self._write(path, sealed)
        except OSError as error:
            raise LogIntegrityError(
                f"the journal cannot be written: {error.strerror}",
                where=str(self._directory),
                remedy="make room or give permission; the next command that writes to the log writes it too",
            ) from error

    def names(self) -> frozenset[str]:
        """Return the names of all records that stand in the journal.

        Raises:
            LogIntegrityError: The directory cannot be read.
        """
        try:
            return frozenset(path.name.removesuffix(_SUFFIX) for path in self._directory.glob(f"*{_SUFFIX}"))
        except OSError as error:
            raise self._unreadable(error) from error

    def sealed(self, name: str) -> bytes | None:
        """Return a record's sealed bytes; None where it is not there, or is not what its name says.

        Raises:
            LogIntegrityError: It is there and cannot be read.
        """
        try:
            found = self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from error
        return found if hashlib.sha256(found).hexdigest() == name else None

    def open(self, sealed: bytes) -> dict[str, Json]:
        """Return what a sealed record says.

        Raises:
            KeyFileError: It was sealed under another wrapping key.
        """
        record: dict[str, Json] = json.loads(self._sealer.open(sealed, _CONTEXT))
        return record

    def key_of(self, sealed: bytes) -> str:
        """Return the id of the wrapping key that opens a record; empty where none does."""
        return self._sealer.key_of(sealed, _CONTEXT)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{_SUFFIX}"

    def _spoilt(self, name: str) -> LogIntegrityError:
        what = f"record {name} of the journal is not what its name says"
        return LogIntegrityError(what, where=str(self._directory), remedy="run `retentiond ledger check`")

    def _unreadable(self, error: OSError) -> LogIntegrityError:
        what = f"the journal cannot be read: {error.strerror}"
        return LogIntegrityError(what, where=str(self._directory), remedy="give permission, then ask again")

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
