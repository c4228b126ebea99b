"""The installed program with its imports behind it: each call is a fork, which spares half a second of processor time.

A call runs the console script itself, in its own process with its own directory, environment and standard streams, and
ends as any process does. Where its environment names a file in PATCHED_BY, that is run in the process before. `Forking`
is the tests' side; the file is run by the interpreter of the installation.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn

PATCHED_BY = "PATCHED_BY"
_LONGEST_REQUEST = 1 << 17
_NEVER_IMPORTED = ("__main__", "migrations")
_COMMAND = """#!{python} -IS
import json, os, socket, sys
argv = ["{script}", *sys.argv[1:]]
if "serve" in argv:
    os.execv(argv[0], argv)
ours, theirs = socket.socketpair()
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as requests:
    requests.connect("{place}")
    request = {{"argv": argv, "cwd": os.getcwd(), "environ": dict(os.environ)}}
    socket.send_fds(requests, [json.dumps(request).encode()], [theirs.fileno(), 0, 1, 2])
theirs.close()
told = ours.makefile("r", encoding="ascii")
told.readline()
ended = int(told.readline())
sys.exit(ended if ended >= 0 else 128 - ended)
"""
_BESIDE = ("boto3.session", "botocore.client", "psycopg", "alembic.command")


@dataclass(frozen=True)
class Forking:
    """A started interpreter that waits for calls.

    Attributes:
        script: The console script that a call runs.
    """

    script: Path
    requests: socket.socket

    def call(
        self, words: Sequence[str], *, cwd: Path, environ: Mapping[str, str], seconds: float
    ) -> tuple[int, bytes, bytes]:
        """Run the script once and return its exit code, or minus the signal that ended it, and what it printed.

        Raises:
            subprocess.TimeoutExpired: It went on for too long, and was killed.
        """
        with TemporaryFile() as out, TemporaryFile() as err:
            ended = self._call(words, cwd, environ, (out, err), seconds)
            out.seek(0)
            err.seek(0)
            return ended, out.read(), err.read()

    def _call(
        self,
        words: Sequence[str],
        cwd: Path,
        environ: Mapping[str, str],
        streams: tuple[IO[bytes], IO[bytes]],
        seconds: float,
    ) -> int:
        request = {"argv": [str(self.script), *words], "cwd": str(cwd), "environ": dict(environ)}
        ours, theirs = socket.socketpair()
        with ours, theirs, Path(os.devnull).open("rb") as nothing:
            fds = [theirs.fileno(), nothing.fileno(), *(stream.fileno() for stream in streams)]
            socket.send_fds(self.requests, [json.dumps(request).encode()], fds)
            theirs.close()
            ours.settimeout(seconds)
            told = ours.makefile("r", encoding="ascii")
            pid = int(told.readline())
            try:
                return int(told.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired([str(self.script), *words], seconds) from None


@contextmanager
def forking(script: Path, wrapper: Sequence[str] = ()) -> Iterator[Forking]:
    """Start the interpreter beside a console script, by way of another program where there is one, and end it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [*wrapper, str(script.parent / "python"), "-I", __file__, str(theirs.fileno())]
    with ours, subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL) as process:
        theirs.close()
        yield Forking(script, ours)
        ours.close()
        process.wait()


@cache
def started_once(script: Path, wrapper: tuple[str, ...] = ()) -> Forking:
    """Start it once for all; it ends with this process."""
    started = forking(script, wrapper)
    atexit.register(started.__exit__, None, None, None)
    return started.__enter__()


def of_this_interpreter() -> Forking:
    """Give the program of this checkout."""
    return started_once(Path(sys.executable).parent / "retentiond")


@contextmanager
def on_the_path(forks: Forking, directory: Path) -> Iterator[Path]:
    """Give a directory, to be first on a shell's PATH, where the program's name stands for forks of it.

    A call that goes on, `serve`, is a process of its own from its beginning.
    """
    command, place = directory / forks.script.name, directory / "requests"
    directory.mkdir(exist_ok=True)
    command.write_text(_COMMAND.format(python=sys.executable, script=forks.script, place=place), "utf-8")
    command.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(place))
        listening.listen()
        relay = threading.Thread(target=_relay, args=(listening, forks.requests))
        relay.start()
        try:
            yield directory
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            relay.join()
            place.unlink()


def _relay(listening: socket.socket, requests: socket.socket) -> None:
    with suppress(OSError):  # it was shut down
        while True:
            asking, _ = listening.accept()
            with asking:
                message, fds, _, _ = socket.recv_fds(asking, _LONGEST_REQUEST, 4)
                socket.send_fds(requests, [message], fds)
                for fd in fds:
                    os.close(fd)


def _serve(requests: socket.socket) -> None:
    """Fork for each request until the tests' end is closed."""
    _import_all()
    gc.collect()
    gc.freeze()
    # The threads only wait for what was forked: nothing that a fork copies is theirs.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    watching: list[threading.Thread] = []
    while True:
        message, fds, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST, 4)
        if not message:
            break
        told, *streams = fds
        pid = os.fork()
        if pid == 0:
            requests.close()
            os.close(told)
            _become(json.loads(message), streams)
        for fd in streams:
            os.close(fd)
        watching = [each for each in watching if each.is_alive()]
        watching.append(threading.Thread(target=_watch, args=(pid, told)))
        watching[-1].start()
    for each in watching:
        each.join()


def _watch(pid: int, told: int) -> None:
    """Tell the id of what was called, and how it ended."""
    with os.fdopen(told, "w", encoding="ascii") as answer, suppress(BrokenPipeError):
        print(pid, file=answer, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=answer, flush=True)


def _become(request: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    for target, fd in enumerate(streams):
        os.dup2(fd, target)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.argv = list(request["argv"])
    patch = os.environ.pop(PATCHED_BY, "")
    try:
        if patch:
            runpy.run_path(patch, run_name=PATCHED_BY)
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, int):
            _end(ended.code)
        raise
    _end(0)


def _end(code: int) -> NoReturn:
    """End as an interpreter does, but for taking its modules apart, which takes longer than most calls."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _import_all() -> None:
    import retentiond  # noqa: PLC0415 - the installation's, which the tests' side never imports

    for found in pkgutil.walk_packages(retentiond.__path__, "retentiond."):
        if not any(part in _NEVER_IMPORTED for part in found.name.split(".")):
            import_module(found.name)
    for name in _BESIDE:
        import_module(name)
    of_s3 = import_module("retentiond.connectors.s3.client").descriptions(None)
    for what in ("service-2", "endpoint-rule-set-1"):
        of_s3.load_service_model("s3", what)
    for what in ("endpoints", "partitions"):
        of_s3.load_data(what)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
