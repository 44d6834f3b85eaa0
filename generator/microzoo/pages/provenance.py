"""Where a model comes from: what its search cost, what its spec asked for, under which licence it is, how to cite it."""

from __future__ import annotations

import json
import re
from typing import Any

from microzoo.catalog.card import MODEL_LICENCE, BuildRecord, Card
from microzoo.errors import SiteError
from microzoo.pages.text import duration, grouped

METHOD = (
    "Liberis, Dudziak, Lane 2021: µNAS: Constrained Neural Architecture Search for Microcontrollers. EuroMLSys, arXiv:2010.14246"
)
_TEX = str.maketrans(
    {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "^": r"\^{}", "~": r"\~{}"} | {each: f"\\{each}" for each in "&%$#_"}
)
LICENCE_PAGES = {"Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0"}


def provenance(card: Card, build: BuildRecord | None) -> dict[str, Any]:
    """What the sections on origin, licence and citation show."""
    licence = card.model_licence or MODEL_LICENCE
    return {
        "cost": _cost(card, build),
        "spec": None if card.spec is None else toml(card.spec),
        "licence": licence,
        "licence_page": LICENCE_PAGES.get(licence),
        "licence_at": "model_licence" if card.model_licence is not None else "",
        "bibtex": bibtex(card, build),
        "method": METHOD,
    }


def _cost(card: Card, build: BuildRecord | None) -> list[dict[str, str]]:
    """The search in candidates, epochs and time, then the full trainings of this architecture: words, and their line."""
    search, seeds = card.search, card.seeds
    full = sum(seed.epochs for seed in seeds)
    rows = [
        {"words": f"{grouped(search.evaluations)} candidates trained", "at": "search.evaluations"},
        {"words": f"{grouped(search.epochs)} epochs in all", "at": "search.epochs"},
    ]
    if build is not None and build.training_seconds is not None:
        words = f"{duration(build.training_seconds)} of training, added up over all runs and workers"
        rows.append({"words": words, "at": "build.training_seconds"})
    elif build is not None:
        rows.append({"words": f"{duration(build.search_seconds)} of wall time in its last run", "at": "build.search_seconds"})
    plural = "s" if len(seeds) != 1 else ""
    words = f"then {grouped(round(full, 2))} epochs for {len(seeds)} full training{plural} of this architecture"
    return [*rows, {"words": words, "at": "seeds"}]


def bibtex(card: Card, build: BuildRecord | None) -> str:
    """An entry for BibTeX, ready to copy. The checksum says which files are meant."""
    model = next((file for file in card.files if file.format == "tflite"), None)
    if model is None:
        raise SiteError(f"{card.id}/card.json: files has no .tflite", "build the entry again")
    key = re.sub(r"[^a-z0-9]+", "-", f"microzoo-{card.id}").strip("-")
    fields = {
        "title": f"{card.dataset.title} on {card.target.name}: an int8 model for microcontrollers".translate(_TEX),
        "author": "{Microzoo}",
    }
    if build is not None and re.match(r"\d{4}-", build.finished_utc):
        fields["year"] = build.finished_utc[:4]
    version = f"Microzoo {build.generator_version}, " if build is not None else ""
    fields["note"] = f"{version}model {card.id}, SHA-256 of {model.path}: {model.sha256}".translate(_TEX)
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}\n}}"


def toml(spec: dict[str, Any]) -> str:
    """A family's keys as its TOML would say them: plain keys first, then a table each. A key that is None is left out."""
    plain = {key: value for key, value in spec.items() if not isinstance(value, dict)}
    blocks = [_pairs(plain)] if plain else []
    for name, table in spec.items():
        if isinstance(table, dict):
            blocks.append(f"[{_key(name)}]\n{_pairs(table)}".rstrip())
    return "\n\n".join(blocks)


def _pairs(table: dict[str, Any]) -> str:
    return "\n".join(f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items() if each is not None) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
