"""Requests for erasure: what the ledger says of each against what was signed and stands in the journal."""

from __future__ import annotations

import re
from pathlib import Path

from retentiond.domain.erasure import ErasureEvent, Person
from retentiond.engine import erasures
from retentiond.engine.erasures import Asked
from tests.audit.instance import found, unguarded
from tests.erasure.scene import HOSTILE, Scene, make_scene

_ALTERED = (
    ("done", "UPDATE erasures SET asked_at = asked_at - 1000000", "its row differs .*askedAt"),
    ("open", "UPDATE erasures SET jurisdiction = 'us'", "its row differs .*jurisdiction"),
    ("late", "UPDATE erasures SET deadline_at = deadline_at + 1000000", "its row differs .*deadline"),
    ("verified", "UPDATE erasures SET extended_at = 1, deadline_at = last_at", "that its time was extended, and the"),
    ("refused", "UPDATE erasures SET state = 'cancelled'", "that it is cancelled, and the journal"),
    ("cancelled", "UPDATE erasures SET state = 'done'", "that it is done, and the journal has no record of that"),
)  # fmt: skip


def made(root: Path) -> tuple[Scene, dict[str, str]]:
    """Take in requests and carry each to where it is called after."""
    scene = make_scene(root)
    scene.edit("policies.yaml", "deadline: 30 days", "deadline: 30 days, jurisdictions: {eu: {}, us: {}}")
    scene.chat("odd", "acct-b", b"\xff")
    names = {"done": scene.ask("acct-a", HOSTILE), "open": scene.ask("acct-b", "u")}
    scene.run()
    with scene.open() as ctx:
        for name in ("late", "verified", "refused", "cancelled", "gone", "invented"):
            asked = Asked(Person("acct-c", name), "gdpr", None, "ticket", "seen" if name == "verified" else "", "eu")
            names[name] = erasures.add_erasure(ctx, asked, None).id
    for name, event in (
        ("late", ErasureEvent.EXTEND),
        ("refused", ErasureEvent.REFUSE),
        ("cancelled", ErasureEvent.CANCEL),
    ):
        scene.change(names[name], event)
    return scene, names


def test_what_the_ledger_says_of_requests_is_what_the_journal_has(tmp_path: Path) -> None:
    scene, names = made(tmp_path)
    assert found(scene) == []
    with unguarded(scene) as db:
        for name, statement, _ in _ALTERED:
            assert db.execute(f"{statement} WHERE id = ?", (names[name],)).rowcount == 1
        db.execute("DELETE FROM erasures WHERE id = ?", (names["gone"],))
        db.execute("UPDATE erasures SET id = 'e-9' WHERE id = ?", (names["invented"],))
    said = found(scene)
    for name, _, expected in _ALTERED:
        assert any(re.search(f"erasure {names[name]}: .*{expected}", line) for line in said), (name, said)
    assert any("erasure e-9: the journal has no record of it" in line for line in said)
    for name in ("gone", "invented"):
        asked = f"erasure {names[name]}: the journal says that it was asked for, and the ledger has no row of it"
        assert any(asked in line for line in said)
