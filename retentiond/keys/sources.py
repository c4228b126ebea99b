"""Where private keys come from: files beside their public halves, the environment, KMS."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retentiond.errors import KeyFileError
from retentiond.evidence.keyhistory import KeyRole
from retentiond.keys import files
from retentiond.keys.rings import secret_id
from retentiond.keys.signers import read_private_pem
from retentiond.ports.keys import Signer

ISSUER_KEY = "issuer.key"
LOG_KEY = "log.key"
WRAPPING_KEY = "wrapping.key"
REPLAY_KEY = "replay.key"
VARIABLE = "RETENTIOND_KEY_"
_HEX_SECRET = re.compile(rb"[0-9a-f]{64}\n?")
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class KeySources:
    """Where the keys of an instance are.

    Attributes:
        directory: Holds the public halves, and the private ones that are in files.
        issuer, log: Keys of KMS, the newest first; none for keys in files or in the environment.
        environ: `RETENTIOND_KEY_ISSUER`, `…_LOG` (PEM), `…_WRAPPING`, `…_REPLAY` (hex), each the newest key first.
    """

    directory: Path
    issuer: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of_kms(self, role: KeyRole) -> tuple[str, ...]:
        """Return the keys of KMS for a role."""
        return self.issuer if role == "issuer" else self.log

    def variable(self, kind: str) -> str:
        """Return what the environment holds for a kind of key; empty for nothing."""
        return self.environ.get(f"{VARIABLE}{kind.upper()}", "").strip()

    def path(self, kind: str) -> Path:
        """Return the path of a private key in a file."""
        return self.directory / f"{kind}.key"

    def next_path(self, kind: str) -> Path:
        """Return the path of a key that is to come next."""
        return self.directory / f"{kind}.next.key"

    def aside(self, kind: str) -> dict[str, Path]:
        """Return the keys that were set aside, by id."""
        paths = sorted(self.directory.glob(f"{kind}-*.key"))
        return {path.stem.removeprefix(f"{kind}-"): path for path in paths}


@dataclass(frozen=True, slots=True)
class Held:
    """A key that signs, and the file that holds it; None for one from elsewhere."""

    signer: Signer
    path: Path | None = None


def held_signers(sources: KeySources, role: KeyRole, *, may_miss: bool = False) -> list[Held]:
    """Return every key of a role that is at hand: first one that was made to come next, then what is configured.

    Args:
        may_miss: Whether there may be none.

    Raises:
        KeyFileError: One is missing, can be read by others, or is not the kind of key that it must be.
        KeyServiceError: KMS does not answer.
    """
    given = _from_environment(sources, role)
    elsewhere = _from_kms(sources.of_kms(role)) + given
    own = sources.path(role)
    coming = sources.next_path(role)
    others = bool(elsewhere) or coming.exists()  # a rotation may have been interrupted between two files
    paths = [own] if _is_there(own) or not (others or may_miss) else []
    aside = list(sources.aside(role).values())
    in_files = [Held(read_private_pem(files.read_private(path), str(path)), path) for path in (*paths, *aside)]
    if given and paths and in_files[0].signer.public_key not in {each.signer.public_key for each in given}:
        raise _contradiction(sources, role, own)
    first = [Held(read_private_pem(files.read_private(coming), str(coming)), coming)] if coming.exists() else []
    return [*first, *elsewhere, *in_files]


def ring(sources: KeySources, kind: str, *, may_miss: bool = False) -> list[bytes]:
    """Return the wrapping or replay keys, the newest first.

    Args:
        may_miss: Whether there may be none.

    Raises:
        KeyFileError: One is missing, can be read by others, or is no secret of 64 hex digits.
    """
    given = [_secret(text.encode(), f"{VARIABLE}{kind.upper()}") for text in sources.variable(kind).split()]
    own = sources.path(kind)
    paths = [own] if _is_there(own) or not (given or may_miss) else []
    in_files = [_secret(files.read_private(path), str(path)) for path in (*paths, *sources.aside(kind).values())]
    if given and paths and in_files[0] not in given:
        raise _contradiction(sources, kind, own)
    return list(dict.fromkeys((*given, *in_files)))


class RingFile:
    """Reads a ring again when its newest key is in another file than before: another process rotated."""

    def __init__(self, sources: KeySources, kind: str) -> None:
        self._sources = sources
        self._kind = kind
        self._stamp = self._look()

    def __call__(self) -> Sequence[bytes]:
        """Return the keys, the newest first, where they changed since the last call; else nothing."""
        stamp = self._look()
        if stamp == self._stamp:
            return ()
        keys = ring(self._sources, self._kind)
        self._stamp = stamp
        return keys

    def _look(self) -> tuple[int, int] | None:
        path = self._sources.path(self._kind)
        if not _is_there(path):
            return None
        found = path.lstat()
        return found.st_ino, found.st_mtime_ns


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def file_id(secret: bytes) -> str:
    """Return the id of a secret key, as it stands in the name of a file that is set aside."""
    return secret_id(secret).hex()


def read_secret(path: Path) -> bytes:
    """Return the secret key in a file.

    Raises:
        KeyFileError: It cannot be read, or is none.
    """
    return _secret(files.read_private(path), str(path))


def _from_kms(named: Sequence[str]) -> list[Held]:
    if not named:
        return []
    from retentiond.keys.kms import kms_signer  # noqa: PLC0415 - half a second to import, and most do without

    return [Held(kms_signer(source)) for source in named]


def _from_environment(sources: KeySources, role: KeyRole) -> list[Held]:
    text, name = sources.variable(role), f"{VARIABLE}{role.upper()}"
    if not text:
        return []
    blocks: Sequence[str] = _PEM.findall(text) or [text]
    return [Held(read_private_pem(block.encode(), name)) for block in blocks]


def _secret(text: bytes, where: str) -> bytes:
    if not _HEX_SECRET.fullmatch(text):
        remedy = "restore it from its backup"
        raise KeyFileError("not a key of 64 lower-case hex digits", where=where, remedy=remedy)
    return bytes.fromhex(text.decode())


def _contradiction(sources: KeySources, kind: str, path: Path) -> KeyFileError:
    name = f"{VARIABLE}{kind.upper()}"
    return KeyFileError(
        f"{name} and the file {path.name} hold different keys",
        where=name,
        remedy=f"let the variable hold the file's key too, after the new one, or move {sources.path(kind)} away",
    )
