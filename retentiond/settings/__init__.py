"""What operators write: service settings, data map, policies, approvers; each error with its place and a remedy."""

from __future__ import annotations

from retentiond.settings.approved import read_canonical
from retentiond.settings.approvers import Approver, ApproversFile, load_approvers, parse_approvers
from retentiond.settings.canonical import list_commitment_input
from retentiond.settings.custodians import read_custodians
from retentiond.settings.datamap import load_datamap
from retentiond.settings.keys import KeyPlaces
from retentiond.settings.ledger import LedgerDatabase
from retentiond.settings.logplace import LogBucket
from retentiond.settings.policies import idle_policies, load_policies, uncovered_classes
from retentiond.settings.schema import json_schema, write_schemas
from retentiond.settings.service import ServiceSettings, load_service
from retentiond.settings.where import read_where

__all__ = [
    "Approver",
    "ApproversFile",
    "KeyPlaces",
    "LedgerDatabase",
    "LogBucket",
    "ServiceSettings",
    "idle_policies",
    "json_schema",
    "list_commitment_input",
    "load_approvers",
    "load_datamap",
    "load_policies",
    "load_service",
    "parse_approvers",
    "read_canonical",
    "read_custodians",
    "read_where",
    "uncovered_classes",
    "write_schemas",
]
