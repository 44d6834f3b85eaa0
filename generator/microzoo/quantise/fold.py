"""BatchNorm folding: enters a trained Graph, leaves an equal one without BatchNorm.

Source: Jacob et al. 2018, section 3.2: w' = w * gamma / sqrt(variance + epsilon), b' = (b - mean) * gamma / sqrt(...) + beta.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from microzoo.errors import QuantisationError
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Conv, Dense, Depthwise
from microzoo.graph.weights import LayerWeights, Weights


def fold(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """The same function with every BatchNorm moved into the weight and bias before it; float64 inside, float32 out.

    Raises QuantisationError, naming the layer, on parameters that are not finite before or after folding.
    """
    folded = {op.name: _fold_layer(op, weights[op.name]) for op in graph.ops if isinstance(op, Conv | Depthwise | Dense)}
    ops = tuple(replace(op, batch_norm=False) if isinstance(op, Conv | Depthwise) else op for op in graph.ops)
    return replace(graph, ops=ops), folded


def _fold_layer(op: Conv | Depthwise | Dense, layer: LayerWeights) -> LayerWeights:
    weight, bias = layer.weight.astype(np.float64), layer.bias.astype(np.float64)
    norm = layer.batch_norm
    expected = isinstance(op, Conv | Depthwise) and op.batch_norm
    assert (norm is not None) == expected, f"{op.name}: graph and weights disagree about BatchNorm"
    if norm is not None:
        with np.errstate(all="ignore"):
            factor = norm.gamma.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
            # Conv keeps its output channels first (K, kh, kw, C), Depthwise last (kh, kw, C).
            weight = weight * (factor[:, None, None, None] if isinstance(op, Conv) else factor)
            bias = (bias - norm.mean) * factor + norm.beta
    with np.errstate(over="ignore"):
        result = LayerWeights(weight.astype(np.float32), bias.astype(np.float32))
    for kind, values in (("weights", result.weight), ("biases", result.bias)):
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            raise QuantisationError(
                f"layer {op.name}: {bad} of {values.size} {kind} are NaN or infinite after BatchNorm folding",
                "the training diverged: lower its learning rate and train again",
            )
    return result
