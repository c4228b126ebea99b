"""Putting the daemon together; apart, since other verbs need nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from retentiond.bootstrap import read_configuration
from retentiond.clock import SystemClock
from retentiond.service import CarryOut, Daemon, Instances, ServiceManager


def make_daemon(directory: Path, environ: Mapping[str, str], carry_out: CarryOut) -> Daemon:
    """Return the daemon of an instance.

    Args:
        carry_out: Carries out what people order.

    Raises:
        ConfigError: The configuration is wrong.
    """
    instances = Instances(lambda: read_configuration(directory, environ), read_configuration(directory, environ))
    return Daemon(instances, SystemClock(), ServiceManager(environ), carry_out)
