"""How a model is used: the numbers and names that the snippets of its page hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from microzoo.catalog.card import Card


def usage(card: Card) -> dict[str, Any]:
    """The numbers and file names of the snippets: paths by format, preprocessing and quantisation as Python writes them."""
    paths: Mapping[str, str | None] = {
        wanted: next((file.path for file in card.files if file.format == wanted and file.role in (None, "model")), None)
        for wanted in ("tflite", "onnx")
    }
    sources = [file.path for file in card.files if file.format == "c" and file.role in (None, "model", "kernels")]
    headers = [file for file in card.files if file.format == "header" and file.role in (None, "model")]
    header = next((file.path for file in headers if not file.path.endswith("_nn.h")), None)
    prefix = header.rsplit("/", 1)[-1].removesuffix(".h") if header else None
    folders = sorted({path.rsplit("/", 1)[0] for path in sources if "/" in path})
    step = card.preprocessing
    return {
        **paths,
        "sources": sources,
        "header": header,
        "preparation": next((file.path for file in card.files if file.format == "c" and file.role == "preparation"), None),
        "features": next((file.path for file in card.files if file.format == "c" and file.role == "features"), None),
        "selftest": next((file.path for file in card.files if file.format == "c" and file.role == "self test"), None),
        "golden": next((file.path for file in card.files if file.format == "golden"), None),
        "wasm": next((file.path for file in card.files if file.format == "wasm"), None),
        "prefix": prefix,
        "folders": folders,
        "classes": ", ".join(json.dumps(name, ensure_ascii=False) for name in card.dataset.classes),
        "raw": f"{step.raw_min:g} to {step.raw_max:g}",
        "prepare": f"(raw * {step.scale!r} - {step.mean!r}) / {step.std!r}",
        "quantise": f"np.rint(real / {card.input.scale!r}) {_signed(card.input.zero_point)}",
        "dequantise": f"{card.output.scale!r} * (q {_signed(-card.output.zero_point)})",
    }


def _signed(value: int) -> str:
    """As the second operand of a sum: 12 -> "+ 12", -128 -> "- 128"."""
    return f"{'-' if value < 0 else '+'} {abs(value)}"
