from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from retentiond.settings import (
    idle_policies,
    json_schema,
    load_approvers,
    load_datamap,
    load_policies,
    load_service,
    uncovered_classes,
    write_schemas,
)
from retentiond.settings.document import parse_document, read_document

from .samples import DATAMAP, OPTIONS
from .test_policies import DESIGN

CONFIG = Path(__file__).parents[2] / "config"
NAMES = ("datamap", "policies")


def test_the_published_schemas_are_current(tmp_path: Path) -> None:
    for path in write_schemas(tmp_path):
        assert (CONFIG / "schema" / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_schemas_take_what_the_program_takes(name: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema()[name])
    validator.check_schema(validator.schema)
    text = {"datamap": DATAMAP, "policies": DESIGN}[name]
    for value in (read_document(CONFIG / f"{name}.yaml").root, parse_document("x", text.encode()).root, {}):
        validator.validate(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("datamap", {"datasetz": {}}),
        ("datamap", {"datasets": {"d": {"store": "s"}}}),
        ("datamap", {"datasets": {"d": {"store": "s", "class": "c", "clock": "created"}}}),
        ("datamap", {"unmapped": "perhaps"}),
        ("policies", {"policies": {"p": {"class": "c", "rules": [{"keep": 30}]}}}),
        ("policies", {"policies": {"p": {"class": "c", "rules": []}}}),
        ("policies", {"policies": {"p": {"class": "c", "rules": [{"keep": "1 day", "then": "redact"}]}}}),
    ],
)
def test_schemas_refuse_what_an_editor_can_see(name: str, value: object) -> None:
    assert not jsonschema.Draft202012Validator(json_schema()[name]).is_valid(json.loads(json.dumps(value)))


def test_the_example_works() -> None:
    load_service(CONFIG, {})
    datamap = load_datamap(CONFIG / "datamap.yaml", OPTIONS)
    policies = load_policies(CONFIG / "policies.yaml", datamap)
    assert uncovered_classes(datamap, policies) == ()
    assert idle_policies(datamap, policies) == ()
    assert load_approvers(CONFIG / "approvers").principals == ()
    assert {store.kind for store in datamap.stores.values()} == {"sqlite", "files", "s3"}
