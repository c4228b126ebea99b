"""What columns look like by name, type and shape; the rules against public schemas that a person labelled."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retentiond.domain.looks import looks_of
from retentiond.domain.looks_rules import RULES, Confidence, Kind
from retentiond.domain.tableshape import ColumnShape, Family, TableShape
from retentiond.domain.words import words_of
from tests.coverage import measure
from tests.coverage.schemas import HELD_OUT, TUNED, application

DOCS = Path(__file__).parents[2] / "docs" / "coverage.md"
# For each rule a table, a column and its type that it finds, and one like it that it must leave alone.
EXAMPLES = {
    "C01": (("t", "systemPrompt", Family.TEXT), ("t", "prompt_tokens", Family.INTEGER)),
    "C02": (("t", "chat_messages", Family.JSON), ("t", "error_message", Family.TEXT)),
    "C03": (("t", "Raw-Response", Family.TEXT), ("t", "response_format", Family.TEXT)),
    "C04": (("t", "user_input_json", Family.TEXT), ("t", "input_schema", Family.JSON)),
    "C05": (("t", "requestBody", Family.BYTES), ("t", "max_request", Family.TEXT)),
    "C06": (("t", "tool_calls", Family.JSON), ("t", "tool_call_id", Family.TEXT)),
    "C07": (("t", "content", Family.TEXT), ("t", "content_type", Family.TEXT)),
    "C08": (("t", "comment", Family.TEXT), ("t", "comment_count", Family.INTEGER)),
    "C09": (("t", "embedding", Family.VECTOR), ("t", "embedding_model", Family.TEXT)),
    "C10": (("t", "tsv", Family.SEARCH), ("t", "tsv", Family.TEXT)),
    "C11": (("t", "summary", Family.TEXT), ("t", "summary_at", Family.TIME)),
    "C12": (("t", "history", Family.JSON), ("t", "price_history", Family.JSON)),
    "C13": (("t", "old_values", Family.JSON), ("t", "before", Family.TIME)),
    "C14": (("t", "search_query", Family.TEXT), ("t", "query_ms", Family.NUMBER)),
    "C15": (("t", "audio", Family.BYTES), ("t", "audio", Family.TEXT)),
    "C16": (("spans", "metadata", Family.JSON), ("plans", "metadata", Family.JSON)),
    "C17": (("spans", "error", Family.TEXT), ("plans", "error", Family.TEXT)),
    "P01": (("t", "userEmail", Family.TEXT), ("t", "email_verified", Family.TEXT)),
    "P02": (("t", "phone_number", Family.INTEGER), ("t", "phone_model", Family.TEXT)),
    "P03": (("t", "firstName", Family.TEXT), ("t", "file_name", Family.TEXT)),
    "P04": (("customers", "name", Family.TEXT), ("plans", "name", Family.TEXT)),
    "P05": (("t", "client_ip", Family.TEXT), ("t", "server_ip", Family.TEXT)),
    "P06": (("t", "seen_from", Family.ADDRESS), ("t", "seen_from", Family.TEXT)),
    "P07": (("t", "user-agent", Family.TEXT), ("t", "agent", Family.TEXT)),
    "P08": (("t", "street", Family.TEXT), ("t", "wallet_address", Family.TEXT)),
    "P09": (("t", "latitude", Family.NUMBER), ("t", "latency", Family.NUMBER)),
    "P10": (("t", "date_of_birth", Family.DATE), ("t", "date", Family.DATE)),
    "P11": (("t", "iban", Family.TEXT), ("t", "ibanez", Family.TEXT)),
    "P12": (("users", "avatar", Family.BYTES), ("tiles", "image", Family.BYTES)),
    "P13": (("t", "diagnosis", Family.TEXT), ("t", "diagnosis_id", Family.TEXT)),
    "I01": (("t", "userId", Family.UUID), ("t", "user_identity", Family.TEXT)),
    "I02": (("t", "created_by", Family.TEXT), ("t", "created_at", Family.TIME)),
    "I03": (("t", "customer", Family.TEXT), ("t", "customer_since", Family.TIME)),
    "I04": (("t", "oauth_sub", Family.TEXT), ("t", "subscription", Family.TEXT)),
    "S01": (("t", "password_hash", Family.TEXT), ("t", "password_changed", Family.TIME)),
    "S02": (("t", "api_key", Family.TEXT), ("t", "max_tokens", Family.TEXT)),
    "S03": (("t", "env", Family.JSON), ("t", "env", Family.TEXT)),
}
FLOORS = {Kind.CONTENT: (0.7, 0.7), Kind.PERSONAL: (0.9, 0.6), Kind.IDENTIFIER: (0.9, 0.9), Kind.SECRET: (0.9, 0.5)}


def found(table: str, column: str, family: Family, size: int | None = None) -> set[str]:
    shape = TableShape("public", table, "table", (ColumnShape(column, family.value, family, size=size),))
    return {rule for look in looks_of(shape) for rule in look.rules}


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_each_rule_finds_what_it_says_and_leaves_alone_what_only_sounds_so(rule: str) -> None:
    like, unlike = EXAMPLES[rule]
    assert rule in found(*like)
    assert rule not in found(*unlike)


def test_short_text_holds_no_prompt_but_may_hold_a_name() -> None:
    assert found("t", "prompt", Family.TEXT, 64) == set()
    assert found("t", "prompt", Family.TEXT, 65) == {"C01"}
    assert found("t", "email", Family.TEXT, 20) == {"P01"}


def test_data_beside_surely_request_content_counts_as_such() -> None:
    columns = [ColumnShape("extra", "jsonb", Family.JSON), ColumnShape("answer", "text", Family.TEXT)]
    alone, beside = (looks_of(TableShape("", "t", "table", tuple(each))) for each in (columns[:1], columns))
    assert alone == ()
    assert [(look.column, look.confidence) for look in beside] == [
        ("extra", Confidence.LIKELY),
        ("answer", Confidence.SURE),
    ]


@pytest.mark.parametrize("name", ["userEmails", "user_emails", "USER-EMAIL", "User Email", "usr.email", "UserEMAILS"])
def test_names_of_all_fashions_have_the_same_words(name: str) -> None:
    assert words_of(name) == ("user", "email")


@settings(max_examples=60)
@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(Family))
def test_no_name_is_too_odd(table: str, column: str, family: Family) -> None:
    shape = TableShape("", table, "table", (ColumnShape(column, "", family),))
    assert all(look.column == column for look in looks_of(shape))


@pytest.mark.parametrize("name", [TUNED, *HELD_OUT])
@pytest.mark.parametrize("kind", list(Kind))
def test_precision_and_recall_on_public_schemas_stay_what_they_are(name: str, kind: Kind) -> None:
    score = measure.score(application(name), kind, Confidence.POSSIBLE)
    precision, recall = FLOORS[kind]
    assert score.precision >= precision
    assert score.recall >= recall


def test_the_documentation_has_these_rules_and_these_figures() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    written = [line for line in lines if line.startswith("| ") and line.split("|")[1].strip() in EXAMPLES]
    assert written == list(measure.rules())
    assert [line for line in (*measure.rows(), *measure.drafts()) if line not in lines] == []
