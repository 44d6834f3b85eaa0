"""Integer models with random weights and plausible scales, without calibrating on anything."""

from __future__ import annotations

import numpy as np

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, Conv, Dense, Depthwise, weight_shape


def integer_model(graph: Graph, seed: int) -> IntegerModel:
    """Every layer's scale spreads its sums over int8."""
    rng = np.random.default_rng(seed)
    tensors = {graph.input: Quantisation(float(np.float32(0.02)), int(rng.integers(-128, 128)))}
    weights = {}
    for op in graph.ops:
        source = tensors[op.inputs[0]]
        scale, zero = source.scale, source.zero_point
        if isinstance(op, Conv | Depthwise | Dense):
            shape = weight_shape(op, graph.shapes[op.input])
            channels = shape[-1] if isinstance(op, Depthwise) else shape[0]
            terms = int(np.prod(shape)) // channels
            scales = rng.uniform(0.004, 0.009, 1 if isinstance(op, Dense) else channels).astype(np.float32)
            values = rng.integers(-127, 128, shape, dtype=np.int8)
            weights[op.name] = IntegerWeights(values, rng.integers(-900, 900, channels, dtype=np.int32), scales)
            scale, zero = source.scale * float(scales.mean()) * terms**0.5 * 100, -128 if op.relu else int(rng.integers(-60, 60))
        elif isinstance(op, Add):
            scale, zero = sum(tensors[name].scale for name in op.inputs), -128 if op.relu else int(rng.integers(-60, 60))
        tensors[op.output] = Quantisation(float(np.float32(scale)), zero)
    return IntegerModel(graph, tensors, weights)
