"""Judging weights: BatchNorm's statistics, accuracy, and whether the numbers are numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microzoo.graph.graph import Graph
from microzoo.graph.weights import Weights
from microzoo.train.module import GraphModule, load

STATISTICS_SAMPLES = 2048
STATISTICS_BATCH = 256


def accuracy(
    graph: Graph, weights: Weights, x: NDArray[np.float32], y: NDArray[np.int64], device: str = "cpu", batch: int = 512
) -> float:
    """Share of `x`, float32 (N, H, W, C), whose largest logit is at its class in `y`, int64 (N,). 0 for no samples."""
    module = GraphModule(graph, np.random.default_rng(0))
    load(module, weights)
    module.to(device).eval()
    correct = 0
    with torch.inference_mode():
        for start in range(0, len(x), batch):
            logits = module(torch.from_numpy(x[start : start + batch]).to(device))
            correct += int((logits.argmax(dim=1).cpu().numpy() == y[start : start + batch]).sum())
    return correct / max(1, len(x))


def logits(graph: Graph, weights: Weights, x: NDArray[np.float32], batch: int = 512) -> NDArray[np.float32]:
    """Float logits of `x`, float32 (N, H, W, C), on the CPU: float32 (N, classes)."""
    module = GraphModule(graph, np.random.default_rng(0))
    load(module, weights)
    module.eval()
    with torch.inference_mode():
        parts = [module(torch.from_numpy(x[start : start + batch])).numpy() for start in range(0, len(x), batch)]
    return np.concatenate(parts)


@torch.no_grad()
def estimate_statistics(module: GraphModule, x: Tensor) -> None:
    """Set the mean and variance of every BatchNorm to the average over batches of `x` under the weights as they are now.

    x: float32 (N, H, W, C) on the module's device, N >= 2. A moving average instead would still remember the initial weights
    after a training of a few steps (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3: precise BatchNorm).
    Leaves the module in evaluation mode.
    """
    size = min(STATISTICS_BATCH, len(x))
    module.train()
    for index, batch in enumerate(_whole_batches(x[:STATISTICS_SAMPLES], size)):
        for layer in module.layers.values():
            layer.statistics_momentum = 1.0 / (index + 1)
        module(batch)
    for layer in module.layers.values():
        layer.statistics_momentum = None
    module.eval()


def all_finite(weights: Weights) -> bool:
    """Whether every parameter is a finite number."""
    for layer in weights.values():
        norm = layer.batch_norm
        arrays = [layer.weight, layer.bias] + ([] if norm is None else [norm.gamma, norm.beta, norm.mean, norm.variance])
        if not all(np.isfinite(array).all() for array in arrays):
            return False
    return True


def _whole_batches(x: Tensor, size: int) -> Iterator[Tensor]:
    """Consecutive batches of exactly `size`; what is left over is dropped, since one sample alone has no variance."""
    for start in range(0, len(x) - size + 1, size):
        yield x[start : start + size]
