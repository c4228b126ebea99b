"""The story: what an operator, a customer and an auditor do, with the program's own commands on sample data."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import resources
from pathlib import Path

from moto.server import ThreadedMotoServer
from rich.console import Console

from retentiond.bootstrap import initialise
from retentiond.clock import SystemClock
from retentiond.demo import sample
from retentiond.errors import Exit, RetentiondError, UsageError


def tell(directory: Path | None, console: Console) -> None:
    """Tell the whole story, in a directory that is left or in a temporary one.

    Raises:
        RetentiondError: A command did not end as the story says; the story is then not true.
    """
    if directory is not None and directory.exists() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty", where="--dir", remedy="name a directory that is not there yet")
    place = tempfile.TemporaryDirectory(prefix="retentiond-demo-") if directory is None else nullcontext(str(directory))
    with place as name, _bucket_server() as environment:
        _Story(Path(name).resolve(), console, environment).tell()
    if directory is not None:
        console.print(f"\nEverything is left in {directory}.", markup=False)


@contextmanager
def _bucket_server() -> Iterator[dict[str, str]]:
    """Serve a bucket on loopback, and give the environment in which programs find it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    own = {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",  # the local server takes anything
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield {**os.environ}
    finally:
        server.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Story:
    """The chapters, in order."""

    def __init__(self, directory: Path, console: Console, environment: dict[str, str]) -> None:
        self._directory = directory
        self._console = console
        self._environment = environment
        self._config = directory / "config"
        self._ssh_key = directory / "ssh" / "operator"

    def tell(self) -> None:
        self._set_up()
        self._look()
        self._enforce()
        self._leave()
        self._verify()

    def _set_up(self) -> None:
        self._title("1. An API provider's data: sixty days of requests")
        made = sample.fill(self._directory / "data", self._environment["AWS_ENDPOINT_URL_S3"], SystemClock().now())
        self._say(
            f"{made.requests:,} requests and {made.feedback} ratings in an SQLite database, {made.payloads} payloads "
            f"in a versioned bucket, {made.exports} export files, of {len(sample.ACCOUNTS)} accounts."
        )
        initialise(self._config, state="..")
        for name in ("datamap.yaml", "policies.yaml"):
            text = resources.files("retentiond.demo").joinpath("config", name).read_text(encoding="utf-8")
            (self._config / name).write_text(text, encoding="utf-8")
        self._make_operator()
        self._say("The promise: requests 30 days, zero retention for one account, flagged content two years.")

    def _make_operator(self) -> None:
        """Make an SSH key for the operator who approves."""
        self._ssh_key.parent.mkdir(mode=0o700)
        command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", str(self._ssh_key))
        try:
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError as error:
            raise UsageError(
                "ssh-keygen is not installed", remedy="install OpenSSH's client (openssh-client)"
            ) from error
        public = self._ssh_key.with_suffix(".pub").read_text(encoding="ascii").split()
        (self._config / "approvers").write_text(f"operator {public[0]} {public[1]}\n", encoding="ascii")

    def _look(self) -> None:
        self._title("2. Look before anything goes")
        self._run("check", expect=Exit.DONE)
        self._say("What would go, and what is kept? A first run of a new policy always waits for a person.")
        self._run("plan", "-o", str(self._directory / "plan.json"), expect=Exit.STOPPED)
        self._say("Why is this record where it is?")
        self._run("explain", "requests", "req-00001", expect=Exit.DONE)

    def _enforce(self) -> None:
        self._title("3. A hold comes in, then the plan is approved and carried out")
        self._run(*self._signed("hold", "add", "--account", sample.HELD, "--matter", "Case-17"), expect=Exit.DONE)
        self._run(*self._signed("approve", str(self._directory / "plan.json")), expect=Exit.DONE)
        self._say("Rows past 23 days are hidden, rows hidden for 5 days go for good, their payloads before them.")
        self._run("apply", str(self._directory / "plan.json"), expect=Exit.DONE)
        self._say("The hold won: what Case-17 names was due and is still there.")
        self._run("run", expect=Exit.HELD)

    def _leave(self) -> None:
        self._title("4. An account leaves")
        reason = ("--reason", "contract ended")
        self._run(*self._signed("account", "close", sample.LEAVING, *reason), expect=Exit.DONE)
        self._run("receipt", "list", expect=Exit.DONE)
        self._run("status", expect=Exit.DONE)

    def _verify(self) -> None:
        self._title("5. An auditor, who trusts neither, verifies the receipts offline")
        keys = ("--key", str(self._directory / "keys/issuer.pem"), "--key", str(self._directory / "keys/log.vkey"))
        bundles = sorted((self._directory / "receipts").glob("*.bundle.json"))
        for bundle in bundles:
            log = ("--log", str(self._directory / "log"))
            self._run("receipt", "verify", str(bundle), *keys, *log, expect=Exit.DONE)
        self._title("6. A forged copy is refused")
        forged = self._directory / "forged.json"
        _forge(bundles[0], forged)
        self._say("Somebody raises the number of purged records by a thousand and keeps the signature:")
        self._run("receipt", "verify", str(forged), *keys, expect=Exit.FAILED)
        self._say(f"\n{len(bundles)} receipts verified, 1 forgery refused.")

    def _signed(self, *arguments: str) -> tuple[str, ...]:
        return (*arguments, "--ssh-key", str(self._ssh_key))

    def _run(self, *arguments: str, expect: Exit) -> None:
        """Run a command as its user would, show it and what it says, and insist that it ends as the story tells."""
        shown = " ".join(argument.replace(f"{self._directory}/", "") for argument in arguments)
        self._console.print(f"\n$ retentiond {shown}", style="bold cyan", markup=False)
        command = (sys.executable, "-m", "retentiond", "--config", str(self._config), *arguments)
        ended = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        text = (ended.stdout + ended.stderr).replace(f"{self._directory}/", "").rstrip()
        self._console.print(text, markup=False)
        if ended.returncode != expect:
            raise RetentiondError(
                f"`retentiond {shown}` ended with {ended.returncode}, not {int(expect)}",
                remedy="run the demo again with --dir DIR and look at what it leaves",
            )
        if expect is not Exit.DONE:
            self._console.print(f"(exit code {ended.returncode}: {_MEANING[expect]})", style="dim")

    def _title(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)


_MEANING = {
    Exit.FAILED: "refused",
    Exit.STOPPED: "needs approval",
    Exit.HELD: "all that is due is held",
}


def _forge(bundle: Path, target: Path) -> None:
    """Write a copy of a bundle whose annex says that more was purged."""
    document = json.loads(bundle.read_text(encoding="utf-8"))
    annex = json.loads(base64.b64decode(document["annex"]))
    annex["parts"][0]["outcomes"]["purged"] += 1000
    raw = json.dumps(annex, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    document["annex"] = base64.b64encode(raw).decode("ascii")
    target.write_text(json.dumps(document), encoding="utf-8")
