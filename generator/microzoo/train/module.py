"""Graph -> torch module and back: the same parameters as `Weights` in numpy and as an nn.Module that trains.

Inside the module an activation is (N, C, H, W), contiguous, for every network. Channels-last was within 20 % either way on one
CPU thread, and a choice by timing would make the bits of a training depend on the machine's load.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, WeightedOp, weight_shape
from microzoo.graph.weights import BatchNorm, LayerWeights, Weights
from microzoo.prune.feedback import masked_conv2d, masked_linear
from microzoo.prune.masks import apply_mask

BATCH_NORM_EPSILON = 1e-3


class WeightedLayer(nn.Module):
    """One Conv, Depthwise or Dense with its BatchNorm and ReLU.

    weight: float32, torch's layout, output channels on axis 0. BatchNorm stands in for the bias where there is one. Training
    normalises with the batch's own statistics; `mean` and `variance` follow only while `statistics_momentum` is set, since
    nothing reads them before the end.
    """

    def __init__(self, op: WeightedOp, weight: Tensor) -> None:
        super().__init__()
        self.op = op
        self.weight = nn.Parameter(weight)
        self.has_norm = not isinstance(op, Dense) and op.batch_norm
        channels = weight.shape[0]
        self.bias = None if self.has_norm else nn.Parameter(torch.zeros(channels))
        self.gamma = nn.Parameter(torch.ones(channels)) if self.has_norm else None
        self.beta = nn.Parameter(torch.zeros(channels)) if self.has_norm else None
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.statistics_momentum: float | None = None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, C, H, W) to (N, K, H', W'), or (N, F) to (N, units); channels where `mask`, (K,), is 0 are zero."""
        x = self._weigh(x, mask)
        if self.has_norm:
            x = self._normalise(x)
        if self.op.relu:
            x = x.relu_()
        return x if mask is None else apply_mask(x, mask if x.ndim == 2 else mask[:, None, None])

    def _weigh(self, x: Tensor, mask: Tensor | None) -> Tensor:
        op = self.op
        if isinstance(op, Dense):
            assert self.bias is not None
            if mask is None:
                return functional.linear(x, self.weight, self.bias)
            return masked_linear(x, self.weight, self.bias, mask)
        x, padding = _pad_unless_symmetric(x, op.padding)
        groups = x.shape[1] if isinstance(op, Depthwise) else 1
        if mask is None:
            return functional.conv2d(x, self.weight, self.bias, op.stride, padding, groups=groups)
        return masked_conv2d(x, self.weight, self.bias, mask, op.stride, padding, groups)

    def _normalise(self, x: Tensor) -> Tensor:
        """BatchNorm with the batch's statistics while training, with the stored ones otherwise."""
        if not self.training:
            return functional.batch_norm(x, self.mean, self.variance, self.gamma, self.beta, False, 0.0, BATCH_NORM_EPSILON)
        if self.statistics_momentum is None:
            return functional.batch_norm(x, None, None, self.gamma, self.beta, True, 0.0, BATCH_NORM_EPSILON)
        momentum = self.statistics_momentum
        return functional.batch_norm(x, self.mean, self.variance, self.gamma, self.beta, True, momentum, BATCH_NORM_EPSILON)


class GraphModule(nn.Module):
    """Any Graph as a module: (N, H, W, C) float32 in, (N, classes) logits out.

    generator: draws the initial weights (He et al. 2015), so the same state of it gives the same network on every device.
    masks: operator name -> (channels,) zeros and ones that its output is multiplied with, gradients passing straight through.
    """

    def __init__(self, graph: Graph, generator: np.random.Generator, masks: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.graph = graph
        self.masks = dict(masks or {})
        self.layers = {
            op.name: WeightedLayer(op, _initial_weight(op, graph.shapes[op.inputs[0]], generator))
            for op in graph.ops
            if isinstance(op, (Conv, Depthwise, Dense))
        }
        self._registered = nn.ModuleList(self.layers.values())

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, classes)."""
        tensors: dict[str, Tensor] = {self.graph.input: x if x.ndim == 2 else x.permute(0, 3, 1, 2).contiguous()}
        for index, op in enumerate(self.graph.ops):
            y = self._run(op, tensors)
            tensors[op.output] = y
            for name in op.inputs:
                if self.graph.last_use[name] == index:
                    tensors.pop(name, None)
        return tensors[self.graph.output]

    def _run(self, op: Op, tensors: Mapping[str, Tensor]) -> Tensor:
        x = tensors[op.inputs[0]]
        match op:
            case Conv() | Depthwise() | Dense():
                y: Tensor = self.layers[op.name](x, self.masks.get(op.name))
                return y
            case MaxPool():
                return functional.max_pool2d(x, op.kernel, op.stride)
            case AvgPool():
                return functional.avg_pool2d(x, op.kernel, op.stride)
            case Pad():
                top, bottom, left, right = op.padding
                return functional.pad(x, (left, right, top, bottom))
            case Add():
                y = x + tensors[op.right]
                return y.relu_() if op.relu else y
            case Flatten():
                return x if x.ndim == 2 else x.permute(0, 2, 3, 1).flatten(1)

    def channel_weights(self) -> dict[str, Tensor]:
        """Operator name -> its weights without the mask, output channels on axis 0; the module's own tensors."""
        return {name: layer.weight for name, layer in self.layers.items()}


def weights(module: GraphModule) -> Weights:
    """The module's parameters as copies in the graph's layout (OHWI; kh, kw, C; units, F), whatever its device."""
    result: Weights = {}
    for name, layer in module.layers.items():
        weight = layer.weight.detach()
        match layer.op:
            case Conv():
                weight = weight.permute(0, 2, 3, 1)
            case Depthwise():
                weight = weight[:, 0].permute(1, 2, 0)
            case Dense():
                pass
        norm = None
        if layer.gamma is not None and layer.beta is not None:
            statistics = (_array(layer.gamma), _array(layer.beta), _array(layer.mean), _array(layer.variance))
            norm = BatchNorm(*statistics, BATCH_NORM_EPSILON)
        bias = np.zeros(len(layer.mean), np.float32) if layer.bias is None else _array(layer.bias)
        result[name] = LayerWeights(_array(weight), bias, norm)
    return result


@torch.no_grad()
def load(module: GraphModule, source: Weights) -> None:
    """Copy `source` into the module. A bias before BatchNorm goes into the mean; another epsilon goes into the variance."""
    for name, layer in module.layers.items():
        given = source[name]
        weight = torch.from_numpy(np.ascontiguousarray(given.weight, np.float32))
        match layer.op:
            case Conv():
                weight = weight.permute(0, 3, 1, 2)
            case Depthwise():
                weight = weight.permute(2, 0, 1)[:, None]
            case Dense():
                pass
        assert weight.shape == layer.weight.shape, (name, weight.shape, layer.weight.shape)
        layer.weight.copy_(weight)
        norm = given.batch_norm
        assert (norm is not None) == layer.has_norm, name
        if layer.bias is not None:
            layer.bias.copy_(torch.from_numpy(given.bias))
        if norm is not None and layer.gamma is not None and layer.beta is not None:
            layer.gamma.copy_(torch.from_numpy(norm.gamma))
            layer.beta.copy_(torch.from_numpy(norm.beta))
            layer.mean.copy_(torch.from_numpy(norm.mean - given.bias))
            layer.variance.copy_(torch.from_numpy(norm.variance + np.float32(norm.epsilon - BATCH_NORM_EPSILON)))


def _initial_weight(op: WeightedOp, input_shape: tuple[int, ...], generator: np.random.Generator) -> Tensor:
    """N(0, gain / fan-in) in torch's layout; gain 2 before a ReLU, else 1 (He et al. 2015, section 2.2)."""
    shape = weight_shape(op, input_shape)
    fan_in = prod(op.kernel) if isinstance(op, Depthwise) else prod(shape[1:])
    deviation = np.float32(np.sqrt((2.0 if op.relu else 1.0) / fan_in))
    values = torch.from_numpy(generator.standard_normal(shape, np.float32) * deviation)
    match op:
        case Conv():
            values = values.permute(0, 3, 1, 2)
        case Depthwise():
            values = values.permute(2, 0, 1)[:, None]
        case Dense():
            pass
    return values.contiguous()


def _pad_unless_symmetric(x: Tensor, padding: tuple[int, int, int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The convolution pads symmetrically by itself; anything else is padded here."""
    top, bottom, left, right = padding
    if top == bottom and left == right:
        return x, (top, left)
    return functional.pad(x, (left, right, top, bottom)), (0, 0)


def _array(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A contiguous numpy copy."""
    return tensor.detach().cpu().contiguous().clone().numpy()
