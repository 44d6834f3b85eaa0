"""Predicted against measured on random networks: activations, bytes of the .tflite, linked flash of the C.

Run: python benchmarks/predictions.py [--count 1000] [--linked 60]      (--linked needs arm-none-eabi-gcc and tflite-micro)
Networks of both search spaces over several inputs, with random weights. All are exported as .tflite and planned for C; some are
linked for a Cortex-M and run once in TensorFlow Lite Micro, whose arena's head must be the predicted bytes too. The peers are the
µNAS definitions on the same networks: RAM without the input and add in place, and one byte a parameter.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from code_size import MAX_WEIGHT_BYTES, random_model
from microzoo.build.predictions import FILE_SHARE, FLASH_SHARE, predicted_arena
from microzoo.cost.flash import weight_bytes
from microzoo.cost.liveness import liveness
from microzoo.cost.predict import predict
from microzoo.cost.resources import Resources
from microzoo.cost.tflite_size import tflite_bytes
from microzoo.errors import ArchitectureError
from microzoo.export.c import c_sources
from microzoo.export.tflite import tflite
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Conv, Depthwise
from microzoo.measure.activations import planned_bytes
from microzoo.measure.arena import measure_arena
from microzoo.measure.arm import COMPILER
from microzoo.measure.c_runtime import compiler_version
from microzoo.measure.footprint import c_arena_figure, measure_footprint
from microzoo.measure.tflite_file import parse_tflite
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, sample
from microzoo.spec.cores import Core

RESULTS = Path(__file__).parent / "results" / "predictions.json"
SHAPES = ((28, 28, 1), (16, 16, 1), (32, 32, 3), (49, 10, 1), (8, 8, 1), (1, 64, 6))
CORES: tuple[Core, ...] = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m55")
SEED = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="networks")
    parser.add_argument("--linked", type=int, default=60, help="of these: linked and run")
    arguments = parser.parse_args()
    started = perf_counter()
    every = max(arguments.count // arguments.linked, 1) if arguments.linked else 0
    rows: dict[str, list[tuple[float, float, float]]] = {}
    unplanned = {"c": 0, "tflm": 0}
    for index, (graph, resources) in enumerate(networks(arguments.count)):
        linked = bool(every) and index % every == 0 and index // every < arguments.linked
        core = CORES[index // max(every, 1) % len(CORES)]
        for name, row in compared(graph, resources, core if linked else None).items():
            rows.setdefault(name, []).append(row)
        for runtime in ("c", "tflm"):
            live = liveness(graph, in_place=True)
            peak = max((live if runtime == "c" else live.aligned(16)).profile(range(len(graph.ops))))
            unplanned[runtime] += predicted_arena(graph, runtime)[0] != peak
    report(rows, unplanned, arguments.count, perf_counter() - started)


def networks(count: int) -> Iterator[tuple[Graph, Resources]]:
    """Random networks in the order that is emitted, BatchNorm folded, none very large, with what the search predicts for C."""
    rng = np.random.default_rng(SEED)
    while count:
        rules, shape = (MICROZOO_SPACE, MUNAS_SPACE)[count % 2], SHAPES[int(rng.integers(len(SHAPES)))]
        try:
            graph, resources = predict(lower(sample(rng, rules), shape, int(rng.integers(2, 13))), "c", "cortex-m4")
        except ArchitectureError:
            continue
        if weight_bytes(graph) <= MAX_WEIGHT_BYTES:
            count -= 1
            ops = [replace(op, batch_norm=False) if isinstance(op, Conv | Depthwise) else op for op in graph.ops]
            yield replace(graph, ops=tuple(ops)), resources


def compared(graph: Graph, resources: Resources, core: Core | None) -> dict[str, tuple[float, float, float]]:
    """What -> predicted, measured, and what the peer says. core: link for it and run; None: neither."""
    model = random_model(graph, np.random.default_rng(0))
    labels = tuple(f"class {index}" for index in range(graph.shapes[graph.output][0]))
    content = tflite(model, labels=labels)
    placed = planned_bytes(parse_tflite(content, "model.tflite"))
    assert placed is not None
    aligned, paper = predicted_arena(graph, "tflm")[0], resources.paper_size_bytes
    metadata = [("labels", len("\n".join(labels)))]
    rows = {
        ".tflite activations, plan": (aligned, -(-placed // 16) * 16, resources.paper_ram_bytes),
        ".tflite bytes": (tflite_bytes(graph, metadata), len(content), paper),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, text in c_sources(model, labels=labels).items():
            (folder / name).write_text(text, encoding="utf-8")
        arena = c_arena_figure(folder)["c_arena"].value
        assert arena is not None
        packed = predicted_arena(graph, "c")[0]
        rows["C arena, declared"] = (packed, arena, resources.paper_ram_bytes)
        if core is not None:
            footprint, flash = measure_footprint(folder, core), predict(graph, "c", core)[1].flash_bytes
            rows["C arena, linked"] = (-(-packed // 4) * 4, footprint.static_ram_bytes, resources.paper_ram_bytes)
            rows["C flash, linked"] = (flash, footprint.flash_bytes, paper)
            file = folder / "model.tflite"
            file.write_bytes(content)
            rows["TFLM arena head"] = (aligned, measure_arena(file).head_bytes, resources.paper_ram_bytes)
    return rows


def report(rows: dict[str, list[tuple[float, float, float]]], unplanned: dict[str, int], count: int, seconds: float) -> None:
    """Print and keep the errors."""
    where = f"{platform.machine()}, Python {platform.python_version()}, {COMPILER} {compiler_version(COMPILER)}"
    print(f"{where}; {count} networks, seed {SEED}, one measurement each (nothing varies), {seconds:.0f} s")
    print(f"plans above the live peak, predicted as planned: {unplanned['c']} for C, {unplanned['tflm']} for TFLM")
    print(f"{'':26} {'n':>5} {'worst B':>8} {'worst':>8} {'mean':>8} {'peer mean':>10} {'ratio':>9}")
    kept = {}
    for name, row in sorted(rows.items()):
        predicted, measured, peer = np.array(row, float).T
        share, peers = np.abs(predicted - measured) / measured, np.abs(peer - measured) / measured
        found = {
            "n": len(row),
            "worst_bytes": float(np.abs(predicted - measured).max()),
            "worst_share": float(share.max()),
            "mean_share": float(share.mean()),
            "peer_mean_share": float(peers.mean()),
        }
        kept[name] = found
        print(
            f"{name:26} {len(row):5} {found['worst_bytes']:8.0f} {share.max():8.3%} {share.mean():8.3%} {peers.mean():10.3%} "
            f"{share.mean() / peers.mean():9.4f}"
        )
    print(f"allowed: 0 B of activations, {FILE_SHARE:.0%} of the .tflite, {FLASH_SHARE:.0%} of the linked flash")
    note = {"machine": where, "networks": count, "seed": SEED, "seconds": round(seconds), "plans_above_live_peak": unplanned}
    RESULTS.write_text(json.dumps(note | {"errors": kept}, indent=1) + "\n", encoding="utf-8")
    print(f"kept in {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS.name}")


if __name__ == "__main__":
    main()
