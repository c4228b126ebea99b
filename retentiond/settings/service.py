"""Service settings: retentiond.yaml, and the environment, which wins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from retentiond.domain.period import Period
from retentiond.errors import ConfigError
from retentiond.settings.document import Document, Trail, read_document
from retentiond.settings.problems import (
    alternatives,
    blanks,
    first_error,
    problems_of,
    raise_first,
    refuse,
    shown,
)
from retentiond.settings.values import Declared, PeriodValue

FILE = "retentiond.yaml"
PREFIX = "RETENTIOND_"
NESTED = "__"
CONFIG_DIRECTORY = "RETENTIOND_CONFIG"

_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", re.ASCII)
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


def _switch(value: object) -> object:
    """Take true and false as words too: the environment has nothing else."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


_PathValue = Annotated[Path, BeforeValidator(_path, json_schema_input_type=str)]


class Identifiers(Declared):
    """How long identifiers of removed records are kept, sealed."""

    keep: PeriodValue = Period(days=7)


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
    """

    model_config = SettingsConfigDict(extra="forbid", strict=True, frozen=True, validate_default=False)

    instance: Annotated[str, AfterValidator(_instance)]
    issuer_id: Annotated[str, AfterValidator(_issuer)]
    origin: Annotated[str, AfterValidator(_origin)]
    mode: Literal["enforce", "observe"] = "enforce"
    stop_file: _PathValue = Path("STOP")
    single_operator: Annotated[bool, BeforeValidator(_switch, json_schema_input_type=bool)] = False
    identifiers: Identifiers = Identifiers()
    plan_expires: PeriodValue = Period(days=1)
    ledger: _PathValue = Path("ledger.db")
    log: _PathValue = Path("log")
    receipts: _PathValue = Path("receipts")
    keys: _PathValue = Path("keys")
    journal: _PathValue = Path("journal")


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
    given = _from_environment(environ)
    raise_first(document, blanks(document))

    class Sourced(ServiceSettings):
        """The settings, with this environment and this file as their only sources."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the base's signature
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, dict(each)) for each in (given, document.root))

    try:
        found = Sourced()
    except ValidationError as error:
        raise _error(document, given, error) from error
    base = config_dir.absolute()
    return found.model_copy(update={name: base / getattr(found, name) for name in _PATHS})


def _from_environment(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the environment sets, nested as the file nests it."""
    names = {_variable(trail): trail for trail in _trails()}
    given: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable == CONFIG_DIRECTORY:
            continue
        if variable not in names:
            remedy = alternatives(variable, names, "variables")
            raise ConfigError(f"no setting is called {variable}", where=variable, remedy=remedy)
        *outer, last = names[variable]
        inner = given
        for name in outer:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return given


def _trails() -> list[tuple[str, ...]]:
    nested = {"identifiers": Identifiers}
    return [
        (name, *inner)
        for name in ServiceSettings.model_fields
        for inner in ([(each,) for each in nested[name].model_fields] if name in nested else [()])
    ]


def _variable(trail: Trail) -> str:
    return PREFIX + NESTED.join(str(part).upper() for part in trail)


def _error(document: Document, given: Mapping[str, Any], error: ValidationError) -> ConfigError:
    problems = problems_of(ServiceSettings, error, ())
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
