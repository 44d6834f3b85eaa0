"""How long the export of one model takes, format by format, plan included, on one core.

Run: python benchmarks/export_speed.py [--repetitions 5] [--card zoo/fashion-mnist/cortex-m4-64k/accurate/card.json]
The network is a published entry's, its weights random: sizes decide, not values. The goal is under 1 s for all formats without
wasm. The peer is bakenn, which compiles the same .tflite to C, measured in the same run.
"""

from __future__ import annotations

import argparse
import functools
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

import microzoo
from microzoo.build.golden import golden_vectors, quantised_bytes
from microzoo.catalog.card import Card
from microzoo.catalog.golden import golden_bytes
from microzoo.cost.memory import best_order
from microzoo.export.c import c_plan, c_sources
from microzoo.export.onnx import onnx
from microzoo.export.prepare import prepare_bytes
from microzoo.export.selftest import selftest_sources
from microzoo.export.tflite import tflite
from microzoo.export.wasm import missing, wasm
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Conv, Dense, Depthwise, weight_shape
from microzoo.space.architecture import Architecture
from microzoo.space.lowering import lower
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.load import load_folder

ROOT = Path(__file__).parents[1]
GOAL_SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--card", type=Path, default=ROOT / "zoo/fashion-mnist/cortex-m4-64k/accurate/card.json")
    arguments = parser.parse_args()
    card = Card.model_validate_json(arguments.card.read_text(encoding="utf-8"))
    spec = load_folder(ROOT / "specs" / "datasets", DatasetSpec)[card.dataset.name]
    graph = lower(Architecture.from_json(card.architecture), card.dataset.input_shape, len(card.dataset.classes))
    model = random_model(graph.reordered(best_order(graph)[0]), Quantisation(card.input.scale, card.input.zero_point))
    print(
        f"{platform.machine()} {platform.system()}, Python {platform.python_version()}, microzoo {microzoo.__version__}, ", end=""
    )
    print(f"numpy {version('numpy')}, onnx {version('onnx')}; {arguments.repetitions} repetitions, median and least")
    parameters = sum(layer.weight.size + layer.bias.size for layer in model.weights.values())
    print(f"{card.id}: {len(model.graph.ops)} operators, {parameters:,} parameters")
    report(model, spec, arguments.repetitions)


def random_model(graph: Graph, source: Quantisation) -> IntegerModel:
    """`graph` with random weights."""
    rng = np.random.default_rng(0)
    weights = {}
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            channels = graph.shapes[op.output][-1]
            weights[op.name] = IntegerWeights(
                rng.integers(-127, 128, weight_shape(op, graph.shapes[op.input])).astype(np.int8),
                rng.integers(-1000, 1000, channels).astype(np.int32),
                np.full(1 if isinstance(op, Dense) else channels, 0.01, np.float32),
            )
    return IntegerModel(graph, dict.fromkeys(graph.shapes, Quantisation(0.05, -3)) | {graph.input: source}, weights)


def report(model: IntegerModel, spec: DatasetSpec, repetitions: int) -> None:
    """A line a format, the sum without wasm, and the ratio to the peer."""
    labels, rng = spec.classes, np.random.default_rng(1)
    raw = rng.integers(0, 256, (200, *spec.input_shape)).astype(np.uint8)
    classes = rng.integers(0, len(labels), 200)
    golden = golden_vectors(spec, raw, classes, model, 0)
    table = quantised_bytes(spec.preprocess, model.tensors[model.graph.input])
    sources = c_sources(model, labels=labels) | prepare_bytes("model", table)
    formats: dict[str, Callable[[], object]] = {
        "memory plan alone": lambda: c_plan(model.graph),
        ".tflite": lambda: tflite(model, labels=labels),
        ".onnx, int8 ends": lambda: onnx(model, labels=labels),
        ".onnx, float ends": lambda: onnx(model, float_io=True, labels=labels),
        "C": lambda: c_sources(model, labels=labels),
        "pre-processing in C": lambda: prepare_bytes("model", quantised_bytes(spec.preprocess, model.tensors[model.graph.input])),
        "golden vectors, outputs included": lambda: golden_bytes(golden_vectors(spec, raw, classes, model, 0)),
        "self test in C": lambda: selftest_sources("model", golden),
    }
    print("\n| format | median, ms | least, ms |\n|---|---|---|")
    total = 0.0
    for name, export in formats.items():
        middle = timed(name, export, repetitions)
        total += 0.0 if name == "memory plan alone" else middle
    print(f"| all of these | {1e3 * total:.0f} | |")
    if reason := missing():
        print(f"| wasm | {reason} | |")
    else:
        timed("wasm, compiler's cache empty", lambda: wasm(sources), repetitions)
    print(f"\ngoal, all formats without wasm: {GOAL_SECONDS:g} s; {'met' if total < GOAL_SECONDS else 'MISSED'} at {total:.3f} s")
    peer(tflite(model), repetitions, total)


def timed(name: str, export: Callable[[], object], repetitions: int) -> float:
    """Median seconds; prints a row."""
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        export()
        seconds.append(time.perf_counter() - start)
    print(f"| {name} | {1e3 * statistics.median(seconds):.1f} | {1e3 * min(seconds):.1f} |")
    return statistics.median(seconds)


def peer(content: bytes, repetitions: int, ours: float) -> None:
    """The same .tflite to C by bakenn, files written."""
    import bakenn

    sys.modules.setdefault("tflite", schema)  # bakenn asks for a package of that name; the schema is the same
    print("\n| peer | median, ms | least, ms |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"
        source.write_bytes(with_bias_scales(content))
        compile_it = functools.partial(bakenn.compile_tflite, source, Path(folder) / "c")
        theirs = timed(f"bakenn {version('bakenn')}: C from the .tflite", compile_it, repetitions)
    print(f"\nratio, all our formats to its one: {ours / theirs:.2f}")


def with_bias_scales(content: bytes) -> bytes:
    """The .tflite with a scale for every bias: ours leaves them out, no runtime reads them, and bakenn insists."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    for source, weight, bias in ([graph.tensors[i] for i in op.inputs] for op in graph.operators if len(op.inputs) == 3):
        scales = np.float32(source.quantization.scale[0]) * np.asarray(weight.quantization.scale, np.float32)
        bias.quantization = schema.QuantizationParametersT(scale=scales.tolist(), zeroPoint=[0] * len(scales))
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    main()
