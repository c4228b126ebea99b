"""The fault programme: `python -m tests.faults.programme [--only WORDS] [--step N]`.

Each scene is a small world in which something is due. It is copied for each accident: the program is killed at one of
its moments, or one exchange with a server is cut, before its effect or after. Then it is started again until nothing
is due, and the oracle judges.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import click

from tests.faults.keeping import Keeping, Postgres, Sqlite
from tests.faults.moments import Accident, Forked, fork, run_in_fork, warm_up
from tests.faults.oracle import Oracle
from tests.faults.world import Size, World, make_world
from tests.servers import versioned
from tests.servers.cutting import Cut, Way, way_to
from tests.servers.postgres import Server, started
from tests.servers.versioned import versioned_server

LEAVING = "acct-gum"
TOGETHER = ("acct-elm", "acct-fir", LEAVING)  # they leave in one run
PLACES = ("sqlite", "postgresql", "postgresql, ledger in a file", "s3", "postgresql and s3")
ACTIONS = ("policy", "closure")
SCENES = (
    *product(PLACES, ACTIONS),
    ("sqlite", "closures"),
    ("postgresql", "closures"),
    ("postgresql and s3", "closures"),
)
SMALL = Size(30, 40, requests=24, files=9, objects=8)
LARGER_LIMITS = "limits: {max_percent: 95}"
_ROUNDS = 8
_BUSY_SECONDS = 20


Choice = Callable[[int], Iterable[int]]
"""Chooses of so many points, from one, those at which something happens."""


def every(step: int, first: int) -> Choice:
    """Choose each `step`th point."""
    return lambda count: range(first, count + 1, step)


def few(tries: int, turn: float) -> Choice:
    """Choose a few points, evenly spread; `turn`, from 0 to 1, moves all of them."""
    return lambda count: sorted({1 + int((each + turn) * count / tries) for each in range(tries)})


@dataclass(slots=True)
class Figures:
    """What a scene came to."""

    found: Counter[str] = field(default_factory=Counter)
    killed: int = 0
    exchanges: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    frozen: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)  # of closures, right after a kill

    def plus(self, other: Figures) -> Figures:
        return Figures(
            self.found + other.found,
            self.killed + other.killed,
            self.exchanges + other.exchanges,
            self.cut + other.cut,
            self.frozen + other.frozen,
            self.codes + other.codes,
            self.violations + other.violations,
            self.states + other.states,
        )


@dataclass(slots=True)
class Servers:
    """What scenes may use: one PostgreSQL server and one bucket server."""

    postgresql: Server
    s3: versioned.Server


@contextmanager
def servers() -> Iterator[Servers]:
    """Start both."""
    with started() as postgresql, versioned_server() as s3:
        yield Servers(postgresql, s3)


class Scene:
    """One world in which an action is about to happen, to be copied for each accident.

    Args:
        place: Where data and ledger lie; one of PLACES.
        action: `policy`, which purges and tombstones; `closure` of an account; or `closures`, of several together.
        prepare: What is called in each process before it begins.
    """

    def __init__(
        self, directory: Path, servers: Servers, place: str, action: str, prepare: Callable[[], None] = lambda: None
    ) -> None:
        self._directory = directory
        self.prepare = prepare
        self._servers = servers
        self._action = action
        self.name = f"{place}, {action}"
        root = directory / "first"
        bucket = versioned.Bucket() if "s3" in place else None
        servers.s3.bucket = bucket or versioned.Bucket()
        size = SMALL if bucket else replace(SMALL, objects=0)
        keeping = _keeping(root, servers.postgresql, place)
        self._world = make_world(root, size, seed=5, endpoint=servers.s3.url, keeping=keeping, bucket=bucket)
        self._plan = self._world.approved_plan()
        self._earlier: set[str] = set()
        if action == "closure":
            self._make_leave(LEAVING)
        elif action == "closures":
            self._make_leave(*TOGETHER)
            self._ask()
        self._before = self._world.look()

    @property
    def _leaving(self) -> tuple[str, ...]:
        return {"closure": (LEAVING,), "closures": TOGETHER}.get(self._action, ())

    def _ask(self) -> None:
        """Ask for all closures while their grace keeps them from beginning, and wait until it is over."""
        policies = self._world.config / "policies.yaml"
        text = policies.read_text("utf-8")
        policies.write_text(text.replace("{grace: none", "{grace: 8 seconds"), "utf-8")
        for account in TOGETHER:
            asked = self._world.run("account", "close", account, "--reason", "wants to leave")
            assert asked.code == 0, asked.err
        time.sleep(9)

    def _make_leave(self, *accounts: str) -> None:
        done = self._world.run("apply", self._plan)
        assert done.code == 0, done.err
        self._earlier = {path.name.split(".")[0] for path in (self._world.config / "receipts").glob("*.bundle.json")}
        self._world.leave(*accounts)

    def copy(self) -> tuple[World, Oracle]:
        """Return a copy of the world as it was before the action, and one who judges it."""
        root = self._directory / "copy"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self._world.root, root)
        bucket = deepcopy(self._world.bucket)
        self._servers.s3.bucket = bucket or versioned.Bucket()
        world = replace(self._world, root=root, keeping=self._world.keeping.copied(root), bucket=bucket)
        return world, Oracle(world, self._before, earlier=self._earlier)

    def begin(self, world: World, last: int = 0) -> tuple[int, str]:
        """Begin the action; return how it ended and what the last moment was."""
        return self.begin_with(world, Accident(last)).end()

    def begin_with(self, world: World, accident: Accident) -> Forked:
        """Begin the action, with an accident on its way."""
        return fork(world.config, world.environ, self._words, accident, self.prepare)

    @property
    def _words(self) -> tuple[str, ...]:
        return {"policy": ("apply", self._plan), "closure": _CLOSE}.get(self._action, ("run",))

    def begin_and_freeze(self, world: World, at: int) -> Forked:
        """Begin the action, to be frozen at a moment."""
        return self.begin_with(world, Accident(at, signal.SIGSTOP))

    def go_on(self, world: World, oracle: Oracle, *, strictly: bool = False) -> None:
        """Start the program again until nothing is due, as a person would; then let the oracle judge.

        Args:
            strictly: Whether it must have come about in the one run that was begun.
        """
        code = 0
        for _ in range(_ROUNDS):
            if not self.has_begun(world):
                code, told = self._patiently(world, _CLOSE)
            else:
                code, told = self._patiently(world, ("run",))
            if code == 0 and not self._is_closing(world):
                break
            if code == 4:
                world.approved_plan()
            elif code not in (0, 1, 5):
                oracle.say(f"it went on with {code}: {told}")
        else:
            oracle.say(f"it does not end; the last time with {code}: {said(world)}")
        if self._leaving:
            oracle.closed(len(self._leaving))
        elif strictly:
            oracle.final(self._plan)
        else:
            oracle.settled()

    def has_begun(self, world: World) -> bool:
        """Whether the ledger knows what was asked for."""
        return self._action != "closure" or bool(world.keeping.ask("SELECT 1 FROM closures")[0])

    def _is_closing(self, world: World) -> bool:
        return world.keeping.ask("SELECT state FROM closures") != [[("closed",)] * len(self._leaving)]

    def _patiently(self, world: World, words: tuple[str, ...]) -> tuple[int, str]:
        """Run a command; a server may need a moment until it has noticed that a client was killed."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            code, told = run_in_fork(world.config, world.environ, words, prepare=self.prepare)
            if code != 1 or "acts on this ledger" not in said(world) or time.monotonic() > deadline:
                return code, told
            time.sleep(0.2)


_CLOSE = ("account", "close", LEAVING, "--reason", "wants to leave")


def said(world: World) -> str:
    """What the last command said."""
    path = world.root / "said"
    return path.read_text(encoding="utf-8", errors="replace")[-600:] if path.exists() else ""


def _keeping(root: Path, server: Server, place: str) -> Keeping:
    if not place.startswith("postgresql"):
        return Sqlite(root, wal=place == "s3")
    ledger = root / "config" / "ledger.db" if "file" in place else None
    return Postgres(server, "faults", ledger)


def kill_at_each(scene: Scene, choice: Choice) -> Figures:
    """Kill at each chosen moment of the action."""
    figures = Figures()
    world, oracle = scene.copy()
    code, told = scene.begin(world)
    if code:
        figures.violations.append(f"{scene.name}: an undisturbed one ended with {code}: {said(world)}")
        return figures
    scene.go_on(world, oracle, strictly=True)
    figures.violations += [f"{scene.name}, undisturbed: {each}" for each in oracle.violations]
    for line in told.splitlines():
        kind, _, count = line.rpartition(": ")
        figures.found[kind] += int(count)
    for last in choice(figures.found.total()):
        world, oracle = scene.copy()
        code, what = scene.begin(world, last)
        figures.codes[code] += 1
        figures.states.update(state for (state,) in world.keeping.ask("SELECT state FROM closures")[0])
        if code == -signal.SIGKILL:
            figures.killed += 1
        elif code:
            oracle.say(f"it was to be killed, and ended with {code}: {said(world)}")
        oracle.glance()
        scene.go_on(world, oracle, strictly=True)
        figures.violations += [f"{scene.name}, killed at {last}, {what}: {each}" for each in oracle.violations]
    return figures


def cut_each(scene: Scene, choice: Choice) -> Figures:
    """Cut each chosen exchange of the action with each server, before and after its effect."""
    figures = Figures()
    for name, lead in _leads(scene).items():
        with ExitStack() as stack:
            world, oracle = scene.copy()
            way = stack.enter_context(way_to(lead.target))
            code, _ = scene.begin(lead.through(world, way))
            count = figures.exchanges[name] = way.count
            if code:
                figures.violations.append(f"{scene.name}, led: ended with {code}: {said(world)}")
            for at, cut in product(choice(count), Cut):
                world, oracle = scene.copy()
                way.arm(at, cut)
                code, _ = scene.begin(lead.through(world, way))
                figures.codes[code] += 1
                figures.cut += way.cuts
                if code not in (0, 1, 5):
                    oracle.say(f"it ended with {code}: {said(world)}")
                oracle.glance()
                scene.go_on(world, oracle)
                figures.violations += [
                    f"{scene.name}, {name} cut {cut.value} {at}: {each}" for each in oracle.violations
                ]
    return figures


def moments_of(scene: Scene, figures: Figures) -> int:
    """Carry the action out undisturbed, and count its moments; one that fails is a violation."""
    world, _ = scene.copy()
    code, told = scene.begin(world)
    if code:
        figures.violations.append(f"{scene.name}: an undisturbed one ended with {code}: {said(world)}")
    return sum(int(line.rpartition(": ")[2]) for line in told.splitlines())


def freeze_at_each(scene: Scene, choice: Choice) -> Figures:
    """Freeze the program at each chosen moment of the action, and let another take over, where it can."""
    figures = Figures()
    for at in choice(moments_of(scene, figures)):
        world, oracle = scene.copy()
        frozen = scene.begin_and_freeze(world, at)
        if frozen.await_stop():
            figures.frozen += 1
            _beside_a_frozen_one(scene, world, oracle, frozen, figures)
        else:
            oracle.say(f"it was to be frozen, and ended with {frozen.end()}")
        figures.violations += [f"{scene.name}, frozen at {at}: {each}" for each in oracle.violations]
    return figures


def _beside_a_frozen_one(scene: Scene, world: World, oracle: Oracle, frozen: Forked, figures: Figures) -> None:
    """Where its lock is the connection's, the server gives it away and another finishes; else nobody else acts."""
    fine = {0, 1, 4, 5}
    if isinstance(world.keeping, Postgres) and world.keeping.ledger is None:
        _let_go_of(world.keeping)
        # One that had asked for nothing yet may ask once all is over; even so no store is touched.
        asked = scene.has_begun(world)
        fine |= set() if asked else {2}  # then its request is a second one, and refused
        scene.go_on(world, oracle)
        then = _state(world, asked=asked)
        code, told = frozen.end()
        if _state(world, asked=asked) != then:
            oracle.say(f"it acted although another had taken over: {told}")
    else:
        seen = world.look()
        code, told = run_in_fork(world.config, world.environ, ("run",))
        # It is refused, unless the frozen one has not yet begun to act, or has ended.
        if code and world.look() != seen:
            oracle.say(f"another acted beside it: {told}")
        code, told = frozen.end()
        scene.go_on(world, oracle)
    figures.codes[code] += 1
    if code not in fine:
        oracle.say(f"the frozen one ended with {code}: {told} {said(world)}")


def _let_go_of(keeping: Postgres) -> None:
    """Do what a server does in time: end connections to the ledger, and transactions that stand still."""
    with keeping.server.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
            " AND (application_name LIKE 'retentiond %%' OR state LIKE 'idle in transaction%%')",
            [keeping.name],
        )


def _state(world: World, *, asked: bool) -> tuple[object, ...]:
    ended = "SELECT plan, ordinal, state, token FROM batches ORDER BY plan, ordinal"
    return world.look(), world.keeping.ask("SELECT id FROM receipts ORDER BY id", ended) if asked else ()


@dataclass(frozen=True, slots=True)
class Lead:
    """A connection that can be led over a way: to which port, and how."""

    target: int
    through: Callable[[World, Way], World]


def _leads(scene: Scene) -> dict[str, Lead]:
    world, servers = scene._world, scene._servers
    leads: dict[str, Lead] = {}
    if isinstance(world.keeping, Postgres):
        port = servers.postgresql.port
        leads["store"] = Lead(port, lambda world, way: _led(world, store_port=way.port))
        if world.keeping.ledger is None:
            leads["ledger"] = Lead(port, lambda world, way: _led(world, ledger_port=way.port))
    if world.bucket is not None:
        port = int(servers.s3.url.rsplit(":", 1)[1])
        leads["bucket"] = Lead(port, lambda world, way: replace(world, endpoint=f"http://127.0.0.1:{way.port}"))
    return leads


def _led(world: World, **ports: int) -> World:
    assert isinstance(world.keeping, Postgres)
    return replace(world, keeping=replace(world.keeping, **ports))


def go(directory: Path, with_servers: Servers, asked: argparse.Namespace) -> Figures:
    """Play all scenes that were asked for; print each one's figures."""
    total = Figures()
    warm_up()
    for number, (place, action) in enumerate(SCENES):
        if asked.only and asked.only not in f"{place}, {action}":
            continue
        scene = Scene(directory / str(number), with_servers, place, action)
        for accident in (kill_at_each, cut_each, freeze_at_each):
            if asked.accident and asked.accident != accident.__name__:
                continue
            began = time.monotonic()
            figures = accident(scene, every(asked.step, 1 + number % asked.step))
            total = total.plus(figures)
            click.echo(f"{scene.name}, {accident.__name__}: {line_of(figures)}; {time.monotonic() - began:.0f} s")
            for each in figures.violations:
                click.echo(f"VIOLATION {each}")
    return total


def line_of(figures: Figures) -> str:
    """Return figures in one line."""
    found = ", ".join(f"{count} {kind}" for kind, count in (figures.found + figures.exchanges).items())
    return (
        f"points {(figures.found + figures.exchanges).total()} ({found}), killed {figures.killed}, cut {figures.cut},"
        f" frozen {figures.frozen},"
        f" ended {dict(figures.codes)}, violations {len(figures.violations)}"
    )


def main() -> int:
    """Play the whole programme, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="scenes with these words in their name")
    parser.add_argument("--accident", default="", choices=("", "kill_at_each", "cut_each", "freeze_at_each"))
    parser.add_argument("--step", type=int, default=1, help="try only every nth point")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, servers() as both:
        total = go(Path(place), both, asked)
    click.echo(line_of(total))
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main())
