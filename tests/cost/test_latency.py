"""Predicted instructions against the emulated Cortex-M, on networks that the tables were not fitted to, and their arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import get_args

import numpy as np
import pytest

from microzoo.cost.latency import TABLES, TERMS, instructions, operator_terms
from microzoo.errors import ArchitectureError
from microzoo.export.c import c_plan, c_sources
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad, weight_shape
from microzoo.measure import emulate
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, sample
from microzoo.spec.cores import DEFAULT_CPI, Core, milliseconds

CORES = get_args(Core)
MANUAL_INPUT = (9, 7, 5)


def conv_graph(filters: int, *, kernel: int = 3, padding: int = 1) -> Graph:
    """One convolution and what makes it a network."""
    ops = (
        Conv("conv", "input", "a", filters, (kernel, kernel), (2, 1), (padding,) * 4, relu=True),
        Flatten("flatten", "a", "b"),
        Dense("dense", "b", "logits", 3),
    )
    return Graph("input", MANUAL_INPUT, ops, "logits")


def test_a_graph_with_every_operator_is_counted() -> None:
    ops = (
        Conv("conv", "input", "a", 6, (3, 3), padding=(1, 1, 1, 1)),
        Depthwise("depthwise", "a", "b", (3, 3), padding=(1, 1, 1, 1)),
        Add("add", "a", "b", "c"),
        Pad("pad", "c", "d", (0, 1, 0, 1)),
        MaxPool("max", "d", "e", (2, 2), (2, 2)),
        AvgPool("mean", "e", "f", (5, 4), (5, 4)),
        Flatten("flatten", "f", "g"),
        Dense("dense", "g", "logits", 3),
    )
    graph = Graph("input", MANUAL_INPUT, ops, "logits")
    for core in CORES:
        found = [operator_terms(op, graph.shapes, TABLES[core].kernels) for op in ops]
        assert [each[0] if each else None for each in found] == [
            "conv", "depthwise", "add", "pad", "max_pool", "average_pool", None, "conv",
        ]  # fmt: skip
        assert all(len(each[1]) == len(TERMS[each[0]]) for each in found if each)
        costs = [float(np.dot(TABLES[core].of[each[0]], each[1])) for each in found if each]
        assert min(costs) > 0
        assert abs(instructions(graph, core) - TABLES[core].base - sum(costs)) <= 0.5, "additive over operators"


def test_terms_of_a_padded_convolution_by_brute_force() -> None:
    """Every window of every group looked at by itself, as the kernel does."""
    graph = conv_graph(6)
    (height, width, channels), (out_height, out_width, _) = MANUAL_INPUT, graph.shapes["a"]
    lines = steps = rest = stepped = rested = tails = 0
    for y in range(out_height):
        for x in range(out_width):
            rows = [row for row in range(2 * y - 1, 2 * y + 2) if 0 <= row < height]
            inputs = channels * len([column for column in range(x - 1, x + 2) if 0 <= column < width])
            for _ in range(2):  # six filters: two groups of four
                lines += len(rows)
                steps += len(rows) * (inputs // 4)
                rest += len(rows) * (inputs % 4)
                stepped += len(rows) * (inputs >= 4)
                rested += len(rows) * (inputs % 4 > 0)
                tails += len(rows) * -(-inputs // 16)
    pixels = out_height * out_width
    dsp, mve = (operator_terms(graph.ops[0], graph.shapes, kernels) for kernels in ("dsp", "mve"))
    assert dsp == ("conv", (1, out_height, pixels, 2 * pixels, 0, lines, steps, rest, stepped, rested))
    assert mve == ("conv", (1, out_height, pixels, 2 * pixels, 0, lines, tails, tails, 0, 0))


def test_an_operator_without_a_rule_is_an_error() -> None:
    @dataclass(frozen=True)
    class Softmax:
        output: str = "logits"

    with pytest.raises(AssertionError):
        operator_terms(Softmax(), {"logits": (3,)}, "dsp")  # type: ignore[arg-type]


def test_tables_cover_every_core_and_kernel() -> None:
    assert set(TABLES) == set(DEFAULT_CPI) == set(CORES)
    for costs in TABLES.values():
        assert {kernel: len(values) for kernel, values in costs.of.items()} == {
            kernel: len(terms) for kernel, terms in TERMS.items()
        }
        assert all(min(values) >= 0 and sum(values) > 0 for values in costs.of.values())


@pytest.mark.parametrize("core", CORES)
def test_more_filters_never_take_fewer_instructions(core: Core) -> None:
    from_four = [instructions(conv_graph(filters), core) for filters in range(4, 40)]
    assert from_four == sorted(from_four)
    fewer = [instructions(conv_graph(filters), core) for filters in range(1, 4)]
    assert fewer == sorted(fewer), "one by one, which may take longer than four together"


def test_a_larger_map_kernel_or_input_takes_more() -> None:
    for core in CORES:
        assert instructions(conv_graph(8, kernel=1, padding=0), core) < instructions(conv_graph(8), core)
        assert instructions(conv_graph(8, padding=0), core) < instructions(conv_graph(8), core)


def test_a_prediction_is_fast_enough_for_the_search() -> None:
    graphs = drawn(10, np.random.default_rng(3), lambda graph: len(graph.ops) >= 10)
    for graph in graphs:
        instructions(graph, "cortex-m4")
    best = min(_seconds(graphs) for _ in range(5))
    operators = sum(len(graph.ops) for graph in graphs)
    assert best / operators < 30e-6, f"{1e6 * best / operators:.1f} us an operator: 0.3 ms for ten is what the search can spend"


def _seconds(graphs: list[Graph]) -> float:
    started = perf_counter()
    for graph in graphs:
        instructions(graph, "cortex-m4")
    return perf_counter() - started


def test_milliseconds_by_hand() -> None:
    # 8 million instructions of 1.25 cycles are 10 million cycles: 125 ms at 80 MHz.
    assert milliseconds(8_000_000, 80.0, 1.25) == pytest.approx(125.0)


@pytest.mark.arm
@pytest.mark.skipif(emulate.missing() is not None, reason=emulate.missing() or "")
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
def test_within_five_percent_of_the_emulated_core(core: Core, tmp_path: Path) -> None:
    rng = np.random.default_rng(20_261)
    for index, graph in enumerate(drawn(12, rng, _small)):
        folder = tmp_path / str(index)
        folder.mkdir()
        model = _model(graph, rng)
        for name, text in c_sources(model).items():
            (folder / name).write_text(text, encoding="utf-8")
        x = rng.integers(-128, 128, (1, *graph.input_shape)).astype(np.int8)
        (seen,) = emulate.emulate(folder, core, x).instructions
        predicted = instructions(graph, core)
        assert abs(predicted / seen - 1) < 0.05, (core, index, predicted, seen)


def drawn(count: int, rng: np.random.Generator, wanted: Callable[[Graph], bool]) -> list[Graph]:
    """Random graphs of the search space; other seeds and other input shapes than the benchmark's."""
    found: list[Graph] = []
    while len(found) < count:
        try:
            graph = lower(sample(rng, MICROZOO_SPACE), ((20, 20, 1), (12, 15, 2))[len(found) % 2], 5)
        except ArchitectureError:
            continue
        if wanted(graph):
            found.append(graph)
    return found


def _small(graph: Graph) -> bool:
    weights = sum(
        int(np.prod(weight_shape(op, graph.shapes[op.input]))) for op in graph.ops if isinstance(op, Conv | Depthwise | Dense)
    )
    return weights <= 40_000 and c_plan(graph).total_bytes <= 32_000


def _model(graph: Graph, rng: np.random.Generator) -> IntegerModel:
    """Random weights, each sum scaled to int8."""
    ops = tuple(replace(op, batch_norm=False) if isinstance(op, Conv | Depthwise) else op for op in graph.ops)
    graph, weights = replace(graph, ops=ops), {}
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            shape, channels = weight_shape(op, graph.shapes[op.input]), graph.shapes[op.output][-1]
            taps = int(np.prod(shape)) // channels
            scales = np.full(1 if isinstance(op, Dense) else channels, 0.01 / np.sqrt(taps), np.float32)
            weight = rng.integers(-127, 128, shape).astype(np.int8)
            weights[op.name] = IntegerWeights(weight, rng.integers(-1000, 1000, channels).astype(np.int32), scales)
    return IntegerModel(graph, dict.fromkeys(graph.shapes, Quantisation(0.0625, -3)), weights)
