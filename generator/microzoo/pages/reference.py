"""The spec reference: every key of the three kinds of spec with its type, default and meaning, from their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from microzoo.spec.schema import SCHEMAS

PLACES = {"family": "specs/NAME.toml", "target": "specs/targets/NAME.toml", "dataset": "specs/datasets/NAME.toml"}
_BOUNDS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))


@dataclass(frozen=True)
class KeyRow:
    """One key: what it may hold, its default as TOML would write it ("" and `required` where there is none), its meaning."""

    key: str
    type: str
    default: str
    required: bool
    meaning: str


@dataclass(frozen=True)
class SchemaTable:
    """The keys of one TOML table. header: "[search]", "[[sources]]", or "" for the keys at the top of the file."""

    header: str
    anchor: str
    meaning: str
    rows: tuple[KeyRow, ...]


@dataclass(frozen=True)
class SchemaPage:
    """One kind of spec."""

    kind: str
    place: str
    meaning: str
    tables: tuple[SchemaTable, ...]


def schema_pages() -> tuple[SchemaPage, ...]:
    """Family, target and dataset, in the order of `spec.schema.SCHEMAS`."""
    pages = []
    for kind, model in SCHEMAS.items():
        schema = model.model_json_schema()
        pages.append(SchemaPage(kind, PLACES[kind], schema["description"], tuple(_tables(kind, schema))))
    return tuple(pages)


def _tables(kind: str, schema: dict[str, Any]) -> Iterator[SchemaTable]:
    plain, nested = [], []
    for key, value in schema["properties"].items():
        found = _reference(schema, value)
        if found is None:
            plain.append(_row(schema, key, value))
        else:
            array = value.get("type") == "array"
            rows = tuple(_row(found, name, inner) for name, inner in found["properties"].items())
            header = f"[[{key}]]" if array else f"[{key}]"
            nested.append(SchemaTable(header, f"{kind}-{key}", found.get("description", value.get("description", "")), rows))
    yield SchemaTable("", f"{kind}-top", "", tuple(plain))
    yield from nested


def _reference(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any] | None:
    """The model that a property points to, itself, where it may be left out, or as the items of an array."""
    choices = (value, value.get("items", {}), *value.get("anyOf", ()))
    pointer = next((choice["$ref"] for choice in choices if "$ref" in choice), None)
    found: dict[str, Any] | None = schema["$defs"][pointer.rsplit("/", 1)[-1]] if pointer else None
    return found


def _row(owner: dict[str, Any], key: str, value: dict[str, Any]) -> KeyRow:
    required = key in owner.get("required", ())
    default = "" if required or value.get("default") is None else _toml(value["default"])
    return KeyRow(key, _type(value), default, required, value.get("description", ""))


def _type(value: dict[str, Any]) -> str:
    """A type in words with its bounds: "integer ≥ 1", "one of "c", "tflm"", "list of 3 integer ≥ 1"."""
    if "anyOf" in value:
        return " or ".join(_type(choice) for choice in value["anyOf"] if choice.get("type") != "null")
    if "enum" in value or "const" in value:
        allowed = value.get("enum", [value.get("const")])
        return ("one of " if len(allowed) > 1 else "") + ", ".join(_toml(choice) for choice in allowed)
    if value.get("type") == "array":
        if "prefixItems" in value:
            return f"list of {len(value['prefixItems'])}: {_type(value['prefixItems'][0])}"
        least = f", at least {value['minItems']}" if "minItems" in value else ""
        return f"list of {_type(value['items'])}{least}"
    bounds = " and ".join(f"{sign} {value[bound]:g}" for bound, sign in _BOUNDS if bound in value)
    pattern = f" matching {value['pattern']}" if "pattern" in value else ""
    return f"{value['type']} {bounds}".strip() + pattern


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
