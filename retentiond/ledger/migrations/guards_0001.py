"""Triggers that keep history from being changed, whoever writes, in both engines."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from alembic import op

# What may be changed in a row of history; everything else of it is fixed.
_MAY_CHANGE: dict[str, set[str]] = {
    "plans": {"state"},
    "parts": set(),
    "runs": {"state", "finished_at", "receipt"},
    "approvals": set(),
    "used_nonces": set(),
    "approved_pairs": set(),
    "holds": {"released_at"},
    "closures": {"account_sealed", "state", "receipt"},
    "receipts": {"file"},
    "log_entries": set(),
}
_FOLLOW = (("log_entries", "index", 0), ("events", "sequence", 1))
_KEEPS_OF_EVENT = ("sequence", "at", "kind", "subject", "digest")
_FORGET = "of an event only detail and salt may be forgotten, both at once"
_BATCHES_STAY = "the batches of a plan are history and stay"
_FROZEN = "a plan takes no more batches"
_NO_GAP = "rows of {} follow each other without a gap"

# Of the class "integrity constraint violation"; the message comes from the trigger, or from the caller.
_POSTGRESQL_FUNCTIONS = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION refuse_deletion_of_plan() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM plans WHERE id = OLD.plan) THEN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE FUNCTION refuse_addition_to_plan() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM plans WHERE id = NEW.plan) THEN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""
_POSTGRESQL_FOLLOWER = """
CREATE FUNCTION refuse_gap_in_{table}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW."{column}" IS DISTINCT FROM (SELECT coalesce(max("{column}") + 1, {first}) FROM {table}) THEN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A trigger that refuses a change of rows.

    Attributes:
        change: Such as `DELETE ON plans`.
        when: A condition for SQLite; empty where the change is always refused.
        function: The function of PostgreSQL that decides; `refuse_change` refuses always.
        when_there: A condition for PostgreSQL's trigger; empty where its function decides.
    """

    name: str
    change: str
    message: str
    when: str = ""
    function: str = "refuse_change"
    when_there: str = ""

    def for_sqlite(self) -> str:
        when = f" WHEN {self.when}" if self.when else ""
        return f"CREATE TRIGGER {self.name} BEFORE {self.change}{when} BEGIN SELECT RAISE(ABORT, '{self.message}'); END"

    def for_postgresql(self) -> str:
        when = f" WHEN ({self.when_there})" if self.when_there else ""
        call = f"{self.function}('{self.message}')"
        return f"CREATE TRIGGER {self.name} BEFORE {self.change} FOR EACH ROW{when} EXECUTE FUNCTION {call}"


def guard_history() -> None:
    """Make the triggers of the first ledger."""
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
        return
    for refusal in _refusals():
        op.execute(refusal.for_sqlite())


def _guard_postgresql() -> None:
    op.execute(_POSTGRESQL_FUNCTIONS)
    for table, column, first in _FOLLOW:
        op.execute(_POSTGRESQL_FOLLOWER.format(table=table, column=column, first=first))
    for refusal in _refusals():
        op.execute(refusal.for_postgresql())
    for table in (*_MAY_CHANGE, "events", "batches", "batch_identifiers", "log_checkpoint"):
        call = f"refuse_change('rows of {table} are history and stay')"
        op.execute(f"CREATE TRIGGER {table}_kept BEFORE TRUNCATE ON {table} EXECUTE FUNCTION {call}")


def _refusals() -> list[_Refusal]:
    return [
        *(refusal for table, may_change in _MAY_CHANGE.items() for refusal in (_stay(table), _fix(table, may_change))),
        *_of_batches(),
        _stay("log_checkpoint"),
        _stay("events"),
        _of_events(),
        *(_follow(*each) for each in _FOLLOW),
    ]


def _stay(table: str) -> _Refusal:
    return _Refusal(f"{table}_stay", f"DELETE ON {table}", f"rows of {table} are history and stay")


def _fix(table: str, may_change: set[str]) -> _Refusal:
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]
    fixed = ", ".join(f'"{name}"' for name in columns if name not in may_change)
    message = f"this part of {table} is history and is not changed"
    return _Refusal(f"{table}_fixed", f"UPDATE OF {fixed} ON {table}", message)


def _of_batches() -> list[_Refusal]:
    planned = "EXISTS (SELECT 1 FROM plans WHERE id = {}.plan)"
    stay = [
        _Refusal(f"{table}_stay", f"DELETE ON {table}", _BATCHES_STAY, planned.format("OLD"), "refuse_deletion_of_plan")
        for table in ("batches", "batch_identifiers")
    ]
    frozen = _Refusal("batches_frozen", "INSERT ON batches", _FROZEN, planned.format("NEW"), "refuse_addition_to_plan")
    fixed = 'UPDATE OF plan, ordinal, part, "group", objects, count ON batches'
    return [*stay, frozen, _Refusal("batches_fixed", fixed, "what a batch was planned as is not changed")]


def _of_events() -> _Refusal:
    forgets = "NEW.detail IS NULL AND NEW.salt IS NULL"
    same = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in _KEEPS_OF_EVENT)
    same_there = " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in _KEEPS_OF_EVENT)
    return _Refusal(
        "events_fixed",
        "UPDATE ON events",
        _FORGET,
        f"NOT ({same} AND {forgets})",
        when_there=f"NOT ({same_there} AND {forgets})",
    )


def _follow(table: str, column: str, first: int) -> _Refusal:
    # A conflicting INSERT OR REPLACE fires no DELETE trigger; out of order it does not get that far.
    following = f'(SELECT coalesce(max("{column}") + 1, {first}) FROM {table})'
    return _Refusal(
        f"{table}_in_order",
        f"INSERT ON {table}",
        _NO_GAP.format(table),
        f'NEW."{column}" IS NOT {following}',
        f"refuse_gap_in_{table}",
    )
