"""A daemon in a process of its own, and a service manager that it talks to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

ENOUGH_SECONDS = 60


def await_that(true: Callable[[], object], what: str, seconds: float = ENOUGH_SECONDS) -> Any:
    """Wait until something is true, and return it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not come about: {what}")


@dataclass
class Running:
    """A daemon."""

    config: Path
    log: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "retentiond", "--config", str(self.config), "serve"]
        environ = {**os.environ, "RETENTIOND_LISTEN": "127.0.0.1:0", **self.environ}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        started = await_that(lambda: self.lines("daemon.started") or self.ended(), f"it starts: {self.text()}")
        self.address = started[-1]["listen"]

    def ended(self) -> None:
        assert self.process.poll() is None, self.text()

    def text(self) -> str:
        return self.log.read_text("utf-8")

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return its canonical lines of a kind."""
        found = [json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in found if line["event"] == event]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """End it as a service manager does, and return its exit code."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        return self.process.wait(ENOUGH_SECONDS)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://{self.address}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        (line,) = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(f"retentiond_{name} ")]
        return float(line.rsplit(" ", 1)[1])


class Manager:
    """Whoever starts services, listening to what they say."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "600000"}
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while message := self._socket.recv(4096):
            self.heard += message.decode().splitlines()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.environ["NOTIFY_SOCKET"])
        self._thread.join()
        self._socket.close()
