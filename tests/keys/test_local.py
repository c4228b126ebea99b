"""Local keys: made once, read only where nobody else can, and useless for any other purpose."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from retentiond.errors import ConfigError, KeyFileError, KeyNotInForce, LogIntegrityError
from retentiond.evidence.envelope import Envelope, pae
from retentiond.evidence.vkey import VerifierKey
from retentiond.keys import files
from retentiond.keys.local import create_all, load_keys
from retentiond.keys.rings import LocalCommitter, LocalSealer
from retentiond.keys.signers import InForce

ORIGIN = "log.example/retentiond"
NOW = datetime(2026, 11, 24, 3, 0, 0, 999_999, tzinfo=UTC)
PRIVATE = ["issuer.key", "log.key", "wrapping.key", "replay.key"]
PUBLIC = ["issuer.pem", "log.vkey", "history.json"]
HOSTILE = ["", "acct'; DROP TABLE x; --", "a\nb", "a\x00b", "\u202egpj", "🗑", "../x", "<b>", "\ud800", "k" * 1024]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_all(tmp_path / "keys", ORIGIN, NOW)
    return tmp_path / "keys"


def test_private_files_are_for_their_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_all(tmp_path / "deep" / "keys", ORIGIN, NOW)
    finally:
        os.umask(before)
    root = tmp_path / "deep" / "keys"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in root.iterdir()}
    assert modes == dict.fromkeys(PRIVATE, 0o600) | dict.fromkeys(PUBLIC, 0o644)


def test_four_different_keys(directory: Path, tmp_path: Path) -> None:
    create_all(tmp_path / "others", ORIGIN, NOW)
    contents = [(root / name).read_bytes() for root in (directory, tmp_path / "others") for name in PRIVATE]
    assert len(set(contents)) == 8


def test_issuer_and_log_sign_under_what_is_published(directory: Path) -> None:
    keys = load_keys(directory, ORIGIN)
    issuer = load_pem_public_key((directory / "issuer.pem").read_bytes())
    assert isinstance(issuer, Ed25519PublicKey)
    issuer.verify(keys.issuer.sign(b"message"), b"message")
    vkey = VerifierKey.parse((directory / "log.vkey").read_text().rstrip("\n"))
    Ed25519PublicKey.from_public_bytes(vkey.public_key).verify(keys.log.sign(b"message"), b"message")
    assert (vkey.name, keys.vkey) == (ORIGIN, vkey.encode())
    der = b"".join(line.encode() for line in (directory / "issuer.pem").read_text().splitlines()[1:-1])
    assert keys.records()[0].keyid == hashlib.sha256(base64.b64decode(der)).hexdigest()
    assert keys.issuer_pem == (directory / "issuer.pem").read_text()


def test_the_history_is_signed_by_the_log_s_key(directory: Path) -> None:
    keys = load_keys(directory, ORIGIN)
    assert keys.history == (directory / "history.json").read_bytes()
    envelope = Envelope.from_json(json.loads(keys.history))
    assert envelope.payload_type == "application/vnd.retentiond.keys.v1+json"
    (signature,) = envelope.signatures
    public = Ed25519PublicKey.from_public_bytes(keys.log.public_key)
    public.verify(signature.sig, pae(envelope.payload_type, envelope.payload))
    always = {"validFrom": "2026-11-24T03:00:00Z", "validUntil": None, "revokedAt": None, "reason": None}
    assert json.loads(envelope.payload) == {
        "keys": [
            {"role": "issuer", "key": keys.issuer_pem, **always},
            {"role": "log", "key": keys.vkey, **always},
        ]
    }


@pytest.mark.parametrize("name", PRIVATE + PUBLIC)
def test_a_key_that_is_there_is_never_overwritten_and_nothing_else_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / name).write_text("mine")
    with pytest.raises(ConfigError, match="never overwritten") as caught:
        create_all(tmp_path / "keys", ORIGIN, NOW)
    assert caught.value.where == str(tmp_path / "keys" / name)
    assert caught.value.remedy
    assert {path.name: path.read_text() for path in (tmp_path / "keys").iterdir()} == {name: "mine"}


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "issuer.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="never overwritten"):
        create_all(tmp_path / "keys", ORIGIN, NOW)
    assert not (tmp_path / "elsewhere").exists()


def test_an_open_directory_or_impossible_origin_makes_no_keys(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(KeyFileError, match="others may enter") as caught:
        create_all(tmp_path / "open", ORIGIN, NOW)
    assert caught.value.remedy == f"chmod 700 {tmp_path / 'open'}"
    with pytest.raises(LogIntegrityError):
        create_all(tmp_path / "keys", "two words", NOW)
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="cannot be made"):
        create_all(tmp_path / "file" / "keys", ORIGIN, NOW)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "open"]


def test_a_file_that_appears_meanwhile_is_not_overwritten(directory: Path) -> None:
    before = (directory / "log.key").read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        files.create(directory / "log.key", b"other", files.PRIVATE_MODE)
    assert (directory / "log.key").read_bytes() == before


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="No space left on device"):
        create_all(tmp_path / "keys", ORIGIN, NOW)
    with pytest.raises(KeyFileError, match="No space left on device"):
        files.sync_directory(tmp_path)


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o601, 0o666])
def test_a_private_key_that_others_can_reach_is_refused(directory: Path, name: str, mode: int) -> None:
    (directory / name).chmod(mode)
    with pytest.raises(KeyFileError, match=f"{mode:04o}") as caught:
        load_keys(directory, ORIGIN)
    assert caught.value.where == str(directory / name)
    assert caught.value.remedy.startswith(f"chmod 600 {directory / name}")


@pytest.mark.parametrize("name", PRIVATE + PUBLIC)
@pytest.mark.parametrize(
    ("replace", "says"),
    [
        (lambda _path: None, "missing"),
        (lambda path: path.symlink_to(path.with_suffix(".moved")), "symbolic link"),
        (lambda path: path.mkdir(mode=0o700), "regular file"),
        (lambda path: os.mkfifo(path, 0o600), "regular file"),
        (lambda path: path.write_bytes(b"x" * 65_537), "too long"),
    ],
    ids=["missing", "link", "directory", "fifo", "huge"],
)
def test_what_is_no_key_file_is_refused(directory: Path, name: str, replace: Callable[[Path], None], says: str) -> None:
    path = directory / name
    path.rename(path.with_suffix(".moved"))
    replace(path)
    if path.is_file() and not path.is_symlink():
        path.chmod(0o600)
    with pytest.raises(KeyFileError, match=says) as caught:
        load_keys(directory, ORIGIN)
    assert caught.value.where == str(path)
    assert caught.value.remedy


def other_kinds(directory: Path) -> dict[str, bytes]:
    key = load_pem_private_key((directory / "issuer.key").read_bytes(), None)
    pkcs8 = (Encoding.PEM, PrivateFormat.PKCS8)
    return {
        "empty": b"",
        "garbage": b"\x00\xff'; --",
        "public": (directory / "issuer.pem").read_bytes(),
        "x25519": X25519PrivateKey.generate().private_bytes(*pkcs8, NoEncryption()),
        "password": key.private_bytes(*pkcs8, BestAvailableEncryption(b"secret")),
        "truncated": (directory / "issuer.key").read_bytes()[:-40],
        "secret": (directory / "replay.key").read_bytes(),
    }


@pytest.mark.parametrize("name", ["issuer.key", "log.key"])
@pytest.mark.parametrize("kind", ["empty", "garbage", "public", "x25519", "password", "truncated", "secret"])
def test_what_is_no_signing_key_is_refused(directory: Path, name: str, kind: str) -> None:
    (directory / name).write_bytes(other_kinds(directory)[kind])
    with pytest.raises(KeyFileError, match="not a") as caught:
        load_keys(directory, ORIGIN)
    assert caught.value.where == str(directory / name)


@pytest.mark.parametrize("name", ["wrapping.key", "replay.key"])
@pytest.mark.parametrize(
    "text", ["", "ab" * 31, "ab" * 33, "AB" * 32, "zz" * 32, "ab" * 32 + "\n\n", " " + "ab" * 32, "é" * 32]
)
def test_what_is_no_secret_is_refused_and_not_quoted(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(text)
    with pytest.raises(KeyFileError, match="64 lower-case hex digits") as caught:
        load_keys(directory, ORIGIN)
    assert not text or text not in str(caught.value)


def test_a_public_half_that_does_not_fit_is_refused(directory: Path, tmp_path: Path) -> None:
    create_all(tmp_path / "others", ORIGIN, NOW)
    for name in ("issuer.pem", "log.vkey"):
        mine = (directory / name).read_bytes()
        (directory / name).write_bytes((tmp_path / "others" / name).read_bytes())
        with pytest.raises(KeyFileError, match="not the public half") as caught:
            load_keys(directory, ORIGIN)
        assert caught.value.where == str(directory / name)
        (directory / name).write_bytes(mine)
    for origin in ("other.example", "two words"):
        with pytest.raises(KeyFileError, match="origin"):
            load_keys(directory, origin)
    (directory / "log.key").write_bytes((directory / "issuer.key").read_bytes())
    with pytest.raises(KeyFileError, match="the same"):
        load_keys(directory, ORIGIN)


@given(st.binary(), st.binary(), st.data())
def test_sealed_bytes_open_only_as_they_were_sealed(plain: bytes, context: bytes, draw: st.DataObject) -> None:
    sealer = LocalSealer(bytes(32))
    sealed = sealer.seal(plain, context)
    assert sealer.open(sealed, context) == plain
    assert sealer.seal(plain, context) != sealed
    at = draw.draw(st.integers(0, len(sealed) - 1))
    altered = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
    refused = [(altered, context), (sealed[:at], context), (sealed + b"\x00", context), (sealed, context + b"\x00")]
    for text, where in refused:
        with pytest.raises(KeyFileError, match="another wrapping key"):
            sealer.open(text, where)
    with pytest.raises(KeyFileError, match="another wrapping key"):
        LocalSealer(bytes([1]) * 32).open(sealed, context)


def test_commitments_tell_values_labels_and_keys_apart() -> None:
    committer = LocalCommitter(bytes(32))
    made = {committer.commit(label, value) for label in ("account", "list", "") for value in HOSTILE}
    assert len(made) == 3 * len(HOSTILE)
    assert committer.commit("account", "a") == committer.commit("account", "a")
    assert committer.commit("ab", "c") != committer.commit("a", "bc")
    assert LocalCommitter(bytes([1]) * 32).commit("account", "a") != committer.commit("account", "a")
    assert all(len(text) == 64 and set(text) <= set("0123456789abcdef") for text in made)


@pytest.mark.parametrize(
    ("changes", "says", "remedy"),
    [
        ({}, None, ""),
        ({"valid_until": NOW + timedelta(seconds=1)}, None, ""),
        ({"valid_until": NOW}, "counted until 2026-11-24T03:00:00Z", "keys rotate issuer"),
        ({"valid_from": NOW + timedelta(seconds=1)}, "counts from 2026-11-24T03:00:01Z on", "set the machine's clock"),
        ({"revoked_at": NOW + timedelta(days=1)}, "was revoked as of 2026-11-25T03:00:00Z", "keys rotate issuer"),
        ({"role": "log"}, "is not in the history of keys", "copy its keys here"),
    ],
)
def test_a_key_signs_only_while_the_history_has_it_count(
    directory: Path, changes: dict[str, Any], says: str | None, remedy: str
) -> None:
    keys = load_keys(directory, ORIGIN)
    issuer, log = keys.records()
    records = [replace(issuer, **changes) if "role" not in changes else log, log]
    signer = InForce("issuer", lambda: keys.issuer, lambda: records, lambda: NOW)
    if says is None:
        assert signer.sign(b"m") == keys.issuer.sign(b"m")
        return
    with pytest.raises(KeyNotInForce, match=says) as caught:
        signer.sign(b"m")
    assert remedy in caught.value.remedy
    assert caught.value.guard == "key-not-in-force"


def test_the_log_s_key_signs_also_where_the_clock_is_behind(directory: Path) -> None:
    keys = load_keys(directory, ORIGIN)
    log = keys.records()[1]
    early = log.valid_from - timedelta(hours=1)
    assert InForce("log", lambda: keys.log, lambda: [log], lambda: early).sign(b"m") == keys.log.sign(b"m")
    ended = [replace(log, valid_until=log.valid_from)]
    with pytest.raises(KeyNotInForce, match="counted until"):
        InForce("log", lambda: keys.log, lambda: ended, lambda: early).sign(b"m")


def test_no_key_shows_itself(directory: Path) -> None:
    keys = load_keys(directory, ORIGIN)
    shown = " ".join(map(repr, (keys, keys.issuer, keys.log, keys.wrapping, keys.replay)))
    for name in ("wrapping.key", "replay.key"):
        assert (directory / name).read_text().strip() not in shown
    for name in ("issuer.key", "log.key"):
        assert all(line not in shown for line in (directory / name).read_text().splitlines())
    assert str(bytes.fromhex((directory / "replay.key").read_text())) not in shown
