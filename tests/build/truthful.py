"""A synthetic entry whose card could come from a real measurement, and what measuring it again would give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from microzoo.build import verify as stage
from microzoo.catalog.card import Accuracy, Card, Figure
from microzoo.data.load import checksum
from microzoo.measure.entry import Measurement
from microzoo.measure.verdict import limits
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.load import load_folder

from ..pages.cards import Synthetic, synthetic  # noqa: TID252  # tests are no package with a name

SPECS = Path(__file__).parents[2] / "specs"
C, TFLM = "generated C, gcc 12.2.0", "TensorFlow Lite Micro 0.dev20261023"
LITERT, ONNX = "LiteRT reference kernels 2.1.0", "onnxruntime 1.23.0"
GCC = "arm-none-eabi-gcc 12.2.1 -O2 for cortex-m4"
FORMULA = "12 B a tensor + 614 B, fitted"


def score(runtime: str, correct: int, n: int) -> Accuracy:
    return Accuracy(runtime=runtime, split="test", value=correct / n, correct=correct, n=n)


def figure(value: int | None, method: str, unit: Any = "bytes", kind: Any = "measured") -> Figure:
    return Figure(value=value, unit=unit, kind=kind, method=method)


def figures_of(file_bytes: int) -> dict[str, Figure]:
    chain = "model_invoke > kernel"
    return {
        "activations": figure(1900, "end of the activation arena as the plan of model.tflite places it"),
        "macs": figure(90_000, "convolutions and dense layers of model.tflite", "macs"),
        "tflite_bytes": figure(file_bytes, "size of model.tflite"),
        "arena_head": figure(1900, f"allocations recorded by {TFLM} on x86-64, model.tflite"),
        "arena_total_32bit": figure(2700, f"arena_head + {FORMULA}", kind="estimated"),
        "c_flash": figure(9000, f".text + .rodata + .data, {GCC}, linked, minus an image without a model"),
        "c_static_ram": figure(2000, f".data + .bss, {GCC}, linked, minus an image without a model"),
        "c_stack": figure(
            200, f"deepest chain of calls by static stack usage, {GCC}: {chain}; without interrupts", kind="estimated"
        ),
        "c_ram": figure(2200, f"c_static_ram + c_stack, {GCC}", kind="estimated"),
        "c_tflm_differences": figure(
            0, f"inputs of 90 on which the outputs of c/model.c in {C} and model.tflite in {TFLM} differ", "count"
        ),
        "onnx_argmax_disagreements": figure(
            3, f"inputs of 360 that model.onnx in {ONNX} classifies otherwise than c/model.c in {C}", "count"
        ),
        "predicted_ram": figure(2300, "activations and the RAM of runtime c", kind="predicted"),
        "predicted_flash": figure(9100, "weights and the code of runtime c", kind="predicted"),
    }


def truthful(name: str = "accurate") -> Synthetic:
    """A synthetic entry whose card could come from a real measurement: 360 test inputs, of which the C has 342 right."""
    base = synthetic(name=name)
    headline = score(C, int(np.trace(np.array(base.card.confusion))), 360)
    runs = {
        "model.tflite": (score(TFLM, 86, 90), score(LITERT, headline.correct, 360)),
        "model.onnx": (score(ONNX, headline.correct - 1, 360),),
        "c/model.c": (headline,),
    }
    figures = figures_of(next(file.bytes for file in base.card.files if file.path == "model.tflite"))
    spec = load_folder(SPECS / "datasets", DatasetSpec)["digits"]
    card = base.card.model_copy(
        update={
            "files": tuple(file.model_copy(update={"accuracy": runs.get(file.path, ())}) for file in base.card.files),
            "figures": figures,
            "limits": limits(stage.target_spec(base.card), figures),
            "headline": headline,
            "headline_file": "c/model.c",
            "known_limits": (),
            "dataset": base.card.dataset.model_copy(update={"checksum": checksum(spec)}),
        }
    )
    return replace(base, card=card)


def measurement_of(card: Card) -> Measurement:
    """What the machine that wrote the card would find again."""
    return Measurement(
        input=card.input,
        output=card.output,
        accuracies={file.path: file.accuracy for file in card.files if file.accuracy},
        figures=card.figures,
        limits=card.limits,
        layers=card.layers,
        confusion=card.confusion,
        headline=card.headline,
        headline_file=card.headline_file,
        not_run=(),
    )


CARD = truthful().card
AGAIN = measurement_of(CARD)


def changed(card: Card, path: tuple[str | int, ...], value: object) -> Card:
    raw = json.loads(card.model_dump_json())
    place = raw
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return Card.model_validate(raw)
