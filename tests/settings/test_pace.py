"""The pace of a store: how it is written, what is wrong with it and where, and that nobody has to approve it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time, timedelta

import pytest

from retentiond.domain.dataset import DataMap
from retentiond.domain.pace import OffPeak, Pace
from retentiond.errors import ConfigError, Exit

from .samples import DATAMAP

BUCKET = "  bucket: {kind: s3, bucket: payloads}\n"


def paced(pace: str) -> str:
    return DATAMAP.replace(BUCKET, BUCKET.replace("payloads}", f"payloads, pace: {pace}}}"))


@pytest.mark.parametrize(
    ("written", "pace"),
    [
        ('{rate: "2000 per second"}', Pace(2000.0)),
        ('{rate: "30_000 per minute"}', Pace(500.0)),
        ('{rate: "1800 per hour"}', Pace(0.5)),
        ("{replica_lag: 30 seconds}", Pace(replica_lag=timedelta(seconds=30))),
        (
            '{off_peak: {from: "22:00", to: "06:00", zone: Europe/Berlin}}',
            Pace(off_peak=OffPeak(time(22), time(6), "Europe/Berlin")),
        ),
        ('{off_peak: {from: "01:05", to: "23:59"}}', Pace(off_peak=OffPeak(time(1, 5), time(23, 59)))),
        ("{}", Pace()),
    ],
)
def test_a_pace_is_read(datamap_of: Callable[..., DataMap], written: str, pace: Pace) -> None:
    assert datamap_of(paced(written)).stores["bucket"].pace == pace


def test_without_a_pace_a_store_is_worked_on_at_any(datamap_of: Callable[..., DataMap]) -> None:
    assert {each.pace for each in datamap_of(DATAMAP).stores.values()} == {Pace()}


def test_nobody_approves_a_pace(datamap_of: Callable[..., DataMap]) -> None:
    before = {each.name: each.sha256 for each in datamap_of(DATAMAP).datasets.values()}
    after = datamap_of(paced('{rate: "1 per hour", off_peak: {from: "00:00", to: "00:01"}}'))
    assert {each.name: each.sha256 for each in after.datasets.values()} == before


@pytest.mark.parametrize(
    ("written", "what", "remedy"),
    [
        ("{rate: ▸2000}", "2000 is no rate", '"2000 per second"'),
        ('{rate: ▸"2000/s"}', "is no rate", '"2000 per second"'),
        ('{rate: ▸"0 per second"}', "no rate that a store could keep", '"2000 per second"'),
        ('{rate: ▸"-1 per second"}', "is no rate", '"2000 per second"'),
        ('{rate: ▸"2000 per fortnight"}', "is no rate", '"2000 per second"'),
        ('{rate: ▸"99999999999 per second"}', "no rate that a store could keep", '"2000 per second"'),
        ('{rate: ▸"٣ per second"}', "is no rate", '"2000 per second"'),
        ("{rate: ▸[1]}", "is no rate", '"2000 per second"'),
        ("{replica_lag: ▸30}", "30 has no unit", "'30 days'"),
        ("{replica_lag: ▸2 months}", "has no fixed length", "weeks, days, hours"),
        ("{replica_lag: ▸2 days}", "no limit for a replica", "30 seconds"),
        ('{off_peak: ▸{from: "22:00", to: "22:00"}}', "has no length", "two different times"),
        ('{off_peak: {from: ▸"24:00", to: "06:00"}}', "no time of day", '"22:00"'),
        ('{off_peak: {from: "22:00", to: ▸"6:00"}}', "no time of day", '"22:00"'),
        ('{off_peak: {from: "22:00", to: ▸1320}}', "no time of day", '"22:00"'),
        ('{off_peak: {from: "22:00", to: ▸"06:00\\n"}}', "no time of day", '"22:00"'),
        ('{off_peak: {from: "22:00", to: "06:00", zone: ▸Europe/Berlinn}}', "no time zone", "IANA"),
        ('{off_peak: ▸{from: "22:00"}}', "'to' is missing", "add `to"),
        ('{▸slow: "yes"}', "no field 'slow'", "fields here: off_peak, rate, replica_lag"),
        ("▸fast", "is not a mapping", "name: value"),
    ],
)
def test_a_bad_pace_is_an_error_at_its_place(
    datamap_of: Callable[..., DataMap], written: str, what: str, remedy: str
) -> None:
    text = paced(written)
    before = text[: text.index("▸")]
    with pytest.raises(ConfigError) as caught:
        datamap_of(text.replace("▸", ""))
    place = f"datamap.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    assert caught.value.where == place
    assert what in caught.value.what
    assert remedy in caught.value.remedy
    assert caught.value.exit_code is Exit.USAGE
