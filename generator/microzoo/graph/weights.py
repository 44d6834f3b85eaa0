"""Trained parameters of a Graph as numpy arrays in the graph's own layout, so that pruning and int8 need no framework."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class BatchNorm:
    """Inference statistics of one BatchNorm, float32 (K,) each: y = gamma * (x - mean) / sqrt(variance + epsilon) + beta."""

    gamma: Float32
    beta: Float32
    mean: Float32
    variance: Float32
    epsilon: float


@dataclass(frozen=True)
class LayerWeights:
    """One weighted operator: `weight` in the layout of `graph.ops.weight_shape`, `bias` (K,), float32; its BatchNorm if any."""

    weight: Float32
    bias: Float32
    batch_norm: BatchNorm | None = None


Weights = dict[str, LayerWeights]
"""Operator name -> its parameters, for every Conv, Depthwise and Dense of a graph."""
