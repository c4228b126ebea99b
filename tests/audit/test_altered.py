"""Ways to alter a log, its ledger, or what stands beside them: an audit finds each, and says which it is."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from retentiond.engine.docket import holds_in_force, row_of
from retentiond.evidence.entry import policy_entry, void_entry
from retentiond.evidence.keyhistory import KeyRecord, encode_history
from retentiond.keys import load_keys
from retentiond.tlog.note import Checkpoint, sign_note
from tests.audit.instance import audited, copied, entries, found, unguarded
from tests.engine.office import Office, plan

Alter = Callable[[Office], object]


def flip(data: bytes, at: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def in_log(office: Office, name: str) -> Path:
    """A file of the log; of a partial tile its newest."""
    path = office.root / "log" / name
    parts = sorted(path.parent.glob(f"{path.name}.p/*"), key=lambda each: int(each.name))
    return parts[-1] if parts else path


def of_log(name: str, change: Callable[[bytes], bytes]) -> Alter:
    def alter(office: Office) -> None:
        path = in_log(office, name)
        path.write_bytes(change(path.read_bytes()))

    return alter


def gone(name: str) -> Alter:
    return lambda office: in_log(office, name).unlink()


def swapped(one: str, other: str) -> Alter:
    def alter(office: Office) -> None:
        first, second = in_log(office, one), in_log(office, other)
        here, there = first.read_bytes(), second.read_bytes()
        first.write_bytes(there)
        second.write_bytes(here)

    return alter


def of_ledger(statement: str, *values: Any) -> Alter:
    def alter(office: Office) -> None:
        with unguarded(office) as db:
            assert db.execute(statement, values).rowcount

    return alter


def any_of(pattern: str, change: Callable[[Path], object]) -> Alter:
    """Do something to the first file that a pattern names."""
    return lambda office: change(min(office.root.glob(pattern)))


def rewritten(path: Path, **members: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **members}))


def other_annex(path: Path) -> None:
    annex = json.loads(base64.b64decode(json.loads(path.read_bytes())["annex"]))
    other = json.dumps({**annex, "nonce": "0" * 64}, sort_keys=True, separators=(",", ":"))
    rewritten(path, annex=base64.b64encode(other.encode()).decode())


def swap_bundles(office: Office) -> None:
    first, second, *_ = sorted((office.root / "receipts").glob("*.bundle.json"))
    here, there = first.read_bytes(), second.read_bytes()
    first.write_bytes(there)
    second.write_bytes(here)


def record(office: Office, number: int) -> Path:
    """A record of the journal; those up to 5 are altered in the ledger, maybe at the same time."""
    with closing(sqlite3.connect(office.root / "ledger.db")) as db:
        (name,) = db.execute("SELECT sha256 FROM journal WHERE sequence = ?", (number,)).fetchone()
    return office.root / "journal" / f"{name}.sealed"


def of_record(change: Callable[[Path], object]) -> Alter:
    return lambda office: change(record(office, 6))


def swap_records(office: Office) -> None:
    record(office, 6).write_bytes(record(office, 7).read_bytes())


def resigned(office: Office, size: int) -> bytes:
    """What whoever holds the log's key can sign: another tree."""
    with office.open() as ctx:
        origin = ctx.terms.verifier_keys["log"].split("+")[0]
    keys = load_keys(office.root / "keys", origin)
    return sign_note(Checkpoint(origin, size, b"f" * 32).encode(), origin, keys.log)


def other_history(office: Office) -> None:
    """Publish a key history that the log's key signed, and nobody logged."""
    with office.open() as ctx:
        origin = ctx.terms.verifier_keys["log"].split("+")[0]
    keys = load_keys(office.root / "keys", origin)
    records = [
        KeyRecord("issuer", keys.issuer_pem, office.clock.at),
        KeyRecord("log", keys.vkey, office.clock.at),
    ]
    (office.root / "log" / "keys" / "history.json").write_bytes(encode_history(records, [keys.log]))


def fork_signed(office: Office) -> None:
    with unguarded(office) as db:
        db.execute("INSERT INTO signed_checkpoints (note) VALUES (?)", (resigned(office, 300),))


def fork_published(office: Office) -> None:
    size = len(entries(office))
    (office.root / "log" / "checkpoint").write_bytes(resigned(office, size))


def older_checkpoint(office: Office) -> None:
    with unguarded(office) as db:
        (note,) = db.execute("SELECT note FROM signed_checkpoints WHERE sequence = 20").fetchone()
    (office.root / "log" / "checkpoint").write_bytes(note)


def other_event(office: Office) -> None:
    """Write an event anew as whoever can write to the ledger can: with a digest that fits."""
    with unguarded(office) as db:
        at, kind, subject, detail, salt = db.execute(
            "SELECT at, kind, subject, detail, salt FROM events WHERE sequence = 2"
        ).fetchone()
        written = {"sequence": 2, "at": at, "kind": kind, "subject": "another", "detail": json.loads(detail)}
        text = json.dumps(written, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(salt + text).digest()
        db.execute("UPDATE events SET subject = 'another', digest = ? WHERE sequence = 2", (digest,))
    del subject


def removed_event(office: Office) -> None:
    with unguarded(office) as db:
        last = db.execute("SELECT max(last_event) FROM anchors").fetchone()[0]
        db.execute("DELETE FROM events WHERE sequence >= ?", (last,))


def second_end(office: Office) -> None:
    """Log, properly signed, a void of a plan that has a receipt."""
    kinds = entries(office)
    index = next(int(kind.split(" ")[1]) for kind in kinds if re.fullmatch(r"receipt \d+", kind))
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            tx.entries.stage(void_entry(index, "expired", "a" * 64))
        ctx.log.publish()


def receipt_for_nothing(office: Office) -> None:
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            tx.entries.stage(void_entry(0, "expired", "a" * 64))
        ctx.log.publish()


def strange_policy(office: Office) -> None:
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            tx.entries.stage(policy_entry("b" * 64))
        ctx.log.publish()


def forgotten_plan(office: Office) -> None:
    office.request("open", 30)
    with office.open() as ctx:
        assert plan(ctx).plan is not None
    office.clock.at += timedelta(days=8)


def unended_plan(office: Office) -> None:
    forgotten_plan(office)
    with unguarded(office) as db:
        db.execute("UPDATE plans SET state = 'done' WHERE log_index = (SELECT max(log_index) FROM plans)")


def forgetful_event(office: Office) -> None:
    forgotten_plan(office)
    with unguarded(office) as db:
        db.execute("UPDATE events SET detail = NULL, salt = NULL WHERE sequence = (SELECT max(sequence) FROM events)")


def hidden_hold(office: Office) -> None:
    with unguarded(office) as db:
        db.execute("UPDATE holds SET released_at = 1 WHERE released_at IS NULL")


def other_scope(office: Office) -> None:
    """By somebody who has the wrapping key."""
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            (held,) = holds_in_force(ctx, tx)
        sealed = row_of(ctx, replace(held, scope=replace(held.scope, accounts=("acct-nobody",)))).sealed
    with unguarded(office) as db:
        db.execute("UPDATE holds SET sealed = ? WHERE released_at IS NULL", (sealed,))


def invented_approval(office: Office) -> None:
    with unguarded(office) as db:
        db.execute("UPDATE approvals SET principal = 'somebody-else' WHERE sequence = 1")


def altered_entry_row(office: Office) -> None:
    with unguarded(office) as db:
        db.execute('UPDATE log_entries SET entry = ? WHERE "index" = 7', (policy_entry("c" * 64),))


POLICY = "policies/"
BUNDLE, NEXT, TILE, PART, UPPER = ("tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001", "tile/1/000")
Cases = dict[str, tuple[Alter, str]]
# what is published
PUBLISHED: Cases = {
    "a hash in a tile": (of_log(TILE, lambda data: flip(data, 32 * 9)), r"tile/0/000: .*hash of entry 9\b"),
    "a tile is gone": (gone(TILE), r"tile/0/000: is missing"),
    "a tile is cut": (of_log(TILE, lambda data: data[:-1]), r"tile/0/000: .*8191 bytes"),
    "a tile is longer": (of_log(TILE, lambda data: data + b"x"), r"tile/0/000: is larger"),
    "two tiles are swapped": (swapped(TILE, BUNDLE), r"tile/0/000: is larger|tile/0/000: .*bytes"),
    "a hash in a partial tile": (of_log(PART, flip), r"tile/0/001\.p/\d+: .*hash of entry 256\b"),
    "a partial tile is gone": (gone(PART), r"tile/0/001\.p/\d+: is missing"),
    "a hash in an upper tile": (of_log(UPPER, flip), r"tile/1/000\.p/1: .*tile/0/000"),
    "an upper tile is gone": (gone(UPPER), r"tile/1/000\.p/1: is missing"),
    "an entry in a bundle": (of_log(BUNDLE, lambda data: flip(data, len(data) - 2)), r"entries/000: .*entry 255\b"),
    "an entry in a partial bundle": (of_log(NEXT, lambda data: flip(data, 40)), r"entries/001\.p/\d+: .*entry 256\b"),
    "a bundle is gone": (gone(BUNDLE), r"tile/entries/000: is missing"),
    "a bundle is cut": (of_log(BUNDLE, lambda data: data[:-5]), r"tile/entries/000: .*middle of an entry"),
    "a bundle has an entry more": (of_log(BUNDLE, lambda data: data + b"\0\1x"), r"entries/000: .*257 entries"),
    "two bundles are swapped": (swapped(BUNDLE, NEXT), r"tile/entries/000: .*entries instead of 256"),
    "the checkpoint's size": (
        of_log("checkpoint", lambda data: data.replace(b"\n3", b"\n4", 1)),
        r"checkpoint: .*is wrong",
    ),
    "the checkpoint is gone": (gone("checkpoint"), r"checkpoint: is missing"),
    "the checkpoint is cut": (of_log("checkpoint", lambda data: data[:-9]), r"checkpoint: .*not .* pinned log key"),
    "an older checkpoint": (older_checkpoint, r"checkpoint: the published one has \d+ entries, and one of \d+ was"),
    "another signed checkpoint": (fork_published, r"checkpoint: .*do not give the root hash"),
    "a policy": (
        any_of("log/policies/*.json", lambda path: path.write_bytes(b"{}")),
        r"policies/\w+\.json: its content",
    ),
    "a policy is gone": (any_of("log/policies/*.json", Path.unlink), r"policies/\w+\.json: is missing"),
    "a policy that nobody logged": (
        lambda office: (office.root / "log" / "policies" / f"{'d' * 64}.json").write_bytes(b"{}") and None,
        r"policies/d{64}\.json: no entry of the log",
    ),
    "the key history": (of_log("keys/history.json", lambda data: flip(data, 40)), r"keys/history\.json: "),
    "a key history that nobody logged": (
        other_history,
        r"keys/history\.json: is not the one that the newest `key` entry",
    ),
    "the key history is gone": (gone("keys/history.json"), r"keys/history\.json: is missing"),
    "the published issuer key, as its instance sees it": (
        of_log("keys/issuer.pem", lambda data: flip(data, 60)),
        r"keys/issuer\.pem: what is published is not this instance's own",
    ),
    "the published issuer key": (
        of_log("keys/issuer.pem", lambda data: flip(data, 60)),
        r"keys/issuer\.pem: is not the pinned key",
    ),
    "a tile that nobody wrote": (
        lambda office: (office.root / "log" / "tile" / "0" / "002").write_bytes(b"x" * 8192) and None,
        r"tile/0/002: the signed log of \d+ entries has no such tile",
    ),
}  # fmt: skip
# rows of the ledger
ROWS: Cases = {
    "a fork that was signed once": (fork_signed, r"signed_checkpoints\): .*two histories"),
    "a checkpoint that was signed once": (
        of_ledger("UPDATE signed_checkpoints SET note = x'00' WHERE sequence = 2"),
        r"row 2 of the ledger's checkpoints .*: is not one that the pinned log key signed",
    ),
    "an event": (of_ledger("UPDATE events SET subject = 'x' WHERE sequence = 3"), r"ledger: event 3 is not what"),
    "an event, with a digest that fits": (other_event, r"anchor, entry \d+: .*events 1 to \d+ do not give its root"),
    "an event's digest": (of_ledger("UPDATE events SET digest = zeroblob(32) WHERE sequence = 4"), r"ledger: event 4 "),
    "an event is gone": (of_ledger("DELETE FROM events WHERE sequence = 5"), r"ledger: event 5 is missing"),
    "the last events are gone": (removed_event, r"anchor, entry \d+: .*do not give its root"),
    "an event's detail is gone": (
        of_ledger("UPDATE events SET detail = NULL, salt = NULL WHERE sequence = 6"),
        r"event 6: its detail is gone",
    ),
    "an anchor's events": (
        of_ledger("UPDATE anchors SET first_event = first_event + 1"),
        r"anchor, entry \d+: it begins",
    ),
    "an anchor is gone": (
        of_ledger("DELETE FROM anchors WHERE log_index = (SELECT max(log_index) FROM anchors)"),
        r"anchor, entry \d+: the ledger does not know",
    ),
    "an anchor's root": (of_ledger("UPDATE anchors SET root = ?", "a" * 64), r"anchor, entry \d+: .*names that entry"),
    "a row of a plan": (
        of_ledger("UPDATE plans SET expires_at = expires_at + 86400000000 WHERE log_index = (SELECT max(log_index) "
                  "FROM plans)"),
        r"plan [\w-]+, entry \d+: its row differs from what was signed of it: expiresAt",
    ),
    "what was signed of a plan": (
        of_ledger("UPDATE plans SET envelope = (SELECT envelope FROM plans ORDER BY log_index DESC) WHERE log_index = "
                  "(SELECT min(log_index) FROM plans)"),
        r"plan [\w-]+, entry \d+: what was signed of it",
    ),
    "a row of a plan is gone": (
        of_ledger("DELETE FROM plans WHERE state = 'cancelled'"),
        r"plan of entry \d+: the ledger has no row of it",
    ),
    "a row of a receipt is gone": (
        of_ledger("DELETE FROM receipts WHERE log_index = (SELECT max(log_index) FROM receipts)"),
        r"receipt of entry \d+: the ledger has no row of it",
    ),
    "a plan's state": (
        of_ledger("UPDATE plans SET state = 'waiting' WHERE state = 'cancelled'"),
        r"plan [\w-]+, entry \d+: the ledger says waiting, and entry \d+ makes it void",
    ),
    "a row of a receipt": (
        of_ledger("UPDATE receipts SET issued_at = issued_at - 86400000000"),
        r"receipt [\w-]+, entry \d+: its row differs .* issuedAt",
    ),
    "an annex in the ledger": (
        of_ledger("UPDATE receipts SET annex = x'7b7d'"),
        r"receipt [\w-]+, entry \d+: the annex",
    ),
    "a receipt of another entry": (
        of_ledger("UPDATE receipts SET log_index = 0 WHERE log_index = (SELECT max(log_index) FROM receipts)"),
        r"receipt [\w-]+, entry 0: that entry is no receipt",
    ),
    "an entry in the ledger": (altered_entry_row, r"entry 7: the ledger's row of it"),
    "a plan of another entry": (
        of_ledger("UPDATE plans SET log_index = 0 WHERE state = 'cancelled'"),
        r"plan [\w-]+, entry 0: that entry is no plan",
    ),
    "a plan is not done": (
        of_ledger("UPDATE plans SET state = 'running' WHERE state IN ('done', 'partial')"),
        r"plan [\w-]+, entry \d+: the ledger says running, and entry \d+ is its receipt",
    ),
    "a receipt of another plan": (
        of_ledger(
            "UPDATE receipts SET plan = (SELECT id FROM plans WHERE state = 'cancelled') "
            "WHERE log_index = (SELECT max(log_index) FROM receipts)"
        ),
        r"receipt [\w-]+, entry \d+: its row names plan",
    ),
    "an entry is gone from the ledger": (
        of_ledger('DELETE FROM log_entries WHERE "index" = 9'),
        r"entry 9: the ledger's row of it .* is not what was logged",
    ),
    "the last entry is gone from the ledger": (
        of_ledger('DELETE FROM log_entries WHERE "index" = (SELECT max("index") FROM log_entries)'),
        r"entry \d+: the ledger lacks it",
    ),
}  # fmt: skip
# rows of people, and what they decided
PEOPLE: Cases = {
    "a sealed record in the ledger": (
        of_ledger("UPDATE journal SET sealed = x'00' WHERE sequence = 3"),
        r"journal/\w{64}, entry \d+: the sealed record in the ledger",
    ),
    "a row of the journal is gone": (
        of_ledger("DELETE FROM journal WHERE sequence = 2"),
        r"journal, entry \d+: the ledger has no record \w{64}",
    ),
    "a hold is released in the ledger": (hidden_hold, r"hold [\w-]+: it is not in force in the ledger"),
    "a hold's scope": (other_scope, r"hold [\w-]+: its row differs"),
    "a hold that nobody can open": (
        of_ledger("UPDATE holds SET sealed = x'0200'"),
        r"hold [\w-]+: what it is of cannot be opened under the wrapping key",
    ),
    "an approval": (invented_approval, r"approval by somebody-else, entry \d+: its row differs .*principal"),
    "a closure's deadline": (
        of_ledger("UPDATE closures SET deadline_at = deadline_at + 1000000"),
        r"closure [\w-]+: its row differs .*deadlineAt",
    ),
    "an approval is gone": (
        of_ledger("DELETE FROM approvals WHERE sequence = 1"),
        r"approval of entry \d+: the ledger has no row of it",
    ),
    "a record of another entry": (
        of_ledger("UPDATE journal SET log_index = 0 WHERE sequence = 4"),
        r"journal/\w{64}, entry 0: the ledger's row of it names that entry",
    ),
    "a sealed record that nobody can open": (
        of_ledger("UPDATE journal SET sealed = x'00' WHERE sequence = 5"),
        r"journal/\w{64}, entry \d+: the sealed record cannot be opened",
    ),
    "a hold that nobody placed": (
        of_ledger("UPDATE holds SET id = 'h-9' WHERE released_at IS NULL"),
        r"hold h-9: it is in force in the ledger, and the journal has no record",
    ),
    "a closure that nobody asked for": (
        of_ledger("UPDATE closures SET id = 'c-9' WHERE state = 'open'"),
        r"closure c-9: the journal has no record of it",
    ),
    "a closure that is gone": (
        of_ledger("UPDATE closures SET id = 'c-9' WHERE state = 'open'"),
        r"closure [\w-]{9,}: .* asked for, and the ledger has no row",
    ),
    "a closure that was not closed": (
        of_ledger("UPDATE closures SET state = 'closed' WHERE state = 'open'"),
        r"closure [\w-]+: the ledger says that it is closed",
    ),
    "a closure that was not cancelled": (
        of_ledger("UPDATE closures SET state = 'open' WHERE state IN ('closed', 'closing', 'grace')"),
        r"closure [\w-]+: the ledger says that it was cancelled",
    ),
    "a policy in the ledger": (
        of_ledger("UPDATE facts SET value = '{}' WHERE name LIKE 'canonical:%'"),
        r"policy \w{64}, entry \d+: what the ledger has of it",
    ),
    "a policy that the ledger forgot": (
        of_ledger("DELETE FROM facts WHERE name LIKE 'canonical:%'"),
        r"policy \w{64}, entry \d+: the ledger does not know it",
    ),
}  # fmt: skip
# files beside the log
BESIDE: Cases = {
    "a record of the journal": (
        of_record(lambda path: path.write_bytes(flip(path.read_bytes()))),
        r"journal/\w{64}, entry \d+: its file is not what its name says",
    ),
    "a record of the journal is gone": (
        of_record(Path.unlink),
        r"journal/\w{64}, entry \d+: its file is missing",
    ),
    "a record stands for another": (swap_records, r"journal/\w{64}, entry \d+: its file is not"),
    "a record that nobody made": (
        lambda office: (office.root / "journal" / f"{'e' * 64}.sealed").write_bytes(b"x") and None,
        r"journal/e{64}: the ledger does not know",
    ),
    "the annex of a bundle": (any_of("receipts/*.bundle.json", other_annex), r"[\w-]+\.bundle\.json: .*step annex"),
    "a bundle of a receipt is gone": (any_of("receipts/*.bundle.json", Path.unlink), r"receipts/[\w-]+.*: is missing"),
    "two receipts are swapped": (swap_bundles, r"receipts/[\w-]+\.bundle\.json: is not the bundle of receipt"),
    "the proof in a bundle": (
        any_of("receipts/*.bundle.json", lambda path: rewritten(path, tlogProof="")),
        r"[\w-]+\.bundle\.json: .*step well-formed",
    ),
}  # fmt: skip
# entries that were properly logged, and should not have been
LOGGED: Cases = {
    "a plan that stays open": (forgotten_plan, r"plan [\w-]+, entry \d+: it was made .*, and after seven days"),
    "events that nobody anchored": (forgotten_plan, r"event \d+: it is older than seven days, and no anchor is of it"),
    "an event that forgot too early": (forgetful_event, r"event \d+: its detail is gone, and no anchor is of it"),
    "a plan that ended nowhere": (unended_plan, r"plan [\w-]+, entry \d+: the ledger says done, and the log has"),
    "an entry of a policy that is nowhere": (strange_policy, r"policies/b{64}\.json: is missing"),
    "a second end of a plan": (second_end, r"entry \d+: a second end \(void\) of the plan in entry \d+"),
    "a void of no plan": (receipt_for_nothing, r"entry \d+: a void of entry 0, which is no plan"),
}  # fmt: skip


def test_nothing_is_wrong_with_what_nobody_altered(tmp_path: Path) -> None:
    office = copied(tmp_path)
    assert found(office) == []
    kinds = {kind.split(" ")[0] for kind in entries(office)}
    assert kinds == {"anchor", "key", "plan", "policy", "receipt", "state", "void"}
    document = audited(office, str(office.root / "log")).document()
    assert (document["findings"], document["not_checked"]) == ([], [])
    assert document["size"] == len(entries(office)) > 300
    assert document["checkpoints"] > 20
    assert document["receipts"] == len(list((office.root / "receipts").glob("*.bundle.json"))) > 2


def test_there_are_enough_ways() -> None:
    assert len(PUBLISHED | ROWS | PEOPLE | BESIDE | LOGGED) > 60


# Each family alters what the others leave alone, so that one copy and one look do for four.
@pytest.mark.parametrize("names", [*zip_longest(PUBLISHED, ROWS, PEOPLE, BESIDE), *((name,) for name in LOGGED)])
def test_what_was_altered_is_found_and_named(tmp_path: Path, names: tuple[str | None, ...]) -> None:
    office = copied(tmp_path)
    cases = [(PUBLISHED | ROWS | PEOPLE | BESIDE | LOGGED)[name] for name in names if name]
    for alter, _ in cases:
        alter(office)
    said = found(office)
    for _, expected in cases:
        assert any(re.search(expected, line) for line in said), (expected, said)
