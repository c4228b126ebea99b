"""An audit's look at what is published beside the entries: keys, and files that no entry speaks of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

from . import jcs
from .auditentries import EntryAudit
from .auditfindings import Audited
from .documents import read_history
from .dsse import pae, require_signature
from .encoding import sha256_hex
from .errors import FailedStepError, TooLargeError
from .formats import KEYS_MEDIA_TYPE
from .keyring import PinnedKeys, issuer_key
from .merkle import HASH_BYTES
from .note import read_key
from .publishedlog import ENTRIES_PER_BUNDLE as WIDTH
from .publishedlog import MAX_BUNDLE_BYTES, Source, tile_number

HISTORY, _ISSUER, _LOG = "keys/history.json", "keys/issuer.pem", "keys/log.vkey"
_MAX_KEY_BYTES = 1 << 20
_TILE = re.compile(r"tile/(entries|[0-9])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_UNFINISHED = ".new-"


def audit_files(source: Source, keys: PinnedKeys, entries: EntryAudit, audited: Audited) -> None:
    """Compare keys with the pinned ones and with the log, and name what nothing in the log speaks of."""
    for problem in _keys(source, keys):
        audited.findings.add(*problem)
    history = source.read(HISTORY, _MAX_KEY_BYTES)
    if entries.newest_keys is None:
        audited.findings.add("entries", "no key history was ever logged")
    elif history is not None and sha256_hex(history) != entries.newest_keys:
        audited.findings.add(HISTORY, "is not the one that the newest `key` entry of the log says")
    if len(entries.histories) > 1:
        audited.unchecked.append(f"{len(entries.histories) - 1} older key histories: only the newest is published")
    names = source.names("policies")
    if names is None:
        audited.unchecked.append("whether there are files that no entry speaks of: they cannot be listed")
        return
    expected = {f"policies/{digest}.json" for digest in entries.policies}
    for name in names:
        if name not in expected and not name.rpartition("/")[2].startswith(_UNFINISHED):
            audited.findings.add(name, "no entry of the log speaks of this file", "stray policy")
    for name in source.names("tile") or ():
        what = _stray(source, name, audited.size)
        if what and not name.rpartition("/")[2].startswith(_UNFINISHED):
            audited.findings.add(name, what, "stray tile")


def _keys(source: Source, keys: PinnedKeys) -> Iterator[tuple[str, str]]:
    history = source.read(HISTORY, _MAX_KEY_BYTES)
    if history is None:
        yield HISTORY, "is missing"
    else:
        problem = history_problem(history, keys)
        if problem:
            yield HISTORY, problem
    issuers = {*keys.issuers, *(issuers_of(history) if history and not history_problem(history, keys) else ())}
    checks: tuple[tuple[str, Callable[[str], bool]], ...] = (
        (_ISSUER, lambda text: issuer_key(text) in issuers),
        (_LOG, lambda text: read_key(text.strip()) in keys.logs),
    )
    for path, is_pinned in checks:
        data = source.read(path, _MAX_KEY_BYTES)
        if data is None:
            yield path, "is missing"
        elif not _holds(is_pinned, data):
            yield path, "is not the pinned key"


def issuers_of(data: bytes) -> list[bytes]:
    """Give the raw issuer keys that a history lists, as far as they are Ed25519 keys."""
    found = []
    for key in read_history(data).document["keys"]:
        with suppress(ValueError):
            found += [issuer_key(key["key"])] if key["role"] == "issuer" else []
    return found


def history_problem(data: bytes, keys: PinnedKeys) -> str:
    """Say why a key history is not one that the pinned log key signed for; nothing where it is."""
    try:
        history = read_history(data)
        if jcs.canonical(history.document) != history.body:
            return "is not in the canonical form of RFC 8785"
        require_signature(history.envelope, pae(KEYS_MEDIA_TYPE, history.body), [key.key for key in keys.logs], "log")
    except FailedStepError as error:
        return f"is refused: {error}"
    listed = [key["key"] for key in history.document["keys"] if key["role"] == "issuer"]
    found: list[bytes] = []
    for text in listed:
        with suppress(ValueError):
            found.append(issuer_key(text))
    if any(found.count(pinned) != 1 for pinned in keys.issuers):
        return "does not have the pinned issuer key exactly once"
    return ""


def _holds(is_pinned: Callable[[str], bool], data: bytes) -> bool:
    try:
        return is_pinned(data.decode("utf-8"))
    except ValueError:
        return False


def _stray(source: Source, name: str, size: int) -> str:
    """Say what is wrong with a file among the tiles that the audit has not read; nothing where it has, or may stay."""
    found = _TILE.fullmatch(name)
    if not found:
        return "no tile of a log is called so"
    level = 0 if found[1] == "entries" else int(found[1])
    number = int(found[2].replace("x", "").replace("/", ""))
    here = min(WIDTH, (size >> 8 * level) - number * WIDTH)
    width = int(found[3]) if found[3] else WIDTH
    if tile_number(number) != found[2] or width > WIDTH or (found[3] and width == WIDTH):
        return "no tile of a log is called so"
    if width > max(here, 0):
        return f"the signed log of {size} entries has no such tile"
    return "" if width == here else _partial_problem(source, name, width, here)


def _partial_problem(source: Source, name: str, width: int, here: int) -> str:
    """Compare a partial tile that was left with the one that replaced it."""
    whole = name.partition(".p/")[0]
    newer = whole if here == WIDTH else f"{whole}.p/{here}"
    try:
        part, full = source.read(name, MAX_BUNDLE_BYTES), source.read(newer, MAX_BUNDLE_BYTES)
    except TooLargeError:
        return "is larger than it can be"
    if part is None or full is None:
        return ""
    whole_hashes = "/entries/" in name or len(part) == width * HASH_BYTES
    return "" if full.startswith(part) and part and whole_hashes else f"is no beginning of {newer}, which replaced it"
