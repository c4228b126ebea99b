"""What IAM would say to each request, by the policies of deploy/aws and the table of Amazon's reference.

Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3": which action allows a request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from tests.connectors.s3.bucket_behind import BUCKET
from tests.readme.pages import ROOT
from tests.servers.versioned import Forward, Reply, Request, error

FOLDER = ROOT / "deploy" / "aws"
_BUCKET = {
    "versions": "ListBucketVersions",
    "uploads": "ListBucketMultipartUploads",
    "versioning": "GetBucketVersioning",
    "object-lock": "GetBucketObjectLockConfiguration",
    "lifecycle": "GetLifecycleConfiguration",
    "replication": "GetReplicationConfiguration",
    "encryption": "GetEncryptionConfiguration",
    "logging": "GetBucketLogging",
    "list-type": "ListBucket",
}
_OBJECT = {"retention": "GetObjectRetention", "legal-hold": "GetObjectLegalHold"}
_WRITTEN = re.compile(r"<Object><Key>(.*?)</Key>(<VersionId>)?", re.DOTALL)

Asked = tuple[str, str]  # action and resource


def asked(request: Request) -> list[Asked]:
    """Return the actions that a request needs, each with what it is done to."""
    bucket = f"arn:aws:s3:::{BUCKET}"
    version = "Version" if "versionId" in request.query else ""
    if request.method == "POST":
        found = _WRITTEN.findall(request.body.decode())
        return [
            (f"s3:DeleteObject{'Version' if versioned else ''}", f"{bucket}/{unescape(key)}")
            for key, versioned in found
        ]
    if not request.key:
        named = (name for name in _BUCKET if name in request.query)
        return [(f"s3:{_BUCKET[next(named)] if request.method == 'GET' else 'ListBucket'}", bucket)]
    return [(f"s3:{_of_object(request, version)}", f"{bucket}/{request.key.decode()}")]


def _of_object(request: Request, version: str) -> str:
    if request.method == "PUT":
        return "PutObject"
    if request.method == "DELETE":
        return "AbortMultipartUpload" if "uploadId" in request.query else f"DeleteObject{version}"
    if "tagging" in request.query:
        return f"GetObject{version}Tagging"
    return next((action for name, action in _OBJECT.items() if name in request.query), f"GetObject{version}")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One action of one statement."""

    policy: str
    sid: str
    action: str
    resource: str

    def covers(self, ask: Asked) -> bool:
        action, resource = ask
        base = self.resource.removesuffix("*")
        same = resource.startswith(base) if base != self.resource else resource == base
        return same and action == self.action


def policy(name: str) -> list[Allowed]:
    """Return what a policy of deploy/aws allows."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_bytes())
    assert document["Version"] == "2012-10-17"
    assert all(set(each) == {"Sid", "Effect", "Action", "Resource"} for each in document["Statement"])
    return [
        Allowed(name, each["Sid"], action, each["Resource"])
        for each in document["Statement"]
        for action in each["Action"]
    ]


@dataclass
class Gate:
    """Lets through what policies allow, and keeps what was asked for."""

    allowed: Sequence[Allowed] = ()
    used: set[Allowed] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)

    def attach(self, policies: Iterable[str], without: Callable[[Allowed], bool] = lambda _each: False) -> None:
        """Let these policies say what is allowed from now on."""
        self.allowed = [each for name in policies for each in policy(name) if not without(each)]

    def __call__(self, request: Request, forward: Forward) -> Reply:
        asks = asked(request)
        granting = [[each for each in self.allowed if each.covers(ask)] for ask in asks]
        refused = {ask[0] for ask, by in zip(asks, granting, strict=True) if not by}
        self.denied |= refused
        if not refused:
            self.used.update(each for by in granting for each in by)
            return forward(request)
        if request.method == "POST":  # answered key by key
            each = "<Error><Key>k</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
            return Reply(200, f"<DeleteResult>{each * len(asks)}</DeleteResult>".encode())
        return Reply(403) if request.method == "HEAD" else error(403, "AccessDenied")
