"""Sample data: some thousand API requests of several accounts over sixty days, in a table, a bucket, a directory."""

from __future__ import annotations

import gzip
import json
import random
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import boto3

BUCKET = "api-payloads"
ACCOUNTS = ("acct-amber", "acct-birch", "acct-cedar", "acct-delta", "acct-elm", "acct-zdr")
LEAVING = "acct-delta"
HELD = "acct-cedar"
DAYS = 60
REQUESTS = 3_000
EVERY_NTH_HAS_PAYLOAD = 20
TOMBSTONED_AFTER = timedelta(days=23)
_PROMPTS = ("Summarise this contract", "Translate to German", "Write a haiku about backups", "Explain RFC 9162")
_SCHEMA = """
CREATE TABLE api_requests (
    request_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    prompt TEXT,
    response TEXT,
    flagged INTEGER NOT NULL,
    payload_key TEXT,
    deleted_at TEXT
);
CREATE INDEX api_requests_created_at ON api_requests (created_at);
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    rating INTEGER NOT NULL
);
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (7);
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """How much was made."""

    requests: int
    feedback: int
    payloads: int
    exports: int


def fill(directory: Path, endpoint: str, now: datetime) -> Sample:
    """Make the sample data.

    Args:
        directory: Gets `requests.db` and `exports/`.
        endpoint: An S3 endpoint, in which the bucket is made.
        now: The story's present; everything is older.
    """
    dice = random.Random(20_26)  # noqa: S311 - sample data, the same every time
    directory.mkdir(parents=True, exist_ok=True)
    rows = [_request(dice, number, now) for number in range(REQUESTS)]
    feedback = _fill_tables(directory / "requests.db", rows, dice)
    payloads = _fill_bucket(endpoint, rows)
    return Sample(len(rows), feedback, payloads, _fill_exports(directory / "exports", now))


def _request(dice: random.Random, number: int, now: datetime) -> dict[str, str | int | None]:
    age = timedelta(seconds=dice.randrange(3600, DAYS * 86_400))
    account = dice.choice(ACCOUNTS)
    created = now - age
    request_id = f"req-{number:05d}"
    has_payload = number % EVERY_NTH_HAS_PAYLOAD == 0
    return {
        "request_id": request_id,
        "account_id": account,
        "created_at": _text(created),
        "prompt": f"{dice.choice(_PROMPTS)} (for {account})",
        "response": f"Certainly. {dice.randbytes(60).hex()}",
        "flagged": int(dice.random() < 0.03),  # noqa: PLR2004 - sample data
        "payload_key": f"requests/{account}/{created:%Y/%m/%d}/{request_id}.json.gz" if has_payload else None,
        "deleted_at": _text(created + TOMBSTONED_AFTER) if age > timedelta(days=30) else None,
    }


def _fill_tables(path: Path, rows: list[dict[str, str | int | None]], dice: random.Random) -> int:
    columns = tuple(rows[0])
    marks = ", ".join(f":{column}" for column in columns)
    with sqlite3.connect(path) as db:
        db.executescript(_SCHEMA)
        db.executemany(f"INSERT INTO api_requests ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608 - ours
        rated = [row for row in rows if dice.random() < 0.1]  # noqa: PLR2004 - sample data
        db.executemany(
            "INSERT INTO feedback (request_id, account_id, created_at, rating) VALUES (?, ?, ?, ?)",
            [(row["request_id"], row["account_id"], row["created_at"], dice.randint(1, 5)) for row in rated],
        )
    db.close()
    return len(rated)


def _fill_bucket(endpoint: str, rows: list[dict[str, str | int | None]]) -> int:
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    named = [row for row in rows if row["payload_key"]]
    for row in named:
        body = gzip.compress(json.dumps({"prompt": row["prompt"], "response": row["response"]}).encode())
        client.put_object(Bucket=BUCKET, Key=str(row["payload_key"]), Body=body)
    return len(named)


def _fill_exports(root: Path, now: datetime) -> int:
    count = 0
    for account in ACCOUNTS:
        for days in range(1, DAYS, 7):
            day = now - timedelta(days=days)
            path = root / account / f"{day:%Y-%m-%d}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"request,tokens\n{account},{days * 100}\n", encoding="utf-8")
            count += 1
    return count


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
