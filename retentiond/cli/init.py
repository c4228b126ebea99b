"""`retentiond init`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from retentiond.bootstrap import Names, initialise, look_and_draft
from retentiond.cli.common import current, shared_options, show
from retentiond.cli.drafted import draft_document, draft_lines
from retentiond.settings.datamap_draft import draft_text

_NEXT = "next: describe your data in datamap.yaml and policies.yaml, then `retentiond check`"


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--instance", help="Names this instance in receipts and signatures.")
@click.option("--issuer-id", help="A URI that says who answers for the receipts.")
@click.option("--origin", help="The log's name, such as logs.example.com/api; part of the log's key, so for good.")
@click.option(
    "--ledger-dsn-env",
    metavar="NAME",
    help="Keep the ledger in PostgreSQL: the environment variable that holds its DSN. Else in a file.",
)
@click.option(
    "--state",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where log, keys, receipts, journal and a ledger in a file go (default: beside the configuration).",
)
@click.option(
    "--from",
    "sources",
    metavar="URL",
    multiple=True,
    help="Look at a live store, read-only, and draft its data map: postgresql://…, sqlite:FILE, s3://BUCKET[/PREFIX], "
    "a file or a directory. More than one may be given.",
)
@click.option("--endpoint", metavar="URL", help="The S3 server of buckets that are looked at.")
@click.option("--region", metavar="NAME", help="The region of buckets that are looked at.")
@shared_options
def init(  # noqa: PLR0913, PLR0917 -- its options
    directory: Path | None,
    instance: str | None,
    issuer_id: str | None,
    origin: str | None,
    ledger_dsn_env: str | None,
    state: Path | None,
    sources: tuple[str, ...],
    endpoint: str | None,
    region: str | None,
) -> None:
    """Write a commented configuration, keys and an empty ledger to DIRECTORY (default: the config directory).

    With --from the data map is drafted: every guess with a question, and never a policy.
    """
    target = directory or current().directory
    names = Names(instance, issuer_id, origin, ledger_dsn_env)
    place = str(state.absolute()) if state else "."
    given = {name: value for name, value in (("endpoint", endpoint), ("region", region)) if value}
    drafted = look_and_draft(sources, given) if sources else None
    text = draft_text(drafted) if drafted else None
    written = initialise(target, state=place, names=names, environ=os.environ, datamap=text)
    document: dict[str, object] = {"directory": str(target), "files": written}
    document |= {"draft": draft_document(drafted)} if drafted else {}
    words = [*written, *(draft_lines(drafted) if drafted else (_NEXT,))]
    show(document, lambda console: console.print("\n".join(words), markup=False))
