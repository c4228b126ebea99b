"""The large world, once: of a thousand accounts a hundred leave, and fifty users of others ask to be erased.

python -m tests.worlds --accounts 1000 --closures 100 --erasures 50
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

from retentiond.domain.account import AccountState
from retentiond.domain.erasure import ErasureState
from tests.conftest import AWS
from tests.servers.postgres import newest, started
from tests.worlds.apps import PostgresApp, people_in
from tests.worlds.whole import USERS, WHOLE
from tests.worlds.world import World, lines, people_left, without


@contextmanager
def _bucket_server() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def main() -> int:
    """Make the world, close accounts, and say what a look at everything finds; 1 where that is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--closures", type=int, default=100)
    parser.add_argument("--erasures", type=int, default=50)
    asked = parser.parse_args()
    os.environ.update(AWS)
    with tempfile.TemporaryDirectory() as folder, started(newest()) as server, server.database() as database:
        Path(folder).chmod(0o755)
        with _bucket_server() as endpoint:
            begun = time.monotonic()
            world = World.made(PostgresApp(Path(folder), server, database), WHOLE, asked.accounts, endpoint)
            return _run(world, asked.closures, asked.erasures, begun)


def _run(world: World, closures: int, erasures: int, begun: float) -> int:
    leaving = range(0, world.accounts, max(1, world.accounts // closures))[:closures]
    staying = [account for account in range(world.accounts) if account not in leaving]
    people = [(account, account % USERS) for account in staying[:erasures]]
    before = world.contents()
    rows = sum(map(lines, before.values()))
    _say(f"{world.accounts} accounts, {rows} rows and versions in {len(before)} tables and buckets")
    _say(f"made in {time.monotonic() - begun:.0f} s; findings of check: {len(world.findings())}")
    begun = time.monotonic()
    states = world.close(*leaving)
    closed = sum(state is AccountState.CLOSED for state in states.values())
    _say(f"closed {closed} of {closures} accounts in {time.monotonic() - begun:.0f} s")
    begun = time.monotonic()
    erased = world.erase(*people).count(ErasureState.DONE)
    _say(f"erased {erased} of {erasures} users in {time.monotonic() - begun:.0f} s")
    wrong = world.differences(without(before, leaving, people))
    dump = world.app.dump()
    found = people_left(dump, leaving)
    users = people_in(dump) & frozenset(people)
    receipts = world.verified()
    _say("\n  ".join((f"rows and versions that are wrongly left or gone: {len(wrong)}", *wrong[:10])))
    _say(f"accounts that left and are found in a dump: {len(found)}; users that were erased: {len(users)}")
    _say(f"receipts: {len(receipts)}, of which {sum(receipts)} verify")
    done = (closed, erased) == (closures, erasures)
    return int(not done or bool(wrong) or bool(found) or bool(users) or not all(receipts))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
