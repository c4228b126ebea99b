"""Matters as a legal team uses them: many custodians and datasets at once, overlaps, partial releases, reports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from retentiond.clock import SystemClock
from retentiond.engine.holds import Part, add_hold, list_holds, release_hold
from retentiond.engine.matters import report
from retentiond.engine.running import run_all
from retentiond.settings import read_custodians
from tests.engine.office import make_office
from tests.holds.custody import CUSTODIANS, DATASETS, Scene, file_of
from tests.servers.postgres import Server as Postgres
from tests.servers.versioned import versioned_server

A, B = "Doe v. Example", "Roe v. Example"


@pytest.fixture
def scene(tmp_path: Path, postgresql_newest: Postgres) -> Iterator[Scene]:
    office = make_office(tmp_path)
    office.clock.at = SystemClock().now().astimezone(UTC).replace(microsecond=0)  # as the bucket's is
    with versioned_server() as server, postgresql_newest.database() as database:
        yield Scene(office, postgresql_newest, database, server.url, server.bucket)


def place(scene: Scene, matter: str, named: dict[str, tuple[str, ...]]) -> None:
    path = file_of(named, scene.office.root / "custodians.yaml")
    with scene.office.open() as ctx:
        custodies = read_custodians(path.read_text("utf-8"), ctx.datamap)
        placed = add_hold(ctx, custodies, matter, "asked for", None, ctx.now() + timedelta(days=90))
    assert (placed.removed_meanwhile, len(placed.holds)) == (0, sum(len(sets) for sets in named.values()))
    scene.oracle.matters[matter] = {(who, dataset) for who, sets in named.items() for dataset in sets}


def let_go(scene: Scene, part: Part) -> None:
    with scene.office.open() as ctx:
        release_hold(ctx, part, None)
    held = scene.oracle.matters[part.named]
    held -= {pair for pair in held if part.custodian in ("", pair[0]) and part.dataset in ("", pair[1])}


def check_step(scene: Scene, *, first: bool = False) -> int:
    """Run, and compare what is left, and what each matter says it holds, with the oracle; return how many went."""
    if first:
        scene.first_run()
    else:
        with scene.office.open() as ctx:
            run_all(ctx)
    gone = scene.oracle.run()
    assert scene.look() == scene.oracle.left
    for matter in scene.oracle.matters:
        held = scene.oracle.held_by(matter)
        with scene.office.open() as ctx:
            found = report(ctx, matter, count=True)
        assert found.not_looked_at == []
        said = {each.dataset: each.records for each in found.kept or () if each.records}
        assert said == {dataset: len(items) for dataset, items in held.items()}
    return len(gone)


def test_a_matter_over_three_custodians_and_five_datasets_is_overlapped_and_released_in_parts(scene: Scene) -> None:
    ana, ben, eve = CUSTODIANS
    place(scene, A, dict.fromkeys(CUSTODIANS, DATASETS))
    assert check_step(scene, first=True) == len(DATASETS)  # what is nobody's custody
    place(scene, B, {ana: ("requests", "exports", "uploads"), ben: ("feedback",)})
    assert check_step(scene) == 0
    let_go(scene, Part(A, custodian=ana))
    assert check_step(scene) == 1  # her feedback; the payload stays with the request that names it
    let_go(scene, Part(A, dataset="feedback"))
    assert check_step(scene) == 1  # the third one's; the other matter holds the second one's
    let_go(scene, Part(A, ben, "exports"))
    assert check_step(scene) == 1
    let_go(scene, Part(B))
    assert check_step(scene) == 5
    let_go(scene, Part(A, dataset="requests"))
    assert check_step(scene) == 0  # payloads hold the rows that name them
    let_go(scene, Part(A))
    assert check_step(scene) == 7
    with scene.office.open() as ctx:
        assert list_holds(ctx) == []
        history = report(ctx, A, count=False).history
    placed = len(CUSTODIANS) * len(DATASETS)
    assert [each.what for each in history] == ["hold"] * placed + ["hold-release"] * placed
    assert len({each.entry for each in history}) == 1 + 5  # of one request, and of each release
    assert eve in {each.custodian for each in report_holds(scene)}


def report_holds(scene: Scene) -> list[object]:
    with scene.office.open() as ctx:
        return list(report(ctx, A, count=False).holds)
