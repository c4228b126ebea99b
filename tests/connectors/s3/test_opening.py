from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from retentiond.connectors.s3.client import Access
from retentiond.connectors.s3.kind import connector as kind
from retentiond.connectors.s3.options import S3Options
from retentiond.domain.dataset import BlobLink, Dataset, Store, TombstoneTarget
from retentiond.errors import ConnectorError
from retentiond.ports.stores import ConnectorKind, Finding
from tests.connectors.s3.asking import NOW, PAYLOADS, cases, opened, scanned
from tests.connectors.s3.bucket_behind import BUCKET, Behind
from tests.connectors.s3.proxy import Forward, Proxy, Reply, Request, error


def refusals(url: str, bucket: str = BUCKET, dataset: Dataset = PAYLOADS) -> list[Finding]:
    with opened(url, bucket=bucket) as connector:
        return [finding for finding in connector.survey(dataset).findings if finding.refuses]


def test_a_store_is_opened_as_the_data_map_has_it(moto_s3: str, behind: Behind, tmp_path: Path) -> None:
    behind.put("key")
    described: ConnectorKind = kind
    options = {"bucket": BUCKET, "region": "us-east-1", "endpoint": moto_s3, "path_style": None}
    connection = described.open(Store("payload-store", "s3", options), tmp_path)
    assert [record.key for record in connection.find(PAYLOADS, "key")] == [("key",)]
    connection.close()


def test_the_environment_names_the_server(
    moto_s3: str, behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind.put("key")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_s3)
    connection = kind.open(Store("payload-store", "s3", {"bucket": BUCKET}), tmp_path)
    assert len(connection.find(PAYLOADS, "key")) == 1
    connection.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bucket": ""},
        {"bucket": "a/b"},
        {"bucket": "b-1", "region": "EU!"},
        {"bucket": "b-1", "endpoint": "localhost:9000"},
        {"bucket": "b-1", "endpoint": "https://user:secret@host"},
        {"bucket": "b-1", "access_key": "AKIA"},
        {"bucket": "b-1", "path_style": "yes"},
    ],
)
def test_odd_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        S3Options.model_validate(options)


def test_the_bucket_stands_in_the_path_unless_the_server_is_amazons(monkeypatch: pytest.MonkeyPatch) -> None:
    assert S3Options(bucket=BUCKET).addressing == "auto"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example.org")
    assert S3Options(bucket=BUCKET).addressing == "path"


@pytest.mark.parametrize(
    ("path_style", "address"),
    [(None, f"https://s3.example.org/{BUCKET}/key"), (False, f"https://{BUCKET}.s3.example.org/key")],
)
def test_requests_go_where_the_options_say(path_style: bool | None, address: str) -> None:  # noqa: FBT001
    options = S3Options(bucket=BUCKET, region="eu-central-1", endpoint="https://s3.example.org", path_style=path_style)
    access = Access(options, 1)
    url = access.client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "key"})
    assert url.partition("?")[0] == address
    assert f"{access.base}/key" == address
    access.close()


def test_a_bucket_that_is_not_there(moto_s3: str) -> None:
    with pytest.raises(ConnectorError) as raised, opened(moto_s3, bucket="not-there"):
        pass
    assert "does not exist" in raised.value.what
    assert (raised.value.where, raised.value.transient) == ("s3://not-there", False)
    assert "create it" in raised.value.remedy


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(ConnectorError) as raised, opened("http://127.0.0.1:9"):
        pass
    assert raised.value.transient
    assert "endpoint" in raised.value.remedy


def test_no_credentials(moto_s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConnectorError) as raised, opened(moto_s3):
        pass
    assert "no usable credentials" in raised.value.what
    assert not raised.value.transient


@pytest.mark.parametrize(
    ("status", "code", "words", "transient"),
    [
        (403, "AccessDenied", "s3:GetBucketVersioning", False),
        (400, "ExpiredToken", "renew", False),
        (403, "InvalidAccessKeyId", "platform", False),
        (403, "SignatureDoesNotMatch", "platform", False),
        (403, "RequestTimeTooSkewed", "clock", False),
        (404, "NoSuchBucket", "bucket", False),
        (400, "AuthorizationHeaderMalformed", "region", False),
        (503, "SlowDown", "again", True),
        (500, "InternalError", "again", True),
        (502, "", "again", True),
        (400, "", "endpoint", False),
        (405, "NewlyInvented", "endpoint", False),
    ],
)
def test_what_a_server_refuses_has_a_remedy(
    behind: Behind, proxy: Proxy, status: int, code: str, words: str, *, transient: bool
) -> None:
    assert behind.name
    with opened(proxy.url) as connector:
        proxy.script = lambda _request, _forward: error(status, code)
        with pytest.raises(ConnectorError) as raised:
            scanned(connector, cases())
    assert words in raised.value.remedy
    assert raised.value.transient is transient
    assert raised.value.where == f"s3://{BUCKET}"


def test_a_sound_bucket_is_not_refused(moto_s3: str, behind: Behind) -> None:
    assert behind.name
    assert refusals(moto_s3) == []


@pytest.mark.parametrize(("versioning", "words"), [("", "write-once"), ("Suspended", "suspended")])
def test_a_bucket_that_keeps_no_versions_is_refused(moto_s3: str, versioning: str, words: str) -> None:
    Behind("other-bucket").make(versioning=versioning)
    plain = replace(PAYLOADS, tombstone=None)
    (finding,) = refusals(moto_s3, "other-bucket", plain)
    assert words in finding.what + finding.remedy
    assert "enable versioning" in finding.remedy
    assert refusals(moto_s3, "other-bucket", replace(plain, write_once=True)) == []
    (finding,) = refusals(moto_s3, "other-bucket", replace(PAYLOADS, write_once=True))
    assert "delete marker" in finding.what


@pytest.mark.parametrize(
    ("query", "refuses", "action"),
    [
        ("versions", True, "s3:ListBucketVersions"),
        ("versioning", True, "s3:GetBucketVersioning"),
        ("object-lock", False, "s3:GetBucketObjectLockConfiguration"),
        ("lifecycle", False, "s3:GetLifecycleConfiguration"),
    ],
)
def test_a_missing_permission_is_named_with_its_grant(
    behind: Behind, proxy: Proxy, query: str, *, refuses: bool, action: str
) -> None:
    assert behind.name

    def deny(request: Request, forward: Forward) -> Reply | None:
        asked = request.target.partition("?")[2].split("&")
        return error(403, "AccessDenied") if query in asked else forward(request)

    proxy.script = deny
    with opened(proxy.url) as connector:
        (finding,) = connector.survey(PAYLOADS).findings
    assert finding.refuses is refuses
    assert f'"Action": "{action}", "Resource": "arn:aws:s3:::{BUCKET}"' in finding.remedy


def test_a_bucket_that_went_away_is_a_finding(behind: Behind, proxy: Proxy) -> None:
    assert behind.name
    with opened(proxy.url) as connector:
        proxy.script = lambda _request, _forward: Reply(404)
        (finding,) = connector.survey(PAYLOADS).findings
    assert finding.refuses
    assert "does not exist" in finding.what


def test_mfa_delete_is_refused(behind: Behind, proxy: Proxy) -> None:
    assert behind.name
    body = b"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>"
    proxy.script = lambda request, forward: Reply(200, body) if "?versioning" in request.target else forward(request)
    (finding,) = refusals(proxy.url)
    assert "MFA" in finding.what


def test_locks_and_lifecycle_rules_are_noted(moto_s3: str) -> None:
    behind = Behind("locked-bucket")
    behind.make(lock=True)
    with opened(moto_s3, bucket=behind.name) as connector:
        client = connector._reader.client
        client.put_object_lock_configuration(
            Bucket=behind.name,
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 7}},
            },
        )
        client.put_bucket_lifecycle_configuration(
            Bucket=behind.name,
            LifecycleConfiguration={
                "Rules": [{"ID": "old-ones", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}}]
            },
        )
        survey = connector.survey(PAYLOADS)
    assert survey.findings == ()
    lock, rules = survey.notes
    assert "7 days" in lock
    assert "COMPLIANCE" in lock
    assert "old-ones" in rules


@pytest.mark.parametrize(
    "dataset",
    [
        replace(PAYLOADS, tombstone=TombstoneTarget(directory=".quarantine")),
        replace(PAYLOADS, attributes={"flagged": "flagged"}),
        replace(PAYLOADS, blobs=BlobLink("payload", "payloads")),
    ],
)
def test_what_objects_cannot_have_is_refused(moto_s3: str, behind: Behind, dataset: object) -> None:
    assert behind.name
    with opened(moto_s3) as connector:
        (finding,) = connector.survey(dataset).findings  # type: ignore[arg-type]
    assert finding.refuses
    assert finding.remedy


def test_what_no_dataset_covers_is_named_as_high_up_as_can_be_told(moto_s3: str, behind: Behind) -> None:
    for key in ("in/2024/a", "in/2025/b", "in/loose", "lone", "logs/x/y", "logs/z", "in2/c", "/lead", "a+b/c", "old/d"):
        behind.put(key)
    behind.hide("old/d")
    behind.put("twice")
    behind.put("twice")
    datasets = [replace(PAYLOADS, prefix="in/2024/"), replace(PAYLOADS, prefix="in2")]
    for page in (1, 2, 3, 1_000):
        with opened(moto_s3, page=page) as connector:
            stray = list(connector.unmapped(datasets, lambda name: name == "lone"))
        assert stray == ["/", "a+b/", "in/2025/", "in/loose", "logs/", "old/", "twice"]


def test_a_dataset_of_the_whole_bucket_covers_all(moto_s3: str, behind: Behind) -> None:
    behind.put("anything/at/all")
    with opened(moto_s3) as connector:
        assert list(connector.unmapped([PAYLOADS], lambda _name: False)) == []
        assert list(connector.unmapped([], lambda _name: False)) == ["anything/"]


def test_a_key_is_found_and_not_what_it_is_the_beginning_of(moto_s3: str, behind: Behind) -> None:
    first = behind.put("key", timedelta(days=2))
    second = behind.put("key", timedelta(days=1))
    marker = behind.hide("key")
    for number in range(9):
        behind.put(f"key{number}")
    with opened(moto_s3) as connector:
        found = connector.find(PAYLOADS, "key")
        assert [record.version.decode() for record in found] == [marker, second, first]
        for absent in ("ke", "", "key99", "KEY"):
            assert list(connector.find(PAYLOADS, absent)) == []
        assert list(connector.find(replace(PAYLOADS, prefix="other/"), "key")) == []


def test_a_find_that_fails_says_so(behind: Behind, proxy: Proxy) -> None:
    behind.put("key")
    with opened(proxy.url) as connector:
        proxy.script = lambda _request, _forward: error(503, "SlowDown")
        with pytest.raises(ConnectorError):
            connector.find(PAYLOADS, "key")


def test_objects_name_no_objects(moto_s3: str, behind: Behind) -> None:
    behind.put("key")
    with opened(moto_s3) as connector:
        assert list(connector.references(PAYLOADS)) == []


def test_reading_is_tried_again_and_changing_is_not(behind: Behind, proxy: Proxy) -> None:
    behind.put("key", timedelta(days=40))
    failures = [1, 1]

    def falter(request: Request, forward: Forward) -> Reply | None:
        if request.lists_versions and failures:
            failures.pop()
            return error(503, "SlowDown")
        return forward(request)

    with opened(proxy.url, attempts=3) as connector:
        proxy.script = falter
        records, _ = scanned(connector, cases())
        assert len(records) == 1
        proxy.script = lambda request, forward: error(503, "SlowDown") if request.deletes else forward(request)
        assert connector._writer.hide(["key"])[1] is not None
    assert len(proxy.deletions) == 1


def test_the_servers_time_is_told(moto_s3: str, behind: Behind) -> None:
    assert behind
    with opened(moto_s3) as connector:
        said = connector.now()
        assert said is not None
        assert abs(said - NOW) < timedelta(minutes=30)  # whole seconds, and the tests' own time
        assert connector.pressure().replica_lag is None


def test_a_server_that_cannot_be_reached_tells_no_time(behind: Behind, proxy: Proxy) -> None:
    assert behind
    with opened(proxy.url) as connector:
        proxy.script = lambda _request, _forward: error(503, "SlowDown")
        with pytest.raises(ConnectorError):
            connector.now()
