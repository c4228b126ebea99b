"""The command line: which files are read, and which exit code a verdict has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import UsageError
from .keyring import pin, pin_witnesses
from .report import as_json, as_text, error_as_json, error_as_text
from .strictjson import MAX_BYTES
from .verdict import Verdict
from .verifier import Verifier

_VALID, _INVALID, _USAGE, _INTERRUPTED = 0, 1, 2, 130
_MAX_KEY_BYTES = 64 * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the receipts that the arguments name (`sys.argv` when None).

    Returns:
        0 when all are valid, 1 when one is not, 2 when the question could not be understood, 130 when interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        text, code = _run(options)
    except UsageError as error:
        (sys.stdout if options.json else sys.stderr).write(
            error_as_json(error) if options.json else error_as_text(error)
        )
        return _USAGE
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was changed\n")
        return _INTERRUPTED
    sys.stdout.write(text)
    return code


def verify_files(
    files: Sequence[str],
    keys: Sequence[str],
    *,
    log: str | None = None,
    history: str | None = None,
    witnesses: Sequence[str] = (),
) -> list[tuple[str, Verdict]]:
    """Verify the receipts in these files.

    Args:
        files: the receipts' files.
        keys: the files of the issuer's and the log's key, in any order.
        log: the directory or http(s) URL of the published log.
        history: the file of the issuer's key history.
        witnesses: the files of the witnesses' keys.

    Returns:
        Each file with its verdict, in the order given; `report` renders them.

    Raises:
        UsageError: a file cannot be read; else as `Verifier`, `pin` and `pin_witnesses` raise it.
    """
    pinned = pin([_read(name, _MAX_KEY_BYTES) for name in keys])
    cosigners = pin_witnesses([_read(name, _MAX_KEY_BYTES) for name in witnesses])
    listed = None if history is None else _read(history, MAX_BYTES)
    verifier = Verifier(pinned, log, listed, cosigners)
    return [(name, verifier.verify(_read(name, MAX_BYTES))) for name in files]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="retentiond-verify",
        description="Verify deletion receipts against keys of your own. Exit code: 0 all valid, 1 one is not, 2 usage.",
    )
    add = parser.add_argument
    add("files", metavar="FILE", nargs="+", help="a receipt bundle")
    add(
        "--key",
        metavar="FILE",
        action="append",
        required=True,
        help="the issuer's PEM and the log's vkey, in any order; those before them, too",
    )
    add("--log", metavar="DIR|URL", help="the published log: was the receipt retracted, is its plan there?")
    add("--history", metavar="FILE", help="the issuer's key history: was the key in force?")
    add("--witness", metavar="FILE", action="append", default=[], help="a witness's vkey; each must have cosigned")
    add("--json", action="store_true", help="one JSON document on stdout")
    return parser


def _run(options: argparse.Namespace) -> tuple[str, int]:
    results = verify_files(
        options.files,
        options.key,
        log=options.log,
        history=options.history,
        witnesses=options.witness,
    )
    text = as_json(results) if options.json else as_text(results)
    return text, _VALID if all(verdict.valid for _, verdict in results) else _INVALID


def _read(name: str, limit: int) -> bytes:
    """Read a file, but never more than one byte over the limit: that is enough to refuse it."""
    try:
        with Path(name).open("rb") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"a file cannot be read: {getattr(error, 'strerror', None) or error}",
            where=name,
            remedy="give the path of a file that you may read",
        ) from error
