"""Float evaluation of a folded Graph with torch, giving every tensor: what calibration observes.

Layout: numpy arrays are channels last (N, H, W, C) or (N, F), float32; torch's channels-first stays inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, WeightedOp
from microzoo.graph.weights import LayerWeights, Weights

if TYPE_CHECKING:
    from torch import Tensor

Float32 = NDArray[np.float32]

BATCH_BYTES = 64 << 20
"""Bound on the float32 activations, all tensors together, that one batch may hold."""


def activations(graph: Graph, weights: Weights, images: Float32) -> Iterator[dict[str, Float32]]:
    """Every tensor of `graph` for `images` (N, H, W, C) float32, batch after batch: tensor name -> (n, H, W, C) or (n, F).

    `graph` must be folded (no BatchNorm). The number of images in a batch follows from BATCH_BYTES.
    """
    import torch

    assert images.shape[1:] == graph.input_shape, (images.shape, graph.input_shape)
    layers = parameters(graph, weights)
    batch = max(1, BATCH_BYTES // (4 * sum(prod(shape) for shape in graph.shapes.values())))
    for start in range(0, len(images), batch):
        chunk = np.ascontiguousarray(images[start : start + batch], np.float32)
        with torch.inference_mode():
            values = {graph.input: channels_first(chunk)}
            for op in graph.ops:
                values[op.output] = evaluate(op, [values[name] for name in op.inputs], layers)
            yield {name: channels_last(value).numpy() for name, value in values.items()}


def logits(graph: Graph, weights: Weights, images: Float32) -> Float32:
    """Output of a folded `graph` for `images` (N, H, W, C): float32 (N, classes)."""
    parts = [values[graph.output] for values in activations(graph, weights, images)]
    return np.concatenate(parts) if parts else np.zeros((0, *graph.shapes[graph.output]), np.float32)


def channels_first(images: Float32) -> Tensor:
    """(N, H, W, C) as torch sees it: (N, C, H, W), a view."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2)


def channels_last(value: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H, W, C); (N, F) as it is."""
    return value.permute(0, 2, 3, 1).contiguous() if value.ndim == 4 else value


def parameters(graph: Graph, weights: Weights) -> dict[str, tuple[Tensor, Tensor]]:
    """Operator -> copies of its weight and bias in torch's layout: (K, C, kh, kw), (C, 1, kh, kw) or (units, F)."""
    return {op.name: layer_parameters(op, weights[op.name]) for op in graph.ops if isinstance(op, Conv | Depthwise | Dense)}


def layer_parameters(op: WeightedOp, layer: LayerWeights) -> tuple[Tensor, Tensor]:
    """Those of one operator."""
    import torch

    assert layer.batch_norm is None, f"{op.name} is not folded"
    weight = torch.from_numpy(np.array(layer.weight, np.float32))
    if isinstance(op, Conv):
        weight = weight.permute(0, 3, 1, 2).contiguous()
    elif isinstance(op, Depthwise):
        weight = weight.permute(2, 0, 1).unsqueeze(1).contiguous()
    return weight, torch.from_numpy(np.array(layer.bias, np.float32))


def layer_weights(op: WeightedOp, weight: Tensor, bias: Tensor) -> LayerWeights:
    """The inverse of `parameters` for one operator: copies in the graph's layout."""
    weight = weight.detach().cpu()
    if isinstance(op, Conv):
        weight = weight.permute(0, 2, 3, 1)
    elif isinstance(op, Depthwise):
        weight = weight[:, 0].permute(1, 2, 0)
    return LayerWeights(weight.contiguous().clone().numpy(), bias.detach().cpu().clone().numpy())


def evaluate(op: Op, inputs: list[Tensor], layers: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
    """What `op` writes for what it reads, (N, C, H, W) or (N, F) each. layers: `parameters`."""
    from torch.nn import functional as F  # noqa: N812 - torch's own name for it

    x = inputs[0]
    match op:
        case Conv() | Depthwise():
            top, bottom, left, right = op.padding
            groups = x.shape[1] if isinstance(op, Depthwise) else 1
            y = F.conv2d(F.pad(x, (left, right, top, bottom)), *layers[op.name], stride=op.stride, groups=groups)
        case Dense():
            y = F.linear(x, *layers[op.name])
        case Add():
            y = x + inputs[1]
        case MaxPool():
            return F.max_pool2d(x, op.kernel, op.stride)
        case AvgPool():
            return F.avg_pool2d(x, op.kernel, op.stride)
        case Pad():
            top, bottom, left, right = op.padding
            return F.pad(x, (left, right, top, bottom))
        case Flatten():
            return channels_last(x).flatten(1)
    return F.relu(y) if op.relu else y
