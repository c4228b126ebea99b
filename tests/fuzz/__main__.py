"""Fuzzes the parsers for a while: `python -m tests.fuzz [--seconds 180] [--target NAME]`.

With atheris, which follows what the code does, where it is installed; else with the mutator of the tests. What is found
is kept in tests/fuzz/found/<target>/: the tests feed it again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

FOUND = Path(__file__).parent / "found"
_SCRIPT = "import sys; from tests.fuzz.guided import fuzz; fuzz(sys.argv.pop(1), sys.argv)"
_MEGABYTES = 2048


def main() -> int:
    options = _parser().parse_args()
    from .targets import TARGETS  # noqa: PLC0415 - for --help it is not needed

    names = options.target or list(TARGETS)
    guided = importlib.util.find_spec("atheris") is not None and not options.blind
    each = max(1, options.seconds // len(names))
    print(f"{len(names)} targets, {each} s each, {'with' if guided else 'without'} feedback of the code", flush=True)
    wrong = [name for name in names if not (_guided if guided else _blind)(name, each, options.seed)]
    print("nothing was found" if not wrong else f"found: {', '.join(wrong)}; see {FOUND}")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the verifier's parsers.")
    parser.add_argument("--seconds", type=int, default=180, help="for all targets together")
    parser.add_argument("--target", action="append", help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blind", action="store_true", help="without atheris, also where it is there")
    return parser


def _guided(name: str, seconds: int, seed: int) -> bool:
    """In a process of its own: libFuzzer ends the one that it runs in."""
    from .targets import TARGETS  # noqa: PLC0415 - as above

    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for number, data in enumerate(TARGETS[name].seeds):
            (Path(scratch) / f"{number:03d}").write_bytes(data)
        limits = [f"-max_total_time={seconds}", f"-seed={seed}", f"-rss_limit_mb={_MEGABYTES}", "-timeout=10"]
        command = [
            sys.executable,
            "-c",
            _SCRIPT,
            name,
            *limits,
            f"-artifact_prefix={found}/",
            "-max_len=20000",
            scratch,
        ]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
    lines = ended.stderr.strip().splitlines()
    print(f"{name:10} {'nothing' if ended.returncode == 0 else 'FOUND':8} {_last_of(lines)}", flush=True)
    if ended.returncode:
        print(ended.stdout[-4000:], ended.stderr[-4000:], sep="\n")
    elif not any(found.iterdir()):
        found.rmdir()
    return ended.returncode == 0


def _last_of(lines: list[str]) -> str:
    return next((line for line in reversed(lines) if line.startswith(("Done", "#"))), "")


def _blind(name: str, seconds: int, seed: int) -> bool:
    from .mutating import mutations  # noqa: PLC0415 - as above
    from .targets import TARGETS  # noqa: PLC0415 - as above

    target, end, count = TARGETS[name], time.monotonic() + seconds, 0
    for data in mutations(target.seeds, Random(seed)):
        if time.monotonic() > end:
            break
        count += 1
        try:
            target(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            file = FOUND / name / hashlib.sha256(data).hexdigest()[:16]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            print(f"{name:10} FOUND    {error!r}: {file}", flush=True)
            return False
    print(f"{name:10} nothing  {count} runs", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
