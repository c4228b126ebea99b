"""Bad data maps: each is an error at its place, which ▸ marks in the text, with a remedy and exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from retentiond.domain.dataset import DataMap
from retentiond.errors import ConfigError, Exit

STORES = """\
stores:
  db: {kind: sqlite, path: a.db}
  disk: {kind: files, root: files}
  bucket: {kind: s3, bucket: b}
datasets:
"""
ROWS = "  rows: {store: db, table: t, key: id, class: c, clock: {column: at}%s}\n"
OBJECTS = "  things: {store: disk, prefix: a/, class: c, clock: modified%s}\n"


class Bad(NamedTuple):
    id: str
    text: str
    what: str
    remedy: str


BAD = [
    Bad("not yaml", "stores: {db: [▸}", "not YAML", "correct the YAML"),
    Bad("tab", "stores:\n▸\tdb: 1\n", "not YAML", "indent with spaces"),
    Bad("control character", "stores: ▸\x07\n", "YAML does not allow", "quotes"),
    Bad("duplicate key", "stores: {}\n▸stores: {}\n", "'stores' stands twice", "keep one"),
    Bad(
        "duplicate dataset",
        STORES + ROWS % "" + (ROWS % "").replace("rows", "▸rows"),
        "first at line 6, column 3",
        "keep one",
    ),
    Bad("tag", "stores: ▸!!python/object:os.system {}\n", "the tag", "remove the tag"),
    Bad("alias", "stores: &a {}\ndatasets: ▸*a\n", "aliases", "write the value out"),
    Bad("merge", "stores:\n  db: {▸<<: {kind: sqlite}, path: a.db}\n", "merge keys", "write the values out"),
    Bad("two documents", "stores: {}\n▸---\ndatasets: {}\n", "second YAML document", "keep one"),
    Bad("another YAML", "%YAML 1.1\n▸---\nunmapped: refuse\n", "another version", "%YAML"),
    Bad("a list", "▸- stores\n", "not a mapping", "name: value"),
    Bad("a list as name", "? ▸[a]\n: b\n", "a name is a text", "correct"),
    Bad("deep", "stores: " + "[" * 40 + "▸[" + "]" * 41, "more than 40 deep", "flatten"),
    Bad("half a character", 'unmapped: ▸"\\ud800"\n', "half a character", "surrogate"),
    Bad("unknown field", "▸datasetz: {}\n", "no field 'datasetz'", "did you mean 'datasets'?"),
    Bad("unknown, inside", STORES + ROWS % ", ▸colour: red", "no field 'colour'", "fields here: account"),
    Bad("unmapped", "unmapped: ▸perhaps\n", "'perhaps'", "'refuse' or 'report'"),
    Bad("no kind", "stores: {db: ▸{path: a.db}}\n", "'kind' is missing", "add `kind"),
    Bad("other kind", "stores: {db: {kind: ▸oracle}}\n", "'oracle' is installed", "files, s3, sqlite"),
    Bad("no option", "stores: {db: ▸{kind: sqlite}}\n", "'path' is missing", "add `path"),
    Bad("other option", "stores: {db: {kind: sqlite, path: a, ▸pth: b}}\n", "no field 'pth'", "mean 'path'"),
    Bad("number", "stores: {db: {kind: sqlite, path: ▸5}}\n", "5 is not text", "in quotes"),
    Bad("backups in words", "stores: {db: {kind: sqlite, path: a, backups: ▸few}}\n", "'few'", "write none"),
    Bad("backups", "stores: {db: {kind: sqlite, path: a, backups: {keep: ▸35}}}\n", "35 has no unit", "'30 days'"),
    Bad("blank", "stores: {db: {kind: sqlite, ▸path: }}\n", "blank", "write"),
    Bad(
        "one store twice",
        "stores:\n  a: {kind: sqlite, path: x}\n  ▸b: {kind: sqlite, path: x}\n",
        "one and the same",
        "once",
    ),
    Bad("name", 'stores: {▸"d\\u202eb": {kind: sqlite, path: x}}\n', "cannot be a name", "that can be seen"),
    Bad("long name", f"stores: {{▸{'d' * 65}: {{kind: sqlite, path: x}}}}\n", "longer than 64 bytes", "shorter"),
    Bad(
        "no store",
        STORES + "  rows: {store: ▸buckets, table: t, key: id, class: c, clock: {column: at}}\n",
        "no store 'buckets'",
        "mean 'bucket'",
    ),
    Bad(
        "no class",
        STORES + "  rows: ▸{store: db, table: t, key: id, clock: {column: at}}\n",
        "'class' is missing",
        "add",
    ),
    Bad("no clock", STORES + "  rows: ▸{store: db, table: t, key: id, class: c}\n", "no clock", "clock: {column"),
    Bad("no table", STORES + "  rows: ▸{store: db, key: id, class: c, clock: {column: at}}\n", "no table", "`table:`"),
    Bad("prefix of a table", STORES + ROWS % ", ▸prefix: a/", "has no prefix", "`table:`"),
    Bad(
        "table in files",
        STORES + "  t: {store: disk, ▸table: t, class: c, clock: modified}\n",
        "has no table",
        "`prefix:`",
    ),
    Bad("no prefix", STORES + "  t: ▸{store: disk, class: c, clock: modified}\n", "no prefix", "may be ''"),
    Bad(
        "no key",
        STORES + "  t: {store: db, table: t, key: ▸[], class: c, clock: {column: at}}\n",
        "no key columns",
        "key: [column]",
    ),
    Bad(
        "key twice",
        STORES + "  t: {store: db, table: t, key: ▸[a, a], class: c, clock: {column: at}}\n",
        "twice in the key",
        "once",
    ),
    Bad("key of a file", STORES + OBJECTS % ", ▸key: id", "'key' is for tables", "remove"),
    Bad("pattern of a table", STORES + ROWS % ', ▸key_pattern: "{a}"', "for buckets", "remove"),
    Bad(
        "column of a file",
        STORES + "  t: {store: disk, prefix: '', class: c, clock: ▸{column: at}}\n",
        "no columns",
        "clock: modified",
    ),
    Bad(
        "modified row",
        STORES + "  t: {store: db, table: t, key: id, class: c, clock: ▸modified}\n",
        "stands in a column",
        "column",
    ),
    Bad(
        "clock in words",
        STORES + "  t: {store: disk, prefix: '', class: c, clock: ▸created}\n",
        "'created'",
        "modified",
    ),
    Bad(
        "two clocks",
        STORES + "  t: {store: db, table: t, key: id, class: c, clock: ▸{column: at, pattern: at}}\n",
        "exactly one of",
        "give one",
    ),
    Bad(
        "format",
        STORES + "  t: {store: db, table: t, key: id, class: c, clock: {column: at, format: ▸julian}}\n",
        "'julian'",
        "unix-seconds",
    ),
    Bad(
        "zone",
        STORES + "  t: {store: db, table: t, key: id, class: c, clock: {column: at, zone: ▸../etc}}\n",
        "no time zone",
        "Europe/Berlin",
    ),
    Bad(
        "earliest",
        STORES + "  t: {store: db, table: t, key: id, class: c, clock: {column: at, earliest: ▸2023-02-30}}\n",
        "no real date",
        "2023-01-01",
    ),
    Bad(
        "earliest, no zone",
        STORES + "  t: {store: db, table: t, key: id, class: c, clock: {column: at, earliest: ▸2023-01-01T00:00:00}}\n",
        "with its zone",
        "Z",
    ),
    Bad(
        "clock in JSON",
        STORES + "  t: {store: db, table: t, key: id, class: c, clock: {column: ▸body.$.at}}\n",
        "path into JSON",
        "column",
    ),
    Bad(
        "format of a pattern",
        STORES
        + "  t: {store: disk, prefix: '', key_pattern: '{d:%Y}', class: c, clock: ▸{pattern: d, format: date}}\n",
        "only a clock in a column",
        "remove `format`",
    ),
    Bad(
        "zone of a change",
        STORES + "  t: {store: disk, prefix: '', class: c, clock: ▸{modified: true, zone: UTC}}\n",
        "needs no zone",
        "remove `zone`",
    ),
    Bad("column of an object", STORES + OBJECTS % ", account: ▸who", "no columns", "account: {pattern"),
    Bad("pattern of a row", STORES + ROWS % ", account: ▸{pattern: who}", "stands in a column", "account: column"),
    Bad("blank text", STORES + ROWS % ', account: ▸""', "blank", "write what it is"),
    Bad("blank words", 'downstream: [{what: index, owner: ▸" "}]\n', "nothing that can be read", "plain words"),
    Bad("reserved attribute", STORES + ROWS % ", attributes: ▸{account: a}", "word of conditions", "another name"),
    Bad("NUL", STORES + ROWS % ', account: ▸"a\\0b"', "NUL", "remove"),
    Bad("marker in a table", STORES + ROWS % ", tombstone: ▸marker", "hides nothing by marker", "column or table"),
    Bad(
        "column in a bucket",
        STORES + "  t: {store: bucket, prefix: '', class: c, clock: modified, tombstone: ▸{column: x}}\n",
        "hides nothing by column",
        "marker",
    ),
    Bad("two tombstones", STORES + ROWS % ", tombstone: ▸{column: x, table: y}", "exactly one of", "give one"),
    Bad("own quarantine", STORES + ROWS % ", tombstone: ▸{table: t}", "own table", "another table"),
    Bad("quarantine outside", STORES + OBJECTS % ", tombstone: ▸{directory: ../q}", "leads out", ".quarantine"),
    Bad(
        "quarantine around",
        STORES + "  t: {store: disk, prefix: q/x/, class: c, clock: modified, tombstone: ▸{directory: q}}\n",
        "inside the quarantine",
        "of its own",
    ),
    Bad(
        "prefix outside",
        STORES + "  t: {store: disk, prefix: ▸../up, class: c, clock: modified}\n",
        "leads out",
        "without ..",
    ),
    Bad("braces", STORES + OBJECTS % ', key_pattern: ▸"a/{Account}"', "brace", "{account}"),
    Bad("two names", STORES + OBJECTS % ', key_pattern: ▸"a/{a}{b}"', "nothing stands between", "{account}"),
    Bad(
        "pattern elsewhere",
        STORES + OBJECTS % ', key_pattern: ▸"b/{a}"',
        "does not begin with the prefix 'a/'",
        "whole keys",
    ),
    Bad(
        "no such part",
        STORES + OBJECTS % ', key_pattern: "a/{acount}", account: ▸{pattern: account}',
        "{account}",
        "mean 'acount'",
    ),
    Bad(
        "no such time",
        STORES + "  t: {store: disk, prefix: '', key_pattern: '{day}', class: c, clock: ▸{pattern: day}}\n",
        "no time called 'day'",
        "{date:",
    ),
    Bad("no pattern", STORES + OBJECTS % ", account: ▸{pattern: account}", "no key_pattern", "key_pattern"),
    Bad("blobs nowhere", STORES + ROWS % ", blobs: {column: k, dataset: ▸things}", "no dataset 'things'", "datasets"),
    Bad(
        "blobs of another",
        STORES + ROWS % ", blobs: {column: k, dataset: ▸things}" + OBJECTS % "",
        "does not follow 'rows'",
        "follows: rows",
    ),
    Bad(
        "follows nobody",
        STORES + "  t: {store: disk, prefix: '', class: c, follows: ▸rows}\n",
        "no dataset 'rows'",
        "datasets",
    ),
    Bad(
        "follows a stranger",
        STORES + ROWS % "" + "  t: {store: disk, prefix: '', class: c, follows: ▸rows}\n",
        "name no objects of it",
        "blobs:",
    ),
    Bad(
        "other class",
        STORES
        + ROWS % ", blobs: {column: k, dataset: t}"
        + "  t: {store: disk, prefix: '', class: ▸d, follows: rows}\n",
        "of the class 'c'",
        "row's class",
    ),
    Bad(
        "table twice",
        STORES + ROWS % "" + "  again: {store: db, table: ▸main.T, key: id, class: c, clock: {column: at}}\n",
        "this table already",
        "one dataset",
    ),
    Bad(
        "mapped quarantine",
        STORES
        + ROWS % ", tombstone: {table: q}"
        + "  q: {store: db, table: ▸q, key: id, class: c, clock: {column: at}}\n",
        "quarantine of 'rows'",
        "one dataset",
    ),
    Bad(
        "overlap",
        STORES + OBJECTS % "" + "  t: {store: disk, prefix: ▸a/b, class: c, clock: modified}\n",
        "overlap: 'a/', 'a/b'",
        "one dataset",
    ),
    Bad(
        "ignored nowhere",
        STORES.replace("datasets:\n", "") + "ignore:\n  - {store: ▸d, pattern: x, reason: y}\n",
        "no store 'd'",
        "mean 'db'",
    ),
    Bad(
        "ignored for no reason",
        STORES.replace("datasets:\n", "") + "ignore:\n  - ▸{store: db, pattern: x}\n",
        "'reason' is missing",
        "add",
    ),
    Bad("downstream", f"downstream: [{{what: ▸{'w' * 41}, owner: me}}]\n", "longer than 40 bytes", "shorten"),
]


KEYS = "  keys: {store: db, table: api_keys, key: token, class: c, clock: {column: at}%s}\n"
VIA = "{via: api_keys, on: {api_key: token}, take: user_id}"
BAD += [
    Bad("no owner", STORES + ROWS % ", account: ▸[]", "no owner is named", "remove `account`"),
    Bad("owner twice", STORES + ROWS % ", account: ▸[user, user]", "twice", "once"),
    Bad("owner of several, as a number", STORES + ROWS % ", account: [user, ▸5]", "5 is not a mapping", "name: value"),
    Bad("only owner optional", STORES + ROWS % ", account: ▸{column: u, optional: true}", "never optional", "is kept"),
    Bad("owner nowhere", STORES + ROWS % ", account: ▸{json: $.a}", "exactly one of column", "give one"),
    Bad(
        "owner in two places",
        STORES + ROWS % f", account: ▸{{column: a, {VIA[1:]}",
        "exactly one of",
        "remove the others",
    ),
    Bad("path of no column", STORES + ROWS % f", account: ▸{{json: $.a, {VIA[1:]}", "only a column holds", "`json`"),
    Bad("elsewhere, but how", STORES + ROWS % ", account: ▸{via: keys}", "needs `via`, `on` and `take`", "{via: TABLE"),
    Bad("elsewhere, but where", STORES + ROWS % ", account: ▸{column: a, take: b}", "needs `via`", "{via: TABLE"),
    Bad("elsewhere, joined by nothing", STORES + ROWS % ", account: {via: k, on: ▸{}, take: u}", "is empty", "one"),
    Bad("own table", STORES + ROWS % ", account: {via: ▸T, on: {a: b}, take: u}", "dataset's own", "account: COLUMN"),
    Bad("tag in a list", STORES + ROWS % ", account: ▸[a, {tag: b}]", "an object has one owner", "{tag: …}"),
    Bad("tag of a row", STORES + ROWS % ", account: ▸{tag: b}", "has no tags or metadata", "only a bucket"),
    Bad("tag of a row, clock", (STORES + ROWS % "").replace("{column: at}", "▸{tag: at}"), "has no tags", "a bucket"),
    Bad("tag of a row, attribute", STORES + ROWS % ", attributes: ▸{f: {metadata: f}}", "has no tags", "a bucket"),
    Bad("tag and metadata", STORES + ROWS % ", account: ▸{tag: b, metadata: c}", "exactly one of", "remove the others"),
    Bad("tag of a file", STORES + OBJECTS % ", account: ▸{tag: b}", "has no tags or metadata", "only a bucket"),
    Bad("columns of objects", STORES + OBJECTS % ", ▸attributes: {f: f}", "is for tables", "{tag: …}"),
    Bad("path of an owner", STORES + ROWS % ", account: {column: a, json: ▸b.c}", "begin with $", "$.meta.created"),
    Bad("path of a clock", (STORES + ROWS % "").replace("at}", "at, json: ▸'$..a'}"), "from '..a' on", "$.meta"),
    Bad("wildcard", (STORES + ROWS % "").replace("at}", "at, json: ▸'$.a[*]'}"), "from '[*]' on", "owners[0]"),
    Bad("path, a number", (STORES + ROWS % "").replace("at}", "at, json: ▸5}"), "5 is no path", "$.meta"),
    Bad(
        "path of the key",
        STORES + "  t: {store: disk, prefix: a/, key_pattern: 'a/{d:%Y}', class: c, clock: ▸{pattern: d, json: $.a}}\n",
        "only a column holds JSON",
        "remove `json`",
    ),
    Bad("columns of an object", STORES + OBJECTS % ", account: ▸[a, b]", "an object has no columns", "pattern"),
    Bad("owners in a key", STORES + OBJECTS % ", account: ▸[{pattern: a}, b]", "an object has one owner", "pattern"),
    Bad(
        "table of nothing", STORES + (ROWS % "").replace("table: t", "table: ▸{schema: s}"), "'name' is missing", "add"
    ),
    Bad(
        "same table, by schema",
        STORES
        + ROWS % ""
        + (ROWS % "").replace("rows:", "more:").replace("table: t", "table: ▸{schema: MAIN, name: T}"),
        "this table already",
        "one dataset",
    ),
    Bad("no parent", STORES + ROWS % ", parent: {dataset: ▸rowz, on: {a: b}}", "no dataset 'rowz'", "mean 'rows'"),
    Bad(
        "owner of no parent",
        STORES + ROWS % ", account: {via: ▸parent}",
        "takes its owner from its parent",
        "add `pare",
    ),
    Bad(
        "owner of a parent without any",
        STORES + ROWS % ", parent: {dataset: keys, on: {a: b}}, account: {via: ▸parent}" + KEYS % "",
        "parent 'keys', which has none",
        "add `account:`",
    ),
    Bad(
        "owner of nobody's parent",
        STORES
        + ROWS % ", parent: {dataset: keys, on: {a: b}}, account: {via: ▸parent}"
        + KEYS % ", account: {nobody: shared}",
        "parent 'keys', which has none",
        "add `account:`",
    ),
    Bad(
        "a way that takes nothing", STORES + ROWS % ", account: ▸{through: [{table: k, on: {a: b}}]}", "needs `th", "w"
    ),
    Bad(
        "a way through itself",
        STORES + ROWS % ", account: {through: [{table: ▸t, on: {a: b}}], take: u}",
        "leads through the dataset's own table",
        "name its column",
    ),
    Bad(
        "a way past what could go before",
        STORES
        + ROWS % ", account: {through: [{table: between, on: {a: b}}, {table: ▸api_keys, on: {c: d}}], take: u}"
        + KEYS % "",
        "'keys' could go before the rows whose owner it knows: 'between' between is no dataset",
        "describe 'between' as a dataset",
    ),
    Bad("nobody's, and more", STORES + ROWS % ", account: ▸[u, {nobody: shared}]", "nobody's, and more", "alone"),
    Bad("users of nobody", STORES + ROWS % ", ▸user: u", "of no account", "declare `account:` too"),
    Bad("no user at all", STORES + ROWS % ", account: a, user: ▸[]", "no user is named", "remove `user`"),
    Bad("one user twice", STORES + ROWS % ", account: a, user: ▸[u, u]", "the same user is named twice", "once"),
    Bad("no user's, and more", STORES + ROWS % ", account: a, user: ▸[u, {nobody: x}]", "nobody's, and more", "alone"),
    Bad("a row's user in its key", STORES + ROWS % ", account: a, user: ▸{pattern: u}", "user of a row", "`user: col"),
    Bad(
        "an object's user in a column",
        STORES + OBJECTS % ", key_pattern: 'a/{u}', account: {pattern: u}, user: ▸u",
        "no columns",
        "`user: {pattern",
    ),
    Bad(
        "a user whom the key does not name",
        STORES + OBJECTS % ", key_pattern: 'a/{account}/{x}', account: {pattern: account}, user: ▸{pattern: user}",
        "no {user}",
        "names in the pattern",
    ),
    Bad(
        "an object's user that may be blank",
        STORES + OBJECTS % ", key_pattern: 'a/{u}', account: {pattern: u}, user: ▸{pattern: u, optional: true}",
        "one user, always",
        "remove `optional`",
    ),
    Bad(
        "a user's own table",
        STORES + ROWS % ", account: a, user: [x, {via: ▸t, on: {a: id}, take: u}]",
        "the dataset's own",
        "`user: COLUMN`",
    ),
    Bad(
        "a parent's user without one", STORES + ROWS % ", account: a, user: {via: ▸parent}", "user from its parent", ""
    ),
    Bad("nobody's, and why", STORES + ROWS % ", account: {nobody: ▸''}", "says nothing", ""),
    Bad("own parent", STORES + ROWS % ", parent: {dataset: ▸rows, on: {a: b}}", "its own parent", "remove `parent`"),
    Bad("parent, but how", STORES + ROWS % ", parent: ▸{dataset: rows}", "'on' is missing", "add"),
    Bad(
        "parent elsewhere",
        STORES.replace("  disk:", "  db2: {kind: sqlite, path: b.db}\n  disk:")
        + ROWS % ", parent: {dataset: ▸keys, on: {a: b}}"
        + (KEYS % "").replace("store: db", "store: db2"),
        "another store, 'db2'",
        "one store",
    ),
    Bad(
        "object as parent",
        STORES.replace("disk: {kind: files, root: files}", "dusk: {kind: files, root: g}")
        + "  things: {store: dusk, prefix: a/, class: c, clock: modified, ▸parent: {dataset: things, on: {a: b}}}\n",
        "'parent' is for tables",
        "remove it",
    ),
    Bad(
        "circle",
        STORES + ROWS % ", parent: ▸{dataset: keys, on: {a: b}}" + KEYS % ", parent: {dataset: rows, on: {b: a}}",
        "'keys' before 'rows'",
        "nothing in a circle",
    ),
    Bad(
        "circle through an owner",
        STORES
        + ROWS % f", account: [u, {VIA.replace('api_keys', '▸api_keys')}]"
        + KEYS % ", parent: {dataset: rows, on: {b: a}}",
        "'keys' before 'rows'",
        "nothing in a circle",
    ),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id)
def test_a_bad_data_map_is_refused_at_its_place(bad: Bad, datamap_of: Callable[..., DataMap]) -> None:
    before, _, after = bad.text.partition("▸")
    with pytest.raises(ConfigError) as caught:
        datamap_of(before + after)
    error = caught.value
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    assert error.where == f"datamap.yaml:{line}:{column}"
    assert bad.what in error.what
    assert bad.remedy in error.remedy
    assert error.exit_code == Exit.USAGE == 2
