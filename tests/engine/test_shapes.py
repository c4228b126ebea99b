"""What a connector does not say that it reads is refused, and batches of before are read."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from retentiond.domain.dataset import Shape
from retentiond.domain.record import Record, Ties
from retentiond.engine.checking import check
from retentiond.engine.identifiers import decode_records, encode_records
from retentiond.errors import DatasetRefused
from tests.engine.office import Office, Proxy, plan


class Plain(Proxy):
    """A connector of before, which reads plain columns."""

    shapes: frozenset[Shape] = frozenset()


SHAPED = {
    "account: [account, payload]": Shape.SEVERAL_OWNERS,
    "account: {column: account, json: $.id}": Shape.OWNER_IN_JSON,
    "account: {column: account, array: true}": Shape.OWNERS_IN_ARRAY,
    "account: {via: people, on: {account: id}, take: account}": Shape.OWNER_VIA_TABLE,
    "account: account\n    parent: {dataset: feedback, on: {account: account}}": Shape.CHILDREN,
}


@pytest.mark.parametrize("written", SHAPED)
def test_a_shape_that_the_connector_does_not_read_is_refused(written: str, office: Office) -> None:
    path = office.config / "datamap.yaml"
    path.write_text(path.read_text("utf-8").replace("account: account", written, 1), "utf-8")
    office.request("old", 300)
    office.feedback(1, 300)
    office.wraps["app"] = Plain
    with office.open() as ctx:
        report = check(ctx)
    refused = [each for each in report.findings if each.refuses and SHAPED[written].value in each.what]
    assert refused
    with office.open() as ctx:
        planned = plan(ctx)
    assert any(SHAPED[written].value in why for _, why in planned.failures)
    where = refused[0].where
    assert office.rows("requests" if where == "requests" else "feedback")


def test_nothing_that_can_be_read_is_refused(office: Office) -> None:
    office.wraps["app"] = Plain
    office.request("old", 300)
    with office.open() as ctx:
        planned = plan(ctx)
    assert planned.failures == ()
    assert planned.plan is not None


RECORDS = [
    Record(("k1",), account="a", ties=Ties(others=("b", "c"))),
    Record(("k2",), account="a"),
    Record(("k3",)),
]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_identifiers_keep_all_owners(count: int) -> None:
    found = decode_records(encode_records(RECORDS[:count]))
    assert [record.accounts for record in found] == [("a", "b", "c"), ("a",), ()][:count]
    assert found == RECORDS[:count]


BEFORE: dict[str, Any] = {
    "count": 2,
    "key": [["k2", "k3"]],
    "version": {"all": ""},
    "account": ["a", None],
    "others": {"all": []},
    "clock": {"all": None},
    "size": {"all": 0},
    "place": {"all": ""},
    "tombstoned": {"all": None},
    "blobs": {"all": []},
    "attributes": {},
}


@pytest.mark.parametrize("missing", [set[str](), {"others"}], ids=["", "before there were several owners"])
def test_identifiers_that_were_written_as_json_are_read(missing: set[str]) -> None:
    columns = {name: column for name, column in BEFORE.items() if name not in missing}
    old = zlib.compress(json.dumps(columns).encode())
    assert decode_records(old) == RECORDS[1:]


def test_the_refusal_names_what_helps(office: Office) -> None:
    office.edit(
        "datamap.yaml", "    account: account\n    class: content", "    account: [account, id]\n    class: content"
    )
    office.edit("policies.yaml", "feedback:\n    class: feedback", "feedback:\n    class: nothing")
    office.wraps["app"] = Plain
    with office.open() as ctx, pytest.raises(DatasetRefused) as caught:
        plan(ctx)
    assert caught.value.where == "requests"
    assert "a store that can" in caught.value.remedy
