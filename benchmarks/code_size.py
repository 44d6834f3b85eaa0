"""Refits the code sizes that `cost/c_runtime.py` predicts with, and says how far its present table is off.

Run: python benchmarks/code_size.py [--count 60]      (needs arm-none-eabi-gcc)
Random architectures are exported as C with random weights, linked for each core, and what is not weights is explained by which
kernels occur and how often. The peer of the fit is one constant for all models, measured on the same images.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from microzoo.cost.c_runtime import code_bytes, stack_bytes
from microzoo.cost.flash import weight_bytes
from microzoo.cost.memory import best_order
from microzoo.errors import ArchitectureError
from microzoo.export.c import c_sources
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, MaxPool, Op, Pad, weight_shape
from microzoo.measure.footprint import measure_footprint
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, sample
from microzoo.spec.cores import Core

CORES: tuple[Core, ...] = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m55")
KINDS: tuple[type[Op], ...] = (Conv, Depthwise, MaxPool, AvgPool, Add, Pad, Dense)
DROPPED: tuple[type[Op], ...] = (Depthwise, MaxPool, AvgPool, Add, Pad)
"""Kernels that are linked only where they are called."""
INPUT_SHAPE, CLASSES, MAX_WEIGHT_BYTES = (16, 16, 1), 10, 150_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60, help="architectures")
    count = parser.parse_args().count
    graphs = list(architectures(np.random.default_rng(0), count))
    print(f"{platform.machine()}, Python {platform.python_version()}, {count} architectures, input {INPUT_SHAPE}")
    for core in CORES:
        code, stack = np.array([linked(graph, core) for graph in graphs], float).T
        report(core, graphs, code, stack)


def architectures(rng: np.random.Generator, count: int) -> Iterator[Graph]:
    """Random graphs in the order that is emitted, neither without meaning nor very large."""
    while count:
        try:
            graph = lower(sample(rng, MICROZOO_SPACE), INPUT_SHAPE, CLASSES)
        except ArchitectureError:
            continue
        if weight_bytes(graph) <= MAX_WEIGHT_BYTES:
            count -= 1
            yield graph.reordered(best_order(graph)[0])


def random_model(graph: Graph, rng: np.random.Generator) -> IntegerModel:
    """Random weights; only sizes matter."""
    weights = {}
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            channels = graph.shapes[op.output][-1]
            weights[op.name] = IntegerWeights(
                rng.integers(-127, 128, weight_shape(op, graph.shapes[op.input])).astype(np.int8),
                rng.integers(-1000, 1000, channels).astype(np.int32),
                np.full(1 if isinstance(op, Dense) else channels, 0.01, np.float32),
            )
    return IntegerModel(graph, dict.fromkeys(graph.shapes, Quantisation(0.0625, -3)), weights)


def linked(graph: Graph, core: Core) -> tuple[int, int]:
    """Bytes of linked code besides weights and tables, and bytes of stack."""
    model = random_model(graph, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        for name, text in c_sources(model).items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        footprint = measure_footprint(Path(folder), core)
    return footprint.flash_bytes - weight_bytes(graph), footprint.stack_bytes


def report(core: Core, graphs: list[Graph], code: np.ndarray, stack: np.ndarray) -> None:
    """The fit, its error, the present table's error, and a constant's."""
    counts = np.array([[sum(isinstance(op, kind) for op in graph.ops) for kind in KINDS] for graph in graphs], float)
    # Every network has a dense layer, which the kernel of the convolution runs: that one is part of the base. The average pool
    # occurs at most once: one number has to stand for its kernel and its call.
    called = [kind for kind in KINDS if kind is not AvgPool]
    dropped, calls = ([KINDS.index(kind) for kind in kinds] for kinds in (DROPPED, called))
    columns = np.concatenate([counts[:, dropped] > 0, counts[:, calls], np.ones((len(graphs), 1))], axis=1)
    solution, *_ = np.linalg.lstsq(columns, code, rcond=None)
    residual = np.abs(columns @ solution - code).max()
    table = np.array([code_bytes(graph, core) for graph in graphs])
    print(f"\n{core}: base {solution[-1]:.0f} + residual {residual:.0f}")
    for what, kinds, sizes in (("kernels", DROPPED, solution), ("calls", called, solution[len(DROPPED) :])):
        print(f"  {what} " + ", ".join(f"{kind.__name__} {size:.0f}" for kind, size in zip(kinds, sizes, strict=False)))
    off, constant = table - code, np.abs(code - code.mean()).max()
    print(f"  present table - linked: {off.min():.0f} to {off.max():.0f} B; one constant: within {constant:.0f} B")
    print(f"  ratio of greatest errors, table to constant: {np.abs(off).max() / constant:.3f}")
    print(f"  stack {stack.min():.0f} to {stack.max():.0f} B, charged {stack_bytes(core)}")


if __name__ == "__main__":
    main()
