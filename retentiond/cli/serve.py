"""`retentiond serve`."""

from __future__ import annotations

import os
import sys

import click

from retentiond.bootstrap.daemon import make_daemon
from retentiond.cli.common import current, shared_options
from retentiond.cli.remote import carry_out
from retentiond.telemetry import configure


@click.command()
@shared_options
def serve() -> None:
    """Be the daemon: run what the schedules make due, until SIGTERM; SIGHUP reads the configuration again."""
    configure(sys.stderr, verbose=True)
    make_daemon(current().directory, os.environ, carry_out).run()
