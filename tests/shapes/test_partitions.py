"""A table in partitions of which one lacks what its siblings have: constraints, foreign keys, indexes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from retentiond.errors import DatasetRefused
from tests.shapes.conftest import Begin
from tests.shapes.instance import Instance, forecast_of
from tests.shapes.postgres_maker import PostgresqlMaker
from tests.shapes.seeds import ACCOUNT, AT, AUTUMN, KEEP, OLD, OTHER, YOUNG, Row, Table
from tests.shapes.test_family import CLOCK, messages

EDGE = datetime(2026, 9, 1, tzinfo=UTC)
ANCIENT = EDGE - timedelta(days=1)  # in the partition that was attached as it was
COLUMNS = {"id": "text", "at": "timestamptz", "owner": "text"}
SCRIPT = f"""
CREATE TABLE accounts (id text PRIMARY KEY);
INSERT INTO accounts VALUES ('{ACCOUNT.replace("'", "''")}'), ('{OTHER}');
CREATE TABLE requests (id text, at timestamptz, owner text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE INDEX ON requests (at);
CREATE TABLE sound PARTITION OF requests (
    owner NOT NULL REFERENCES accounts, CHECK (owner <> ''), UNIQUE (id)
) FOR VALUES FROM ('{EDGE.isoformat()}') TO (MAXVALUE);
CREATE INDEX ON sound (owner);
CREATE TABLE "Bare; --" (more text, owner text, at timestamptz NOT NULL, gone int, id text NOT NULL);
ALTER TABLE "Bare; --" DROP COLUMN gone, DROP COLUMN more;
ALTER TABLE requests ATTACH PARTITION "Bare; --" FOR VALUES FROM (MINVALUE) TO ('{EDGE.isoformat()}');
"""  # the columns of one stand in another order, and it may hold what the other refuses
ROWS = [
    ("due", OLD, ACCOUNT), ("due too", OLD, OTHER), ("young", YOUNG, ACCOUNT),
    ("twice", YOUNG, ACCOUNT), ("twice", ANCIENT, ACCOUNT), ("bare", ANCIENT, ACCOUNT), ("blank", ANCIENT, ""),
    ("nobody", ANCIENT, None), ("stranger", ANCIENT, "acct-unknown"), ("later", AUTUMN - KEEP / 2, OTHER),
]  # fmt: skip


def partitioned(instance: Instance, *rows: tuple[str, datetime, str | None]) -> Table:
    """Make the table, and declare it."""
    table = Table("requests", COLUMNS, ("id", "at"))
    for id_, at, owner in rows:
        owners = frozenset((owner,)) if owner else None
        table.rows.append(Row({"id": id_, "at": at, "owner": owner}, at, owners))
    instance.maker.run(SCRIPT)
    maker_of(instance).fill(table)
    instance.declare({"requests": {"table": "requests", "key": ["id", "at"], "account": "owner", **AT}})
    return table


def maker_of(instance: Instance) -> PostgresqlMaker:
    assert isinstance(instance.maker, PostgresqlMaker)
    return instance.maker


def left(instance: Instance, table: Table) -> set[tuple[object, ...]]:
    return instance.maker.keys(table)


def test_each_partition_loses_exactly_the_oracles_set(begin_on_each: Begin) -> None:
    instance = begin_on_each()
    table = partitioned(instance, *ROWS)
    due = {table.key_of(row) for row in table.rows if row.is_due(AUTUMN)}
    assert {("bare", ANCIENT), ("stranger", ANCIENT), ("twice", ANCIENT), ("due", OLD)} <= due
    planned, session = instance.enforce()
    assert planned.failures == ()
    assert (forecast_of(planned).due, forecast_of(planned).undetermined) == (len(due), 2)
    assert left(instance, table) == {table.key_of(row) for row in table.rows} - due
    assert session is not None
    assert [dict(carried.outcomes()["requests"]) for carried in session.carried] == [{"purged": len(due)}]


def test_a_closure_ends_in_every_partition(begin_on_each: Begin) -> None:
    instance = begin_on_each()
    table = partitioned(instance, *ROWS)
    mine = {table.key_of(row) for row in table.rows if row.values["owner"] == ACCOUNT}
    assert instance.close(ACCOUNT) == "closed"
    assert left(instance, table) == {table.key_of(row) for row in table.rows} - mine


def test_a_row_that_one_partitions_own_foreign_key_keeps_is_carried_over(begin_on_each: Begin) -> None:
    """Rows of the other partition go, although rows there say that they belong to them: no constraint says so."""
    instance = begin_on_each()
    table = partitioned(instance, ("kept", OLD, OTHER), ("free", OLD, OTHER), ("bare", ANCIENT, OTHER))
    instance.maker.run("CREATE TABLE notes (id int PRIMARY KEY, request text REFERENCES sound (id))")
    instance.maker.run("CREATE INDEX ON notes (request); INSERT INTO notes VALUES (1, 'kept')")
    planned, session = instance.enforce()
    assert forecast_of(planned).due == 3
    assert left(instance, table) == {("kept", OLD)}
    assert session is not None
    assert [dict(carried.outcomes()["requests"]) for carried in session.carried] == [{"purged": 2, "carriedOver": 1}]


def test_declared_children_go_first_also_where_only_one_partition_has_a_foreign_key(begin_on_each: Begin) -> None:
    instance = begin_on_each()
    ages = {"r1": OLD, "r2": OLD, "r3": ANCIENT, "r4": ANCIENT}
    table = partitioned(instance, *((name, at, OTHER) for name, at in ages.items()))
    child = messages(("m1", OLD, "r1"), ("m2", YOUNG, "r2"), ("m3", ANCIENT, "r3"), ("m4", YOUNG, "r4"))
    child.indexes = (("request",),)
    instance.maker.make(child)
    instance.maker.run("CREATE TABLE linked (request text REFERENCES sound (id)); CREATE INDEX ON linked (request)")
    plain = {"clock": CLOCK, "account": "owner"}
    parent = {"dataset": "requests", "on": {"request": "id"}}
    instance.declare(
        {
            "requests": {"table": "requests", "key": ["id", "at"], **plain},
            "messages": {"table": "messages", "key": "id", "parent": parent, **plain},
        }
    )
    planned, _ = instance.enforce()
    assert planned.failures == ()
    assert left(instance, table) == {("r2", OLD), ("r4", ANCIENT)}
    assert left(instance, child) == {("m2",), ("m4",)}
    assert forecast_of(planned).doubts == (("child-remains", 2),)


LACKING = {
    "an index on the clock": (
        "DROP INDEX requests_at_idx; CREATE INDEX ON sound (at)",
        'CREATE INDEX CONCURRENTLY ON public."Bare; --" ("at")',
    ),
    "a unique key": (
        "ALTER TABLE requests DROP CONSTRAINT requests_pkey; ALTER TABLE sound ADD PRIMARY KEY (id, at)",
        'CREATE UNIQUE INDEX ON "public"."requests" ("id", "at")',
    ),
    "protection from a cascade": (
        "CREATE TABLE notes (request text REFERENCES sound (id) ON DELETE CASCADE); CREATE INDEX ON notes (request)",
        "ON DELETE NO ACTION",
    ),
    "freedom from triggers": (
        """CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER swallow BEFORE DELETE ON "Bare; --" FOR EACH ROW EXECUTE FUNCTION keep()""",
        "DROP TRIGGER",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lacks", LACKING)
def test_what_one_partition_lacks_refuses_the_table_with_the_remedy(lacks: str, begin_on_each: Begin) -> None:
    instance = begin_on_each()
    table = partitioned(instance, ("due", OLD, OTHER), ("bare", ANCIENT, OTHER))
    statement, remedy = LACKING[lacks]
    instance.maker.run(statement)
    with pytest.raises(DatasetRefused) as refused:
        instance.enforce()
    assert remedy in refused.value.remedy
    assert left(instance, table) == {("due", OLD), ("bare", ANCIENT)}


def test_the_remedy_for_a_partition_gives_the_index_to_those_that_come(begin_on_each: Begin) -> None:
    instance = begin_on_each()
    partitioned(instance, ("due", OLD, OTHER))
    instance.maker.run("DROP INDEX requests_at_idx")
    with pytest.raises(DatasetRefused) as refused:
        instance.enforce()
    one, _, then = refused.value.remedy.partition("; after all partitions ")
    assert one == 'CREATE INDEX CONCURRENTLY ON public."Bare; --" ("at")'
    for statement in ('CREATE INDEX ON "Bare; --" (at)', "CREATE INDEX ON sound (at)", then.partition(", which")[0]):
        instance.maker.run(statement)
    newer = f"CREATE TABLE newer PARTITION OF requests FOR VALUES FROM ('{EDGE.isoformat()}') TO (MAXVALUE)"
    instance.maker.run(f"ALTER TABLE requests DETACH PARTITION sound; {newer}")
    planned, _ = instance.enforce()
    assert planned.failures == ()
