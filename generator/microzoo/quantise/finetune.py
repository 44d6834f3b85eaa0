"""Quantisation-aware fine-tuning: enters a folded network and the ranges of its tensors, leaves weights tuned for them.

Source: Jacob et al. 2018, section 3: weights and activations are rounded on the way forward as inference rounds them, gradients
pass. Here the way forward is `simulate`, the integer arithmetic itself. BatchNorm is folded before, not during: the training that
is continued is over, and its statistics are final. Ranges stay; scales of weights follow the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, Quantisation
from microzoo.graph.ops import Conv, Dense, Depthwise, WeightedOp
from microzoo.graph.weights import Weights
from microzoo.quantise.calibrate import Ranges, activation
from microzoo.quantise.forward import layer_weights, parameters
from microzoo.quantise.integer import integer_model
from microzoo.quantise.simulate import fixed_layers, on_grid, read, simulate

Batches = Callable[[int], tuple[Tensor, Tensor]]
"""Step -> its inputs, float32 (N, H, W, C), and labels, int64 (N,), on the device of the fine-tuning."""

LEARNING_RATE = 5e-4
"""Adam's rate at the first step; falls to zero along a cosine."""
CHECK = 16
"""Steps between two looks at the loss and at `should_stop`."""


@dataclass(frozen=True)
class FineTuned:
    """weights: tuned, folded; empty where it failed. failure: "diverged" or "stopped"."""

    weights: Weights
    failure: str | None = None


def fine_tune(
    graph: Graph,
    weights: Weights,
    ranges: Ranges,
    batches: Batches,
    *,
    steps: int,
    learning_rate: float = LEARNING_RATE,
    label_smoothing: float = 0.0,
    device: str = "cpu",
    should_stop: Callable[[], bool] | None = None,
) -> FineTuned:
    """Weights for `integer_model(graph, weights, ranges)` that lose less by being rounded. `graph` must be folded.

    steps: how many batches to train on, with Adam. On the CPU with one thread the same arguments give the same bits. A layer that
    is zero on every calibration image is left as it is: no gradient comes through it.
    Raises QuantisationError where `integer_model` does for the weights as they come.
    """
    start = integer_model(graph, weights, ranges)
    network = _Network(start, weights, ranges, torch.device(device))
    if not network.trained:
        return FineTuned(weights)
    adam = _Adam(network.trained)
    total = torch.zeros((), device=device)
    for step in range(steps):
        if step % CHECK == 0:
            if should_stop is not None and should_stop():
                return FineTuned({}, "stopped")
            if not math.isfinite(float(total)):
                return FineTuned({}, "diverged")
        images, labels = batches(step)
        loss = functional.cross_entropy(network(images), labels, label_smoothing=label_smoothing)
        total += loss.detach()
        adam.step(torch.autograd.grad(loss, network.trained), learning_rate * (0.5 + 0.5 * math.cos(math.pi * step / steps)))
    tuned = network.weights()
    if not all(np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all() for layer in tuned.values()):
        return FineTuned({}, "diverged")
    return FineTuned(tuned)


class _Adam:
    """Kingma and Ba 2015, algorithm 1, on all parameters as one flat tensor: a few kernels in all.

    torch's own takes several times as long on networks this small, and seconds to import what it needs.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        """parameters: leaves; each becomes a view of its part of `flat`."""
        self.flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        self.mean, self.square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.count = 0
        start = 0
        for parameter in parameters:
            end = start + parameter.numel()
            parameter.data = self.flat[start:end].view_as(parameter)
            start = end

    def step(self, gradients: Sequence[Tensor], rate: float, decay: tuple[float, float] = (0.9, 0.999)) -> None:
        """Update `flat` by the gradients of the parameters."""
        gradient = torch.cat([part.reshape(-1) for part in gradients])
        self.count += 1
        self.mean.lerp_(gradient, 1.0 - decay[0])
        self.square.mul_(decay[1]).addcmul_(gradient, gradient, value=1.0 - decay[1])
        size = (self.square / (1.0 - decay[1] ** self.count)).sqrt_().add_(1e-8)
        self.flat.addcdiv_(self.mean, size, value=-rate / (1.0 - decay[0] ** self.count))


class _Network:
    """A folded network that is rounded on every call as its IntegerModel would be. Its parameters are float."""

    def __init__(self, start: IntegerModel, weights: Weights, ranges: Ranges, device: torch.device) -> None:
        self.graph, self.tensors, self.given = start.graph, start.tensors, weights
        self.fixed = {name: (w.to(device), b.to(device)) for name, (w, b) in fixed_layers(start).items()}
        alive = {op.name for op in self.graph.ops if activation(ranges.get(op.output, (0.0, 0.0))) is not None}
        self.parameters = {
            name: (weight.to(device).requires_grad_(), bias.to(device).requires_grad_())
            for name, (weight, bias) in parameters(self.graph, weights).items()
            if name in alive
        }
        self.trained = [tensor for pair in self.parameters.values() for tensor in pair]

    def __call__(self, images: Tensor) -> Tensor:
        """Logits, float32 (N, classes), of `images` (N, H, W, C)."""
        layers = dict(self.fixed)
        for op in self.graph.ops:
            if op.name in self.parameters:
                assert isinstance(op, Conv | Depthwise | Dense)
                layers[op.name] = _rounded_layer(op, *self.parameters[op.name], self.tensors[op.input], self.tensors[op.output])
        x = read(images, self.tensors[self.graph.input])
        for _, y in simulate(self.graph, self.tensors, layers, x):
            logits = y
        return logits * self.tensors[self.graph.output].scale

    def weights(self) -> Weights:
        """The parameters as they are now, in the graph's layout."""
        tuned = dict(self.given)
        for op in self.graph.ops:
            if op.name in self.parameters:
                assert isinstance(op, Conv | Depthwise | Dense)
                tuned[op.name] = layer_weights(op, *self.parameters[op.name])
        return tuned


def _rounded_layer(
    op: WeightedOp, weight: Tensor, bias: Tensor, source: Quantisation, target: Quantisation
) -> tuple[Tensor, Tensor]:
    """Weight and bias of `op` as its integers will be, in steps of the output."""
    with torch.no_grad():
        scales = _scales(op, weight, bias, source, target)
        per_channel = scales.reshape(-1, *[1] * (weight.ndim - 1)) if len(scales) > 1 else scales
    rounded_weight = on_grid(weight, per_channel, source.scale / target.scale)
    return rounded_weight, on_grid(bias, scales * source.scale, 1.0 / target.scale)


def _scales(op: WeightedOp, weight: Tensor, bias: Tensor, source: Quantisation, target: Quantisation) -> Tensor:
    """What `integer.weight_scales` gives, on the weights' device: float32 (K,), or (1,) for Dense."""
    natural = weight.flatten(1).abs().amax(dim=1) / 127.0
    needed = bias.abs() / (source.scale * 2.0**30)
    if isinstance(op, Dense):
        natural, needed = natural.amax(dim=0, keepdim=True), needed.amax(dim=0, keepdim=True)
    neutral = target.scale / source.scale * 2.0**-16
    least = torch.where(natural > 0.0, float(np.finfo(np.float32).tiny), neutral)
    return torch.maximum(natural, torch.maximum(needed, least))
