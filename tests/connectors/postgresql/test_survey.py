"""Tables that would take more than the planned rows, or that cannot be worked on: each is refused with its remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from retentiond.domain.dataset import BlobLink, ClockFormat, ClockSource, Dataset, TombstoneTarget
from retentiond.domain.owner import OwnerSource
from tests.connectors.postgresql.app import App, requests

TABLE = "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, deleted timestamptz, owner text);"
INDEX = "CREATE INDEX ON requests (created);"
SOUND = TABLE + INDEX
FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
TRIGGER = SOUND + FUNCTION + 'CREATE TRIGGER "t\'1" {} ON {} FOR EACH ROW EXECUTE FUNCTION f();'
PARTS = (
    "CREATE TABLE requests (id int, created timestamptz, PRIMARY KEY (id, created)) PARTITION BY RANGE (created);"
    "CREATE TABLE r1 PARTITION OF requests FOR VALUES FROM (MINVALUE) TO ('2026-05-01');"
    "CREATE TABLE r2 PARTITION OF requests FOR VALUES FROM ('2026-05-01') TO (MAXVALUE);"
    "CREATE INDEX ON r1 (created);"
)
PARTED = requests(key=("id", "created"))
HIDDEN = requests(tombstone=TombstoneTarget(column="deleted"))
MOVED = requests(tombstone=TombstoneTarget(table="hidden"))
QUARANTINE = "CREATE TABLE hidden (LIKE requests, tombstoned_at timestamptz NOT NULL, PRIMARY KEY (id));"
PARTITION = (
    "CREATE TABLE whole (id int, created timestamptz, PRIMARY KEY (id, created)) PARTITION BY RANGE (id);"
    "CREATE TABLE half PARTITION OF whole DEFAULT PARTITION BY RANGE (id);"
    "CREATE TABLE requests PARTITION OF half DEFAULT; CREATE INDEX ON requests (created);"
)
ABOVE = FUNCTION + "CREATE TRIGGER t AFTER DELETE ON whole FOR EACH ROW EXECUTE FUNCTION f();"
COMPUTED = (
    "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, twice int GENERATED ALWAYS AS (id * 2) STORED);"
)
CHILD = "CREATE TABLE c (r int REFERENCES requests {}); CREATE INDEX ON c (r);"

REFUSED: list[tuple[str, Dataset, str, str]] = [
    ("", requests(), "no table 'requests'", "data map"),
    ('CREATE TABLE "Requests" (id int)', requests(), "no table 'requests'", "public.Requests"),
    ("CREATE SCHEMA s; CREATE TABLE s.requests (id int)", requests(), "no table", "s.requests"),
    (
        'CREATE SCHEMA a; CREATE SCHEMA "a.b"; CREATE TABLE a."b.c" (id int); CREATE TABLE "a.b".c (id int)',
        requests(table="a.b.c"),
        "several tables",
        '\'"a"."b.c"\' or \'"a.b"."c"\'',
    ),
    ("CREATE VIEW requests AS SELECT 1 AS id", requests(), "is a view", "holds the rows"),
    ("CREATE MATERIALIZED VIEW requests AS SELECT 1 AS id", requests(), "a materialised view", "holds the rows"),
    ("CREATE SEQUENCE requests", requests(), "is a sequence", "holds the rows"),
    (SOUND, requests(key=("ID",)), "no column 'ID' for its key", "'id'"),
    (SOUND, requests(key=()), "no key", "key"),
    (SOUND, requests(clock=ClockSource(column="made")), "no column 'made' for its clock", "data map"),
    (SOUND, requests(clock=ClockSource()), "clock of a table", "column"),
    (SOUND, requests(owners=(OwnerSource("nobody"),)), "no column 'nobody' for its account", "data map"),
    (SOUND, requests(attributes={"tier": "plan"}), "no column 'plan' for its attribute 'tier'", "data map"),
    (SOUND, requests(tombstone=TombstoneTarget(column="gone")), "no column 'gone' for its tombstone", "data map"),
    (SOUND, requests(blobs=BlobLink("payload", "p")), "no column 'payload' for its blobs", "data map"),
    (SOUND, requests(blobs=BlobLink("id", "p")), "the name of an object", "text"),
    (SOUND, requests(owners=(OwnerSource("created"),)), "an owner cannot stand", "text"),
    (SOUND, requests(attributes={"a": "created"}), "attribute 'a' cannot stand", "text"),
    (SOUND, requests(tombstone=TombstoneTarget(column="id")), "a tombstone cannot stand", "timestamptz"),
    (SOUND, requests(clock=ClockSource(ClockFormat.UNIX_SECONDS, "created")), "a clock of format", "`format`"),
    (SOUND, requests(clock=ClockSource(ClockFormat.TEXT, "id")), "a clock of format", "unix-seconds"),
    ("CREATE TABLE requests (id int, created timestamptz)", requests(), "may be NULL", "SET NOT NULL"),
    ("CREATE TABLE requests (id int NOT NULL, created timestamptz)", requests(), "unique", "CREATE UNIQUE INDEX CONC"),
    (
        "CREATE TABLE requests (id float PRIMARY KEY, created timestamptz)",
        requests(),
        "key of type double precision",
        "declare a key",
    ),
    (
        "CREATE TABLE requests (id int NOT NULL, created timestamptz); CREATE UNIQUE INDEX ON requests (id) WHERE id>1",
        requests(),
        "unique",
        "CREATE UNIQUE INDEX",
    ),
    (
        "CREATE TABLE requests (id int NOT NULL, created timestamptz); CREATE UNIQUE INDEX ON requests ((id+0))",
        requests(),
        "unique",
        "CREATE UNIQUE INDEX",
    ),
    (PARTS, requests(), "nothing keeps the key (id)", "`key: [id, created]`"),
    (TABLE, requests(), "no index on the clock 'created'", 'CREATE INDEX CONCURRENTLY ON public.requests ("created")'),
    (
        TABLE + "CREATE INDEX ON requests (created) WHERE id > 5; CREATE INDEX ON requests (owner, created)",
        requests(),
        "no index on the clock",
        "CREATE INDEX CONCURRENTLY",
    ),
    (PARTS, PARTED, "no index on the clock 'created' of public.r2", 'CONCURRENTLY ON public.r2 ("created")'),
    (SOUND + CHILD.format("ON DELETE CASCADE"), requests(), "CASCADE rows of public.c", "NO ACTION"),
    (SOUND + CHILD.format("ON DELETE SET NULL"), requests(), "SET NULL rows of public.c", "NO ACTION"),
    (SOUND + CHILD.format("ON DELETE SET DEFAULT"), requests(), "SET DEFAULT rows of public.c", "NO ACTION"),
    (
        SOUND + "ALTER TABLE requests ADD COLUMN up int REFERENCES requests ON DELETE CASCADE;",
        requests(),
        "each deletion from 'public.requests' would read all of public.requests",
        "CREATE INDEX",
    ),
    (
        SOUND + "CREATE TABLE c (r int REFERENCES requests); CREATE INDEX ON c (r) WHERE r > 0",
        requests(),
        "would read all of public.c",
        'CREATE INDEX CONCURRENTLY ON public.c ("r")',
    ),
    (
        PARTS
        + "CREATE INDEX ON r2 (created); ALTER TABLE r1 ADD UNIQUE (id);"
        + "CREATE TABLE c (r int REFERENCES r1 (id) ON DELETE CASCADE); CREATE INDEX ON c (r)",
        PARTED,
        "CASCADE rows of public.c",
        "NO ACTION",
    ),
    (
        SOUND
        + "CREATE TABLE c (r int REFERENCES requests) PARTITION BY LIST (r);"
        + "CREATE TABLE c1 PARTITION OF c FOR VALUES IN (1); CREATE TABLE c2 PARTITION OF c DEFAULT;"
        + "CREATE INDEX ON c1 (r)",
        requests(),
        "would read all of public.c2",
        "CONCURRENTLY ON public.c2",
    ),
    (TRIGGER.format("AFTER DELETE", "requests"), requests(), 'trigger "t\'1" acts on every DELETE', "DROP TRIGGER"),
    (TRIGGER.format("BEFORE UPDATE OR DELETE", "requests"), requests(), "acts on every DELETE", "DROP TRIGGER"),
    (TRIGGER.format("BEFORE UPDATE", "requests"), HIDDEN, "acts on UPDATE", "DROP TRIGGER"),
    (TRIGGER.format("BEFORE UPDATE OF deleted", "requests"), HIDDEN, "acts on UPDATE", "DROP TRIGGER"),
    (
        PARTS
        + "CREATE INDEX ON r2 (created);"
        + FUNCTION
        + "CREATE TRIGGER t BEFORE DELETE ON r2 FOR EACH ROW EXECUTE FUNCTION f()",
        PARTED,
        "acts on every DELETE of public.r2",
        'DROP TRIGGER "t" ON public.r2',
    ),
    (PARTITION + ABOVE, PARTED, "acts on every DELETE of public.whole", 'DROP TRIGGER "t" ON public.whole'),
    (
        PARTS
        + "CREATE INDEX ON requests (created);"
        + ABOVE.replace("whole", "requests")
        + "ALTER TABLE ONLY requests DISABLE TRIGGER t",
        PARTED,
        "acts on every DELETE of public.requests",
        'DROP TRIGGER "t" ON public.requests',
    ),
    (
        SOUND + "CREATE RULE keep AS ON DELETE TO requests DO INSTEAD NOTHING",
        requests(),
        "rule 'keep' acts on every DELETE",
        "DROP RULE",
    ),
    (SOUND + "CREATE RULE u AS ON UPDATE TO requests DO INSTEAD NOTHING", HIDDEN, "rule 'u'", "DROP RULE"),
    (SOUND + "CREATE TABLE heir () INHERITS (requests)", requests(), "public.heir inherits", "NO INHERIT"),
    (
        "CREATE TABLE up (x int);" + TABLE + INDEX + "ALTER TABLE up ADD id int, ADD created timestamptz;"
        "CREATE TABLE down (LIKE requests INCLUDING ALL) INHERITS (up)",
        requests(table="down"),
        "public.down inherits from public.up",
        "NO INHERIT",
    ),
    (SOUND, MOVED, "no quarantine table 'hidden'", 'CREATE TABLE "public"."hidden" (LIKE "public"."requests"'),
    (SOUND + "CREATE TABLE hidden (id int PRIMARY KEY, tombstoned_at timestamptz)", MOVED, "has not the", "CREATE"),
    (SOUND + "CREATE TABLE hidden (LIKE requests, tombstoned_at timestamptz)", MOVED, "key of 'hidden'", "PRIMARY KEY"),
    (
        TRIGGER.format("AFTER UPDATE", "requests")
        + QUARANTINE
        + "CREATE TRIGGER i BEFORE INSERT ON hidden FOR EACH ROW EXECUTE FUNCTION f()",
        MOVED,
        "acts on every INSERT of public.hidden",
        "DROP TRIGGER",
    ),
    (
        SOUND + "ALTER TABLE requests ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON requests USING (id > 5)",
        requests(),
        "row-level security hides rows",
        "BYPASSRLS",
    ),
]


@pytest.mark.parametrize(("script", "dataset", "what", "remedy"), REFUSED)
def test_a_dangerous_table_is_refused(
    make: Callable[[str], App], script: str, dataset: Dataset, what: str, remedy: str
) -> None:
    refusals = make(script).refusals(dataset)
    assert any(what in found and remedy in advice for found, advice in refusals), refusals


@pytest.mark.parametrize(
    ("script", "dataset"),
    [
        (SOUND, requests()),
        (SOUND, requests(table="public.requests")),
        (SOUND, requests(table='"public"."requests"')),
        (SOUND, requests(table='"requests"')),
        ("CREATE TABLE requests (created timestamptz, id citext_like PRIMARY KEY)", requests()),
        (SOUND + CHILD.format(""), requests()),
        (SOUND + CHILD.format("ON DELETE RESTRICT"), requests()),
        (TRIGGER.format("AFTER UPDATE", "requests"), requests()),
        (TRIGGER.format("AFTER INSERT", "requests"), HIDDEN),
        (TRIGGER.format("BEFORE UPDATE OF owner", "requests"), HIDDEN),
        (TRIGGER.format("AFTER DELETE", "requests") + 'ALTER TABLE requests DISABLE TRIGGER "t\'1"', requests()),
        (SOUND + QUARANTINE, MOVED),
        (PARTS + "CREATE INDEX ON r2 (created)", PARTED),
        (PARTS + "CREATE INDEX ON requests (created)", PARTED),
    ],
)
def test_a_harmless_table_is_not(make: Callable[[str], App], script: str, dataset: Dataset) -> None:
    if "citext_like" in script:
        script = f"CREATE DOMAIN citext_like AS varchar(40) NOT NULL; {script}; {INDEX}"
    assert make(script).refusals(dataset) == []


@pytest.mark.parametrize(
    ("script", "dataset"),
    [
        ("CREATE TABLE requests (id int NOT NULL, created timestamptz);", requests()),
        ("CREATE TABLE requests (id int PRIMARY KEY, created timestamptz);", requests()),
        (SOUND + "CREATE TABLE c (r int REFERENCES requests);", requests()),
        (SOUND, MOVED),
        (COMPUTED + INDEX, MOVED),
        (PARTS, PARTED),
        (TRIGGER.format("AFTER DELETE", "requests"), requests()),
        (PARTITION + ABOVE, PARTED),
        (SOUND + "CREATE RULE keep AS ON DELETE TO requests DO INSTEAD NOTHING;", requests()),
        (SOUND + "CREATE TABLE heir () INHERITS (requests);", requests()),
        (SOUND + "ALTER TABLE requests ENABLE ROW LEVEL SECURITY;", requests()),
    ],
)  # fmt: skip
def test_the_remedy_helps(make: Callable[[str], App], script: str, dataset: Dataset) -> None:
    app = make(script)
    refusals = app.refusals(dataset)
    assert refusals
    for _ in range(4):
        if not refusals:
            break
        statement = refusals[0][1].removeprefix("create it: ").removeprefix("remove it: ")
        app.run(statement.split(";")[0].split(", or ")[0])
        refusals = app.refusals(dataset)
    assert refusals == []


def test_missing_grants_are_printed_and_suffice(make_on_ends: Callable[[str], App]) -> None:
    script = (
        'CREATE SCHEMA "s\'x"; CREATE TABLE "s\'x".requests (id int PRIMARY KEY, created timestamptz, deleted text);'
    )
    app = make_on_ends(script + 'CREATE INDEX ON "s\'x".requests (created)')
    app.run('CREATE TABLE hidden (LIKE "s\'x".requests, tombstoned_at text, PRIMARY KEY (id))', grant=False)
    for dataset in (
        requests(table="s'x.requests", tombstone=TombstoneTarget(column="deleted")),
        requests(table="s'x.requests", tombstone=TombstoneTarget(table="hidden")),
    ):
        refusals = app.refusals(dataset)
        assert refusals
        assert all(remedy.startswith("GRANT ") for _, remedy in refusals), refusals
        for _, grant in refusals:
            app.run(grant, grant=False)
        assert app.refusals(dataset) == []
    app.run("INSERT INTO \"s'x\".requests VALUES (1, '2026-01-01')", grant=False)
    app.purge_all(requests(table="s'x.requests"))


def test_a_verifying_role_that_can_write_is_a_finding(make: Callable[[str], App]) -> None:
    app = make(SOUND)
    app.run(f"GRANT DELETE, INSERT ON requests TO {app.reader}")
    (finding,) = app.survey(requests()).findings
    assert (finding.refuses, "can write" in finding.what) == (False, True)
    app.run(finding.remedy)
    assert app.survey(requests()).findings == ()


def test_a_verifying_connection_to_another_database_refuses(make: Callable[[str], App]) -> None:
    other = make(SOUND)
    app = make(SOUND)
    app.patch.setenv("READER_DSN", app.server.dsn(other.database, app.reader))
    ((what, remedy),) = app.refusals(requests())
    assert "does not lead to the primary" in what
    assert "connection strings" in remedy


def test_unmapped_tables_are_named_once(make: Callable[[str], App]) -> None:
    app = make(PARTS + QUARANTINE.replace("(id)", "(id, created)") + "CREATE VIEW v AS SELECT 1; CREATE TABLE x ();")
    app.run('CREATE MATERIALIZED VIEW m AS SELECT 1 AS id; CREATE SCHEMA "S."; CREATE TABLE "S.".t (); ')
    moved = requests(key=("id", "created"), tombstone=TombstoneTarget(table="hidden"))
    assert list(app.open().unmapped([moved], lambda _name: False)) == ["S..t", "public.m", "public.x"]
    assert list(app.open().unmapped([], lambda name: name.startswith("S.."))) == [
        "public.hidden",
        "public.m",
        "public.requests",
        "public.x",
    ]
