"""The bundle: one JSON file with everything that a holder needs to verify a receipt offline (RECEIPTS.md, Bundle)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from retentiond.errors import ReceiptError
from retentiond.evidence.canonical import Json, canonical_json
from retentiond.evidence.commitment import ItemAction
from retentiond.evidence.envelope import Envelope, to_base64

MEDIA_TYPE = "application/vnd.retentiond.receipt-bundle.v1+json"
_DEFECT = "derive the receipt again from the ledger"


@dataclass(frozen=True, slots=True)
class AccountDisclosure:
    """One account's leaf and its place in the accounts tree; with id and salt, also whose it is.

    Raises:
        ReceiptError: Only one of id and salt is given.
    """

    leaf: bytes
    index: int
    path: Sequence[bytes]
    id: str | None = None
    salt: bytes | None = None

    def __post_init__(self) -> None:
        if (self.id is None) != (self.salt is None):
            raise ReceiptError("an account is disclosed by its id and its salt, or not at all", remedy=_DEFECT)

    def to_json(self) -> dict[str, Json]:
        """Return the disclosure as bundles have it."""
        return {
            "id": self.id,
            "salt": None if self.salt is None else self.salt.hex(),
            "leaf": to_base64(self.leaf),
            "index": self.index,
            "path": [node.hex() for node in self.path],
        }


@dataclass(frozen=True, slots=True)
class ItemDisclosure:
    """One item in plain, what was done to it, its salt, and its place in the account's items tree."""

    dataset: str
    key: bytes
    version: bytes
    action: ItemAction
    salt: bytes
    index: int
    path: Sequence[bytes]

    def to_json(self) -> dict[str, Json]:
        """Return the disclosure as bundles have it."""
        return {
            "dataset": self.dataset,
            "key": to_base64(self.key),
            "version": to_base64(self.version),
            "action": self.action.wire,
            "salt": self.salt.hex(),
            "index": self.index,
            "path": [node.hex() for node in self.path],
        }


@dataclass(frozen=True, slots=True)
class Bundle:
    """The parts of a bundle.

    Attributes:
        tlog_proof: Text of the log's proof (c2sp.org/tlog-proof@v1) that the receipt's entry is in it.
        annex: The annex's bytes, for auditors; None for customers.
        items: Items of `account`.
        keys: Verifier keys, for information only: a verifier brings its own.

    Raises:
        ReceiptError: Items are disclosed without their account.
    """

    envelope: Envelope
    tlog_proof: str
    annex: bytes | None = None
    account: AccountDisclosure | None = None
    items: Sequence[ItemDisclosure] = ()
    keys: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.items and self.account is None:
            raise ReceiptError("items are disclosed without their account", remedy=_DEFECT)

    def to_json(self) -> dict[str, Json]:
        """Return the bundle as JSON has it."""
        return {
            "mediaType": MEDIA_TYPE,
            "dsseEnvelope": self.envelope.to_json(),
            "tlogProof": self.tlog_proof,
            "annex": None if self.annex is None else to_base64(self.annex),
            "account": None if self.account is None else self.account.to_json(),
            "items": [item.to_json() for item in self.items],
            "keys": dict(self.keys),
        }

    def encode(self) -> bytes:
        """Return the bundle's bytes, the same for the same parts."""
        return canonical_json(self.to_json())
