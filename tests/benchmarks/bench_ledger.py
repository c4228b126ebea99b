"""The ledger in PostgreSQL against the ledger in a file of SQLite: intent, claims, ends.

    python tests/benchmarks/bench_ledger.py [--records 1000000] [--batch 5000] [--durable]

Identifiers are encoded once, as the engine encodes them, and not measured. Each batch is added in a transaction of its
own, as a plan is drafted; then claimed, marked and finished, each in a transaction. Both engines take turns by batch.
A transaction's round trips to PostgreSQL are its statements, and three more while a process acts: the question to the
lock's connection, BEGIN with its turn and term, and COMMIT. `--durable` sets fsync on, as production has it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from sqlalchemy import event

from retentiond.domain.plan import BatchState
from retentiond.domain.record import Record, micros
from retentiond.engine.identifiers import encode_records
from retentiond.ledger import Database, SqlLedger, open_ledger
from retentiond.ports.ledger import Transaction
from tests.ledger import samples
from tests.servers.postgres import started

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def identifiers(count: int) -> bytes:
    """Return a batch's identifiers: integer keys and some hundred accounts."""
    clock = micros(NOW)
    records = [Record((number,), b"", f"acct-{number % 300}", clock + number, 700) for number in range(count)]
    return encode_records(records)


def steps(ledger: SqlLedger, blob: bytes, sealed: bytes, size: int) -> dict[str, Callable[[int], None]]:
    """Return what the engine does of a batch, each in a transaction of its own."""

    def within(work: Callable[[Transaction, int], object]) -> Callable[[int], None]:
        def step(ordinal: int) -> None:
            with ledger.begin() as tx:
                work(tx, ordinal)

        return step

    def claim(tx: Transaction, ordinal: int) -> None:
        tx.holds.epoch()
        tx.holds.active()
        tx.batches.claim("plan-1", ordinal, NOW)
        tx.batches.identifiers("plan-1", ordinal)

    def finish(tx: Transaction, ordinal: int) -> None:
        row = replace(samples.batch(ordinal, size), state=BatchState.VERIFIED, token=1, outcomes={"purged": size})
        tx.batches.finish(row, sealed, NOW)
        tx.facts.set("verified:plan-1:0", "x")

    return {
        "intent": within(lambda tx, ordinal: tx.batches.add(samples.batch(ordinal, size), blob)),
        "claim": within(claim),
        "fence": within(lambda tx, ordinal: (tx.holds.epoch(), tx.batches.token("plan-1", ordinal))),
        "mark": within(lambda tx, ordinal: tx.batches.mark_acted("plan-1", ordinal, 1)),
        "finish": within(finish),
    }


def measure(ledgers: dict[str, SqlLedger], batches: int, size: int) -> None:
    """Run each step on both engines by turns, and print what it took."""
    blob = identifiers(size)
    sealed = bytes(reversed(blob))
    print(f"{batches:,} batches of {size:,} records, {len(blob) / size:.1f} bytes of identifiers a record")
    sent: Counter[str] = Counter()
    event.listen(ledgers["postgresql"]._backend.engine, "before_cursor_execute", lambda *_: sent.update([step]))
    step = ""
    work = {name: steps(ledger, blob, sealed, size) for name, ledger in ledgers.items()}
    for ledger in ledgers.values():
        with ledger.begin() as tx:
            tx.plans.begin_draft("plan-1", NOW)
    for step in ("intent", "claim", "fence", "mark", "finish"):
        if step == "claim":
            _finish_draft(ledgers, batches * size)
            sent.clear()
        took: Counter[str] = Counter()
        for ordinal in range(batches):
            for name in ledgers:
                began = perf_counter()
                work[name][step](ordinal)
                took[name] += perf_counter() - began  # type: ignore[assignment]
        each = {name: 1000 * seconds / batches for name, seconds in took.items()}
        print(f"{step:<8}" + "".join(f"{name} {ms:>7.2f} ms a batch   " for name, ms in each.items()), end="")
        trips = sent[step] / batches + 3
        print(f"ratio {each['postgresql'] / each['sqlite']:.2f}, {trips:.0f} round trips")


def _finish_draft(ledgers: dict[str, SqlLedger], records: int) -> None:
    for ledger in ledgers.values():
        with ledger.begin() as tx:
            index = tx.entries.stage(samples.entry("plan", samples.sha256("plan-1")))
            tx.plans.finish_draft(samples.plan("plan-1", index, records=records), [samples.part(due=records)])


def main() -> None:
    """Start a server, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--durable", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, started() as server:
        if given.durable:
            server.configure(fsync="on")
            server.restart()
        ledgers = {
            "sqlite": open_ledger(Path(directory) / "ledger.db", create=True),
            "postgresql": open_ledger(Database(server.dsn()), create=True),
        }
        with ledgers["sqlite"].acting(), ledgers["postgresql"].acting():
            measure(ledgers, given.records // given.batch, given.batch)
        for ledger in ledgers.values():
            ledger.close()


if __name__ == "__main__":
    main()
