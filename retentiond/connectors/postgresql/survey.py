"""Looking at a dataset before it is planned: shape, dangers, indexes, permissions, and what a role cannot see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from retentiond.connectors.postgresql.catalog import Family, missing_indexes
from retentiond.connectors.postgresql.dangers import dangers
from retentiond.connectors.postgresql.failures import explained
from retentiond.connectors.postgresql.layout import Layout, Source, inspect
from retentiond.connectors.postgresql.names import shown
from retentiond.connectors.postgresql.relations import refusal
from retentiond.connectors.postgresql.session import Session, Transaction
from retentiond.domain.dataset import Dataset
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Finding, Survey

_ORDERED = frozenset((Family.TIMESTAMPTZ, Family.TIMESTAMP, Family.DATE, Family.INTEGER, Family.NUMERIC, Family.FLOAT))
_WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
WAL_BYTES_PER_RECORD = 740  # of a DELETE of a row with some indexes, measured; full-page images come on top


def survey(session: Session, verifier: Session | None, dataset: Dataset) -> Survey:
    """Return all findings and notes of a dataset."""
    with explained(dataset.name), session.reading() as tx:
        if tx.standby:
            what = "the server is a standby: it takes no changes, and may be behind its primary"
            remedy = "name the primary in the connection string, or add target_session_attrs=read-write"
            return Survey((refusal(dataset, what, remedy),))
        layout, problems = inspect(tx, dataset)
        if layout is None:
            return Survey(tuple(problems))
        findings = [
            *dangers(tx, layout),
            *_index(tx, layout),
            *_access(tx, layout),
            *_encoding(tx, dataset),
            *_beside_tables(tx, dataset),
        ]
        notes = tuple(_notes(tx, layout))
    if verifier is not None:
        findings += _separate(session, verifier, layout)
    return Survey(tuple(findings), notes, wal_bytes_per_record=WAL_BYTES_PER_RECORD)


def _index(tx: Transaction, layout: Layout) -> Iterator[Finding]:
    """Refuse a clock that an index could order and that has none: each look would read the whole table."""
    clock = layout.live.table.column(layout.dataset.clock.column)
    if clock is None or clock.family not in _ORDERED:
        return
    for bare, remedy in missing_indexes(tx, layout.live.table.oid, [clock.name]):
        yield refusal(layout.dataset, f"no index on the clock {clock.name!r} of {bare}", remedy)


def _access(tx: Transaction, layout: Layout) -> Iterator[Finding]:
    role = str(tx.value("SELECT current_user::text"))
    for source in layout.sources:
        wanted = ["SELECT", "DELETE"]
        if source is layout.quarantine:
            wanted.append("INSERT")
        missing = _missing(tx, source, wanted)
        if source is layout.live and source.tombstone and not _may_hide(tx, source):
            missing.append(f"UPDATE ({shown(source.tombstone.name)})")
        yield from _grants(tx, source, role, missing)
        yield from _hidden_rows(tx, source, role)
    yield from _related(tx, layout, role)


def _related(tx: Transaction, layout: Layout, role: str) -> Iterator[Finding]:
    """Look at the tables that owners and children stand in: they must be read whole."""
    for table in dict.fromkeys(layout.live.relations.tables):
        source = replace(layout.live, table=table)
        yield from _grants(tx, source, role, _missing(tx, source, ["SELECT"]))
        yield from _hidden_rows(tx, source, role)


def _missing(tx: Transaction, source: Source, wanted: Sequence[str]) -> list[str]:
    ask = "SELECT has_table_privilege(%(oid)s::oid, %(privilege)s)"
    return [each for each in wanted if not tx.value(ask, {"oid": source.table.oid, "privilege": each})]


def _may_hide(tx: Transaction, source: Source) -> bool:
    number = source.tombstone.number if source.tombstone else 0
    ask = "SELECT has_column_privilege(%(oid)s::oid, %(number)s::int2, 'UPDATE')"
    return bool(tx.value(ask, {"oid": source.table.oid, "number": number}))


def _grants(tx: Transaction, source: Source, role: str, missing: Sequence[str]) -> Iterator[Finding]:
    schema = source.table.schema
    if not tx.value("SELECT has_schema_privilege(%(schema)s::text, 'USAGE')", {"schema": schema}):
        grant = f"GRANT USAGE ON SCHEMA {shown(schema)} TO {shown(role)}"
        yield refusal(source.dataset, f"role {role!r} may not use schema {schema!r}", grant)
    if missing:
        grant = f"GRANT {', '.join(missing)} ON TABLE {source.table.shown} TO {shown(role)}"
        yield refusal(source.dataset, f"role {role!r} lacks {', '.join(missing)} on {source.table.title!r}", grant)


def _hidden_rows(tx: Transaction, source: Source, role: str) -> Iterator[Finding]:
    if tx.value("SELECT row_security_active(%(oid)s::oid)", {"oid": source.table.oid}):
        what = f"row-level security hides rows of {source.table.title!r} from role {role!r}"
        yield refusal(source.dataset, what, f"ALTER ROLE {shown(role)} BYPASSRLS")


def _encoding(tx: Transaction, dataset: Dataset) -> Iterator[Finding]:
    if tx.value("SELECT current_setting('server_encoding')") == "SQL_ASCII":
        what = "the database's encoding is SQL_ASCII, in which nobody can tell how a text is meant"
        yield refusal(dataset, what, "move it to a database of encoding UTF8")


def _separate(session: Session, verifier: Session, layout: Layout) -> list[Finding]:
    """Look at the connection that verifies: the same database, all rows, and no right to write."""
    dataset = layout.dataset
    try:
        with explained(dataset.name), verifier.reading() as tx:
            if tx.standby or not verifier.identity.meets(session.identity):
                what = "the verifying connection does not lead to the primary on which is acted"
                return [refusal(dataset, what, "let both connection strings lead to one database on one server")]
            role = str(tx.value("SELECT current_user::text"))
            findings: list[Finding] = []
            for source in layout.sources:
                findings += _grants(tx, source, role, _missing(tx, source, ["SELECT"]))
                findings += _hidden_rows(tx, source, role)
                findings += _may_write(tx, source, role)
            findings += _related(tx, layout, role)
            return findings
    except ConnectorError as error:
        return [refusal(dataset, f"the verifying connection failed: {error.what}", error.remedy)]


def _may_write(tx: Transaction, source: Source, role: str) -> Iterator[Finding]:
    missing = _missing(tx, source, _WRITES)
    held = [each for each in _WRITES if each not in missing]
    if held:
        remedy = f"REVOKE {', '.join(held)} ON TABLE {source.table.shown} FROM {shown(role)}"
        yield Finding(f"the verifying role {role!r} can write to {source.table.title!r}", source.dataset.name, remedy)


def _beside_tables(tx: Transaction, dataset: Dataset) -> Iterator[Finding]:
    """Find large objects: they lie in no table, and no dataset reaches them."""
    count = tx.value("SELECT count(*) FROM pg_largeobject_metadata")
    if count:
        yield Finding(
            f"{count} large objects hold data that no dataset names",
            f"store {dataset.store}",
            "move what they hold into columns of bytea, and remove them: SELECT lo_unlink(oid)",
        )


_MATERIALISED = """
SELECT DISTINCT v.oid::regclass::text
FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid JOIN pg_class AS v ON v.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.relkind = 'm'
  AND d.refobjid = ANY(%(tree)s::oid[])
ORDER BY 1
"""


def _notes(tx: Transaction, layout: Layout) -> Iterator[str]:
    for (view,) in tx.rows(_MATERIALISED, {"tree": list(layout.live.table.tree)}):
        yield f"materialised view {view} keeps what its rows said until REFRESH MATERIALIZED VIEW"
    clock = layout.live.table.column(layout.dataset.clock.column)
    if layout.dataset.clock.via is not None:
        yield "its clock stands in another table: the scan reads the whole table"
    elif clock is not None and clock.family not in _ORDERED:
        yield f"clock {clock.name!r} is text: the scan reads the whole table"
    slots = tx.value("SELECT count(*) FROM pg_replication_slots")
    if slots:
        yield f"{slots} replication slots keep deleted rows in the write-ahead log until their consumers have read them"
