"""IntegerModel: a Graph in int8. The only thing that export reads, and what all three formats must reproduce bit for bit.

Quantisation is TFLite's: real = scale * (q - zero_point); activations int8 per tensor; weights int8 symmetric, per output
channel for Conv and Depthwise, per tensor for Dense; biases int32 at scale input * weight. Scales are exact float32 values.
MaxPool, AvgPool, Pad and Flatten keep the parameters of their input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microzoo.graph.graph import Graph

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Quantisation:
    """Per-tensor parameters of an activation: real = scale * (q - zero_point), q in [-128, 127]."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class IntegerWeights:
    """Parameters of one weighted operator. `weight` int8 in the layout of `graph.ops.weight_shape`: our quantiser keeps to
    [-127, 127], other tools write -128 too. `bias` int32 (K,); `scales` float32 (K,), or (1,) for Dense.
    """

    weight: Int8
    bias: Int32
    scales: Float32


@dataclass(frozen=True)
class IntegerModel:
    """A quantised network. `graph` has no BatchNorm left; `tensors` covers every tensor; `weights` every weighted operator."""

    graph: Graph
    tensors: dict[str, Quantisation]
    weights: dict[str, IntegerWeights]
