"""`retentiond audit`."""

from __future__ import annotations

from pathlib import Path

import click

from retentiond.cli.auditing import audit_instance, audit_published, audit_words
from retentiond.cli.common import shared_options, show
from retentiond.errors import Exit, UsageError


@click.command()
@click.option(
    "--log",
    is_flag=False,
    flag_value="",
    metavar="[DIR|URL]",
    help="The log: all of it, against the ledger; or that published copy of it.",
)
@click.option("--key", "keys", multiple=True, help="As an auditor: the issuer's PEM and the log's vkey, in any order.")
@click.argument("receipts", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@shared_options
def audit(log: str | None, keys: tuple[str, ...], receipts: tuple[Path, ...]) -> Exit:
    """Trust nothing, look again. Exits 3 on findings.

    Without --key the instance is audited: its log, and its ledger, journal, receipts and keys against it. With --key
    nothing but the published log is, and the RECEIPTS that are named.
    """
    if log is None:
        raise UsageError("what is to be audited is not said", remedy="retentiond audit --log")
    if not keys and receipts:
        raise UsageError("receipts are named only by who audits from outside", remedy="add --key FILE for both keys")
    found = audit_published(log, keys, receipts) if keys else audit_instance(log)
    show(found.document(), lambda console: audit_words(console, found))
    return Exit.FINDINGS if found.total else Exit.DONE
