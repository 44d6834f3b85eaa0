"""JSON Schema of the three kinds of spec, for completion in editors (for instance with Taplo: `#:schema ...`)."""

from __future__ import annotations

import json

from microzoo.spec.base import Model
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.models import FamilySpec, TargetSpec

SCHEMAS: dict[str, type[Model]] = {"family": FamilySpec, "target": TargetSpec, "dataset": DatasetSpec}


def schema_text(kind: str) -> str:
    """The JSON Schema of one kind of spec (a key of SCHEMAS), as the committed file `specs/schema/<kind>.json` holds it."""
    schema = SCHEMAS[kind].model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = f"Microzoo {kind} spec"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
