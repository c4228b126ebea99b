"""Making the keys of a new instance, and opening those of one that is there."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retentiond.evidence.keyhistory import KeyRecord, encode_history, pem_of_raw
from retentiond.evidence.vkey import VerifierKey
from retentiond.keys import files
from retentiond.keys.signers import LocalSigner, private_pem
from retentiond.keys.sources import ISSUER_KEY, LOG_KEY, REPLAY_KEY, WRAPPING_KEY, KeySources
from retentiond.keys.store import HISTORY, ISSUER_PEM, LOG_VKEY, LocalKeys

_SECRET_BYTES = 32


def create_all(directory: Path, origin: str, now: datetime) -> None:
    """Make all keys of a new instance, each private file for its owner only.

    Args:
        directory: Where they go; made if it is not there.
        origin: The log's name, which the log's key signs under.
        now: From when on the keys are valid.

    Raises:
        KeyFileError: One of the files is there already (then none is made), or something cannot be written.
        LogIntegrityError: The origin cannot name a key.
    """
    issuer_key, log_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    issuer, log = LocalSigner(issuer_key), LocalSigner(log_key)
    vkey = VerifierKey(origin, log.public_key).encode()
    records = (KeyRecord("issuer", pem_of_raw(issuer.public_key), now), KeyRecord("log", vkey, now))
    private = {
        ISSUER_KEY: private_pem(issuer_key),
        LOG_KEY: private_pem(log_key),
        WRAPPING_KEY: new_secret(),
        REPLAY_KEY: new_secret(),
    }
    public = {
        ISSUER_PEM: pem_of_raw(issuer.public_key).encode(),
        LOG_VKEY: f"{vkey}\n".encode(),
        HISTORY: encode_history(records, [log]),
    }
    files.make_directory(directory)
    for name in (*private, *public):
        if (directory / name).is_symlink() or (directory / name).exists():
            raise files.already_there(directory / name)
    for name, data in private.items():
        files.create(directory / name, data, files.PRIVATE_MODE)
    for name, data in public.items():
        files.create(directory / name, data, files.PUBLIC_MODE)
    files.sync_directory(directory)


def load_keys(directory: Path, origin: str) -> LocalKeys:
    """Read all keys of an instance from files and check that they belong together.

    Raises:
        KeyFileError: As `LocalKeys` raises it.
    """
    return LocalKeys(KeySources(directory), origin)


def new_secret() -> bytes:
    """Return a new secret key as its file holds it."""
    return secrets.token_hex(_SECRET_BYTES).encode() + b"\n"
