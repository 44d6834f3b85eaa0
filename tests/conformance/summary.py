"""What a run of the conformance suite found, as JSON and as a table for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .interpreters import versions

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "site" / "pages" / "develop" / "conformance.md"
RESULT = ROOT / "build" / "conformance.json"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


@dataclass(frozen=True)
class Record:
    """One comparison with the reference, over some networks.

    values: int8 values compared. mismatches: those beyond what this comparison allows. worst: largest difference in steps.
    images, argmax: how often a class was chosen, and how often another one than the reference's. notes: sums of further counts.
    """

    runtime: str
    networks: int
    values: int
    mismatches: int = 0
    worst: int = 0
    images: int = 0
    argmax: int = 0
    notes: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def total(records: Sequence[Record]) -> list[Record]:
    """One record a runtime, in the order in which they are written in ORDER, then by name."""
    totals = []
    for runtime in sorted({record.runtime for record in records}, key=lambda name: (ORDER.index(name), name)):
        mine = [record for record in records if record.runtime == runtime]
        notes: dict[str, int] = {}
        for record in mine:
            for key, value in (record.notes or {}).items():
                notes[key] = max(notes.get(key, 0), value) if key.startswith("most ") else notes.get(key, 0) + value
        sums = {
            key: sum(getattr(record, key) for record in mine) for key in ("networks", "values", "mismatches", "images", "argmax")
        }
        totals.append(Record(runtime, worst=max(record.worst for record in mine), notes=notes, **sums))
    return totals


C_FAST, C_CHECKED, C_CLANG = "generated C, gcc -O2", "generated C, gcc with sanitizers", "generated C, clang -O2"
TFLM = "TensorFlow Lite Micro"
LITERT, LITERT_DEFAULT = "LiteRT, reference kernels", "LiteRT, default kernels (XNNPACK)"
ONNX, ONNX_PLAIN = "onnxruntime, optimised, layer by layer", "onnxruntime, not optimised, layer by layer"
ONNX_FILE, ONNX_FLOAT = "onnxruntime, the file as it comes", "onnxruntime, float32 ends, not optimised"
ONNX_FLOAT_FILE = "onnxruntime, float32 ends, as it comes"
VELA = "Ethos-U compiler (Vela)"
M0 = "generated C for a Cortex-M0+, emulated Cortex-M3"
M3, M4, M55 = "generated C, emulated Cortex-M3", "generated C, emulated Cortex-M4", "generated C, emulated Cortex-M55"
ACTIVATIONS, FILE = "predicted bytes of activations, C and .tflite", "predicted bytes of the .tflite"
FLASH, INSTRUCTIONS = "predicted bytes of linked flash, six cores", "predicted instructions, six emulated cores"
CORNER_FLASH, CORNER_INSTRUCTIONS = f"{FLASH}, corners", f"{INSTRUCTIONS}, corners"
ALLOWED = {
    LITERT: "0; 1 in fully connected layers",
    LITERT_DEFAULT: "not judged",
    ONNX: "1",
    ONNX_PLAIN: "1",
    ONNX_FILE: "not judged",
    ONNX_FLOAT_FILE: "not judged",
    VELA: "accepts it",
    ACTIVATIONS: "0 B",
    FILE: "1 %",
    FLASH: "2 % or 80 B",
    INSTRUCTIONS: "3 %",
    CORNER_FLASH: "5 % or 100 B",
    CORNER_INSTRUCTIONS: "10 %",
}
ORDER = [C_FAST, C_CLANG, C_CHECKED, M0, M3, M4, M55, TFLM, LITERT, LITERT_DEFAULT, ONNX, ONNX_PLAIN, ONNX_FILE, ONNX_FLOAT]
ORDER += [ONNX_FLOAT_FILE, VELA, ACTIVATIONS, FILE, FLASH, INSTRUCTIONS, CORNER_FLASH, CORNER_INSTRUCTIONS]


def table(records: Sequence[Record]) -> list[str]:
    """A Markdown table, a line a runtime."""
    lines = [
        "| compared with the reference or the files | networks | values | allowed | beyond it | worst | another class wins |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for record in total(records):
        argmax = f"{record.argmax} of {record.images:,}" if record.images else ""
        allowed = ALLOWED.get(record.runtime, "0")
        beyond = "" if allowed == "not judged" else f"{record.mismatches:,}"
        values, worst = (f"{record.values:,}", str(record.worst)) if record.values else ("", "")
        lines.append(f"| {record.runtime} | {record.networks:,} | {values} | {allowed} | {beyond} | {worst} | {argmax} |")
    return lines


def report(records: Sequence[Record]) -> list[str]:
    """The table, further counts, and the versions that were compared, as Markdown."""
    notes = [(record.runtime, key, value) for record in total(records) for key, value in (record.notes or {}).items()]
    used = ", ".join(f"{name} {value}" for name, value in versions().items())
    return [
        *table(records),
        "",
        *(f"- {runtime}: {key}: {value:,}." for runtime, key, value in notes),
        "",
        f"Versions: {used}.",
        "",
    ]


def publish(records: Sequence[Record], *, seconds: float) -> None:
    """Writes RESULT, and the report between the marks of PAGE."""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    runtimes = [record.to_json() for record in total(records)]
    content = {"seconds": round(seconds), "versions": versions(), "runtimes": runtimes}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"{PAGE} lacks {BEGIN} and {END}"
    PAGE.write_text("\n".join([before + BEGIN, *report(records), END + after]), encoding="utf-8")
