"""Step 1, `well-formed`: every document that a receipt consists of, read strictly, before anything is believed."""

from __future__ import annotations

from dataclasses import dataclass

from . import formats
from .encoding import from_base64
from .errors import FailedStepError
from .proof import LogProof, read_proof
from .shape import Json, MisshapenError, Place, Shape, Unknown
from .strictjson import NotStrictError, parse


@dataclass(frozen=True, slots=True)
class History:
    """The issuer's published list of its keys: as it came, its envelope, what is signed (`body`), and that parsed."""

    data: bytes
    envelope: Json
    body: bytes
    document: Json


@dataclass(frozen=True, slots=True)
class Receipt:
    """A bundle taken apart. Everything has its shape; nothing is verified yet.

    Attributes:
        bundle: the whole.
        body: the statement's bytes, which are what is signed.
        statement: the statement; `predicate` is its main part.
        proof: the log proof.
        annex_bytes, annex: the annex, None where it is not handed out.
        leaf_bytes, leaf: the account's leaf, None where no account is disclosed.
        unknown: the members that this verifier does not know.
    """

    bundle: Json
    body: bytes
    statement: Json
    proof: LogProof
    annex_bytes: bytes | None
    annex: Json | None
    leaf_bytes: bytes | None
    leaf: Json | None
    unknown: Unknown

    @property
    def predicate(self) -> Json:
        """What the statement says."""
        predicate: Json = self.statement["predicate"]
        return predicate

    @property
    def envelope(self) -> Json:
        """The DSSE envelope around the statement."""
        envelope: Json = self.bundle["dsseEnvelope"]
        return envelope

    @property
    def is_over_runs(self) -> bool:
        """Whether this is a statement over several runs and not the receipt of one."""
        return self.predicate["kind"] in formats.KINDS_OVER_RUNS


def read_receipt(data: bytes) -> Receipt:
    """Read a bundle and all that stands in it.

    Raises:
        FailedStepError: something in it is not well-formed; the message says what and where.
    """
    unknown = Unknown()
    bundle = _document(data, formats.BUNDLE, "bundle", unknown)
    body = from_base64(bundle["dsseEnvelope"]["payload"])
    if len(body) > formats.MAX_STATEMENT_BYTES:
        raise FailedStepError(f"the statement has {len(body)} bytes; it stays below {formats.MAX_STATEMENT_BYTES + 1}")
    statement = _document(body, formats.STATEMENT, "statement", unknown)
    over_runs = statement["predicate"]["kind"] in formats.KINDS_OVER_RUNS
    annex_shape = formats.ANNEX_OVER_RUNS if over_runs else formats.ANNEX_OF_ONE_RUN
    annex_bytes, annex = _enclosed(bundle["annex"], annex_shape, "annex", unknown)
    leaf_text = bundle["account"] and bundle["account"]["leaf"]
    leaf_bytes, leaf = _enclosed(leaf_text, formats.LEAF, "leaf", unknown)
    proof = _proof(bundle["tlogProof"])
    return Receipt(bundle, body, statement, proof, annex_bytes, annex, leaf_bytes, leaf, unknown)


def read_history(data: bytes) -> History:
    """Read a key history; FailedStepError where it is not well-formed. Its signature is not verified here."""
    envelope = _document(data, formats.HISTORY_ENVELOPE, "history", Unknown())
    body = from_base64(envelope["payload"])
    return History(data, envelope, body, _document(body, formats.HISTORY, "history", Unknown()))


def _document(data: bytes, shape: Shape, name: str, unknown: Unknown) -> Json:
    try:
        document: Json = parse(data)
        shape(document, Place(name, unknown))
    except NotStrictError as error:
        raise FailedStepError(f"the {name}: {error}") from error
    except MisshapenError as error:
        raise FailedStepError(str(error)) from error
    return document


def _enclosed(text: str | None, shape: Shape, name: str, unknown: Unknown) -> tuple[bytes | None, Json | None]:
    if text is None:
        return None, None
    data = from_base64(text)
    return data, _document(data, shape, name, unknown)


def _proof(text: str) -> LogProof:
    try:
        return read_proof(text)
    except ValueError as error:
        raise FailedStepError(f"the log proof: {error}") from error
