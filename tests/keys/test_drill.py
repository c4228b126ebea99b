"""The drill: each key lost, each key stolen, as the table of docs/keys.md says, line by line."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from retentiond.engine import closures, keyverbs
from retentiond.engine.accounts import account_status
from retentiond.engine.bundles import build_bundle
from retentiond.errors import KeyFileError
from retentiond.evidence.envelope import Envelope, sign
from retentiond.evidence.keyhistory import decode_history, encode_history
from retentiond.evidence.vkey import VerifierKey
from retentiond.keys.rings import LocalCommitter, LocalSealer
from retentiond.keys.signers import read_private_pem
from retentiond.tlog import DirectoryStore, TileLog
from tests.engine.office import Office, make_office, plan
from tests.keys.walk import history, judged, pins, receipts, revoke, rotate, run
from tests.readme.pages import ROOT
from tests.tlog.parts import MemoryState

PAGE = ROOT / "docs" / "keys.md"
Drill = Callable[[Office], None]
DRILLS: dict[tuple[str, str], Drill] = {}


def drill(key: str, what: str) -> Callable[[Drill], Drill]:
    def register(function: Drill) -> Drill:
        DRILLS[key, what] = function
        return function

    return register


def table() -> dict[tuple[str, str], str]:
    """Give what the page says mends each case."""
    lines = PAGE.read_text("utf-8").split("## What a loss or a theft means")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]
    return {(key, what): mends for key, what, _works, _refused, mends in rows if not key.startswith("-")}


def test_every_line_of_the_page_has_a_drill_and_every_drill_a_line() -> None:
    assert DRILLS.keys() == table().keys()
    assert len(DRILLS) == 8


@pytest.mark.parametrize("case", DRILLS, ids=" ".join)
def test_drill(tmp_path: Path, case: tuple[str, str]) -> None:
    DRILLS[case](make_office(tmp_path))


def lose(office: Office, name: str) -> None:
    (office.root / "keys" / name).unlink()


def mend(office: Office, key: str, what: str, verb: str) -> None:
    """Do what the page says, with keys that may be missing."""
    said = table()[key, what]
    assert f"`retentiond keys {verb} {key}" in said, said
    office.mending = True
    if verb == "rotate":
        rotate(office, key, "none" if "--overlap none" in said else "7 days")
    else:
        with office.open() as ctx:
            keyverbs.make(ctx, key)
    office.mending = False


def refuses(office: Office, says: str) -> None:
    with pytest.raises(KeyFileError, match=says), office.open():
        pass


@drill("issuer", "lost")
def issuer_lost(office: Office) -> None:
    before, first = pins(office), run(office, "first")
    lose(office, "issuer.key")
    refuses(office, "a key is missing")
    assert judged(office, first, *before.both).valid
    mend(office, "issuer", "lost", "rotate")
    second = run(office, "second")
    assert [judged(office, each, before.pem, *pins(office).both).reason for each in (first, second)] == [None, None]


def signed_by_a_thief(office: Office, receipt: bytes) -> bytes:
    """Give a receipt whose statement says something else, signed with the stolen key, in the place of the true one."""
    thief = read_private_pem((office.root / "keys" / "issuer.key").read_bytes(), "stolen")
    bundle = json.loads(receipt)
    said = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    said["predicate"]["notCovered"] = []
    payload = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    forged: Envelope = sign(payload, thief)
    return json.dumps(bundle | {"dsseEnvelope": forged.to_json()}).encode()


@drill("issuer", "stolen")
def issuer_stolen(office: Office) -> None:
    before, first = pins(office), run(office, "first")
    forged = signed_by_a_thief(office, first)
    assert judged(office, forged, *before.both, log=None).step == "inclusion"
    assert judged(office, forged, *before.both).step == "entry"
    assert "`retentiond keys revoke issuer`" in table()["issuer", "stolen"]
    revoke(office, "issuer", timedelta(hours=2))
    mend(office, "issuer", "stolen", "rotate")
    second = run(office, "second")
    both = (before.pem, *pins(office).both)
    assert [judged(office, each, *both).step for each in (forged, first, second)] == ["signature", "signature", None]


@drill("log", "lost")
def log_lost(office: Office) -> None:
    before, first = pins(office), run(office, "first")
    lose(office, "log.key")
    refuses(office, "a key is missing")
    assert judged(office, first, *before.both).valid
    office.mending = True
    with pytest.raises(KeyFileError, match="the log key is missing, and nothing can be signed with it"):
        rotate(office, "log")
    assert "`retentiond init`" in table()["log", "lost"]
    assert history(office) == (office.root / "keys" / "history.json").read_bytes()


@drill("log", "stolen")
def log_stolen(office: Office) -> None:
    before, first = pins(office), run(office, "first")
    thief = read_private_pem((office.root / "keys" / "log.key").read_bytes(), "stolen")
    origin = VerifierKey.parse(before.vkey.strip()).name
    other = TileLog(origin, thief, MemoryState(), DirectoryStore(office.root / "other"))
    other.publish()
    shown = {"log": str(office.root / "other")}
    refused = "the log's checkpoint is refused"
    assert refused not in str(judged(office, first, *before.both, history=None, **shown).reason)  # it is believed
    told = table()["log", "stolen"]
    mend(office, "log", "stolen", "rotate")
    with office.open() as ctx:
        old = next(each for each in ctx.keys.records() if each.key == before.vkey.strip())
    assert "`retentiond keys revoke`" in told
    revoke(office, old.keyid[:12], timedelta(hours=3))
    after = pins(office)
    second = run(office, "second")
    assert refused in str(judged(office, second, *after.both, **shown).reason)
    assert judged(office, second, *after.both).reason is None
    assert judged(office, first, before.vkey, *after.both).step == "checkpoint"
    lie = encode_history(decode_history((office.root / "keys" / "history.json").read_bytes())[:2], [thief])
    assert judged(office, second, *after.both, history=lie).step == "signature"


@drill("wrapping", "lost")
def wrapping_lost(office: Office) -> None:
    first = run(office, "first")
    lose(office, "wrapping.key")
    refuses(office, "a key is missing")
    mend(office, "wrapping", "lost", "new")
    second = run(office, "second")
    assert [judged(office, each, *pins(office).both).reason for each in (first, second)] == [None, None]
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            lost, kept = tx.receipts.all()
        with pytest.raises(KeyFileError, match="another wrapping key"):
            build_bundle(ctx, lost, annex=False, account="acct-zero")
        assert build_bundle(ctx, kept, annex=False, account="acct-zero").account


def kept_secret(office: Office) -> bytes:
    """Give the key of the first receipt's commitments, as it is sealed in the ledger."""
    with office.open() as ctx, ctx.ledger.begin() as tx:
        return tx.receipts.all()[0].commitment_key


@drill("wrapping", "stolen")
def wrapping_stolen(office: Office) -> None:
    run(office, "first")
    thief = LocalSealer(bytes.fromhex((office.root / "keys" / "wrapping.key").read_text("ascii")))
    (receipt,) = receipts(office)
    context = f"receipt/{receipt.name.removesuffix('.bundle.json')}".encode()
    assert thief.open(kept_secret(office), context)
    mend(office, "wrapping", "stolen", "rotate")
    with pytest.raises(KeyFileError, match="another wrapping key"):
        thief.open(kept_secret(office), context)
    assert any(thief.key_of(path.read_bytes(), b"journal") for path in (office.root / "journal").iterdir())


def closed(office: Office, account: str) -> str:
    """Close an account that has nothing, and give the commitment that is left of it."""
    with office.open() as ctx:
        closures.close_account(ctx, account, "left", None)
        with ctx.ledger.begin() as tx:
            found = tx.closures.newest_of(*ctx.replay.commitments("account", account))
    assert found is not None
    return found.commitment


@drill("replay", "lost")
def replay_lost(office: Office) -> None:
    first = run(office, "first")
    closed(office, "acct-left")
    lose(office, "replay.key")
    refuses(office, "a key is missing")
    mend(office, "replay", "lost", "new")
    office.request("due", 3, account="acct-zero")
    with office.open() as ctx:
        assert account_status(ctx, "acct-left").state == "open"
        assert "policy content" in " ".join(plan(ctx).reasons)
    assert judged(office, first, *pins(office).both).valid


@drill("replay", "stolen")
def replay_stolen(office: Office) -> None:
    thief = LocalCommitter(bytes.fromhex((office.root / "keys" / "replay.key").read_text("ascii")))
    assert thief.commit("account", "acct-left") == closed(office, "acct-left")
    mend(office, "replay", "stolen", "rotate")
    assert thief.commit("account", "acct-new") != closed(office, "acct-new")
    with office.open() as ctx:
        assert account_status(ctx, "acct-left").state != "open"
