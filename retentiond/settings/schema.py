"""JSON Schema of the files that operators write, for their editors (config/schema)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retentiond.settings.datamap_model import DataMapFile
from retentiond.settings.policy_model import PoliciesFile
from retentiond.settings.values import Declared

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_FILES: Mapping[str, type[Declared]] = {"datamap": DataMapFile, "policies": PoliciesFile}


def json_schema() -> dict[str, dict[str, Any]]:
    """Return the schemas of the data map and of the policies, by name (JSON Schema 2020-12).

    What a kind of store needs besides `kind` and `backups` is its connector's own, and open here.
    """
    return {
        name: {"$schema": _DRAFT, **model.model_json_schema(by_alias=True), "title": f"{name}.yaml of retentiond"}
        for name, model in _FILES.items()
    }


def write_schemas(directory: Path) -> list[Path]:
    """Write each schema to `<directory>/<name>.schema.json`, and return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in json_schema().items():
        path = directory / f"{name}.schema.json"
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return written
