"""`hold add --where`: what it takes, what it refuses, and what it does to objects that a held row names."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from retentiond.cli import cli
from retentiond.domain.condition import Compare, Operator
from retentiond.domain.hold import Scope
from retentiond.engine.approvals import approve
from retentiond.engine.holds import add_hold
from retentiond.engine.running import apply_plan
from retentiond.errors import ConfigError, RetentiondError, UsageError
from retentiond.settings import read_where
from tests.engine.office import Office, make_office, outcomes, plan
from tests.engine.postgres_office import on_postgresql
from tests.servers.postgres import Server


@pytest.fixture(params=["sqlite", "postgresql"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    made = make_office(tmp_path)
    if request.param == "sqlite":
        yield made
        return
    server: Server = request.getfixturevalue("postgresql_newest")
    with server.database() as database:
        yield on_postgresql(made, server, database)


def call(office: Office, *arguments: str) -> Any:
    said = io.StringIO()
    with redirect_stdout(said):
        cli.main(("--config", str(office.config), "--json", *arguments), standalone_mode=False)
    return json.loads(said.getvalue())


def test_the_command_line_places_a_hold_by_condition(office: Office) -> None:
    where = "{flagged: true, account: {in: [\"acct-'x'\", acct-y]}}"
    placed = call(office, "hold", "add", "--matter", "Case 1", "--dataset", "requests", "--where", where)
    assert placed["removed_meanwhile"] == placed["may_be_gone_records"] == 0
    assert placed["may_be_gone"] == []
    (listed,) = call(office, "hold", "list")["holds"]
    assert listed["release_pending"] is False
    assert listed["condition"] == {
        "and": [
            {"compare": ["attribute:flagged", "=", True]},
            {"any_of": ["account", ["acct-'x'", "acct-y"]]},
        ]
    }
    assert [each["hold"] for each in call(office, "status")["holds"]] == [placed["hold"]]


@pytest.mark.parametrize(
    ("dataset", "where", "words"),
    [
        ("requests", "{nowhere: 1}", "'nowhere'"),
        ("requests", "{flagged: }", "blank"),
        ("requests", "", "no condition"),
        ("requests", "{flagged: true", "--where:1"),
        ("requests", "[1]", "--where"),
        ("requests", "{flagged: 1.5}", "nothing to compare with"),
        ("requests", "{account: {above: 3}}", "no order"),
        ("requests", "{flagged: true}\udcff", "UTF-8"),
        ("feedback", "{flagged: true}", "'flagged'"),
        ("nowhere", "{flagged: true}", "one dataset"),
        ("", "{flagged: true}", "one dataset"),
        ("payloads", "{account: x}", "payloads"),
    ],
)
def test_what_is_no_condition_on_the_dataset_is_refused(office: Office, dataset: str, where: str, words: str) -> None:
    with pytest.raises((ConfigError, UsageError)) as caught:
        _hold_where(office, dataset, where)
    assert words in str(caught.value)
    assert caught.value.remedy


def _hold_where(office: Office, dataset: str, where: str) -> None:
    with office.open() as ctx:
        condition = read_where(where, dataset, ctx.datamap)
        add_hold(ctx, Scope(dataset, condition=condition), "Case 1", "", None)


@pytest.mark.parametrize(
    "scope",
    [
        Scope("payloads", condition=Compare("attribute:flagged", Operator.EQUAL, True)),  # noqa: FBT003 - a literal
        Scope("requests", condition=Compare("attribute:nowhere", Operator.EQUAL, 1)),
        Scope("", condition=Compare("account", Operator.EQUAL, "a")),
        Scope("requests", accounts=("a",), keys=(b"b",)),
        Scope(accounts=("a", "")),
        Scope(accounts=("\udcff",)),
    ],
    ids=["follower", "field", "no-dataset", "two-scopes", "empty-account", "surrogate"],
)
def test_a_scope_that_cannot_be_kept_is_refused(office: Office, scope: Scope) -> None:
    with office.open() as ctx:
        with pytest.raises(RetentiondError) as caught:
            add_hold(ctx, scope, "Case 1", "", None)
        with ctx.ledger.begin() as tx:
            assert tx.holds.active() == []
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize(
    ("office", "flag"),
    [
        *product(("sqlite", "postgresql"), ("1", "NULL", "7")),
        ("sqlite", "'yes'"),  # a column of numbers takes no text in PostgreSQL
    ],
    indirect=["office"],
)
def test_objects_stay_as_long_as_a_condition_holds_the_row_that_names_them(office: Office, flag: str) -> None:
    """Flagged, or of unknown flag, after the plan was made: row and object are held, and the others go."""
    for key in ("held", "free"):
        office.request(key, 40, payload=key)
        office.hide(key, 10)
    with office.open() as ctx:
        row = plan(ctx, "content").plan
        assert row is not None
        approve(ctx, row.id, None)
        add_hold(
            ctx, Scope("requests", condition=read_where("{flagged: true}", "requests", ctx.datamap)), "C", "", None
        )
        with office.db() as db:
            db.execute(f"UPDATE requests SET flagged = {flag} WHERE id = 'held'")
        session = apply_plan(ctx, row.id)
    assert office.rows() == {"held"}
    assert office.blobs() == {"held"}
    assert outcomes(session) == {"requests": {"purged": 1, "held": 1}, "payloads": {"purged": 1, "held": 1}}
