"""The names by which a draft of a data map knows clocks, owners, attributes and keys of objects: data, and English."""

from __future__ import annotations

from collections.abc import Mapping

from retentiond.domain.tableshape import Family


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _names(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(each.split()) for each in text.split(", "))


BEGINNINGS = _names(
    "created at, created, created on, creation time, created time, date created, create time, inserted at, "
    "inserted, insert time, added at, received at, requested at, request time, logged at, occurred at, timestamp, "
    "ts, event time, submitted at, sent at, uploaded at, recorded at, posted at, start time, started at, start, "
    "time, at, day, date"
)
"""What the clock of a record is called that begins with the record, the best first."""

CREATED = frozenset(BEGINNINGS[:14])
"""Those of which nobody doubts that they are when the record was made."""

OTHER_TIMES = _words(
    "updated update modified modification deleted removed archived expires expire expiry expiration expired last "
    "next end ended finished completed completion closed read seen synced reset revoked cancelled canceled "
    "renewed due scheduled valid until verified birth born published approved reviewed accepted locked claimed "
    "attempted rotated"
)
"""Words of times at which something else happens."""

TIME_WORDS = _words("at on time timestamp ts date day created inserted logged received")
"""Words by which a number or a text is a time."""

UNITS: Mapping[str, str] = {
    "ms": "unix-milliseconds",
    "msec": "unix-milliseconds",
    "milli": "unix-milliseconds",
    "milliseconds": "unix-milliseconds",
    "millisecond": "unix-milliseconds",
    "us": "unix-microseconds",
    "usec": "unix-microseconds",
    "microsecond": "unix-microseconds",
    "ns": "unix-nanoseconds",
    "nsec": "unix-nanoseconds",
    "nanosecond": "unix-nanoseconds",
    "second": "unix-seconds",
    "sec": "unix-seconds",
    "epoch": "unix-seconds",
}
"""Words that say in which unit a number counts."""

ACCOUNTS = _names(
    "account id, customer id, tenant id, organization id, org id, company id, workspace id, project id, team id, "
    "account, customer, tenant, organization, end user id, end user, user id, userid, owner id, member id, author "
    "user id, author id, creator id, created by, createdby, owner, user"
)
"""What an owner is called, the most likely first."""

SURE_ACCOUNTS = frozenset(_names("account id, customer id, tenant id, organization id, account, customer, tenant"))

PEOPLE = _names(
    "end user id, end user, user id, userid, author user id, author id, creator id, created by, createdby, user"
)
"""What a single person within an account is called."""

TOMBSTONES = _names(
    "deleted at, deleted on, deleted, deletion time, removed at, archived at, trashed at, tombstoned at"
)

OBJECT_KEYS = _names(
    "payload key, object key, blob key, storage key, s 3 key, file key, bucket path, object path, storage path, "
    "blob path, payload path, s 3 path, key path, s 3 object, object name, blob name, payload object, payload ref, "
    "payload uri, s 3 uri"
)
"""What the column is called in which a row names its object."""

ATTRIBUTES = _words(
    "flagged flag tier plan region jurisdiction country status state environment category priority moderated "
    "archived public pinned test internal billing safety sensitive consent"
)
ATTRIBUTE_FAMILIES = frozenset((Family.TEXT, Family.BOOLEAN, Family.ENUM, Family.INTEGER))

MIGRATIONS = _words(
    "alembic_version schema_migrations _prisma_migrations django_migrations flyway_schema_history knex_migrations "
    "knex_migrations_lock __efmigrationshistory sqlx_migrations _sqlx_migrations goose_db_version "
    "databasechangelog databasechangeloglock ar_internal_metadata __drizzle_migrations migrations "
    "typeorm_metadata schema_version migratehistory spatial_ref_sys doctrine_migration_versions"
)
"""Tables in which programs count the changes of a schema, in lower case."""

CLASSES: tuple[tuple[str, frozenset[str]], ...] = (
    ("feedback", _words("feedback rating score review vote reaction annotation survey comment")),
    ("log", _words("log audit event spend usage metric error history")),
    ("export", _words("export download report")),
)
"""Classes by words in names of tables, where no column looks like request content."""

CONTENT, PERSONAL, OTHER = "request-content", "account-data", "other"
