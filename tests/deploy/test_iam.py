"""deploy/aws is enough for what it is for, and each action of it is asked for; without it somebody is told its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import moto.iam
import pytest

from retentiond.connectors.s3.connector import S3Connector, open_connector
from retentiond.connectors.s3.options import S3Options
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset, TombstoneTarget
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.errors import ConnectorError
from tests.connectors.s3.asking import HIDE, NOW, OLD, PURGE, YOUNG, cases, ordered, scanned
from tests.connectors.s3.bucket_behind import BUCKET
from tests.deploy.iam import FOLDER, Allowed, Gate, policy
from tests.servers.versioned import Bucket, Server, versioned_server

SCAN, ACT, VERIFY = ("scanning",), ("scanning", "deleting"), ("verifying",)
PROBED = ("scanning", "probing")
PLAIN = Dataset(
    name="payloads", store="payload-store", store_kind="s3", data_class="request-content",
    clock=ClockSource(ClockFormat.MODIFIED), prefix="requests/",
)  # fmt: skip
WRITE_ONCE = replace(PLAIN, write_once=True)
MARKED = replace(PLAIN, tombstone=TombstoneTarget(marker=True))
# What is asked for first, and what is asked for instead where that is denied: reading contents is not needed for locks.
INSTEAD = {"s3:GetObjectVersion"}


def clocked(dataset: Dataset, place: str) -> Dataset:
    return replace(dataset, clock=ClockSource(ClockFormat.AUTO, field=f"{place}:created"))


@dataclass(frozen=True)
class Case:
    """A dataset in a bucket, and which statements besides the ones that all need it takes."""

    name: str
    dataset: Dataset
    versioning: str = "Enabled"
    lock: bool = False
    sids: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name

    def takes(self, each: Allowed) -> bool:
        return not each.sid.startswith("OnlyFor") or each.sid in self.sids


HIDES = frozenset({"OnlyForTombstonesAndBucketsWithoutVersions"})
TAGS, METADATA, LOCK = (frozenset({f"OnlyFor{name}"}) for name in ("Tags", "Metadata", "ObjectLock"))
CASES = (
    Case("versions", PLAIN),
    Case("markers", MARKED, sids=HIDES),
    Case("objects", WRITE_ONCE, versioning="", sids=HIDES),
    Case("locks", PLAIN, lock=True, sids=LOCK, denied=frozenset(INSTEAD)),
    Case("tags", clocked(PLAIN, "tag"), sids=TAGS),
    Case("tags-of-objects", clocked(WRITE_ONCE, "tag"), versioning="", sids=TAGS | HIDES),
    Case("metadata", clocked(PLAIN, "metadata"), sids=METADATA),
    Case("metadata-of-objects", clocked(WRITE_ONCE, "metadata"), versioning="", sids=METADATA | HIDES),
)


@contextmanager
def bucket_of(case: Case) -> Iterator[tuple[Server, Gate]]:
    with versioned_server(Bucket(versioning=case.versioning, lock=case.lock)) as server:
        for name, age in (("old", OLD), ("young", YOUNG)):
            written = {"created": (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")}
            server.bucket.put(f"requests/{name}", age, tags=written, metadata=written)
        server.bucket.begin_upload("requests/upload", OLD)
        server.bucket.settings["logging"] = "<BucketLoggingStatus/>"
        gate = Gate()
        server.script = gate
        yield server, gate


@contextmanager
def connected(server: Server, probe: str | None = None) -> Iterator[S3Connector]:
    connector = open_connector(S3Options(bucket=BUCKET, endpoint=server.url, probe=probe), attempts=1)
    connector._pause = lambda _seconds: None
    yield connector
    connector.close()


def carried_out(case: Case, server: Server, gate: Gate, without: Callable[[Allowed], bool]) -> list[str]:
    """Check, scan, act and verify, each under its own policies; return what a person is told of what did not go."""

    def left_out(each: Allowed) -> bool:
        return without(each) or not case.takes(each)

    gate.attach(SCAN, left_out)
    rule = HIDE if case.dataset.tombstone else PURGE
    action = Action.TOMBSTONE if case.dataset.tombstone else Action.PURGE
    try:
        with connected(server) as connector:
            told = [finding.remedy for finding in connector.survey(case.dataset).findings]
            list(connector.unmapped([case.dataset], lambda _name: False))
            connector.find(case.dataset, "requests/old")
            connector.now()
            decided = cases(rule, case.dataset)
            records, _ = scanned(connector, decided, case.dataset)
            due = [each for each in records if action is Action.PURGE or each.key == ("requests/old",)]
            order = ordered(decided, due, action, dataset=case.dataset)
            gate.attach(VERIFY, left_out)
            assert set(connector.verify(order).sightings) == {Sighting.DUE}
            gate.attach(ACT, left_out)
            acted = connector.act(order)
            told += [why for n, why in acted.reasons.items() if acted.outcomes[n] is not Outcome.DONE]
            gate.attach(VERIFY, left_out)
            sightings = set(connector.verify(order).sightings)
            told += ["not seen to be gone"] if sightings - {Sighting.ABSENT, Sighting.HIDDEN} else []
            assert told or set(acted.outcomes) <= {Outcome.DONE}
            return told
    except ConnectorError as failed:
        return [failed.what, failed.remedy]


def none(_each: Allowed) -> bool:
    return False


@pytest.fixture(scope="module")
def used() -> dict[str, set[Allowed]]:
    """What each case used of the policies, once it was seen that they are enough."""
    found = {}
    for case in CASES:
        with bucket_of(case) as (server, gate):
            assert carried_out(case, server, gate, none) == [], case
            assert gate.denied == case.denied, case
            found[case.name] = gate.used
    return found


def test_the_policies_are_enough_and_no_action_is_unused(used: dict[str, set[Allowed]]) -> None:
    written = {each for name in ("scanning", "verifying", "deleting") for each in policy(name)}
    assert set().union(*used.values()) == written


def test_each_action_is_missed_by_name(used: dict[str, set[Allowed]]) -> None:
    tried = set[str]()
    for case in CASES:
        for gone in sorted({each.action for each in used[case.name]} - tried):
            with bucket_of(case) as (server, gate):
                told = carried_out(case, server, gate, lambda each, gone=gone: each.action == gone)  # type: ignore[misc]
            assert any(gone in words for words in told), (case, gone, told)
            tried.add(gone)


def test_a_probe_writes_below_its_prefix_only() -> None:
    with bucket_of(CASES[0]) as (server, gate):
        gate.attach(PROBED)
        with connected(server, "retentiond-probe/") as connector:
            assert connector.probe().findings == ()
        assert {each for each in gate.used if each.policy == "probing"} == set(policy("probing"))
        for gone in policy("probing"):
            gate.attach(PROBED, lambda each, gone=gone: each == gone)  # type: ignore[misc]
            with connected(server, "retentiond-probe/") as connector:
                (finding,) = connector.probe().findings
            assert gone.action in finding.remedy or "could not be removed" in finding.what


def test_the_actions_are_amazons() -> None:
    """Each stands in policies that Amazon manages itself, of which a library has a copy."""
    text = (Path(moto.iam.__file__).parent / "aws_managed_policies.py").read_text(encoding="utf-8")
    known = set(re.findall(r'"((?:s3|kms):\w+)"', text))
    written = {each.action for path in FOLDER.glob("*.json") for each in policy(path.stem)}
    assert written <= known
    assert not any("*" in action for action in written)
