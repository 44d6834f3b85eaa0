"""What the figures of a card are called, what they mean, and how one is fetched so that a missing one names entry and field."""

from __future__ import annotations

from microzoo.catalog.card import Card, Figure, Kind, Limit
from microzoo.errors import SiteError
from microzoo.pages.cardpage import is_plain
from microzoo.pages.text import exact

KINDS: dict[Kind, str] = {
    "measured": "read off the exported file, or off a real runtime that ran it",
    "emulated": "run on an emulated Cortex-M: instructions, not cycles",
    "estimated": "derived with stated assumptions",
    "predicted": "from a formula, before the file existed",
}

TITLES = {
    "activations": "Activations",
    "peak_bytes": "Activations, nothing in place",
    "paper_ram": "RAM as µNAS defines it",
    "paper_size": "Size as µNAS defines it",
    "macs": "Multiply-accumulates",
    "parameters": "Parameters",
    "c_flash": "Flash of the generated C",
    "c_ram": "RAM of the generated C, with stack",
    "c_arena": "Activations in the generated C",
    "c_static_ram": "Static RAM of the generated C",
    "c_stack": "Stack of the generated C",
    "instructions": "Instructions of one inference",
    "latency": "Time of one inference",
    "emulated_stack": "Stack of the generated C, painted",
    "emulated_ram": "RAM of the generated C, with the painted stack",
    "emulated_differences": "Inputs where the emulated core differs in any output",
    "ethos_sram": "SRAM with the NPU",
    "ethos_flash": "Flash with the NPU",
    "ethos_cycles": "Cycles with the NPU",
    "ethos_cpu_operators": "Operators left to the core",
    "arena_head": "TFLM arena, head",
    "arena_tail": "TFLM arena, tail",
    "arena_total": "TFLM arena, total",
    "arena_total_32bit": "TFLM arena on a 32-bit chip",
    "tflite_bytes": "Size of the .tflite",
    "onnx_bytes": "Size of the .onnx",
    "c_tflm_differences": "Inputs where C and TFLM differ in any output",
    "litert_argmax_disagreements": "Inputs where LiteRT says another class",
    "onnx_argmax_disagreements": "Inputs where ONNX Runtime says another class",
    "onnx_float_argmax_disagreements": "Inputs where the file with float ends says another class",
    "c_wasm_differences": "Inputs where C and WebAssembly differ in any output",
    "golden_differences": "Golden inputs that do not give the published outputs",
    "c_prepare_flash": "Flash of the pre-processing, where a program uses it",
    "c_features_flash": "Flash of the front end of sound",
    "c_features_ram": "Static RAM of the front end of sound",
    "c_features_stack": "Stack of the front end of sound",
    "features_instructions": "Instructions of the front end of sound for a clip",
    "features_differences": "Recordings of which the front end makes other raw values",
    "predicted_features_ram": "Static RAM of the front end of sound, predicted",
    "predicted_features_flash": "Flash of the front end of sound, predicted",
    "predicted_activations": "Activations, predicted",
    "predicted_ram": "RAM, predicted",
    "predicted_flash": "Flash, predicted",
    "predicted_c_flash": "Flash of the generated C, predicted",
    "predicted_tflite_bytes": "Size of the .tflite, predicted",
    "predicted_instructions": "Instructions, predicted",
    "predicted_macs": "Multiply-accumulates, predicted",
}
"""By the name in `Card.figures`; a figure that is not here is shown under its own name."""

LIMITS = {"ram": "RAM", "flash": "Flash", "compute": "Compute", "latency": "Time"}


def title(name: str) -> str:
    """Name for people."""
    return TITLES.get(name, name.replace("_", " "))


def figure(card: Card, name: str) -> Figure:
    """The figure called `name`. Raises SiteError naming entry and field where the card lacks it."""
    found = card.figures.get(name)
    if found is None:
        raise SiteError(f"{card.id}/card.json: figures.{name} is missing", "build the entry again")
    return found


def figure_value(card: Card, name: str) -> float:
    """The value of a figure that every entry must have. Raises SiteError where it is missing or has no value."""
    found = figure(card, name)
    if found.value is None:
        raise SiteError(f"{card.id}/card.json: figures.{name}.value is null ({found.method})", "build the entry again")
    return found.value


def limit(card: Card, name: str) -> Limit:
    """The budget called `name`. Raises SiteError naming entry and field where the card lacks it."""
    found = next((limit for limit in card.limits if limit.name == name), None)
    if found is None:
        raise SiteError(f'{card.id}/card.json: limits has no "{name}"', "build the entry again")
    return found


def written(each: Figure) -> str:
    """A figure with its unit, to the last digit; one without a value says so."""
    return "not available" if each.value is None else exact(each.value, each.unit)


def figure_at(name: str) -> str:
    """Where the value of a figure stands in card.json, as the anchor of its line; "" for a name that gives none."""
    return f"figures.{name}.value" if is_plain(name) else ""


def limit_at(card: Card, name: str) -> str:
    """The same for the budget called `name`."""
    return f"limits.{card.limits.index(limit(card, name))}"
