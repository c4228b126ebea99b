from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import BaseModel, field_validator

from retentiond.domain.dataset import EARLIEST, BlobLink, ClockFormat, DataMap, Downstream, Ignored, TombstoneTarget
from retentiond.domain.period import Period
from retentiond.errors import ConfigError
from retentiond.settings import load_datamap

from .samples import DATAMAP, OPTIONS, WITH_POSTGRESQL

# The example of the design, word for word, but for comments.
DESIGN = """\
stores:
  requests-db: {kind: postgresql, dsn_env: REQUESTS_DB_DSN, verify_dsn_env: REQUESTS_DB_READER_DSN,
                backups: {keep: 35 days}}
  payloads:    {kind: s3, bucket: api-payloads, region: eu-central-1, backups: none}
datasets:
  requests:
    store: requests-db
    table: public.api_requests
    key: [request_id]
    clock: {column: created_at, earliest: 2023-01-01}
    account: account_id
    class: request-content
    attributes: {flagged: flagged, tier: tier}
    tombstone: {column: deleted_at}
    blobs: {column: payload_key, dataset: payloads}
  payloads:
    store: payloads
    prefix: requests/
    key_pattern: "requests/{account}/{date:%Y/%m/%d}/{request_id}.json.gz"
    class: request-content
    follows: requests
ignore:
  - {store: requests-db, pattern: "public.alembic_version", reason: migrations}
downstream:
  - {what: search index, owner: search-team, expires: 7 days}
unmapped: refuse
"""
Load = Callable[..., DataMap]


def test_the_example_of_the_design_is_read(datamap_of: Load) -> None:
    found = datamap_of(DESIGN, WITH_POSTGRESQL)
    requests, payloads = found.datasets["requests"], found.datasets["payloads"]
    assert (requests.store, requests.store_kind, requests.table) == ("requests-db", "postgresql", "public.api_requests")
    assert (requests.key, requests.plain_owner, requests.data_class) == (
        ("request_id",),
        "account_id",
        "request-content",
    )
    assert (requests.clock.format, requests.clock.column) == (ClockFormat.AUTO, "created_at")
    assert requests.clock.earliest == datetime(2023, 1, 1, tzinfo=UTC)
    assert requests.attributes == {"flagged": "flagged", "tier": "tier"}
    assert requests.tombstone == TombstoneTarget(column="deleted_at")
    assert requests.blobs == BlobLink("payload_key", "payloads")
    assert found.followers("requests") == (payloads,)
    assert payloads.key_pattern == "requests/{account}/{date:%Y/%m/%d}/{request_id}.json.gz"
    assert payloads.clock.format is ClockFormat.MODIFIED, "orphans go by their own clock"
    assert found.stores["requests-db"].options == {
        "dsn_env": "REQUESTS_DB_DSN",
        "verify_dsn_env": "REQUESTS_DB_READER_DSN",
    }
    assert found.stores["requests-db"].backups_keep == Period(days=35)
    assert found.ignore == (Ignored("requests-db", "public.alembic_version", "migrations"),)
    assert found.downstream == (Downstream("search index", "search-team", Period(days=7)),)
    assert found.refuse_unmapped


def test_backups_that_nobody_mentions_are_not_backups_that_there_are_none_of(datamap_of: Load) -> None:
    stores = datamap_of(DATAMAP).stores
    assert (stores["db"].backups_declared, stores["db"].backups_keep) == (True, Period(days=35))
    assert (stores["disk"].backups_declared, stores["disk"].backups_keep) == (True, None)
    assert (stores["bucket"].backups_declared, stores["bucket"].backups_keep) == (False, None)


def test_names_stand_exactly_as_the_store_has_them(datamap_of: Load) -> None:
    hostile = 'Robert"); DROP TABLE "x'
    text = f"""\
stores: {{db: {{kind: sqlite, path: a.db}}}}
datasets:
  __proto__:
    store: db
    table: {json.dumps(hostile)}
    key: [" key ", "кљуč\\u200f"]
    clock: {{column: "now()", format: unix-nanoseconds, zone: Europe/Berlin}}
    account: "<b>"
    class: x
    attributes: {{on: "1; --", yes: "\\n"}}
    tombstone: {{table: "../q"}}
unmapped: report
"""
    found = datamap_of(text)
    dataset = found.datasets["__proto__"]
    assert dataset.table == hostile
    assert dataset.key == (" key ", "кљуč\u200f")
    assert dataset.clock.column == "now()"
    assert (dataset.clock.format, dataset.clock.zone) == (ClockFormat.UNIX_NANOSECONDS, "Europe/Berlin")
    assert dataset.attributes == {"on": "1; --", "yes": "\n"}
    assert dataset.plain_owner == "<b>"
    assert dataset.tombstone == TombstoneTarget(table="../q")
    assert not found.refuse_unmapped


def test_buckets_and_directories(datamap_of: Load) -> None:
    text = """\
stores: {disk: {kind: files, root: x}, b: {kind: s3, bucket: y}}
datasets:
  files: {store: disk, prefix: "", class: c, clock: modified, tombstone: {directory: .quarantine}}
  objects:
    store: b
    prefix: a/
    key_pattern: "a/{who}/{day:%Y%m%d}.json"
    clock: {pattern: day, zone: Asia/Tokyo, earliest: 2020-01-01T02:00:00+02:00}
    account: {pattern: who}
    class: c
    keys: write-once
    tombstone: marker
"""
    found = datamap_of(text).datasets
    assert found["files"].clock.format is ClockFormat.MODIFIED
    assert found["files"].clock.earliest == EARLIEST
    assert found["files"].tombstone == TombstoneTarget(directory=".quarantine")
    assert not found["files"].has_owner
    objects = found["objects"]
    assert (objects.clock.format, objects.clock.field, objects.clock.zone) == (ClockFormat.PATTERN, "day", "Asia/Tokyo")
    assert objects.clock.earliest == datetime(2020, 1, 1, tzinfo=UTC)
    assert (objects.account_field, objects.plain_owner) == ("who", "")
    assert objects.write_once
    assert objects.tombstone == TombstoneTarget(marker=True)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "stores:\ndatasets:\n#  requests: later\nignore:\n"])
def test_a_file_that_says_nothing_maps_nothing(text: str, datamap_of: Load) -> None:
    assert datamap_of(text) == DataMap(stores={}, datasets={})


def test_a_byte_order_mark_and_carriage_returns_change_nothing(datamap_of: Load) -> None:
    assert datamap_of("\ufeff" + DATAMAP.replace("\n", "\r\n")) == datamap_of(DATAMAP)


def test_a_key_of_one_column_may_be_written_without_brackets(datamap_of: Load) -> None:
    assert datamap_of(DATAMAP.replace("[request_id]", "request_id")) == datamap_of(DATAMAP)


def test_all_problems_are_named_and_the_first_has_the_place(datamap_of: Load) -> None:
    text = "stores:\n  db: {kind: sqlite, path: a, backups: few}\nunmapped: perhaps\n" + "".join(
        f"x{number}: 1\n" for number in range(9)
    )
    with pytest.raises(ConfigError) as caught:
        datamap_of(text)
    assert caught.value.where == "datamap.yaml:2:40"
    assert "datamap.yaml:3:11: 'perhaps'" in caught.value.what
    assert "datamap.yaml:4:1: there is no field 'x0'" in caught.value.what
    assert caught.value.what.endswith("; and 5 more")


class Careful(BaseModel):
    path: str

    @field_validator("path")
    @classmethod
    def _checked(cls, value: str) -> str:
        if "*" in value:
            raise ValueError("Patterns are no paths")
        return value


def test_what_a_connector_finds_wrong_with_its_options_is_said_at_its_place(datamap_of: Load) -> None:
    with pytest.raises(ConfigError, match="'a\\*': patterns are no paths") as caught:
        datamap_of('stores:\n  db: {kind: own, path: "a*"}\n', {"own": Careful})
    assert caught.value.where == "datamap.yaml:2:25"


@pytest.mark.parametrize(
    "place", ["table: t, key: id, clock: {column: at}, tombstone: {column: x}", "prefix: '', clock: modified"]
)
def test_a_kind_that_is_not_our_own_may_have_tables_or_objects(place: str, datamap_of: Load) -> None:
    text = f"stores: {{db: {{kind: own, path: a}}}}\ndatasets: {{d: {{store: db, class: c, {place}}}}}\n"
    assert datamap_of(text, {"own": Careful}).datasets["d"].store_kind == "own"


# --- the file itself -----------------------------------------------------------------------------------------------


def loaded(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_datamap(path, OPTIONS)
    return caught.value


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    error = loaded(tmp_path / "datamap.yaml")
    assert "no such file" in error.what
    assert error.where == str(tmp_path / "datamap.yaml")
    assert "retentiond init" in error.remedy


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    assert "cannot be read" in loaded(tmp_path).what


@pytest.mark.parametrize(("size", "fits"), [(1 << 20, True), ((1 << 20) + 1, False)])
def test_a_file_is_at_most_a_mebibyte(size: int, fits: bool, tmp_path: Path) -> None:  # noqa: FBT001
    path = tmp_path / "datamap.yaml"
    path.write_bytes(b"#" * size)
    if fits:
        assert load_datamap(path, OPTIONS).datasets == {}
    else:
        assert "longer than 1,048,576 bytes" in loaded(path).what


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_refused_where_they_show(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "datamap.yaml"
    path.write_bytes("# fine\nstores: {}  # für alle\n".encode(encoding))
    error = loaded(path)
    assert "not UTF-8" in error.what
    assert error.where == ("datamap.yaml:2:16" if encoding == "latin-1" else "datamap.yaml:1:1")


def test_ten_thousand_nested_brackets_are_refused_quickly(tmp_path: Path) -> None:
    path = tmp_path / "datamap.yaml"
    path.write_text("stores: " + "[" * 100_000)
    assert "deep" in loaded(path).what


# --- canonical form ------------------------------------------------------------------------------------------------

EXPORTS = (
    '{"account":null,"attributes":{},"blobs":null,"class":"export","clock":{"column":null,'
    '"earliest":"2000-01-01T00:00:00Z","format":"auto","modified":true,"pattern":null,"zone":"UTC"},"follows":null,'
    '"key":[],"key_pattern":null,"keys":null,"name":"exports","prefix":"","store":"disk","store_kind":"files",'
    # SHA-256 of {"kind":"files","options":{"root":"exports"}}
    '"store_sha256":"5c4aee7e59ab6acdaebe5fc7d469c6f092e310f1d8ff5c5277248ae231438359","table":null,"tombstone":null}'
)


def test_the_canonical_form_has_every_default_and_is_stable(datamap_of: Load) -> None:
    found = datamap_of(DATAMAP).datasets
    assert found["exports"].canonical.decode() == EXPORTS
    assert found["requests"].sha256 == "37bebf94aca8e7eaf3f66b67381bdb95b0ec01ce3699b1bae712f38955897484"


def test_writing_the_same_thing_otherwise_changes_no_hash(datamap_of: Load) -> None:
    otherwise = """\
datasets:
  exports: {store: disk, prefix: "", clock: {modified: true}, class: export}
  requests:
    class: content
    attributes: {tier: tier, score: score, flagged: is_flagged}
    tombstone: {column: deleted_at}
    blobs: {dataset: payloads, column: payload_key}
    account: {column: account_id}
    clock: {format: auto, zone: UTC, column: created_at, earliest: 2000-01-01T00:00:00Z}
    key: request_id
    store: db
    table: requests
  payloads: {store: bucket, prefix: "requests/", class: content, follows: requests, clock: modified}
stores:
  bucket: {bucket: payloads, kind: s3}
  disk: {kind: files, root: exports, backups: none}
  db: {kind: sqlite, path: requests.db, backups: {keep: P5W}}
"""
    one, other = datamap_of(DATAMAP).datasets, datamap_of(otherwise).datasets
    assert {name: each.sha256 for name, each in one.items()} == {name: each.sha256 for name, each in other.items()}


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("account: account_id", "account: owner_id", {"requests"}),
        ("score: score", "score: rating", {"requests"}),
        ("clock: modified", "clock: {modified: true, earliest: 2020-01-01}", {"exports"}),
        ("path: requests.db", "path: other.db", {"requests"}),
        ("bucket: payloads}", "bucket: other}", {"payloads"}),
        ("keep: 35 days", "keep: 36 days", set()),
    ],
)
def test_a_dataset_that_changes_or_moves_has_another_hash(
    before: str, after: str, changes: set[str], datamap_of: Load
) -> None:
    one, other = datamap_of(DATAMAP), datamap_of(DATAMAP.replace(before, after))
    assert {name for name in one.datasets if one.datasets[name].sha256 != other.datasets[name].sha256} == changes
