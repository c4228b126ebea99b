"""Memory: the peak of the whole path where much is due, against where little is, in fresh processes.

    python tests/benchmarks/bench_memory.py [--few 100000] [--many 2000000] [--accounts 1000 5]

Plan, approval and apply run in one process, once with its records spread over a thousand accounts and once over five
(so that one account's items do not fit into what is held of them). The goal: the same within 10 %, since records pass
through in batches and commitments are sorted on disk. The time is shown for what it is worth. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.benchmarks.workload import KEEP_DAYS, Figures, Shape, make_instance, make_table, run_path

DAYS = 2_400  # so that nearly all rows are due
ACCOUNTS = (1_000, 5)


def measure(due: int, accounts: int) -> Figures:
    """Run the whole path over about so many due records; print and return what it took."""
    rows = round(due * DAYS / (DAYS - KEEP_DAYS))
    shape = Shape(rows, accounts, days=DAYS)
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        database = Path(name) / "requests.db"
        make_table(database, shape)
        figures = run_path(make_instance(Path(name), database, shape))
    peak = figures.peak_bytes / 2**20
    beside = figures.beside_bytes / 2**20
    print(
        f"{figures.due:>9,} due, {accounts:>5,} accounts: peak {peak:6.1f} MiB, and {beside:5.1f} MiB beside it,"
        f" {figures.seconds:6.1f} s",
        flush=True,
    )
    return figures


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="peak memory of the whole path, where little and where much is due")
    parser.add_argument("--few", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--accounts", type=int, nargs="+", default=ACCOUNTS)
    options = parser.parse_args()
    for accounts in options.accounts:
        few, many = measure(options.few, accounts), measure(options.many, accounts)
        print(f"ratio, {accounts:,} accounts: {many.peak_bytes / few.peak_bytes:.2f}", flush=True)


if __name__ == "__main__":
    main()
