"""The one place where parts are put together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path

from pydantic import BaseModel

from retentiond import __version__
from retentiond.clock import Clock, SystemClock
from retentiond.domain.dataset import DataMap
from retentiond.domain.policy import Policy
from retentiond.engine.context import Approvers, Context, Principal, Reporter, Terms
from retentiond.errors import ConfigError
from retentiond.evidence.entry import key_entry
from retentiond.keys import Keys, create_all, load_keys
from retentiond.ledger import Database, SqlLedger, open_for_upgrade, open_ledger
from retentiond.ports.ledger import Ledger
from retentiond.ports.stores import Connector, ConnectorKind
from retentiond.settings import (
    LedgerDatabase,
    ServiceSettings,
    load_approvers,
    load_datamap,
    load_policies,
    load_service,
    read_canonical,
)
from retentiond.settings.ledger import read_ledger
from retentiond.settings.problems import Problem
from retentiond.tlog import DirectoryStore, TileLog
from retentiond.tlog.journal import DirectoryJournal

ENTRY_POINTS = "retentiond.connectors"
SERVICE, DATAMAP, POLICIES, APPROVERS = "retentiond.yaml", "datamap.yaml", "policies.yaml", "approvers"
_WATCHED = (DATAMAP, POLICIES, APPROVERS)


class ConnectorKinds(Mapping[str, ConnectorKind]):
    """The installed connectors by kind, found through entry points; each is imported when it is first asked for."""

    def __init__(self) -> None:
        self._points = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
        self._loaded: dict[str, ConnectorKind] = {}

    def __getitem__(self, kind: str) -> ConnectorKind:
        """Return a connector by its kind."""
        if kind not in self._loaded:
            self._loaded[kind] = self._points[kind].load()
        return self._loaded[kind]

    def __iter__(self) -> Iterator[str]:
        """Name the kinds that are installed."""
        return iter(self._points)

    def __len__(self) -> int:
        """Count the kinds that are installed."""
        return len(self._points)


class _OptionModels(Mapping[str, type[BaseModel]]):
    """The models of the connectors' options by kind."""

    def __init__(self, kinds: ConnectorKinds) -> None:
        self._kinds = kinds

    def __getitem__(self, kind: str) -> type[BaseModel]:
        return self._kinds[kind].options

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


@dataclass(frozen=True, slots=True)
class Names:
    """What a new instance is called; each is made up where it is not given.

    Attributes:
        ledger_dsn_env: The variable that holds the DSN of a ledger in PostgreSQL; a file where there is none.
    """

    instance: str | None = None
    issuer_id: str | None = None
    origin: str | None = None
    ledger_dsn_env: str | None = None


def initialise(
    directory: Path,
    *,
    state: str = ".",
    names: Names | None = None,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[str]:
    """Write a commented configuration, keys and an empty ledger; never over anything that is there.

    Args:
        state: Where ledger, log, keys, receipts and journal go, relative to the directory.
        names: What the instance is called; the log's name can't be changed later.
        environ: Where the DSN of a ledger in PostgreSQL is found.

    Raises:
        ConfigError: One of the files is there already, or the ledger is in use by another instance.
        LedgerError: The ledger cannot be made.
    """
    now = (clock or SystemClock()).now().replace(microsecond=0)
    names = names or Names()
    instance = names.instance or f"retentiond-{os.urandom(4).hex()}"
    values = {
        "instance": instance,
        "issuer_id": names.issuer_id or f"https://issuer.example/{instance}",
        "origin": names.origin or f"issuer.example/{instance}",
        "state": "" if state == "." else f"{state}/",
        "ledger": f"{{dsn_env: {names.ledger_dsn_env}}}" if names.ledger_dsn_env else "@state@ledger.db",
    }
    dsn = {name: value for name, value in (environ or {}).items() if name == names.ledger_dsn_env}
    if names.ledger_dsn_env is not None:
        _prepare_database(directory, names.ledger_dsn_env, dsn)
    written = []
    _make(directory)
    for name in (SERVICE, DATAMAP, POLICIES, APPROVERS):
        template = resources.files("retentiond.settings").joinpath("templates", name).read_text(encoding="utf-8")
        for key, value in reversed(values.items()):  # `ledger` holds `state`
            template = template.replace(f"@{key}@", value)
        written.append(_create(directory / name, template))
    service = load_service(directory, dsn)
    ledger = open_ledger(ledger_place(service), create=True)
    try:
        _require_unused(ledger)
        create_all(service.keys, service.origin, now)
        _publish_keys(_log(service, load_keys(service.keys, service.origin), ledger), ledger, service)
    finally:
        ledger.close()
    return [*map(str, (*written, service.keys)), ledger.where, str(service.log)]


def _prepare_database(directory: Path, variable: str, environ: Mapping[str, str]) -> None:
    """Make the ledger in its database before anything is written, so that a wrong DSN leaves nothing behind."""
    for name in (SERVICE, DATAMAP, POLICIES, APPROVERS):
        if (directory / name).exists():
            raise _in_the_way(directory / name, "it is there already")
    problems: list[Problem] = []
    found = read_ledger({"dsn_env": variable}, directory, environ, problems)
    if found is None:
        raise ConfigError(problems[0].what, where="--ledger-dsn-env", remedy=problems[0].remedy)
    ledger = open_ledger(Database(found.dsn, found.schema), create=True)
    try:
        _require_unused(ledger)
    finally:
        ledger.close()


def _require_unused(ledger: SqlLedger) -> None:
    if ledger.log_state.size():
        raise ConfigError(
            "this ledger is another instance's: it holds entries of a log",
            where=ledger.where,
            remedy="name another database or another `schema`, and remove the files that were written here",
        )


@contextmanager
def open_context(
    directory: Path,
    environ: Mapping[str, str],
    reporter: Reporter,
    stop_requested: Callable[[], bool],
    *,
    create_ledger: bool = False,
) -> Iterator[Context]:
    """Open an instance: read and check its configuration, then ledger, log, keys; stores open when they are needed.

    Args:
        create_ledger: Make an empty ledger where there is none, to be filled from the log.

    Raises:
        RetentiondError: Something is wrong with one of them; nothing was done.
    """
    service = load_service(directory, environ)
    kinds = ConnectorKinds()
    datamap = load_datamap(directory / DATAMAP, _OptionModels(kinds))
    policies = load_policies(directory / POLICIES, datamap)
    approvers = _approvers(directory / APPROVERS)
    keys = load_keys(service.keys, service.origin)
    fingerprint = _fingerprint(directory)
    with ExitStack() as stack:
        ledger = open_ledger(ledger_place(service), create=create_ledger)
        stack.callback(ledger.close)
        stores = _Stores(datamap, kinds, directory)
        stack.callback(stores.close)
        yield Context(
            ledger=ledger,
            log=_log(service, keys, ledger),
            journal=DirectoryJournal(service.journal, keys.wrapping),
            clock=SystemClock(),
            issuer=keys.issuer,
            wrapping=keys.wrapping,
            replay=keys.replay,
            datamap=datamap,
            policies=policies,
            approvers=approvers,
            terms=_terms(
                service,
                keys,
                lambda: _fingerprint(directory) != fingerprint,
                lambda data: read_canonical(data, datamap, policies),
            ),
            store=stores.open,
            reporter=reporter,
            stop_requested=stop_requested,
        )


def ledger_place(service: ServiceSettings) -> Path | Database:
    """Return where the ledger is."""
    place = service.ledger
    return Database(place.dsn, place.schema) if isinstance(place, LedgerDatabase) else place


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


class _Stores:
    """Open connectors, each opened when it is first asked for."""

    def __init__(self, datamap: DataMap, kinds: Mapping[str, ConnectorKind], base: Path) -> None:
        self._datamap = datamap
        self._kinds = kinds
        self._base = base
        self._open: dict[str, Connector] = {}

    def open(self, name: str) -> Connector:
        if name not in self._open:
            store = self._datamap.stores[name]
            self._open[name] = self._kinds[store.kind].open(store, self._base)
        return self._open[name]

    def close(self) -> None:
        for connector in self._open.values():
            connector.close()
        self._open.clear()


def _log(service: ServiceSettings, keys: Keys, ledger: Ledger) -> TileLog:
    return TileLog(service.origin, keys.log, ledger.log_state, DirectoryStore(service.log))


def _publish_keys(log: TileLog, ledger: Ledger, service: ServiceSettings) -> None:
    """Publish the public keys beside the log, and log the key history."""
    keys = load_keys(service.keys, service.origin)
    for path, data in _key_files(keys).items():
        log.publish_file(path, data)
    with ledger.begin() as tx:
        tx.entries.stage(key_entry(hashlib.sha256(keys.history).hexdigest()))
    log.publish()


def _key_files(keys: Keys) -> dict[str, bytes]:
    return {
        "keys/issuer.pem": keys.issuer.public_pem.encode(),
        "keys/log.vkey": f"{keys.vkey}\n".encode(),
        "keys/history.json": keys.history,
    }


def _terms(
    service: ServiceSettings,
    keys: Keys,
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
        clock_ahead=service.clock_ahead,
        receipts=Path(os.path.normpath(service.receipts)),
        verifier_keys={"issuer": keys.issuer.public_pem, "log": keys.vkey},
        key_files=_key_files(keys),
        config_changed=config_changed,
        policy_of=policy_of,
    )


def _approvers(path: Path) -> Approvers:
    if not path.exists():
        return Approvers()
    parsed = load_approvers(path)
    principals = tuple(Principal(each.name, each.key_type, each.key) for each in parsed.principals)
    return Approvers(principals, parsed.sha256, parsed.text)


def _fingerprint(directory: Path) -> str:
    """Return a digest over the bytes of what operators write, to notice a change during a run."""
    digest = hashlib.sha256()
    for name in _WATCHED:
        path = directory / name
        digest.update(name.encode() + b"\x00" + (path.read_bytes() if path.exists() else b"") + b"\x00")
    return digest.hexdigest()


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be made: {error.strerror}", where=str(directory), remedy="name another directory"
        ) from error


def _create(path: Path, text: str) -> Path:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _in_the_way(path, error.strerror or "") from error
    return path


def _in_the_way(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} cannot be written: {why}",
        where=str(path),
        remedy="`init` never writes over a file; name an empty directory",
    )
