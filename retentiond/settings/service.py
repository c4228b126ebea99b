"""Service settings: retentiond.yaml, and the environment, which wins."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from retentiond.domain.period import Period
from retentiond.errors import ConfigError
from retentiond.settings.document import Document, Trail, read_document
from retentiond.settings.keys import KeyPlaces, KeysModel
from retentiond.settings.ledger import LedgerDatabase, LedgerModel, looks_like_dsn, read_ledger
from retentiond.settings.logplace import SCHEME, LogBucket, LogModel, read_log_place
from retentiond.settings.problems import (
    Problem,
    alternatives,
    blanks,
    first_error,
    problems_of,
    raise_first,
    refuse,
    shown,
    validated,
)
from retentiond.settings.values import Declared, FixedPeriod, PeriodValue

FILE = "retentiond.yaml"
PREFIX = "RETENTIOND_"
KEY_VARIABLE = "RETENTIOND_KEY_"  # what follows is a kind of key; `retentiond.keys` reads it
NESTED = "__"
CONFIG_DIRECTORY = "RETENTIOND_CONFIG"

_SOURCES_READ: ContextVar[Sequence[Mapping[str, Any]]] = ContextVar("sources", default=())  # the first wins
_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", re.ASCII)
_ADDRESS = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", re.ASCII)
_HIGHEST_PORT = 65_535
_ORIGIN = re.compile(r"[!-*,-~]{1,255}", re.ASCII)


def _instance(value: str) -> str:
    if not _INSTANCE.fullmatch(value):
        raise refuse(f"{shown(value)} is no id of an instance", "use up to 64 letters, digits, dots, _ and -")
    return value


def _issuer(value: str) -> str:
    if not _URI.fullmatch(value):
        raise refuse(
            f"{shown(value)} is no URI", "write one such as https://example.com/retention or urn:example:retention"
        )
    return value


def _origin(value: str) -> str:
    if "://" in value or not _ORIGIN.fullmatch(value):
        remedy = "write a name such as example.com/retention-log: no scheme, no spaces, no +"
        raise refuse(f"{shown(value)} is no origin of a log", remedy)
    return value


def _path(value: object) -> object:
    if isinstance(value, str) and "://" in value:
        raise refuse(f"{shown(value)}: only files and directories are supported yet", "write a path")
    if isinstance(value, str) and value and "\x00" not in value:
        return Path(value)
    raise refuse(f"{shown(value)} is no path", "write a path, relative to the config directory")


def _ledger(value: object) -> object:
    """Take a file, or a database that was read already."""
    if isinstance(value, str) and looks_like_dsn(value):
        raise refuse(
            "a DSN does not stand here, since it may hold a password",
            "put it into a variable and name that: `ledger: {dsn_env: NAME}`, or RETENTIOND_LEDGER__DSN_ENV=NAME",
        )
    return value if isinstance(value, LedgerDatabase) else _path(value)


def _keys(value: object) -> object:
    """Take a directory, or places that were read already."""
    return value if isinstance(value, KeyPlaces) else _path(value)


def _log(value: object) -> object:
    """Take a directory, or a bucket that was read already."""
    return value if isinstance(value, LogBucket) else _path(value)


def _switch(value: object) -> object:
    """Take true and false as words too: the environment has nothing else."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _listen(value: object) -> object:
    """Take an address of this machine, or `none`."""
    if value == "none":
        return ""
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[2]) > _HIGHEST_PORT:
        raise refuse(f"{shown(value)} is no address", "write host:port, such as 127.0.0.1:9464 or [::1]:9464, or none")
    return value


_PathValue = Annotated[Path, BeforeValidator(_path, json_schema_input_type=str)]


class Identifiers(Declared):
    """How long identifiers of removed records are kept, sealed."""

    keep: PeriodValue = Period(days=7)


class Commitments(Declared):
    """How long receipts can be opened: the keys of what they commit to, sealed, and the lists of it."""

    keep: PeriodValue = Period(days=400)


class Events(Declared):
    """How long is kept what events say, once a root over them is in the log."""

    keep: PeriodValue = Period(months=24)


class ServiceSettings(BaseSettings):
    """Settings of one instance; paths are absolute once they are loaded.

    Attributes:
        instance: Names this instance in receipts and signatures.
        issuer_id: A URI that says who answers for the receipts.
        origin: The log's name, a part of its key (C2SP tlog-checkpoint).
        mode: Enforce, or observe: plan, count, report, and never act.
        stop_file: Nothing is changed in any store while it exists.
        single_operator: Whether plans are approved without a second person.
        plan_expires: How long a plan may wait before it is carried out.
        clock_ahead: How far the clock may be ahead of the last time that was seen, besides the longest schedule, when
            no store can confirm it.
        ledger: A file of SQLite, or a database of PostgreSQL.
        keys: A directory, or that and keys of KMS.
        log: The directory, or the bucket, in which the log is published.
        listen: Where the daemon answers to health checks and monitoring, as `host:port`; empty for nowhere.
    """

    # What was given may be a DSN in the wrong place, and causes are shown with --debug.
    model_config = SettingsConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=False, hide_input_in_errors=True
    )

    instance: Annotated[str, AfterValidator(_instance)]
    issuer_id: Annotated[str, AfterValidator(_issuer)]
    origin: Annotated[str, AfterValidator(_origin)]
    mode: Literal["enforce", "observe"] = "enforce"
    stop_file: _PathValue = Path("STOP")
    single_operator: Annotated[bool, BeforeValidator(_switch, json_schema_input_type=bool)] = False
    identifiers: Identifiers = Identifiers()
    commitments: Commitments = Commitments()
    events: Events = Events()
    plan_expires: PeriodValue = Period(days=1)
    clock_ahead: FixedPeriod = Period(days=1)
    ledger: Annotated[Path | LedgerDatabase, BeforeValidator(_ledger, json_schema_input_type=str | LedgerModel)] = Path(
        "ledger.db"
    )
    log: Annotated[Path | LogBucket, BeforeValidator(_log, json_schema_input_type=str | LogModel)] = Path("log")
    receipts: _PathValue = Path("receipts")
    keys: Annotated[Path | KeyPlaces, BeforeValidator(_keys, json_schema_input_type=str | KeysModel)] = Path("keys")
    journal: _PathValue = Path("journal")
    listen: Annotated[str, BeforeValidator(_listen, json_schema_input_type=str)] = "127.0.0.1:9464"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the base's signature
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load_service` has read from the file and from the environment, and nothing else."""
        return tuple(InitSettingsSource(settings_cls, dict(each)) for each in _SOURCES_READ.get())


_KEY_VARIABLES = frozenset(f"{KEY_VARIABLE}{kind}" for kind in ("ISSUER", "LOG", "WRAPPING", "REPLAY"))
_SOURCES = frozenset(("dsn_env", "dsn_file"))
_PATHS = ("stop_file", "ledger", "log", "receipts", "keys", "journal")


def load_service(config_dir: Path, environ: Mapping[str, str]) -> ServiceSettings:
    """Read the service's settings.

    Args:
        config_dir: The directory that holds retentiond.yaml; paths in it are relative to this directory.
        environ: The environment; `RETENTIOND_…` wins over the file, nested names are joined by `__`.

    Raises:
        ConfigError: The file or a variable is wrong; `where` names the place or the variable.
    """
    document = read_document(config_dir / FILE)
    given = _from_environment(document, environ)
    raise_first(document, blanks(document))
    ledger, log = _read_ledger(document, given, config_dir, environ), _read_log(document, given)
    places = (("ledger", ledger), ("log", log), ("keys", _read_keys(document, given)))
    read = {name: place for name, place in places if place is not None}
    sources = _SOURCES_READ.set([read, given, document.root])
    try:
        found = ServiceSettings()
    except ValidationError as error:
        raise _error(document, given, error) from error
    finally:
        _SOURCES_READ.reset(sources)
    base = config_dir.absolute()
    paths = {name: getattr(found, name) for name in _PATHS}
    whole = {name: base / path for name, path in paths.items() if isinstance(path, Path)}
    return found.model_copy(update=whole | {"keys": _absolute(base, found.keys)})


def _absolute(base: Path, keys: Path | KeyPlaces) -> Path | KeyPlaces:
    return base / keys if isinstance(keys, Path) else replace(keys, directory=base / keys.directory)


def _read_keys(document: Document, given: Mapping[str, Any]) -> KeyPlaces | None:
    """Return where the keys are; None where that is a directory alone. A variable wins over the file's field."""
    written, set_there = document.root.get("keys"), given.get("keys")
    if isinstance(set_there, str) or not (isinstance(set_there, dict) or isinstance(written, dict)):
        return None
    merged: dict[str, Any] = dict(written) if isinstance(written, dict) else {}
    if isinstance(written, str):
        merged["directory"] = written
    if isinstance(set_there, dict):
        merged |= set_there
    problems: list[Problem] = []
    model = validated(KeysModel, merged, ("keys",), problems)
    if model is None:
        raise _first(document, given, problems)
    return model.places()


def _read_ledger(
    document: Document, given: Mapping[str, Any], base: Path, environ: Mapping[str, str]
) -> LedgerDatabase | None:
    """Return the ledger's database; None where it is a file. A variable wins over the file's field of its name."""
    written, set_there = document.root.get("ledger"), given.get("ledger")
    if isinstance(set_there, str) or not (isinstance(set_there, dict) or isinstance(written, dict)):
        return None
    merged: dict[str, Any] = dict(written) if isinstance(written, dict) else {}
    if isinstance(set_there, dict):
        if set_there.keys() & _SOURCES:
            merged = {name: value for name, value in merged.items() if name not in _SOURCES}
        merged |= set_there
    problems: list[Problem] = []
    database = read_ledger(merged, base, environ, problems)
    if problems:
        raise _first(document, given, problems)
    return database


def _read_log(document: Document, given: Mapping[str, Any]) -> LogBucket | None:
    """Return the log's bucket; None where it is a directory. A variable wins over the file's field of its name."""
    written, set_there = document.root.get("log"), given.get("log")
    place: Any = written if set_there is None else set_there
    if isinstance(set_there, dict):
        place = {**(written if isinstance(written, dict) else {"url": written} if written else {}), **set_there}
    if not (isinstance(place, dict) or (isinstance(place, str) and place.startswith(SCHEME))):
        return None
    problems: list[Problem] = []
    bucket = read_log_place(place, problems)
    if problems:
        raise _first(document, given, problems)
    return bucket


def _from_environment(document: Document, environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the environment sets, nested as the file nests it."""
    names = {_variable(trail): trail for trail in _trails()}
    written = document.root.get("ledger")
    named = written.get("dsn_env") if isinstance(written, dict) else None
    holds_dsn = environ.get(_variable(("ledger", "dsn_env")), named)  # it may be called RETENTIOND_… too
    given: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable == CONFIG_DIRECTORY or variable in _KEY_VARIABLES:
            continue
        if variable == holds_dsn:
            continue
        if variable not in names:
            remedy = alternatives(variable, names, "variables")
            raise ConfigError(f"no setting is called {variable}", where=variable, remedy=remedy)
        *outer, last = names[variable]
        if outer and _variable(tuple(outer)) in environ:
            raise ConfigError(
                f"{variable} contradicts {_variable(tuple(outer))}",
                where=variable,
                remedy="set one, and unset the other",
            )
        inner = given
        for name in outer:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return given


def _trails() -> list[tuple[str, ...]]:
    nested: dict[str, type[BaseModel]] = {
        "identifiers": Identifiers,
        "commitments": Commitments,
        "events": Events,
        "ledger": LedgerModel,
        "log": LogModel,
        "keys": KeysModel,
    }
    fields = [
        (name, *inner)
        for name in ServiceSettings.model_fields
        for inner in (_fields_of(nested[name]) if name in nested else [()])
    ]
    return [*fields, ("ledger",), ("log",), ("keys",)]


def _fields_of(model: type[BaseModel]) -> list[tuple[str, ...]]:
    return [(field.alias or name,) for name, field in model.model_fields.items()]


def _variable(trail: Trail) -> str:
    return PREFIX + NESTED.join(str(part).upper() for part in trail)


def _error(document: Document, given: Mapping[str, Any], error: ValidationError) -> ConfigError:
    return _first(document, given, problems_of(ServiceSettings, error, ()))


def _first(document: Document, given: Mapping[str, Any], problems: list[Problem]) -> ConfigError:
    for problem in problems:
        if _stands_in(given, problem.path):
            return ConfigError(problem.what, where=_variable(problem.path), remedy=problem.remedy)
    return first_error(document, problems)


def _stands_in(given: Mapping[str, Any], path: Trail) -> bool:
    inner: Any = given
    for part in path:
        if not isinstance(inner, dict) or part not in inner:
            return False
        inner = inner[part]
    return bool(path)
