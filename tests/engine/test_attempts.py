"""What an attempt to issue a receipt leaves that comes to none is removed by the next attempt, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from retentiond.engine import closure_receipts, receipts
from retentiond.engine.bundles import list_receipts
from retentiond.engine.running import run_all
from retentiond.errors import LedgerError
from tests.engine.leavers import ask, fill
from tests.engine.office import Office, carry


class Died(Exception):
    """A process that is gone."""


def on_disk(office: Office) -> set[str]:
    return {path.name.split(".")[0] for path in (office.root / "receipts" / "manifests").iterdir()}


def issued(office: Office) -> set[str]:
    with office.open() as ctx:
        return {row.id for row in list_receipts(ctx)}


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [LedgerError("no", remedy="wait"), Died()], ids=["fails", "dies"])
@pytest.mark.parametrize("module", [receipts, closure_receipts], ids=["run", "closure"])
def test_files_of_an_attempt_that_came_to_nothing_go_with_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch, module: Any, error: Exception
) -> None:
    office.edit("policies.yaml", "per_day: 500, max_percent: 95", "per_day: 500, max_percent: 100")
    office.request("due", 3, account="acct-zero")
    office.request("young", 1)
    carry(office)
    before = on_disk(office)
    fill(office, ["gone", "stays"])
    ask(office, ["gone"])
    with monkeypatch.context() as patched, suppress(Died, LedgerError):
        patched.setattr(module, "sign", failing(error))
        with office.open() as ctx:
            run_all(ctx)
    left = on_disk(office) - issued(office)
    assert len(left) == 1
    folder = office.root / "receipts" / "manifests"
    (name,) = left
    (folder / f"{name}.items.part").touch()
    (folder / "0190-somebody's.items").touch()
    with office.open() as ctx:
        session = run_all(ctx)
    assert (session.failures, session.stops) == ([], [])
    assert on_disk(office) == issued(office) | {"0190-somebody's"}
    assert before < on_disk(office)


def test_files_of_a_receipt_stay_where_the_ledger_does_not_know_it_and_its_bundle_is_there(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.request("due", 3, account="acct-zero")
    office.request("young", 1)
    with monkeypatch.context() as patched:
        patched.setattr(receipts, "sign", failing(LedgerError("no", remedy="wait")))
        with suppress(LedgerError):
            carry(office)
    (name,) = on_disk(office)
    (office.root / "receipts" / f"{name}.bundle.json").touch()
    with office.open() as ctx:
        run_all(ctx)
    assert on_disk(office) == issued(office) | {name}
