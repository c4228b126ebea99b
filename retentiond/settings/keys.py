"""Where the keys are: `keys: DIR`, or `keys: {directory: DIR, issuer: awskms:…, log: awskms:…}` for keys in AWS KMS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from retentiond.settings.problems import refuse, shown
from retentiond.settings.values import Declared

_SOURCE = re.compile(
    r"awskms:(?:alias/[A-Za-z0-9/_-]{1,250}|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key|alias)/"
    r"[A-Za-z0-9/_-]{1,250}|[A-Za-z0-9-]{1,64})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """Where the keys are.

    Attributes:
        directory: Holds the public halves, and the private ones that are in files.
        issuer, log: Keys of KMS, the newest first; none for keys in files or in the environment.
    """

    directory: Path
    issuer: tuple[str, ...] = ()
    log: tuple[str, ...] = ()


def _sources(value: object) -> object:
    """Take one source or several; in the environment they are parted by spaces."""
    found = value.split() if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise refuse(f"{shown(value)} names no key", "write awskms:KEY, or a list: the new key, then the one before")
    for each in found:
        if not isinstance(each, str) or not _SOURCE.fullmatch(each):
            raise refuse(
                f"{shown(each)} is no key of a key service",
                "write awskms: and a key's id, its ARN or alias/NAME; a key in a file needs no entry",
            )
    return found


_Sources = Annotated[list[str], BeforeValidator(_sources, json_schema_input_type=str | list[str])]


class KeysModel(Declared):
    """Keys of which some are in a key service, as operators write it."""

    directory: str = "keys"
    issuer: _Sources | None = None
    log: _Sources | None = None

    def places(self) -> KeyPlaces:
        """Return where the keys are; the directory as it was written."""
        return KeyPlaces(Path(self.directory), tuple(self.issuer or ()), tuple(self.log or ()))
