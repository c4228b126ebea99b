"""What every part of the engine works with, put together once by bootstrap."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from retentiond.clock import Clock
from retentiond.domain.dataset import DataMap, Dataset
from retentiond.domain.period import Period
from retentiond.domain.policy import Policy, PolicySet
from retentiond.ports.keys import Committer, KeyStore, Sealer, Signer
from retentiond.ports.ledger import Ledger
from retentiond.ports.log import Journal, Log
from retentiond.ports.stores import Connector

_VERSION_7 = 0x7
_VARIANT = 0b10


@dataclass(frozen=True, slots=True)
class Principal:
    """One person of the approvers file: a name and one SSH public key (type and base64)."""

    name: str
    key_type: str
    key: str


@dataclass(frozen=True, slots=True)
class Approvers:
    """The approvers file as it stands: its people, its bytes' SHA-256, and its text."""

    principals: tuple[Principal, ...] = ()
    sha256: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """Service settings that the engine needs.

    Attributes:
        stop_file: Nothing is changed in any store while it exists; None for none.
        commitments_keep: How long after a receipt its key and its manifest are kept.
        receipts: Directory of bundles and manifests.
        verifier_keys: Public keys by name, put into bundles for information.
        clock_ahead: How far the clock may be ahead of the last time that was seen, besides the longest schedule.
        config_changed: Tells whether policies, data map or approvers changed on disk since they were read.
        policy_of: Reads a policy's canonical form again; raises PolicyError where it can't be read any more.
        own_buckets: Names of buckets that are this instance's own, such as the log's.
    """

    instance: str
    issuer_id: str
    version: str
    observe: bool
    stop_file: Path | None
    single_operator: bool
    plan_expires: Period
    identifiers_keep: Period
    commitments_keep: Period
    events_keep: Period
    clock_ahead: Period
    receipts: Path
    verifier_keys: Mapping[str, str]
    config_changed: Callable[[], bool]
    policy_of: Callable[[bytes], Policy]
    own_buckets: frozenset[str] = frozenset()


class Reporter(Protocol):
    """Hears of progress; says nothing of what is processed."""

    def start(self, what: str, total: int | None) -> None:
        """Begin a stretch of work, of so many records if that is known."""
        ...

    def advance(self, records: int) -> None:
        """So many more records are done."""
        ...

    def note(self, text: str) -> None:
        """Say something that a person should see now."""
        ...


class Pen(Protocol):
    """Signs for whoever asked, where they are."""

    @property
    def offered(self) -> Sequence[tuple[str, str]]:
        """The SSH public keys that may sign, as (type, base64)."""
        ...

    def sign(self, text: str, public: tuple[str, str]) -> str:
        """Return the armoured signature of a text; ApprovalError where it does not come."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """The engine's surroundings.

    Attributes:
        issuer: The issuer's key in use; it signs only while it is in force.
        store: Returns the open connector of a store by its name; the same one each time.
        stop_requested: Whether the operator asked to stop after the batch in hand.
        pen: Signs for whoever asked; None where they are here, with a key file or an agent.
    """

    ledger: Ledger
    log: Log
    journal: Journal
    clock: Clock
    keys: KeyStore
    issuer: Signer
    wrapping: Sealer
    replay: Committer
    pseudonym: Committer
    datamap: DataMap
    policies: PolicySet
    approvers: Approvers
    terms: Terms
    store: Callable[[str], Connector]
    reporter: Reporter
    stop_requested: Callable[[], bool]
    pen: Pen | None = None

    def now(self) -> datetime:
        """Return the present time in whole seconds: what receipts can write, and never a moment too late."""
        return self.clock.now().replace(microsecond=0)

    def connector(self, dataset: Dataset) -> Connector:
        """Return the open connector of a dataset's store."""
        return self.store(dataset.store)


def new_id(now: datetime) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7) for a time: sorts by time, names nothing."""
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    random = secrets.randbits(74)
    value = (
        (milliseconds << 80) | (_VERSION_7 << 76) | ((random >> 62) << 64) | (_VARIANT << 62) | (random & (2**62 - 1))
    )
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
