from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from retentiond.domain.condition import ACCOUNT, ALWAYS, AnyOf, Compare, Not, Operator, attribute, python_reading
from retentiond.domain.content import Change, Target
from retentiond.domain.dataset import DataMap
from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.period import Period
from retentiond.domain.policy import (
    MAX_RECORDS,
    Action,
    ClosureTerms,
    Jurisdiction,
    Limits,
    PolicySet,
    Promise,
    Schedule,
)
from retentiond.domain.record import Record
from retentiond.errors import ConfigError, PolicyError
from retentiond.settings import (
    idle_policies,
    list_commitment_input,
    load_policies,
    read_canonical,
    uncovered_classes,
)

from .samples import DATAMAP

# The example of the design, word for word, but for comments and the class.
DESIGN = """\
policies:
  request-content:
    class: content
    promise: {live: 30 days, backups: 65 days}
    rules:
      - {when: {account: {in: zero-retention}}, zero_retention: {after: 15 minutes, check_every: 5 minutes}}
      - {when: {flagged: true}, keep: 23 months, promise: {live: 2 years, backups: 26 months}}
      - {keep: 23 days, then: tombstone, grace: 5 days}
    schedule: "every 6 hours"
    limits: {max_records: 5_000_000, max_percent: 10}
lists: {zero-retention: [acct-zdr-1]}
closure: {grace: 14 days, deadline: 30 days, limits: {per_day: 500, max_percent: 1}}
floor: 1 hour
"""
CONTENT = """\
    content:
      - {when: {flagged: false}, redact: [messages, response, "metadata.$.prompt"], after: 3 days,
         promise: {live: 4 days, backups: 39 days}}
"""
Load = Callable[..., PolicySet]


def one_rule(rule: str, rest: str = "") -> str:
    return f"policies:\n  p:\n    class: content\n    rules:\n      - {{{rule}}}\n{rest}"


def test_the_example_of_the_design_is_read(policies_of: Load) -> None:
    found = policies_of(DESIGN)
    policy = found.policies["request-content"]
    assert found.of_class("content") is policy
    zero, flagged, rest = policy.rules
    assert (zero.number, flagged.number, rest.number) == (1, 2, 3)
    assert zero.when == AnyOf(ACCOUNT, ("acct-zdr-1",))
    assert (zero.keep, zero.zero_retention, zero.check_every) == (Period(seconds=900), True, Period(seconds=300))
    assert flagged.when == Compare(attribute("flagged"), Operator.EQUAL, literal=True)
    assert (flagged.keep, flagged.then) == (Period(months=23), Action.PURGE)
    assert flagged.promise == Promise(Period(months=24), Period(months=26))
    assert (rest.when, rest.keep, rest.then, rest.grace) == (ALWAYS, Period(days=23), Action.TOMBSTONE, Period(days=5))
    assert [rule.text for rule in policy.rules] == [
        "account is in zero-retention",
        "flagged is true",
        "everything else",
    ]
    assert policy.promise == Promise(Period(days=30), Period(days=65))
    assert policy.schedule == Schedule(every=Period(seconds=21_600))
    assert policy.limits == Limits(5_000_000, 10, Period(seconds=7200))
    assert policy.floor == Period(seconds=3600)
    assert policy.lists == {"zero-retention": ("acct-zdr-1",)}
    assert found.closure == ClosureTerms(Period(days=14), Period(days=30), 500, 1)


def test_content_windows_of_the_design_are_read(policies_of: Load) -> None:
    policy = policies_of(DESIGN.replace("    schedule:", CONTENT + "    schedule:")).policies["request-content"]
    (window,) = policy.content
    inside = Target("metadata", JsonPath.parse("$.prompt"))
    assert window.change == Change((Target("messages"), Target("response"), inside))
    assert (window.number, window.after, window.action) == (1, Period(days=3), Action.REDACT)
    assert window.datasets == {"requests"}
    assert (window.when, window.text) == (
        Compare(attribute("flagged"), Operator.EQUAL, literal=False),
        "flagged is false",
    )
    assert window.promise == Promise(Period(days=4), Period(days=39))
    written = json.loads(policy.canonical)["content"]
    assert written == [
        {
            "when": {"flagged": False}, "redact": ["messages", "response", "metadata.$.prompt"],
            "after": "P3D", "promise": {"live": "P4D", "backups": "P39D"},
            "datasets": None, "keys": None, "pseudonymise": None,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "constant", "value"),
    [
        ("x", '"x"', "x"), ("''", '""', ""), ("0", "0", 0), ("-7", "-7", -7),
        ("true", "true", True), ("[]", "[]", "[]"), ("{}", "{}", "{}"), ("'\U0001f5d1'", '"\U0001f5d1"', "\U0001f5d1"),
    ],
)  # fmt: skip
def test_constants_of_content_windows(written: str, constant: str, value: object, policies_of: Load) -> None:
    window = f"    content: [{{redact: {{a: {written}}}, after: 3 days}}]\n"
    (found,) = policies_of(one_rule("keep: 30 days", window)).policies["p"].content
    (target,) = found.change.targets
    assert (target.constant, target.value) == (constant, value)


def test_what_is_not_said_has_the_documented_defaults(policies_of: Load) -> None:
    found = policies_of(one_rule("keep: 30 days"))
    policy = found.policies["p"]
    assert policy.rules[0].then is Action.PURGE
    assert policy.rules[0].text == "every record"
    assert policy.promise == Promise()
    assert policy.schedule == Schedule(every=Period(seconds=21_600))
    assert policy.limits == Limits(MAX_RECORDS, 10, Period(seconds=7200))
    assert policy.floor == Period(seconds=3600)
    assert found.closure == ClosureTerms(Period(days=14), Period(days=30), 500, None)


def test_cron_grace_none_and_other_forms(policies_of: Load) -> None:
    text = one_rule(
        "keep: P1Y6M, then: tombstone, grace: none",
        '    schedule: {cron: "15 4 * * *", zone: Europe/Berlin}\n'
        "    limits: {longest_run: 30 minutes, max_percent: 2.5}\n"
        "closure: {grace: none}\nfloor: 2 hours\n",
    )
    found = policies_of(text)
    policy = found.policies["p"]
    assert policy.rules[0].keep == Period(months=18)
    assert policy.rules[0].grace is None
    assert policy.schedule == Schedule(None, "15 4 * * *", "Europe/Berlin")
    assert policy.limits == Limits(MAX_RECORDS, 2.5, Period(seconds=1800))
    assert policy.floor == Period(seconds=7200)
    assert found.closure.grace is None


@pytest.mark.parametrize("text", ["", "# later\n", "policies:\nlists:\n"])
def test_a_file_that_says_nothing_promises_nothing(text: str, policies_of: Load) -> None:
    assert policies_of(text).policies == {}


def test_zero_retention_lies_below_the_floor_and_keep_may_equal_it(policies_of: Load) -> None:
    text = """\
policies:
  p:
    class: content
    rules:
      - {when: {flagged: false}, zero_retention: {after: 5 minutes}}
      - {keep: 2 hours}
floor: 2 hours
"""
    assert [rule.zero_retention for rule in policies_of(text).policies["p"].rules] == [True, False]


def test_a_month_is_not_below_a_floor_of_28_days_but_below_one_of_29(policies_of: Load) -> None:
    assert policies_of(one_rule("keep: 1 month", "floor: 28 days\n"))
    with pytest.raises(PolicyError, match="below the floor"):
        policies_of(one_rule("keep: 1 month", "floor: 29 days\n"))


def test_an_attribute_counts_for_what_follows_the_rows_that_have_it(policies_of: Load) -> None:
    rules = "      - {when: {tier: gold}, keep: 1 year}\n      - {keep: 1 day}\n"
    assert policies_of(f"policies:\n  p:\n    class: content\n    rules:\n{rules}")
    lonely = DATAMAP + "  more: {store: db, table: m, key: id, class: content, clock: {column: at}, account: a}\n"
    with pytest.raises(PolicyError, match="'tier', which 'more' of its class"):
        policies_of(f"policies:\n  p:\n    class: content\n    rules:\n{rules}", lonely)


def test_what_follows_needs_no_tombstone_of_its_own(policies_of: Load) -> None:
    assert "tombstone" not in DATAMAP.partition("  payloads:\n")[2]
    assert policies_of(one_rule("keep: 1 day, then: tombstone, grace: 1 day"))


def test_classes_without_a_policy_and_policies_without_data_are_told(
    policies_of: Load, datamap_of: Callable[..., object]
) -> None:
    found = policies_of(one_rule("keep: 1 day", "  q: {class: contents, rules: [{keep: 1 day}]}\n"))
    datamap = datamap_of(DATAMAP)
    assert uncovered_classes(datamap, found) == ("export",)
    assert idle_policies(datamap, found) == ("q",)


# --- lists ---------------------------------------------------------------------------------------------------------

LISTED = """\
policies:
  p:
    class: content
    rules:
      - {when: {account: {in: vip}}, keep: 1 day}
      - {when: {account: {not_in: [b, a]}, tier: {in: [gold, "1"]}}, keep: 2 days}
      - {when: {any: [{account: z}, {account: y}]}, keep: 3 days}
      - {keep: 30 days}
lists:
  vip: [%s]
  unused: [acct-unused]
"""


def test_members_of_lists_and_accounts_in_conditions_never_stand_in_the_canonical_form(policies_of: Load) -> None:
    policy = policies_of(LISTED % "acct-secret").policies["p"]
    assert policy.lists == {
        "vip": ("acct-secret",),
        "(rule 2)": ("a", "b"),
        "(rule 3)": ("z",),
        "(rule 3, 2)": ("y",),
    }
    assert [rule["when"] for rule in json.loads(policy.canonical)["rules"]] == [
        {"account": {"in": "vip"}},
        {"account": {"not_in": "(rule 2)"}, "tier": {"in": ["gold", "1"]}},
        {"any": [{"account": {"in": "(rule 3)"}}, {"account": {"in": "(rule 3, 2)"}}]},
        None,
    ]
    assert b"acct" not in policy.canonical


def test_a_list_that_changes_changes_its_commitment_and_not_the_policy(policies_of: Load) -> None:
    one, other = (policies_of(LISTED % members).policies["p"] for members in ("a, b", "a, b, c"))
    assert one.canonical == other.canonical
    assert list_commitment_input(one) != list_commitment_input(other)
    assert json.loads(list_commitment_input(one)) == {
        "vip": ["a", "b"],
        "(rule 2)": ["a", "b"],
        "(rule 3)": ["z"],
        "(rule 3, 2)": ["y"],
    }


def test_the_order_of_a_list_is_no_change(policies_of: Load) -> None:
    one, other = (policies_of(LISTED % members).policies["p"] for members in ("a, b", "b, a, b"))
    assert list_commitment_input(one) == list_commitment_input(other)


def test_an_empty_list_holds_nobody(policies_of: Load) -> None:
    policy = policies_of(LISTED % "").policies["p"]
    reading = python_reading(policy.rules[0].when)
    assert reading(Record(key=("k",), account="a")) is False


def test_hostile_accounts_are_compared_as_they_stand(policies_of: Load) -> None:
    hostile = ["' OR 1=1 --", "\u202eevil", "<b>", "a\nb", " x ", "\u0000", "🙈" * 256]
    policy = policies_of(LISTED % json.dumps(hostile, ensure_ascii=True)[1:-1]).policies["p"]
    assert set(policy.lists["vip"]) == set(hostile)


def test_a_list_in_a_file(policies_of: Load, tmp_path: Path) -> None:
    (tmp_path / "vip.txt").write_bytes("\ufeffacct-1\r\n# not a comment\n\nкорисник\n".encode())
    policy = policies_of(LISTED.replace("[%s]", "{file: vip.txt}")).policies["p"]
    assert policy.lists["vip"] == ("# not a comment", "acct-1", "корисник")


def test_spaces_around_a_member_are_refused_with_the_line(policies_of: Load, tmp_path: Path) -> None:
    (tmp_path / "vip.txt").write_text("acct-1\nacct-2 \n")
    with pytest.raises(ConfigError, match="spaces stand around") as caught:
        policies_of(LISTED.replace("[%s]", "{file: vip.txt}"))
    assert caught.value.where == "vip.txt:2:1"


def test_a_list_that_is_not_utf8_says_where(policies_of: Load, tmp_path: Path) -> None:
    (tmp_path / "vip.txt").write_bytes(b"acct-1\nacct-\xff\n")
    with pytest.raises(ConfigError, match=r"vip\.txt:2:6: it is not UTF-8"):
        policies_of(LISTED.replace("[%s]", "{file: vip.txt}"))


# --- canonical form ------------------------------------------------------------------------------------------------

CANONICAL = (
    '{"class":"content","content":[],"floor":"PT1H","id":"request-content","limits":{"longest_run":"PT2H",'
    '"max_percent":10,"max_records":5000000},"promise":{"backups":"P65D","live":"P30D"},"rules":['
    '{"grace":null,"keep":null,"promise":null,"then":"purge","when":{"account":{"in":"zero-retention"}},'
    '"zero_retention":{"after":"PT15M","check_every":"PT5M"}},'
    '{"grace":null,"keep":"P1Y11M","promise":{"backups":"P2Y2M","live":"P2Y"},"then":"purge",'
    '"when":{"flagged":true},"zero_retention":null},'
    '{"grace":"P5D","keep":"P23D","promise":null,"then":"tombstone","when":null,"zero_retention":null}],'
    '"schedule":{"cron":null,"every":"PT6H","zone":"UTC"}}'
)


def test_the_canonical_form_has_every_default_and_is_stable(policies_of: Load) -> None:
    policy = policies_of(DESIGN).policies["request-content"]
    assert policy.canonical.decode() == CANONICAL
    assert policy.sha256 == "a746c3568fb797aa16163f8ebc9595864ec59a415c89a5ec7b7b8fb71fd6b421"


def test_writing_the_same_thing_otherwise_changes_no_hash(policies_of: Load) -> None:
    otherwise = """\
floor: PT60M
lists:
  zero-retention:
    - acct-zdr-1
policies:
  request-content:
    limits: {}
    rules:
      - when:
          account: {in: zero-retention}
        zero_retention: {check_every: PT5M, after: 900 seconds}
      - {keep: P1Y11M, then: purge, when: {flagged: True}, promise: {backups: P2Y2M, live: 24 months}}
      - {grace: P5D, keep: P23D, then: tombstone}
    promise: {backups: P65D, live: P30D}
    class: "content"
"""
    same = otherwise.replace("552 hours", "P23D")
    assert (
        policies_of(same).policies["request-content"].sha256 == policies_of(DESIGN).policies["request-content"].sha256
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("keep: 23 days", "keep: 22 days"),
        ("grace: 5 days", "grace: none"),
        ("flagged: true", "flagged: false"),
        ("in: zero", "not_in: zero"),
        ("every 6 hours", "every 7 hours"),
        ("live: 30 days", "live: 31 days"),
        ("max_percent: 10", "max_percent: 10.5"),
        ("floor: 1 hour", "floor: 2 hours"),
        ("  request-content:", "  request_content:"),
    ],
)
def test_each_change_of_a_policy_has_another_hash(before: str, after: str, policies_of: Load) -> None:
    (one,) = policies_of(DESIGN).policies.values()
    (other,) = policies_of(DESIGN.replace(before, after)).policies.values()
    assert one.sha256 != other.sha256


def test_a_negated_list_is_read_as_such(policies_of: Load) -> None:
    (policy,) = policies_of(DESIGN.replace("in: zero", "not_in: zero")).policies.values()
    assert policy.rules[0].when == Not(AnyOf(ACCOUNT, ("acct-zdr-1",)))


def test_policies_are_read_from_a_path(tmp_path: Path, datamap_of: Callable[..., object]) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_policies(tmp_path / "policies.yaml", datamap_of(DATAMAP))


KEPT = """\
policies:
  p: {class: content, rules: [{keep: 1 year}]}
lists: {vip: [acct-7], germans: [acct-de]}
closure:
  grace: 7 days
  classes:
    content:
      - {when: {account: {in: vip}}, keep: 6 months, reason: the contract asks for it}
      - {when: {account: acct-9}, keep: 30 days, reason: tax law, jurisdictions: [us, de]}
  jurisdictions:
    de: {deadline: 20 days, accounts: germans}
    us: {grace: none}
"""


def test_what_is_kept_of_accounts_that_have_left(policies_of: Load) -> None:
    found = policies_of(KEPT)
    first, second = found.policies["p"].kept
    assert (first.number, first.keep, first.reason) == (1, Period(months=6), "the contract asks for it")
    assert first.when == AnyOf(ACCOUNT, ("acct-7",))
    assert (second.jurisdictions, second.when) == (("de", "us"), AnyOf(ACCOUNT, ("acct-9",)))
    assert found.closure.jurisdictions == {
        "de": Jurisdiction(Period(days=7), Period(days=20), frozenset(("acct-de",))),
        "us": Jurisdiction(None, Period(days=30)),
    }
    assert found.policies["p"].lists["vip"] == ("acct-7",)


def test_what_is_kept_is_part_of_what_is_approved_and_names_no_account(policies_of: Load) -> None:
    kept, without = policies_of(KEPT).policies["p"], policies_of(KEPT[: KEPT.index("closure:")]).policies["p"]
    assert kept.sha256 != without.sha256
    written = json.loads(kept.canonical)
    assert [each["keep"] for each in written.pop("closing")] == ["P6M", "P30D"]
    assert written == json.loads(without.canonical), "and nothing else of it changed"
    assert b"acct-" not in kept.canonical
    shorter = policies_of(KEPT.replace("keep: 30 days", "keep: 29 days")).policies["p"]
    assert shorter.sha256 != kept.sha256


def test_what_is_kept_is_read_again_from_what_was_approved(
    policies_of: Load, datamap_of: Callable[..., DataMap]
) -> None:
    found = policies_of(KEPT)
    again = read_canonical(found.policies["p"].canonical, datamap_of(DATAMAP), found)
    assert again.kept == found.policies["p"].kept
    assert again.sha256 == found.policies["p"].sha256
