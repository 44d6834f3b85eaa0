"""One training step on static tensors: eager on the CPU, captured unchanged as a CUDA graph.

The step allocates nothing that outlives it, reads its batch and its learning rate by a counter on the device, and never waits
for the device. All parameters are views of one flat tensor, so that clipping, decay and the update are a few kernels in all: on
a GPU the kernels per second are the limit for networks this small, on a CPU the Python between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from microzoo.train.augment import Batches
from microzoo.train.module import GraphModule
from microzoo.train.recipe import Recipe


class TrainingStep:
    """Calling it trains `module` on the next batch.

    module: in training mode, on its device; its parameters become views of `flat`. learning_rates: float32 (steps,). loss: the
    sum of the batch losses since it was last zeroed, float32 (1,), on the device; it stays non-finite once a loss was.
    """

    def __init__(self, module: GraphModule, batches: Batches, learning_rates: NDArray[np.float32], recipe: Recipe) -> None:
        self.module = module
        self.batches = batches
        self.recipe = recipe
        self.parameters = sorted(module.parameters(), key=lambda parameter: parameter.ndim == 1)
        self.decayed = sum(parameter.numel() for parameter in self.parameters if parameter.ndim > 1)
        self.flat = _flatten(self.parameters)
        device = self.flat.device
        self.momentum = torch.zeros_like(self.flat)
        self.learning_rates = torch.from_numpy(learning_rates).to(device)
        self.counter = torch.zeros(1, dtype=torch.int64, device=device)
        self.loss = torch.zeros(1, device=device)

    def __call__(self) -> None:
        """Forward, backward, update."""
        x, y = self.batches(self.counter)
        loss = functional.cross_entropy(self.module(x), y, label_smoothing=self.recipe.label_smoothing)
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            self.loss.add_(loss)
            self._update(torch.cat([gradient.reshape(-1) for gradient in gradients]))

    def _update(self, gradient: Tensor) -> None:
        """Nesterov momentum as in torch.optim.SGD: v = m v + g; w = w - rate (g + m v), g clipped and decayed."""
        recipe = self.recipe
        gradient.mul_((recipe.clip / (gradient.norm() + 1e-6)).clamp(max=1.0))
        gradient[: self.decayed].add_(self.flat[: self.decayed], alpha=recipe.weight_decay)
        self.momentum.mul_(recipe.momentum).add_(gradient)
        gradient.add_(self.momentum, alpha=recipe.momentum)
        self.flat.addcmul_(gradient, self.learning_rates.index_select(0, self.counter), value=-1.0)
        self.counter.add_(1)


@torch.no_grad()
def _flatten(parameters: Sequence[nn.Parameter]) -> Tensor:
    """One tensor that holds all parameters; each becomes a view of its part."""
    flat = torch.cat([parameter.reshape(-1) for parameter in parameters])
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        parameter.data = flat[start:end].view_as(parameter)
        start = end
    return flat
