from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from microzoo.spec.schema import SCHEMAS, schema_text

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", SCHEMAS)
def test_committed_schema_is_fresh(kind: str) -> None:
    committed = (ROOT / f"specs/schema/{kind}.json").read_text(encoding="utf-8")
    assert committed == schema_text(kind), "run: zoo schema --write specs/schema"


@pytest.mark.parametrize(("kind", "folder"), [("family", "."), ("target", "targets"), ("dataset", "datasets")])
def test_shipped_specs_match_the_schema_that_editors_use(kind: str, folder: str) -> None:
    schema = json.loads(schema_text(kind))
    files = sorted((ROOT / "specs" / folder).glob("*.toml"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        jsonschema.validate(tomllib.loads(text), schema)
        place = text.splitlines()[0].removeprefix("#:schema ")
        assert (file.parent / place).resolve() == ROOT / f"specs/schema/{kind}.json"


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_key_has_a_meaning(kind: str) -> None:
    schema = json.loads(schema_text(kind))
    for model in [schema, *schema.get("$defs", {}).values()]:
        for key, field in model.get("properties", {}).items():
            assert field.get("description"), f"{kind}: {key}"
