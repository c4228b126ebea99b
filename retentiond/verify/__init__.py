"""Verifies receipts offline, with the standard library and `cryptography` alone.

It shares no code with what writes receipts, and imports nothing else of the program: it can be read, checked and
carried away by itself (`retentiond.verify.pyz` builds it into one file).
"""

from __future__ import annotations

from .command import build_page, verify_files
from .errors import UsageError
from .verdict import Verdict
from .verifier import Verifier, verify

__all__ = ["UsageError", "Verdict", "Verifier", "build_page", "verify", "verify_files"]
