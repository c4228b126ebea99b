"""S3: list and delete objects, against `s5cmd rm` and `rclone delete` on equal servers in one run, and memory.

    python tests/benchmarks/bench_s3.py [--objects 200000] [--many 400000] [--skip rclone]

Each client empties a bucket of so many objects, behind a server of this machine that is a process of its own (see
s3_server.py): the connector as a run uses it, which lists, spools what is due, looks, deletes by exact name in batches
of 5,000 and verifies; once in a bucket with versions, once in one without. The peers do what they do: list and delete.
CPU seconds are the client's own. The goals: less CPU than s5cmd; memory that does not grow. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from retentiond.connectors.s3.connector import open_connector
from retentiond.connectors.s3.options import S3Options
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset
from retentiond.domain.decision import cases_of
from retentiond.domain.period import Period
from retentiond.domain.plan import Sighting
from retentiond.domain.policy import Action, Policy, Rule
from retentiond.engine.identifiers import decode_records, encode_records
from retentiond.ports.stores import Order
from tests.benchmarks.s3_server import BUCKET
from tests.benchmarks.workload import peak_bytes

BATCH = 5_000
BIN = Path(sys.executable).parent
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
}
DATASET = Dataset(
    name="payloads",
    store="bucket",
    store_kind="s3",
    data_class="content",
    clock=ClockSource(ClockFormat.MODIFIED),
    prefix="requests/",
)


@dataclass(frozen=True)
class Figures:
    """What a client took: seconds of CPU and of the clock, of its phases too, and its peak of memory."""

    cpu: float
    wall: float
    peak_bytes: int
    left: int = -1
    scan_cpu: float = 0.0
    act_cpu: float = 0.0
    verify_cpu: float = 0.0


@contextmanager
def server(objects: int, versioning: str) -> Iterator[tuple[str, list[int]]]:
    """Run a server; give its URL, and a list that holds how many objects are left once it ended."""
    command = [sys.executable, str(Path(__file__).parent / "s3_server.py"), str(objects), versioning]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        left: list[int] = []
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", left
        process.stdin.close()
        left.append(int(process.stdout.readline()))


def run_ours(url: str, versioning: str) -> Figures:
    """Run the connector in a fresh process."""
    command = [sys.executable, __file__, "--ours", url, "--versioning", versioning]
    done = subprocess.run(command, env={**os.environ, **AWS}, check=True, stdout=subprocess.PIPE, text=True)
    return Figures(**json.loads(done.stdout))


def run_peer(command: list[str]) -> Figures:
    """Run another client and measure it."""
    started = perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **AWS}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # its peak of memory would be this process's own
    process.returncode = os.waitstatus_to_exitcode(status)
    return Figures(usage.ru_utime + usage.ru_stime, perf_counter() - started, 0)


def ours(url: str, versioning: str) -> Figures:
    """List, spool, act and verify, as a plan and its run do."""
    dataset = replace(DATASET, write_once=not versioning)
    now = datetime.now(UTC)  # noqa: TID251 - the objects' ages count from it
    cases = cases_of(Policy("p", "content", (Rule(1, Period(days=30)),)), dataset, now)
    connector = open_connector(S3Options(bucket=BUCKET, endpoint=url))
    phases, started = [_cpu()], perf_counter()
    with tempfile.TemporaryFile() as spool:
        sizes = []
        for window in connector.scan(dataset, cases, frozenset(cases.due)):
            records = [found.record for found in window.found]
            for start in range(0, len(records), BATCH):
                data = encode_records(records[start : start + BATCH])
                sizes.append(len(data))
                spool.write(data)
        phases.append(_cpu())
        spool.seek(0)
        acts = verifies = 0.0
        for size in sizes:
            records = list(decode_records(spool.read(size)))
            order = Order(dataset, Action.PURGE, cases, cases.due[0], records, now, lambda: None)
            before = _cpu()
            connector.act(order)
            between = _cpu()
            if set(connector.verify(order).sightings) != {Sighting.ABSENT}:
                sys.exit("something is left")
            acts, verifies = acts + between - before, verifies + _cpu() - between
    connector.close()
    wall = perf_counter() - started
    return Figures(_cpu() - phases[0], wall, peak_bytes(), -1, phases[1] - phases[0], acts, verifies)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def show(name: str, figures: Figures, objects: int) -> None:
    """Print one line."""
    million = 1_000_000 / objects
    phases = ""
    if figures.scan_cpu:
        phases = f" (list {figures.scan_cpu:.1f}, act {figures.act_cpu:.1f}, verify {figures.verify_cpu:.1f} s)"
    peak = f"peak {figures.peak_bytes / 2**20:6.1f} MiB, " if figures.peak_bytes else ""
    print(
        f"{name:<34} CPU {figures.cpu:7.1f} s ({figures.cpu * million:6.1f} a million), wall {figures.wall:7.1f} s, "
        f"{peak}left {figures.left:,}{phases}",
        flush=True,
    )


def measure_ours(objects: int, versioning: str) -> Figures:
    """Measure the connector on a fresh bucket."""
    with server(objects, versioning) as (url, left):
        figures = run_ours(url, versioning)
    found = replace(figures, left=left[0])
    show(f"retentiond, {objects:,}, {'versions' if versioning else 'no versions'}", found, objects)
    return found


def measure_peer(name: str, objects: int) -> Figures:
    """Measure a peer on a fresh bucket without versions."""
    with server(objects, "") as (url, left):
        commands = {
            "s5cmd": [str(BIN / "s5cmd"), "--endpoint-url", url, "rm", f"s3://{BUCKET}/*"],
            "rclone": [
                str(BIN / "rclone"), "--config", os.devnull, "delete", "--s3-endpoint", url, "--s3-provider", "Other",
                "--s3-env-auth", f":s3:{BUCKET}",
            ],
        }  # fmt: skip
        figures = run_peer(commands[name])
    found = replace(figures, left=left[0])
    show(f"{name}, {objects:,}", found, objects)
    return found


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="list and delete objects: CPU, time and memory against peers")
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--skip", nargs="*", default=[])
    parser.add_argument("--ours", help=argparse.SUPPRESS)
    parser.add_argument("--versioning", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        sys.stdout.write(json.dumps(asdict(ours(options.ours, options.versioning))))
        return
    few = measure_ours(options.objects, "Enabled")
    plain = measure_ours(options.objects, "")
    for name in ("s5cmd", "rclone"):
        if name not in options.skip:
            peer = measure_peer(name, options.objects)
            print(f"ratio of CPU, {name} to retentiond without versions: {peer.cpu / plain.cpu:.1f}", flush=True)
    if options.many:
        many = measure_ours(options.many, "Enabled")
        print(f"ratio of memory, {options.many:,} to {options.objects:,}: {many.peak_bytes / few.peak_bytes:.2f}")


if __name__ == "__main__":
    main()
