"""What an S3 server refuses or fails to do, in words for an operator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name for it
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError
from urllib3.exceptions import SSLError as UntrustedError

from retentiond.connectors.s3.answers import Malformed
from retentiond.connectors.s3.wire import Again
from retentiond.errors import ConnectorError

_SERVER_ERROR = 500
TRANSIENT_CODES = frozenset(
    {
        "InternalError",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)
# What servers answer to a request as a whole when they cannot read one of its keys.
MALFORMED_CODES = frozenset({"400", "InvalidArgument", "InvalidRequest", "KeyTooLongError", "MalformedXML"})
_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    ProfileNotFound,
)


_PASSING = (Again, ConnectionError, HTTPClientError, HTTPError, Malformed, ResponseParserError)


class _Meaning(NamedTuple):
    what: str
    remedy: str


_NO_BUCKET = _Meaning("the bucket does not exist", "create it, or correct `bucket`, `region` and `endpoint`")
_REGION = _Meaning("the bucket is in another region", "write its region as `region` of the store")
_EXPIRED = _Meaning("the credentials have expired", "renew them, and check that the platform refreshes them")
_UNKNOWN_KEY = _Meaning("the credentials are not known to the server", "check what the platform hands out")
_MEANINGS = {
    "404": _NO_BUCKET,
    "NoSuchBucket": _NO_BUCKET,
    "301": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "PermanentRedirect": _REGION,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidToken": _UNKNOWN_KEY,
    "SignatureDoesNotMatch": _UNKNOWN_KEY,
    "RequestTimeTooSkewed": _Meaning("this machine's clock differs from the server's", "set the clock right"),
}
DENIED_CODES = frozenset({"403", "AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden"})


def statement(action: str, bucket: str, prefix: str | None = None) -> str:
    """Return the IAM statement that allows an action on a bucket, or on the objects below a prefix of it."""
    objects = "" if prefix is None else f"/{prefix}*"
    return json.dumps({"Effect": "Allow", "Action": action, "Resource": f"arn:aws:s3:::{bucket}{objects}"})


@contextmanager
def told(bucket: str, doing: str, action: str, prefix: str | None = None) -> Iterator[None]:
    """Turn what the client library raises into a ConnectorError.

    Args:
        doing: What is being done, such as `list versions`.
        action: The IAM action that it needs.
        prefix: Where the action is about objects, what their keys begin with.
    """
    try:
        yield
    except (BotoCoreError, ClientError, HTTPError, Malformed, ResponseParserError) as error:
        raise _explained(error, bucket, doing, statement(action, bucket, prefix)) from error


def code_of(error: BaseException | None) -> str:
    """Return the code of what a server answered; empty for anything else."""
    return str(error.response.get("Error", {}).get("Code") or "") if isinstance(error, ClientError) else ""


def _explained(error: Exception, bucket: str, doing: str, allowed: str) -> ConnectorError:
    where = f"s3://{bucket}"
    if isinstance(error, ClientError):
        return _answered(error, where, doing, allowed)
    if isinstance(error, _CREDENTIALS):
        return ConnectorError(
            f"cannot {doing}: no usable credentials ({error})",
            where=where,
            remedy="give this process credentials by its environment, profile or role; the data map holds none",
        )
    if isinstance(error, (SSLError, UntrustedError)):
        return ConnectorError(
            f"cannot {doing}: no trusted connection ({error})",
            where=where,
            remedy="check `endpoint`, and name the server's certificate authority in AWS_CA_BUNDLE",
        )
    return ConnectorError(
        f"cannot {doing}: {error}",
        where=where,
        remedy="check the network and `endpoint`, then run again",
        transient=isinstance(error, _PASSING),
    )


def _answered(error: ClientError, where: str, doing: str, allowed: str) -> ConnectorError:
    code = code_of(error) or "no code"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in DENIED_CODES:
        return ConnectorError(
            f"cannot {doing}: access denied ({code})",
            where=where,
            remedy=f"let nothing deny it, and grant {allowed}",
        )
    if code in TRANSIENT_CODES or status >= _SERVER_ERROR:
        remedy = "run again later; if it stays so, see the server's own log"
        return ConnectorError(f"cannot {doing}: the server answered {code}", where=where, remedy=remedy, transient=True)
    meaning = _MEANINGS.get(code)
    if meaning is not None:
        region = str(error.response.get("Error", {}).get("Region") or "")
        remedy = f"write `region: {region}` in the store" if meaning is _REGION and region else meaning.remedy
        return ConnectorError(f"cannot {doing}: {meaning.what} ({code})", where=where, remedy=remedy)
    message = error.response.get("Error", {}).get("Message") or "no message"
    return ConnectorError(
        f"cannot {doing}: the server answered {code}, {message}",
        where=where,
        remedy="check `bucket`, `region`, `endpoint` and the credentials",
    )
