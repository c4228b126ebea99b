"""Where the log is published: `log: DIR`, `log: s3://bucket/prefix`, or `{url: s3://…, region: …, endpoint: …}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from retentiond.settings.problems import Problem, refuse, shown, validated
from retentiond.settings.values import Declared

SCHEME = "s3://"
_URL = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9])(?:/([A-Za-z0-9._/-]*))?", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_ENDPOINT = re.compile(r"https?://[^\s/@?#]+/?", re.ASCII)
_PARTS = ("", ".", "..")


@dataclass(frozen=True, slots=True)
class LogBucket:
    """A bucket in which the log is published.

    Attributes:
        prefix: What all keys begin with; empty, or ending in a slash.
        region, endpoint: None for what the platform says.
        path_style: None for whichever fits.
    """

    bucket: str
    prefix: str = ""
    region: str | None = None
    endpoint: str | None = None
    path_style: bool | None = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"


def _url(value: str) -> str:
    found = _URL.fullmatch(value)
    path = found[2] if found else None
    if found is None or (path and any(part in _PARTS for part in path.rstrip("/").split("/"))):
        raise refuse(f"{shown(value)} is no place in a bucket", "write it like s3://bucket/prefix")
    return value


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise refuse(f"{shown(value)} is no region", "write one such as eu-central-1")
    return value


def _endpoint(value: str) -> str:
    if not _ENDPOINT.fullmatch(value):
        raise refuse(f"{shown(value)} is not the address of an S3 server", "write https://HOST or http://HOST:PORT")
    return value


def _switch(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


class LogModel(Declared):
    """A log in a bucket, as operators write it."""

    url: Annotated[str, AfterValidator(_url)]
    region: Annotated[str, AfterValidator(_region)] | None = None
    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = None
    path_style: Annotated[bool, BeforeValidator(_switch, json_schema_input_type=bool)] | None = None


def read_log_place(value: object, problems: list[Problem]) -> LogBucket | None:
    """Return the bucket that is named; None after adding what is wrong to the problems.

    Args:
        value: An `s3://` URL, or a mapping.
    """
    found: list[Problem] = []
    is_url = isinstance(value, str)
    model = validated(LogModel, {"url": value} if is_url else value, ("log",), found)
    problems.extend(Problem(("log",), each.what, each.remedy) if is_url else each for each in found)
    if model is None:
        return None
    bucket, _, prefix = model.url.removeprefix(SCHEME).partition("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
    return LogBucket(bucket, prefix, model.region, model.endpoint, model.path_style)
