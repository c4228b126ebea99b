"""What an operator writes in the data map to reach a bucket; credentials come from the platform's own chain."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

_MOST_STRANDS = 32
_AMAZON_STRANDS = 8
_NEWER = frozenset(("probe", "strands"))
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        message = f"{text!r} is not the address of an S3 server: write it as https://HOST or http://HOST:PORT"
        raise ValueError(message)
    return text


def _prefix(text: str) -> str:
    if not text.endswith("/") or text.startswith("/") or any(part in ("", ".", "..") for part in text[:-1].split("/")):
        message = f"{text!r} is not a prefix of its own: write it like retentiond-probe/"
        raise ValueError(message)
    return text


class S3Options(BaseModel):
    """The options of a store of kind `s3`.

    Attributes:
        bucket: Its name.
        region: Where it is; None for what the platform's configuration says.
        endpoint: An S3 server's URL; None for what the environment says, else Amazon's.
        path_style: Whether the bucket's name stands in the path of a URL instead of its host; None for whichever
            fits: in the path, unless the server is Amazon's.
        probe: What the keys begin with of the objects that `check` may write and remove again, to find out which
            conditions the server honours; None for writing nothing.
        strands: In how many strands a large prefix is listed at once; None for as many as fit: 8 on Amazon's servers,
            and 1 on others, of which it is not known that they roll up names without leaving any out.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    bucket: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$")]
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] | None = None
    endpoint: Annotated[str, AfterValidator(_web_address)] | None = None
    path_style: bool | None = None
    probe: Annotated[str, AfterValidator(_prefix)] | None = None
    strands: Annotated[int, Field(ge=1, le=_MOST_STRANDS)] | None = None

    @model_serializer(mode="wrap")
    def _without_unused(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = plain(self)
        # What is not used is left out, so that the digests of stores that were approved stay as they were.
        return {name: value for name, value in found.items() if name not in _NEWER or value is not None}

    @property
    def addressing(self) -> Literal["path", "virtual", "auto"]:
        """How the client library is to address the bucket."""
        if self.path_style is not None:
            return "path" if self.path_style else "virtual"
        return "path" if self._elsewhere else "auto"

    @property
    def listing_strands(self) -> int:
        """In how many strands a large prefix is listed at once."""
        return self.strands or (1 if self._elsewhere else _AMAZON_STRANDS)

    @property
    def _elsewhere(self) -> bool:
        return bool(self.endpoint or any(os.environ.get(name) for name in _ENDPOINT_VARIABLES))
