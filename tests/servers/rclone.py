"""`rclone serve s3`: an S3 server without versions over a directory; it honours no conditions."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

BUCKET = "api-payloads"
_PROGRAM = Path(sys.executable).parent / "rclone"


@dataclass(frozen=True)
class Rclone:
    """A running server, and the directory that is its bucket: what tests fill and count without requests."""

    url: str
    root: Path

    def put(self, key: str, age: timedelta = timedelta(0), body: bytes = b"{}") -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        at = time.time() - age.total_seconds()  # noqa: TID251 - the server's clock is the machine's
        os.utime(path, (at, at))

    def named(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}


@contextmanager
def rclone_server(directory: Path) -> Iterator[Rclone]:
    root = directory / BUCKET
    root.mkdir(parents=True)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [_PROGRAM, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", "test,test",
               "--dir-cache-time", "0s", "--config", os.devnull, directory]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await(port, process)
            yield Rclone(f"http://127.0.0.1:{port}", root)
        finally:
            process.terminate()
            process.wait(30)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "rclone did not start"
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("rclone does not answer")
