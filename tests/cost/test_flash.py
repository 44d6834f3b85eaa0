"""Bytes of parameters, by hand and against the arrays of the C export."""

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from microzoo.cost.flash import parameters, weight_bytes, weighted
from microzoo.cost.predict import predict
from microzoo.export.c import c_sources
from microzoo.export.tflite import tflite
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Conv, Dense, Depthwise, Flatten, weight_shape
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, sample


def folded(graph: Graph) -> Graph:
    ops = tuple(replace(op, batch_norm=False) if isinstance(op, Conv | Depthwise) else op for op in graph.ops)
    return Graph(graph.input, graph.input_shape, ops, graph.output)


def constant_model(graph: Graph) -> IntegerModel:
    """All weights 1: only sizes matter here."""

    def ones(*shape: int) -> NDArray[np.int8]:
        return np.ones(shape, np.int8)

    weights = {
        op.name: IntegerWeights(
            ones(*weight_shape(op, graph.shapes[op.input])),
            ones(channels).astype(np.int32),
            np.full(1 if isinstance(op, Dense) else channels, 0.01, np.float32),
        )
        for op, _, channels in weighted(graph)
    }
    return IntegerModel(graph, dict.fromkeys(graph.shapes, Quantisation(0.125, 0)), weights)


def small_models(count: int) -> list[IntegerModel]:
    rng = np.random.default_rng(50)
    graphs = (folded(lower(sample(rng, MICROZOO_SPACE), (28, 28, 1), 10)) for _ in iter(int, 1))
    return [constant_model(graph) for graph, _ in zip((g for g in graphs if parameters(g) < 20_000), range(count), strict=False)]


def array_bytes(source: str) -> int:
    """Bytes of the constant int8 and int32 arrays in C source, int8 arrays filled up to words."""
    arrays = re.findall(r"^static const MICROZOO_ALIGNED (int8_t|int32_t) \w+\[(\d+)\]", source, re.MULTILINE)
    return sum(4 * int(count) if kind == "int32_t" else -(-int(count) // 4) * 4 for kind, count in arrays)


def test_hand_worked() -> None:
    # Conv 5 filters 3x3x2: 90 weights -> 92, biases 20, multipliers 20, shifts 5 -> 8: 140.
    # Depthwise 3x3x5: 45 -> 48, 20, 20, 8: 96. Dense 20 -> 7: 140, 28, 28, 8: 204.
    ops = (
        Conv("a", "x", "a", 5, (3, 3)),
        Depthwise("b", "a", "b", (3, 3), (2, 2)),
        Flatten("f", "b", "f"),
        Dense("d", "f", "d", 7),
    )
    assert weight_bytes(Graph("x", (8, 8, 2), ops, "d")) == 140 + 96 + 204


def test_equal_to_the_arrays_of_the_c_export() -> None:
    for model in small_models(5):
        assert array_bytes(c_sources(model)["model.c"]) == weight_bytes(model.graph)


def test_tflite_flash_is_the_size_of_the_file_and_48_kb_of_code() -> None:
    for model in small_models(5):
        predicted = predict(model.graph, "tflm", "cortex-m4")[1].flash_bytes - 48 * 1024
        assert predicted == pytest.approx(len(tflite(model)), abs=300)
