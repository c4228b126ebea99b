from __future__ import annotations

from dataclasses import replace

import pytest

from retentiond.connectors.s3.connector import open_connector
from retentiond.connectors.s3.options import S3Options
from retentiond.domain.period import Period
from retentiond.ports.stores import Probing
from tests.connectors.s3.asking import OLD, PAYLOADS, opened
from tests.connectors.s3.bucket_behind import BUCKET, Behind
from tests.servers.rclone import Rclone
from tests.servers.versioned import Forward, Reply, Request, Server, error

LOCK = (
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    "<Mode>COMPLIANCE</Mode><Years>2</Years></DefaultRetention></Rule></ObjectLockConfiguration>"
)
LIFECYCLE = """<LifecycleConfiguration>
<Rule><ID>all</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><Expiration><Days>90</Days></Expiration>
<NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration></Rule>
<Rule><ID>inside</ID><Status>Enabled</Status><Prefix>in/sub/</Prefix>
<AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>
<Rule><ID>and</ID><Status>Enabled</Status><Filter><And><Prefix>in/</Prefix></And></Filter>
<Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>
<Rule><ID>off</ID><Status>Disabled</Status><Prefix></Prefix><Expiration><Days>1</Days></Expiration></Rule>
<Rule><ID>elsewhere</ID><Status>Enabled</Status><Prefix>out/</Prefix><Expiration><Days>1</Days></Expiration></Rule>
</LifecycleConfiguration>"""
REPLICATION = (
    "<ReplicationConfiguration><Role>r</Role><Rule><Status>Enabled</Status><Destination>"
    "<Bucket>arn:aws:s3:::the-copy</Bucket></Destination></Rule><Rule><Status>Disabled</Status><Destination>"
    "<Bucket>arn:aws:s3:::no-copy</Bucket></Destination></Rule></ReplicationConfiguration>"
)
ENCRYPTION = (
    "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
    "<KMSMasterKeyID>arn:aws:kms:eu-central-1:1:key/abc</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule>"
    "</ServerSideEncryptionConfiguration>"
)
LOGGING = (
    "<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>s3/</TargetPrefix>"
    "</LoggingEnabled></BucketLoggingStatus>"
)


def test_what_bears_on_how_long_something_lasts_is_told(server: Server) -> None:
    server.bucket.settings = {
        "object-lock": LOCK,
        "lifecycle": LIFECYCLE,
        "replication": REPLICATION,
        "encryption": ENCRYPTION,
        "logging": LOGGING,
    }
    with opened(server.url) as connector:
        survey = connector.survey(replace(PAYLOADS, prefix="in/"))
        (replicas, logs) = connector.remnants(PAYLOADS)
    assert survey.findings == ()
    assert survey.lock == Period(months=24)
    lock, rules, replication, encryption, logging = survey.notes
    assert "2 years" in lock
    for told in ("expires objects after 90 days", "noncurrent versions after 7 days", "aborts uploads after 3 days"):
        assert told in rules
    assert "GLACIER" in rules
    assert "off" not in rules
    assert "elsewhere" not in rules
    assert "the-copy" in replication
    assert "no-copy" not in replication
    assert "key/abc" in encryption
    assert "logs/s3/" in logging
    assert "the-copy" in replicas.reason
    assert replicas.what == "replicas of the bucket"
    assert logs.what


@pytest.mark.parametrize(
    ("query", "action"),
    [
        ("replication", "s3:GetReplicationConfiguration"),
        ("encryption", "s3:GetEncryptionConfiguration"),
        ("logging", "s3:GetBucketLogging"),
        ("uploads", "s3:ListBucketMultipartUploads"),
    ],
)
def test_a_missing_permission_is_named_with_its_grant(server: Server, query: str, action: str) -> None:
    server.script = lambda r, forward: error(403, "AccessDenied") if query in r.query else forward(r)
    with opened(server.url) as connector:
        (finding,) = connector.survey(PAYLOADS).findings
        assert connector.remnants(PAYLOADS)
    assert f'"Action": "{action}"' in finding.remedy


def test_a_bucket_without_settings_has_no_notes(server: Server, rclone: Rclone) -> None:
    once = replace(PAYLOADS, tombstone=None, write_once=True)
    for url, dataset in ((server.url, PAYLOADS), (rclone.url, once)):
        with opened(url) as connector:
            survey = connector.survey(dataset)
            assert (survey.findings, survey.notes, survey.lock) == ((), (), None)


def probed(url: str, prefix: str | None = "retentiond-probe/") -> tuple[tuple[str, ...], list[str]]:
    connector = open_connector(S3Options(bucket=BUCKET, endpoint=url, probe=prefix), attempts=1)
    assert isinstance(connector, Probing)
    survey = connector.probe()
    connector.close()
    return survey.notes, [finding.what for finding in survey.findings]


@pytest.mark.parametrize("versioning", ["Enabled", "Suspended", ""])
@pytest.mark.parametrize("honours", [(), ("if-match",), ("if-none-match",), ("if-match", "if-none-match")])
def test_a_probe_tells_what_is_honoured_and_leaves_nothing(
    server: Server, versioning: str, honours: tuple[str, ...]
) -> None:
    server.bucket.versioning = versioning
    server.bucket.honours = frozenset(honours)
    server.bucket.put("retentiond-probe/of-somebody", OLD)
    (put, delete), findings = probed(server.url)
    assert ("NOT" not in put, "NOT" not in delete) == ("if-none-match" in honours, "if-match" in honours)
    assert "If-None-Match" in put
    assert "If-Match" in delete
    assert findings == []
    assert set(server.bucket.objects) == {b"retentiond-probe/of-somebody"}


def test_rclone_honours_nothing_and_the_probe_says_so(rclone: Rclone) -> None:
    notes, findings = probed(rclone.url)
    assert ["is NOT honoured" in note for note in notes] == [True, True]
    assert findings == []
    assert rclone.named() == set()


def test_moto_is_probed_too(moto_s3: str, behind: Behind) -> None:
    notes, findings = probed(moto_s3)
    assert len(notes) == 2
    assert findings == []
    assert behind.with_data() == set()


def test_nothing_is_written_where_the_operator_gave_no_place(server: Server) -> None:
    (note,), _ = probed(server.url, None)
    assert "probe: PREFIX/" in note
    assert [request.method for request in server.seen] == ["HEAD"]


def test_nothing_is_written_where_it_could_be_locked(server: Server) -> None:
    server.bucket.lock = True
    (note,), _ = probed(server.url)
    assert "may be locked" in note
    assert server.bucket.objects == {}


def test_what_a_probe_cannot_remove_is_told(server: Server) -> None:
    server.script = lambda request, forward: error(403, "AccessDenied") if request.deletes else forward(request)
    _, findings = probed(server.url)
    assert any("access denied" in what for what in findings)

    def lie(request: Request, forward: Forward) -> Reply | None:
        if request.deletes:
            answer = b"<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>"
            return Reply(200, answer) if request.method == "POST" else Reply(204)
        return forward(request)

    server.script = lie
    _, findings = probed(server.url)
    assert any("could not be removed" in what for what in findings)


@pytest.mark.parametrize("prefix", ["", "no-slash", "/lead/", "a//b/", "../x/", "."])
def test_a_probe_has_a_place_of_its_own(prefix: str) -> None:
    with pytest.raises(ValueError, match="probe"):
        S3Options(bucket=BUCKET, probe=prefix)


def test_options_without_a_probe_are_written_as_before() -> None:
    assert "probe" not in S3Options(bucket=BUCKET).model_dump(mode="json")
    assert S3Options(bucket=BUCKET, probe="p/").model_dump(mode="json")["probe"] == "p/"
