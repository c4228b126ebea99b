from __future__ import annotations

from pathlib import Path

import pytest

from retentiond.errors import ConfigError
from retentiond.settings import LogBucket, load_service

LEAST = "instance: prod-1\nissuer_id: https://example.com/r\norigin: example.com/log\n"


def load(directory: Path, log: str, **environ: str) -> object:
    (directory / "retentiond.yaml").write_text(f"{LEAST}log: {log}\n", encoding="utf-8")
    return load_service(directory, environ).log


@pytest.mark.parametrize(
    ("log", "bucket"),
    [
        ("s3://my-log", LogBucket("my-log")),
        ("s3://my-log/", LogBucket("my-log")),
        ("s3://my-log/a/b.c/", LogBucket("my-log", "a/b.c/")),
        ("{url: s3://my-log/a}", LogBucket("my-log", "a/")),
        (
            "{url: s3://my-log/a, region: eu-central-1, endpoint: 'http://127.0.0.1:9000', path_style: true}",
            LogBucket("my-log", "a/", "eu-central-1", "http://127.0.0.1:9000", path_style=True),
        ),
    ],
)
def test_a_bucket_is_named_by_its_url_alone_or_with_how_it_is_reached(tmp_path: Path, log: str, bucket: object) -> None:
    assert load(tmp_path, log) == bucket


def test_the_environment_wins_field_by_field(tmp_path: Path) -> None:
    environ = {"RETENTIOND_LOG__REGION": "us-east-1", "RETENTIOND_LOG__PATH_STYLE": "true"}
    assert load(tmp_path, "s3://my-log/a", **environ) == LogBucket("my-log", "a/", "us-east-1", None, path_style=True)
    assert load(tmp_path, "{url: s3://my-log, region: here}", **environ) == LogBucket(
        "my-log", "", "us-east-1", None, path_style=True
    )
    assert load(tmp_path, "s3://my-log/a", RETENTIOND_LOG="elsewhere") == tmp_path / "elsewhere"
    assert load(tmp_path, "here", RETENTIOND_LOG="s3://my-log") == LogBucket("my-log")


@pytest.mark.parametrize(
    ("log", "place", "what"),
    [
        ("s3://", "4:6", "no place in a bucket"),
        ("s3://b", "4:6", "no place in a bucket"),
        ("s3://my-log/a//b", "4:6", "no place in a bucket"),
        ("s3://my-log/../x", "4:6", "no place in a bucket"),
        ("s3://my-log/a?x", "4:6", "no place in a bucket"),
        ("{url: my-log}", "4:12", "no place in a bucket"),
        ("{region: eu-central-1}", "4:6", "url"),
        ("{url: s3://my-log, bucket: other}", "4:", "bucket"),
        ("{url: s3://my-log, region: 'x y'}", "4:", "no region"),
        ("{url: s3://my-log, endpoint: 'ftp://x'}", "4:", "no. the address|not the address"),
        ("gs://my-log", "4:6", "only files and directories"),
    ],
)
def test_what_names_no_bucket_is_refused_with_its_place(tmp_path: Path, log: str, place: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        load(tmp_path, log)
    assert f"retentiond.yaml:{place}" in caught.value.where
    assert caught.value.remedy
