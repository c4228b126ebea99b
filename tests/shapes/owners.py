"""Seeded tables of which each row belongs to somebody in its own way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.shapes.seeds import ACCOUNT, AT, OLD, OTHER, YOUNG, Real, Row, Seed, Table

A, B, C = ACCOUNT, OTHER, "acct-c"
Owned = tuple[dict[str, Any], Iterable[str] | None, Iterable[str]]


def whose(values: dict[str, Any], *owners: str) -> Owned:
    """Return values that name exactly these owners."""
    return values, owners, owners


def nobody_knows(values: dict[str, Any], *named: str) -> Owned:
    """Return values of which not all owners can be told; some may be named all the same."""
    return values, None, named


def owned(id_: str, columns: dict[str, str], account: Any, rows: Iterable[Owned], beside: Iterable[Table] = ()) -> Seed:
    """Return a seed that has each row twice, old and young."""
    table = Table("requests", {"id": "int", "at": "timestamptz", **columns}, ("id",))
    for values, owners, named in rows:
        for instant in (OLD, YOUNG):
            row = {"id": len(table.rows), "at": instant, **values}
            told = None if owners is None else frozenset(owners)
            table.rows.append(Row(row, instant, told, frozenset(named)))
    return Seed(id_, table, {**AT, "account": account}, beside=list(beside), account=A)


def owner_seeds() -> Iterator[Seed]:
    """Yield one seed for each place where owners stand."""
    yield owned(
        "one column", {"u": "text"}, "u",
        [whose({"u": A}, A), whose({"u": B}, B), whose({"u": A.upper()}, A.upper()), whose({"u": f"{A} "}, f"{A} "),
         nobody_knows({"u": None}), nobody_knows({"u": ""}), nobody_knows({"u": b"acct"})],
    )  # fmt: skip
    two = [
        whose({"u": A, "e": B}, A, B), whose({"u": B, "e": A}, A, B), whose({"u": A, "e": A}, A),
        whose({"u": B, "e": C}, B, C), nobody_knows({"u": None, "e": None}), nobody_knows({"u": "", "e": ""}),
        nobody_knows({"u": A, "e": b"x"}, A), nobody_knows({"u": b"x", "e": A}, A),
        nobody_knows({"u": b"x", "e": B}, B),
    ]  # fmt: skip
    columns = {"u": "text", "e": "text"}
    blank = [({"u": A, "e": None}, A), ({"u": A, "e": ""}, A), ({"u": B, "e": None}, B)]
    required = [nobody_knows(values, owner) for values, owner in blank]
    yield owned("two columns", columns, ["u", "e"], [*two, *required, nobody_knows({"u": None, "e": A}, A)])
    yield owned(
        "two columns, one optional", columns, ["u", {"column": "e", "optional": True}],
        [*two, *(whose(values, owner) for values, owner in blank), nobody_knows({"u": None, "e": A}, A)],
    )  # fmt: skip
    yield owned(
        "two columns of numbers", {"u": "int", "e": "int"}, ["u", "e"],
        [whose({"u": 7, "e": 8}, "7", "8"), nobody_knows({"u": 7, "e": None}, "7")],
    )  # fmt: skip
    yield _in_json()
    yield _in_array()
    yield _via_table()
    yield _via_table_and_column()


def _in_json() -> Seed:
    def user(value: Any) -> dict[str, Any]:
        return {"meta": json.dumps({"user": {"id": value}, "id": A})}

    return owned(
        "inside JSON", {"meta": "json"}, {"column": "meta", "json": "$.user.id"},
        [whose(user(A), A), whose(user(B), B), whose(user(42), "42"), nobody_knows(user(None)), nobody_knows(user("")),
         nobody_knows(user([A])), nobody_knows(user({"id": A})), nobody_knows(user(value=True)),
         nobody_knows(user(1.5)),
         nobody_knows({"meta": None}), nobody_knows({"meta": "{"}), nobody_knows({"meta": json.dumps({"id": A})}),
         nobody_knows({"meta": '{"user": {"id": "acct-c", "id": "acct-c"}}'}), nobody_knows({"meta": f"'{A}'"}),
         nobody_knows({"meta": '{"user": {"id": "\\ud800"}}'}),
         nobody_knows({"meta": json.dumps([{"user": {"id": A}}])})],
    )  # fmt: skip


def _in_array() -> Seed:
    def some(*owners: Any) -> dict[str, Any]:
        return {"owners": list(owners)}

    return owned(
        "in an array", {"owners": "array"}, {"column": "owners", "array": True},
        [whose(some(A), A), whose(some(A, B), A, B), whose(some(B, A, C, A), A, B, C), whose(some(B), B),
         nobody_knows(some()), nobody_knows({"owners": None}), nobody_knows(some(A, None), A),
         nobody_knows(some(None, B), B), nobody_knows(some(A, ""), A), nobody_knows(some(A, [B]), A),
         nobody_knows({"owners": Real(2.5)}), nobody_knows({"owners": A})],
    )  # fmt: skip


def _keys(more: Iterable[tuple[Any, Any]] = ()) -> Table:
    """Return the table that knows whose a token is; its tokens are not unique."""
    table = Table("api_keys", {"n": "int", "token": "text", "user_id": "text"}, ("n",), indexes=(("token",),))
    tokens = [("t-a", A), ("t-b", B), ("t-a2", A), ("T-A", C), ("t-none", None), ("t-blank", ""), (None, A),
              ("t-same", A), ("t-same", A), ("t-two", A), ("t-two", B), ("t-half", A),
              ("t-half", None), *more]  # fmt: skip
    table.rows = [
        Row({"n": number, "token": token, "user_id": user}, None) for number, (token, user) in enumerate(tokens)
    ]
    return table


def _via_table() -> Seed:
    rows = [
        whose({"k": "t-a"}, A), whose({"k": "t-b"}, B), whose({"k": "t-a2"}, A), whose({"k": "T-A"}, C),
        whose({"k": "t-same"}, A), nobody_knows({"k": "t-two"}), nobody_knows({"k": "t-half"}),
        nobody_knows({"k": "t-none"}), nobody_knows({"k": "t-blank"}), nobody_knows({"k": "missing"}),
        nobody_knows({"k": None}), nobody_knows({"k": ""}),
    ]  # fmt: skip
    via = {"via": "api_keys", "on": {"k": "token"}, "take": "user_id"}
    return owned("in another table", {"k": "text"}, via, rows, [_keys()])


def _via_table_and_column() -> Seed:
    via = {"via": "api_keys", "on": {"k": "token"}, "take": "user_id", "optional": True}
    rows = [
        whose({"u": A, "k": None}, A), whose({"u": B, "k": "t-a"}, A, B), whose({"u": B, "k": "t-none"}, B),
        nobody_knows({"u": A, "k": "missing"}, A), nobody_knows({"u": None, "k": "t-a"}, A),
        nobody_knows({"u": B, "k": "t-two"}, B),
    ]  # fmt: skip
    return owned("in a column and in another table", {"u": "text", "k": "text"}, ["u", via], rows, [_keys()])
