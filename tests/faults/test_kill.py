"""A run that is killed at random moments goes on where it was, and ends with one receipt that is true."""

from __future__ import annotations

from pathlib import Path

from tests.faults.killing import Killing
from tests.faults.world import Size


def test_a_run_killed_at_random_moments_ends_with_one_true_receipt(tmp_path: Path, moto_s3: str) -> None:
    size = Size(6_000, 3_000, requests=200, files=200, objects=16)
    report = Killing(tmp_path, size, moto_s3, seed=7, told=1).go(8)
    assert report.violations == []
    assert report.kills >= 8
