"""Bad policies: each is an error at its place, which ▸ marks in the text, with a remedy and exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from retentiond.domain.policy import PolicySet
from retentiond.errors import ConfigError, Exit, PolicyError

POLICY = "policies:\n  p: {class: content%s}\n"
RULES = "policies:\n  p:\n    class: content\n    rules:\n%s"
RULE = RULES % "      - {%s}\n"
WHEN = RULES % "      - {when: {%s}, keep: 1 day}\n      - {keep: 30 days}\n"
KEEP = RULE % "keep: 30 days"
CLOSURE = "closure: {classes: {%s}}\n"
CONTENT = KEEP + "    content: [{%s}]\n"


class Bad(NamedTuple):
    id: str
    text: str
    what: str
    remedy: str


SHAPE = [
    Bad("bare number", RULE % "keep: ▸30", "30 has no unit", "'30 days'"),
    Bad("bare number in quotes", RULE % 'keep: ▸"30"', "30 has no unit", "'P30D'"),
    Bad("zero", RULE % "keep: ▸0", "never zero", "number and a unit"),
    Bad("zero days", RULE % "keep: ▸0 days", "never zero", "number and a unit"),
    Bad("negative", RULE % "keep: ▸-3 days", "never zero or negative", "number and a unit"),
    Bad("blank", RULE % "▸keep: ", "blank", "number and a unit"),
    Bad("spaces", RULE % 'keep: ▸"  "', "blank", "number and a unit"),
    Bad("truth value", RULE % "keep: ▸true", "true is not a period", "number and a unit"),
    Bad("list", RULE % "keep: ▸[30 days]", "is not a period", "number and a unit"),
    Bad("other unit", RULE % "keep: ▸30 moons", "'30 moons' is not a period", "'30 days'"),
    Bad("fraction", RULE % "keep: ▸1.5 days", "'1.5 days' is not a period", "'30 days'"),
    Bad("too long", RULE % "keep: ▸P900Y200000D", "longer than a thousand years", "shorter"),
    Bad("no rules", POLICY % ", rules: ▸[]", "is empty", "write one"),
    Bad("rules forgotten", "policies:\n  p: ▸{class: content}\n", "'rules' is missing", "rules"),
    Bad("no class", "policies:\n  p: ▸{rules: [{keep: 1 day}]}\n", "'class' is missing", "class"),
    Bad("TTL", RULE % "▸ttl: 30 days", "no field 'ttl'", "keep"),
    Bad(
        "neither",
        RULES % "      - ▸{when: {flagged: true}}\n      - {keep: 1 day}\n",
        "exactly one of keep",
        "keep: 30",
    ),
    Bad("too soon", RULE % "zero_retention: ▸{after: 4 minutes}", "too soon", "5 minutes at least"),
    Bad("too often", RULE % "zero_retention: ▸{after: 1 hour, check_every: 5 seconds}", "too often", "1 minute"),
    Bad("zero in months", RULE % "zero_retention: {after: ▸1 month}", "no fixed length", "weeks, days"),
    Bad("action of parts", RULE % "keep: 1 day, then: ▸redact", "redact is of parts of a record", "under `content:`"),
    Bad("no action", RULE % "keep: 1 day, then: ▸shred", "'shred' is no action", "purge, tombstone"),
    Bad("no promise", RULE % "keep: 1 day, promise: ▸{}", "nothing is promised", "live: 30 days"),
    Bad(
        "short backups",
        POLICY % ", promise: ▸{live: 30 days, backups: 7 days}, rules: [{keep: 1 day}]",
        "less than",
        "together",
    ),
    Bad("schedule", KEEP + '    schedule: ▸"6 hours"\n', "no schedule", "every 6 hours"),
    Bad("schedule, no unit", KEEP + '    schedule: ▸"every 6"\n', "6 has no unit", "number and a unit"),
    Bad("schedule in months", KEEP + '    schedule: ▸"every 1 month"\n', "no fixed length", "weeks, days"),
    Bad("schedule of no length", KEEP + '    schedule: ▸"every 0 seconds"\n', "never zero", "number and a unit"),
    Bad("cron", KEEP + '    schedule: ▸{cron: "61 * * * *"}\n', "'61' is no minute", "15 4"),
    Bad(
        "cron of two kinds",
        KEEP + '    schedule: ▸{cron: "0 0 1 * mon"}\n',
        "which schedulers read differently",
        "15 4",
    ),
    Bad("cron that never fires", KEEP + '    schedule: ▸{cron: "0 0 30 2 *"}\n', "never fires", "15 4"),
    Bad("no schedule", KEEP + "    schedule: ▸{zone: UTC}\n", "exactly one of every, cron", "every 6 hours"),
    Bad("cron zone", KEEP + '    schedule: {cron: "0 0 * * *", zone: ▸Mars}\n', "no time zone", "Europe/Berlin"),
    Bad("many records", KEEP + "    limits: ▸{max_records: 5_000_001}\n", "at most 5,000,000", "5_000_000"),
    Bad("no records", KEEP + "    limits: {max_records: ▸0}\n", "not a count", "from 1"),
    Bad("half a record", KEEP + "    limits: {max_records: ▸1.5}\n", "not a whole number", "digits"),
    Bad("per cent", KEEP + "    limits: {max_percent: ▸101}\n", "not a percentage", "up to 100"),
    Bad("per cent, sign", KEEP + "    limits: {max_percent: ▸10%}\n", "not a percentage", "without a sign"),
    Bad("not a number", KEEP + "    limits: {max_percent: ▸.nan}\n", "not a percentage", "up to 100"),
    Bad("run in months", KEEP + "    limits: {longest_run: ▸1 month}\n", "no fixed length", "hours"),
    Bad("long id", f"policies:\n  ▸{'p' * 65}: {{class: content, rules: [{{keep: 1 day}}]}}\n", "64 bytes", "shorter"),
    Bad("closure", "closure: ▸{grace: 30 days, deadline: 30 days}\n", "leaves no time", "shorten the grace"),
    Bad(
        "closure of a jurisdiction",
        "closure: ▸{grace: 14 days, deadline: 30 days, jurisdictions: {eu: {deadline: 10 days}}}\n",
        "the deadline of eu of 10 days leaves no time after a grace of 14 days",
        "shorten the grace",
    ),
    Bad(
        "kept, of what",
        KEEP + CLOSURE % "▸contents: {keep: 9 days, reason: law}",
        "no policy governs the class",
        "mean",
    ),
    Bad("kept, but why", KEEP + CLOSURE % "content: ▸{keep: 9 days}", "'reason' is missing", "add"),
    Bad("kept, how long", KEEP + CLOSURE % "content: {keep: ▸9, reason: law}", "9 has no unit", "'30 days'"),
    Bad("kept from when", KEEP + CLOSURE % "content: ▸{reason: law}", "exactly one of keep, after_closure", "write"),
    Bad("kept no time", KEEP + CLOSURE % "content: ▸[]", "is empty", "write one"),
    Bad(
        "kept longer than the policy lets it",
        KEEP + CLOSURE % "content: [{keep: 9 days, reason: law}, {keep: ▸31 days, reason: law}]",
        "and a rule of its policy removes it before",
        "keep it longer in the policy, too",
    ),
    Bad(
        "kept longer than any rule lets it",
        KEEP + CLOSURE % "content: {when: {flagged: true}, keep: ▸31 days, reason: law}",
        "and every rule of its policy removes it before",
        "keep it longer in the policy, too",
    ),
    Bad(
        "kept by what nobody has",
        KEEP + CLOSURE % "content: {when: {▸colour: red}, keep: 9 days, reason: law}",
        "the rule asks for 'colour'",
        "declare it",
    ),
    Bad(
        "kept where",
        KEEP + CLOSURE % "content: {keep: 9 days, reason: law, jurisdictions: [▸de]}",
        "there is no jurisdiction 'de'",
        "",
    ),
    Bad("accounts of no list", "closure: {jurisdictions: {de: {accounts: ▸germans}}}\n", "no list 'germans'", ""),
    Bad(
        "accounts of two jurisdictions",
        "lists: {a: [x, y], b: [y]}\nclosure: {jurisdictions: {de: {accounts: a}, us: {accounts: ▸b}}}\n",
        "an account stands in the lists of 'de' and of 'us'",
        "in one of them",
    ),
    Bad("zone of erasures", "erasure: {zone: ▸Mars/Olympus}\n", "no time zone", "IANA"),
    Bad("law built in", "erasure: ▸{laws: {gdpr: {name: x, answer: 1 month}}}\n", "is built in", "another name"),
    Bad("law in hours", "erasure: {laws: {x: {name: x, answer: ▸36 hours}}}\n", "no number of whole days", "days"),
    Bad("law without a time", "erasure: {laws: {x: ▸{name: x}}}\n", "'answer' is missing", "add"),
    Bad(
        "law that confirms never",
        "erasure: {laws: {x: {name: x, answer: 1 day, confirm: ▸0}}}\n",
        "not a count",
        "from 1",
    ),
    Bad("alert in months", "erasure: {alert_before: ▸1 month}\n", "no fixed length", "days"),
    Bad("floor", "floor: ▸60\n", "60 has no unit", "number and a unit"),
    Bad("list of numbers", "lists: {vip: [▸42]}\n", "42 is not text", "in quotes"),
    Bad("blank member", 'lists: {vip: [a, ▸""]}\n', "blank", "remove"),
    Bad("queried list", "lists: {vip: {▸query: select 1}}\n", "query gives is not supported", "remove 'query'"),
    Bad("list of two sources", "lists: {vip: ▸{}}\n", "written out, or names its file", "file: accounts.txt"),
    Bad("odd list name", 'lists: {▸"(rule 1)": [a]}\n', "cannot be a list's name", "another sign"),
    Bad("no such file", "lists: {vip: {file: ▸vip.txt}}\n", "no such file", "init"),
]
MEANING = [
    Bad(
        "one class twice",
        RULE % "keep: 1 day" + "  q: {class: ▸content, rules: [{keep: 1 day}]}\n",
        "governed by 'p'",
        "one policy",
    ),
    Bad("last with when", RULES % "      - {▸when: {flagged: true}, keep: 1 day}\n", "for ever", "without `when`"),
    Bad(
        "early without when", RULES % "      - ▸{keep: 1 day}\n      - {keep: 2 days}\n", "never count", "add a `when`"
    ),
    Bad("below the floor", "floor: 2 days\n" + RULE % "keep: ▸1 day", "below the floor of 2 days", "zero_retention"),
    Bad("no attribute", WHEN % "▸colour: red", "'requests' and 'payloads'", "fields of the class"),
    Bad("nearly an attribute", WHEN % "▸flaged: true", "'flaged'", "mean 'flagged'"),
    Bad(
        "no owner",
        "policies: {e: {class: export, rules: [{when: {▸account: a}, keep: 1 day}, {keep: 1 day}]}}\n",
        "'exports'",
        "data map",
    ),
    Bad(
        "no tombstone",
        "policies: {e: {class: export, rules: [{keep: 1 day, then: ▸tombstone, grace: none}]}}\n",
        "'exports'",
        "then: purge",
    ),
    Bad("no list", WHEN % "account: {in: ▸vip}", "no list 'vip'", "lists of this file: none"),
    Bad("nearly a list", "lists: {vips: [a]}\n" + WHEN % "account: {not_in: ▸vip}", "no list 'vip'", "mean 'vips'"),
    Bad(
        "no condition",
        RULES % "      - {when: ▸true, keep: 1 day}\n      - {keep: 1 day}\n",
        "no condition",
        "flagged: true",
    ),
    Bad(
        "empty condition",
        RULES % "      - {when: ▸{}, keep: 1 day}\n      - {keep: 1 day}\n",
        "no condition",
        "flagged: true",
    ),
    Bad("no comparison", WHEN % "score: {▸at_leas: 3}", "'at_leas' is no comparison", "mean 'at_least'"),
    Bad("empty comparison", WHEN % "score: ▸{}", "nothing is said", "at_least"),
    Bad("order of text", WHEN % "tier: {above: ▸gold}", "no whole number", "digits"),
    Bad("order of truth", WHEN % "score: {above: ▸true}", "no whole number", "digits"),
    Bad("order of accounts", WHEN % "account: {above: ▸3}", "accounts have no order", "in:"),
    Bad("number as account", WHEN % "account: ▸42", "42 is not an account", "in quotes"),
    Bad("mixed list", WHEN % "score: {in: ▸[1, true]}", "different kinds", "whole numbers"),
    Bad("fraction", WHEN % "score: ▸1.5", "nothing to compare with", "whole number"),
    Bad("large number", WHEN % "score: {below: ▸9007199254740992}", "no whole number", "digits"),
    Bad("larger still", WHEN % "score: ▸9007199254740992", "too large to compare with", "at most 9007199254740991"),
    Bad("any of nothing", WHEN % "any: ▸[]", "takes a list", "any: ["),
    Bad("any of a mapping", WHEN % "any: ▸{flagged: true}", "takes a list", "any: ["),
    Bad("not of a list", WHEN % "not: ▸[a]", "no condition", "flagged: true"),
    Bad("empty in", WHEN % "tier: {in: ▸[]}", "neither a list nor the name of one", "[one, two]"),
    Bad("content of the key", CONTENT % "redact: ▸[request_id], after: 3 days", "is the key of", "leave it out"),
    Bad("content of the clock", CONTENT % "redact: ▸[created_at], after: 3 days", "is the clock of", "leave it out"),
    Bad("content of the owner", CONTENT % "redact: ▸['account_id.$.x'], after: 3 days", "account of", "leave it out"),
    Bad("content of an attribute", CONTENT % "redact: ▸{tier: x}, after: 3 days", "is the attribute 'tier'", "leave"),
    Bad("content below the floor", CONTENT % "redact: [a], after: ▸1 minute", "below the floor", "keep it longer"),
    Bad("content after its record", CONTENT % "redact: [a], after: ▸30 days", "no record is kept as long", "shorten"),
    Bad(
        "content of no table", CONTENT % "redact: [a], after: 3 days, datasets: [▸payloads]", "no table of", "requests"
    ),
    Bad(
        "content that never counts",
        KEEP + "    content: [{redact: [a], after: 3 days}, ▸{redact: [a.$.b, c], after: 2 days}]\n",
        "window 2 never counts",
        "put it first",
    ),
    Bad(
        "content of a bucket",
        "policies:\n  p:\n    class: export\n    rules: [{keep: 9 days}]\n    content: [{▸redact: [a], after: P1D}]\n",
        "the objects of a bucket",
        "a rule removes whole objects",
    ),
    Bad(
        "content's condition",
        KEEP + "    content: [{when: {▸colour: red}, redact: [a], after: 3 days}]\n",
        "'colour'",
        "fields of the class",
    ),
]
MIXED = [
    Bad(
        "grace missing",
        RULES % "      - ▸{keep: 1 day, then: tombstone}\n",
        "how long a tombstone lasts",
        "grace: none",
    ),
    Bad("grace of a purge", RULES % "      - ▸{keep: 1 day, grace: 1 day}\n", "a purge has no grace", "tombstone"),
    Bad("grace of zero", RULES % "      - ▸{zero_retention: {after: 1 hour}, grace: 1 day}\n", "no `grace`", "remove"),
    Bad("zero blank", RULE % "▸zero_retention: ", "'zero_retention' is blank", "remove the line"),
    Bad("grace blank", RULE % "keep: 1 day, then: tombstone, ▸grace: ", "blank", "number and a unit"),
    Bad("both periods", RULES % "      - ▸{keep: 1 day, zero_retention: {after: 1 hour}}\n", "exactly one of", "keep"),
]


def refused(bad: Bad, policies_of: Callable[..., PolicySet]) -> ConfigError:
    before, mark, after = bad.text.partition("▸")
    assert mark
    with pytest.raises(ConfigError) as caught:
        policies_of(before + after)
    error = caught.value
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    assert error.where == f"policies.yaml:{line}:{column}"
    assert bad.what in error.what
    assert bad.remedy in error.remedy
    assert error.exit_code == Exit.USAGE == 2
    return error


@pytest.mark.parametrize("bad", [*SHAPE, *MIXED], ids=lambda bad: bad.id)
def test_what_is_written_wrongly_is_refused_at_its_place(bad: Bad, policies_of: Callable[..., PolicySet]) -> None:
    refused(bad, policies_of)


@pytest.mark.parametrize("bad", MEANING, ids=lambda bad: bad.id)
def test_a_policy_that_contradicts_itself_or_the_data_is_refused(
    bad: Bad, policies_of: Callable[..., PolicySet]
) -> None:
    assert type(refused(bad, policies_of)) is PolicyError
