"""Telling the service manager how the daemon is: the protocol of sd_notify(3), one datagram for each message."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

_MILLION = 1_000_000
_PATIENCE_SECONDS = 1.0


class ServiceManager:
    """Whoever started the daemon, where it wants to hear of it; else nobody.

    Args:
        environ: `NOTIFY_SOCKET` and `WATCHDOG_USEC`, as systemd sets them.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        asked = environ.get("WATCHDOG_USEC", "")
        self._said = ""
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_seconds = int(asked) / _MILLION if asked.isdecimal() and mine else 0.0

    def ready(self) -> None:
        """Say that the daemon is up, or has reloaded."""
        self._tell("READY=1")

    def reloading(self, monotonic: float) -> None:
        """Say that it reloads, since a time of the monotonic clock, in seconds."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic * _MILLION)}")

    def stopping(self) -> None:
        """Say that it ends."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in a line what it does, where that has changed."""
        if text != self._said:
            self._said = text
            self._tell(f"STATUS={text}")

    def alive(self) -> None:
        """Say that it has not got stuck."""
        self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(_PATIENCE_SECONDS)
            try:
                sender.connect(address)
                sender.send(message.encode())
            except OSError:
                return  # nobody listens, or not fast enough: no reason to stop
