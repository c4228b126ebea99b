"""The one place where parts are put together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from retentiond import __version__
from retentiond.bootstrap.initialising import Names, initialise
from retentiond.bootstrap.parts import (
    APPROVERS,
    DATAMAP,
    POLICIES,
    SERVICE,
    ConnectorKinds,
    OptionModels,
    Stores,
    key_sources,
    ledger_place,
    make_log,
    open_keys,
)
from retentiond.bootstrap.visiting import look_and_draft
from retentiond.clock import Clock, SystemClock
from retentiond.domain.dataset import DataMap
from retentiond.domain.policy import Policy, PolicySet
from retentiond.engine.context import Approvers, Context, Principal, Reporter, Terms
from retentiond.engine.docket import seal_what_is_plain
from retentiond.engine.orders import Counter
from retentiond.keys import KeySources, LocalKeys
from retentiond.ledger import SqlLedger, open_for_upgrade, open_ledger
from retentiond.settings import (
    LogBucket,
    ServiceSettings,
    load_approvers,
    load_datamap,
    load_policies,
    load_service,
    read_canonical,
)
from retentiond.tlog.journal import DirectoryJournal

__all__ = [
    "Configuration",
    "ConnectorKinds",
    "Names",
    "initialise",
    "ledger_place",
    "look_and_draft",
    "open_context",
    "open_counter",
    "open_old_ledger",
    "read_configuration",
]

_WATCHED = (DATAMAP, POLICIES, APPROVERS)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that was read and is right; opened as it was read, whatever the files say by then.

    Attributes:
        fingerprint: A digest over the bytes of what operators write.
    """

    directory: Path
    service: ServiceSettings
    kinds: ConnectorKinds
    datamap: DataMap
    policies: PolicySet
    approvers: Approvers
    fingerprint: str
    key_sources: KeySources

    @property
    def listen(self) -> str:
        """Where the daemon answers; empty for nowhere."""
        return self.service.listen

    @contextmanager
    def open_orders(self) -> Iterator[SqlLedger]:
        """Open where orders for the daemon come from.

        Raises:
            LedgerError: The ledger can't be opened.
        """
        ledger = open_ledger(ledger_place(self.service))
        try:
            yield ledger
        finally:
            ledger.close()

    @contextmanager
    def open(
        self,
        reporter: Reporter,
        stop_requested: Callable[[], bool],
        config_changed: Callable[[], bool],
        *,
        create_ledger: bool = False,
        mending: bool = False,
        clock: Clock | None = None,
    ) -> Iterator[Context]:
        """Open ledger, log and keys; stores open when they are needed.

        Args:
            config_changed: Tells whether another configuration is to be in force.
            create_ledger: Make an empty ledger where there is none, to be filled from the log.
            mending: Whether keys may be missing, since others are to take their place.

        Raises:
            RetentiondError: Something is wrong with one of them; nothing was done.
        """
        service = self.service
        clock = clock or SystemClock()
        with ExitStack() as stack:
            ledger = open_ledger(ledger_place(service), create=create_ledger)
            stack.callback(ledger.close)
            keys = open_keys(service, self.key_sources, ledger, clock, mending=mending)
            stores = Stores(self.datamap, self.kinds, self.directory)
            stack.callback(stores.close)
            ctx = Context(
                ledger=ledger,
                log=make_log(service, keys, ledger),
                journal=DirectoryJournal(service.journal, keys.wrapping),
                clock=clock,
                keys=keys,
                issuer=keys.guarded("issuer"),
                wrapping=keys.wrapping,
                replay=keys.replay,
                pseudonym=keys.pseudonym,
                datamap=self.datamap,
                policies=self.policies,
                approvers=self.approvers,
                terms=_terms(
                    service, keys, config_changed, lambda data: read_canonical(data, self.datamap, self.policies)
                ),
                store=stores.open,
                reporter=reporter,
                stop_requested=stop_requested,
            )
            if not mending:
                seal_what_is_plain(ctx)
            yield ctx


def read_configuration(directory: Path, environ: Mapping[str, str]) -> Configuration:
    """Read an instance's configuration and check it.

    Raises:
        ConfigError: Something is wrong with it.
    """
    fingerprint = _fingerprint(directory, SERVICE, *_WATCHED)
    kinds = ConnectorKinds()
    service = load_service(directory, environ)
    datamap = load_datamap(directory / DATAMAP, OptionModels(kinds))
    policies = load_policies(directory / POLICIES, datamap)
    approvers = _approvers(directory / APPROVERS)
    sources = key_sources(service, environ)
    return Configuration(directory, service, kinds, datamap, policies, approvers, fingerprint, sources)


@contextmanager
def open_context(
    directory: Path,
    environ: Mapping[str, str],
    reporter: Reporter,
    stop_requested: Callable[[], bool],
    *,
    create_ledger: bool = False,
    mending: bool = False,
    clock: Clock | None = None,
) -> Iterator[Context]:
    """Open an instance: read and check its configuration, then open it.

    What operators wrote is in force until its files change: then nothing more is removed by this.

    Args:
        create_ledger, mending: As `Configuration.open`.

    Raises:
        RetentiondError: Something is wrong; nothing was done.
    """
    fingerprint = _fingerprint(directory, *_WATCHED)
    configuration = read_configuration(directory, environ)
    changed = _Changed(directory, fingerprint)
    opened = configuration.open(
        reporter, stop_requested, changed, create_ledger=create_ledger, mending=mending, clock=clock
    )
    with opened as ctx:
        yield ctx


class _Changed:
    """Tells whether what operators write differs from what was read."""

    def __init__(self, directory: Path, fingerprint: str) -> None:
        self._directory = directory
        self._fingerprint = fingerprint

    def __call__(self) -> bool:
        return _fingerprint(self._directory, *_WATCHED) != self._fingerprint


@contextmanager
def open_counter(directory: Path, environ: Mapping[str, str]) -> Iterator[Counter | None]:
    """Open where orders for the daemon are given: the ledger alone, no key and no store; None where it is a file.

    Raises:
        RetentiondError: The service's settings are wrong, or the ledger can't be opened.
    """
    service = load_service(directory, environ)
    place = ledger_place(service)
    if isinstance(place, Path):
        yield None
        return
    ledger = open_ledger(place)
    try:
        yield Counter(ledger, SystemClock(), service.instance)
    finally:
        ledger.close()


@contextmanager
def open_old_ledger(directory: Path, environ: Mapping[str, str]) -> Iterator[SqlLedger]:
    """Open only the ledger, of whatever revision, to upgrade it.

    Raises:
        RetentiondError: The configuration is wrong, or there is no ledger.
    """
    ledger = open_for_upgrade(ledger_place(load_service(directory, environ)))
    try:
        yield ledger
    finally:
        ledger.close()


def _terms(
    service: ServiceSettings,
    keys: LocalKeys,
    config_changed: Callable[[], bool],
    policy_of: Callable[[bytes], Policy],
) -> Terms:
    return Terms(
        instance=service.instance,
        issuer_id=service.issuer_id,
        version=__version__,
        observe=service.mode == "observe",
        stop_file=service.stop_file,
        single_operator=service.single_operator,
        plan_expires=service.plan_expires,
        identifiers_keep=service.identifiers.keep,
        commitments_keep=service.commitments.keep,
        events_keep=service.events.keep,
        clock_ahead=service.clock_ahead,
        receipts=Path(os.path.normpath(service.receipts)),
        verifier_keys={"issuer": keys.issuer_pem, "log": keys.vkey},
        config_changed=config_changed,
        policy_of=policy_of,
        own_buckets=frozenset([service.log.bucket] if isinstance(service.log, LogBucket) else []),
    )


def _approvers(path: Path) -> Approvers:
    if not path.exists():
        return Approvers()
    parsed = load_approvers(path)
    principals = tuple(Principal(each.name, each.key_type, each.key) for each in parsed.principals)
    return Approvers(principals, parsed.sha256, parsed.text)


def _fingerprint(directory: Path, *names: str) -> str:
    """Return a digest over the bytes of files that operators write, to notice a change."""
    digest = hashlib.sha256()
    for name in names:
        try:
            text = (directory / name).read_bytes()
        except OSError as error:  # said by whoever reads it to use it
            text = f"\x00{error.errno}".encode()
        digest.update(name.encode() + b"\x00" + text + b"\x00")
    return digest.hexdigest()
