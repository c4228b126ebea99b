"""What a request about holds may name, what becomes of it later, and what is refused before anything is written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from retentiond.cli import cli
from retentiond.cli.holding import matter_document
from retentiond.domain.hold import Custody, Hold, Scope, custodies
from retentiond.engine import docket
from retentiond.engine.checking import check
from retentiond.engine.holds import Part, add_hold, list_holds, release_hold, review_hold
from retentiond.engine.matters import report
from retentiond.engine.overview import status
from retentiond.engine.recovery import recover
from retentiond.engine.rewrapping import rotate_wrapping
from retentiond.errors import ConfigError, KeyFileError, NotFound, UsageError
from retentiond.service.metrics import of_status
from retentiond.settings import read_custodians
from tests.audit.instance import found
from tests.engine.office import Office, carry, make_office

MATTER = "Doe v. 'Example'\u202e"
ANA, BEN = 'Ana "Lee"; DROP TABLE holds;--', "acct-ben"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)


def place(office: Office, *asked: Custody, days: float = 0) -> list[Hold]:
    with office.open() as ctx:
        until = ctx.now() + timedelta(days=days) if days else None
        return list(add_hold(ctx, asked, MATTER, "because", None, until).holds)


def held(office: Office) -> list[tuple[str, str]]:
    with office.open() as ctx:
        return [(hold.custodian, hold.scope.dataset) for hold in list_holds(ctx)]


def let_go(office: Office, *part: str) -> None:
    with office.open() as ctx:
        release_hold(ctx, Part(MATTER, *part), None)


BOTH = (
    *custodies(ANA, ("requests", "feedback"), ("acct-1", "acct-2")),
    *custodies(BEN, ("requests", "feedback")),
)


def test_a_custodian_alone_is_the_account_of_that_name() -> None:
    assert custodies(BEN) == (Custody(Scope(accounts=(BEN,)), BEN),)
    assert custodies(BEN, ("a", "b")) == tuple(Custody(Scope(each, (BEN,)), BEN) for each in "ab")
    assert custodies(ANA, ("a",), keys=(b"k",)) == (Custody(Scope("a", keys=(b"k",)), ANA),)
    assert custodies("", ("a",), ("x", "y")) == (Custody(Scope("a", ("x", "y"))),)


@pytest.mark.parametrize(
    ("part", "left"),
    [
        ((ANA,), [(BEN, "requests"), (BEN, "feedback")]),
        (("", "feedback"), [(ANA, "requests"), (BEN, "requests")]),
        ((BEN, "requests"), [(ANA, "requests"), (ANA, "feedback"), (BEN, "feedback")]),
        ((), []),
    ],
)
def test_a_part_of_a_matter_is_released(office: Office, part: tuple[str, ...], left: list[tuple[str, str]]) -> None:
    place(office, *BOTH)
    let_go(office, *part)
    assert held(office) == left


@pytest.mark.parametrize(
    ("asked", "part", "error"),
    [
        (custodies(ANA, (), ("acct-1",)), ("", "requests"), UsageError),
        ((Custody(Scope(accounts=("acct-1", BEN))),), (BEN,), UsageError),
        ((*BOTH, *custodies(BEN)), ("", "requests"), UsageError),
        (BOTH, (ANA + " ",), NotFound),
        (BOTH, ("", "payloads"), NotFound),
    ],
    ids=["all-datasets", "two-accounts", "one-of-them-wider", "another-name", "another-dataset"],
)
def test_what_a_wider_hold_names_is_not_let_go_in_part(
    office: Office, asked: tuple[Custody, ...], part: tuple[str, ...], error: type[Exception]
) -> None:
    placed = place(office, *asked)
    with pytest.raises(error) as caught:
        let_go(office, *part)
    assert MATTER not in str(caught.value)
    assert len(held(office)) == len(placed)


def test_nothing_of_a_request_is_placed_where_a_part_of_it_is_wrong(office: Office) -> None:
    for wrong in (Scope("nowhere", ("a",)), Scope(), Scope("requests", ("a",), (b"k",)), Scope(accounts=("\udcff",))):
        with pytest.raises(UsageError):
            place(office, *BOTH, Custody(wrong, "x"))
    with pytest.raises(UsageError):
        place(office)
    with pytest.raises(UsageError, match="is over"):
        place(office, *BOTH, days=-1)
    assert held(office) == []


def test_one_request_is_one_entry_and_what_it_names_twice_is_one_hold(office: Office) -> None:
    holds = place(office, *BOTH, *BOTH)
    assert len({hold.id for hold in holds}) == len(holds) == len(BOTH)
    with office.open() as ctx:
        history = report(ctx, MATTER, count=False).history
        assert len({each.entry for each in history}) == 1
        only = report(ctx, holds[2].id, count=False)
    assert [hold.id for hold in only.holds] == [each.hold for each in only.history] == [holds[2].id]


def test_a_review_that_is_over_is_told_by_id_and_the_hold_holds_on(office: Office) -> None:
    office.request("due", 22, account="acct-1")
    office.request("free", 22)
    holds = place(office, *custodies(ANA, (), ("acct-1",)), days=1)
    office.clock.at += timedelta(days=1)
    carry(office)
    assert office.hidden() == {"free"}
    with office.open() as ctx:
        found = status(ctx)
        assert found.reviews_overdue == (holds[0].id,)
        told = {sample.name: sample.value for each in of_status(found, ctx.now(), 1) for sample in each.samples}
        assert told["retentiond_holds_review_overdue"] == 1
        (line,) = [each for each in check(ctx).findings if "reviewed" in each.what]
        assert (line.where, MATTER in str(line)) == (f"hold {holds[0].id}", False)
        review_hold(ctx, Part(MATTER), ctx.now() + timedelta(days=30), "still \u202e needed", None)
        assert status(ctx).reviews_overdue == ()
        assert not [each for each in check(ctx).findings if "reviewed" in each.what]
        said = report(ctx, MATTER, count=False)
    assert [(each.what, each.reason) for each in said.history] == [
        ("hold", "because"),
        ("hold-review", "still \u202e needed"),
    ]
    assert said.reviews == [office.clock.at + timedelta(days=30)]


def test_a_review_names_a_time_to_come_and_a_reason(office: Office) -> None:
    place(office, *BOTH)
    with office.open() as ctx:
        later = ctx.now() + timedelta(days=1)
        for until, reason, part in (
            (ctx.now(), "r", Part(MATTER)),
            (later, " ", Part(MATTER)),
            (later, "\udcff", Part(MATTER)),
        ):
            with pytest.raises(UsageError):
                review_hold(ctx, part, until, reason, None)
        with pytest.raises(NotFound):
            review_hold(ctx, Part("another"), later, "r", None)
        assert report(ctx, MATTER, count=False).reviews == []


def told(hold: Hold) -> Hold:
    """A hold but for when its release counted, which a recovery takes from the log's time."""
    return replace(hold, released_at=None)


def test_a_ledger_that_was_lost_has_custodians_reviews_and_releases_again(office: Office) -> None:
    place(office, *BOTH, days=10)
    let_go(office, ANA, "feedback")
    with office.open() as ctx:
        review_hold(ctx, Part(MATTER, BEN), ctx.now() + timedelta(days=40), "longer", None)
        before = report(ctx, MATTER, count=False)
    for file in office.root.glob("ledger.db*"):
        file.unlink()
    ended = CliRunner().invoke(cli, ("--config", str(office.config), "ledger", "recover"))
    assert "until this list is signed" in ended.output
    assert "Doe" not in ended.output
    with office.open() as ctx:
        recover(ctx)
        after = report(ctx, MATTER, count=False)
    assert after.history == before.history
    assert list(map(told, after.holds)) == list(map(told, before.holds))
    assert [hold.id for hold in after.in_force] == [hold.id for hold in before.in_force]
    assert {each.removed_meanwhile for each in after.rows.values()} == {None}


def test_an_audit_finds_nothing_wrong_with_many_holds_of_one_request(office: Office) -> None:
    place(office, *BOTH, days=10)
    let_go(office, ANA)
    with office.open() as ctx:
        review_hold(ctx, Part(MATTER), ctx.now() + timedelta(days=40), "longer", None)
    assert found(office) == []
    with closing(sqlite3.connect(office.root / "ledger.db")) as db, db:
        db.execute("UPDATE holds SET released_at = 1 WHERE released_at IS NULL")
    assert sum("it is not in force in the ledger" in each for each in found(office)) == len(BOTH) // 2


def test_holds_are_sealed_anew_with_the_wrapping_key_and_without_it_nothing_goes(office: Office) -> None:
    place(office, *BOTH)
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:
            before = {row.sealed for row in tx.holds.active()}
        turned = rotate_wrapping(ctx, None)
        with ctx.ledger.begin() as tx:
            after = {row.sealed for row in tx.holds.active()}
    assert turned.sealed >= len(BOTH)
    assert before.isdisjoint(after)
    assert len(held(office)) == len(BOTH)
    office.request("free", 22)
    docket._known.clear()
    with office.open() as ctx, pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(ctx.wrapping), "open", _no_key)
        with pytest.raises(KeyFileError):
            carry(office)
    assert office.hidden() == set()


def test_a_history_says_that_changes_may_be_missing_where_a_key_is(office: Office) -> None:
    (hold,) = place(office, *BOTH[:1])
    with office.open() as ctx:
        rotate_wrapping(ctx, None)
        review_hold(ctx, Part(MATTER), ctx.now() + timedelta(days=40), "longer", None)
    said = document_of(office)
    assert [each["change"] for each in said["history"]] == ["placed", "reviewed"]
    assert said["history_unopened"] == 0
    (lost,) = (office.root / "keys").glob("wrapping-*.key")
    lost.unlink()
    said = document_of(office)
    assert [each["hold"] for each in said["holds"]] == [hold.id]
    assert [each["change"] for each in said["history"]] == ["reviewed"]
    assert said["history_unopened"] == 1
    words = CliRunner().invoke(cli, ["--config", str(office.config), "hold", "show", MATTER]).output
    assert "changes may be missing" in words


def document_of(office: Office) -> dict[str, Any]:
    with office.open() as ctx:
        return matter_document(report(ctx, MATTER, count=False))


def _no_key(*_arguments: object) -> bytes:
    raise KeyFileError("there is no wrapping key")


FILE = """
custodians:
  - {custodian: acct-3}
  - {custodian: "Ana \\"Lee\\"", accounts: ["acct-4", "acct-\\u202e5"], datasets: [requests, feedback]}
  - {custodian: team, datasets: [requests], keys: ["req'17", "req-18"]}
  - {custodian: flagged, datasets: [requests], where: {flagged: true}}
"""


def test_a_file_of_custodians_is_read(office: Office) -> None:
    with office.open() as ctx:
        found = read_custodians(FILE, ctx.datamap)
        placed = add_hold(ctx, found, MATTER, "", None)
    assert [(each.custodian, each.scope.dataset, each.scope.accounts, each.scope.keys) for each in placed.holds] == [
        ("acct-3", "", ("acct-3",), ()),
        ('Ana "Lee"', "requests", ("acct-4", "acct-\u202e5"), ()),
        ('Ana "Lee"', "feedback", ("acct-4", "acct-\u202e5"), ()),
        ("team", "requests", (), (b"req'17", b"req-18")),
        ("flagged", "requests", (), ()),
    ]
    assert placed.holds[4].scope.condition is not None


@pytest.mark.parametrize(
    ("text", "place_of", "what"),
    [
        ("", "--file:1:1", "'custodians' is missing"),
        ("custodians: []", "--file:1:13", "is empty"),
        ("custodians: [x]", "--file:1:14", "is not a mapping"),
        ("custodians: [{custodian: a, matter: m}]", "--file:1:29", "no field 'matter'"),
        ("custodians: [{custodian: ''}]", "--file:1:26", ""),
        ("custodians: [{custodian: 17}]", "--file:1:26", "is not text"),
        ("custodians: [{custodian: a, datasets: [nowhere]}]", "--file:1:40", "no dataset 'nowhere'"),
        ("custodians: [{custodian: a, datasets: []}]", "--file:1:39", "is empty"),
        ("custodians: [{custodian: a, accounts: []}]", "--file:1:39", "is empty"),
        ("custodians: [{custodian: a, datasets: [requests], keys: []}]", "--file:1:57", "is empty"),
        ("custodians: [{custodian: a, datasets: [requests], where: }]", "--file:1:51", "is blank"),
        ("custodians: [{custodian: a, keys: [k]}]", "--file:1:14", "are of a dataset"),
        ("custodians: [{custodian: a, datasets: [requests], where: {tier: x}}]", "--file:1:", "'tier'"),
        ("custodians: [{custodian: a, datasets: [requests], keys: [k], accounts: [b]}]", "--file:1:14", "together"),
        ("custodians: [{custodian: a}, &x {custodian: b}, *x]", "--file:1:", "anchors"),
        ("custodians: [", "--file:", "not YAML"),
        ("\x00", "--file:", ""),
        ("custodians: [\udcff]", "--file:", "not UTF-8"),
    ],
)
def test_a_file_that_is_wrong_is_refused_at_its_place(office: Office, text: str, place_of: str, what: str) -> None:
    with office.open() as ctx, pytest.raises(ConfigError) as caught:
        read_custodians(text, ctx.datamap)
    assert caught.value.where.startswith(place_of)
    assert what in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(
    "words",
    [
        ("--custodian", "a", "--custodian", "b", "--account", "c"),
        ("--custodian", ""),
        ("--account", "a", "--dataset", "requests", "--key", "k"),
        ("--file", "no-such-file.yaml"),
        ("--file", "FILE", "--account", "a"),
        ("--dataset", "requests", "--dataset", "nowhere", "--account", "a"),
        ("--custodian", "a", "--review", "2020-01-01"),
        (),
    ],
)
def test_options_that_do_not_go_together_are_refused(office: Office, words: tuple[str, ...]) -> None:
    path = office.root / "custodians.yaml"
    path.write_text(FILE, "utf-8")
    named = [str(path) if word == "FILE" else word for word in words]
    ended = CliRunner().invoke(cli, ("--config", str(office.config), "hold", "add", "--matter", MATTER, *named))
    error: Any = ended.exception
    assert isinstance(error, UsageError)
    assert error.remedy
    assert held(office) == []


def test_several_custodians_and_datasets_are_one_call(office: Office) -> None:
    words = ("--custodian", ANA, "--custodian", BEN, "--dataset", "requests", "--dataset", "feedback")
    more = ("--review", "2099-06-01", "--matter", MATTER)
    ended = CliRunner().invoke(cli, ("--config", str(office.config), "hold", "add", *words, *more))
    assert ended.exit_code == 0
    assert held(office) == [(who, name) for who in (ANA, BEN) for name in ("requests", "feedback")]
    with office.open() as ctx:
        assert {hold.review_at and hold.review_at.isoformat() for hold in list_holds(ctx)} == {
            "2099-06-01T00:00:00+00:00"
        }
