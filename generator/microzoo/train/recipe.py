"""Recipe: how one network is trained, and the tables that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_SUBSET_SEED = 0


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with Nesterov momentum and a learning rate that ends at zero with the training.

    epochs: passes over the samples that are used; fractions count. samples: share of the training split that is used, in (0, 1];
    the subset is the same for every training on the same split, and smaller ones lie within larger ones. warmup: share of the
    steps in which the learning rate rises linearly. weight_decay: L2 on weights, not on biases and BatchNorm. clip: largest
    L2 norm of the whole gradient: without it a rate this high harms networks that have no BatchNorm.
    """

    epochs: float = 10.0
    batch_size: int = 64
    learning_rate: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    warmup: float = 0.1
    schedule: Literal["cosine", "linear"] = "cosine"
    samples: float = 1.0
    clip: float = 1.0

    def __post_init__(self) -> None:
        assert self.epochs > 0 and math.isfinite(self.epochs), self
        assert self.batch_size >= 2, "BatchNorm needs two samples"
        assert self.learning_rate > 0 and self.clip > 0, self
        assert 0 <= self.momentum < 1 and 0 <= self.warmup < 1 and 0 <= self.label_smoothing < 1, self
        assert 0 < self.samples <= 1 and self.weight_decay >= 0, self

    def subset(self, available: int) -> NDArray[np.int64]:
        """Indices of the samples that are used, of `available` ones: int64, ascending; at least two, for BatchNorm."""
        count = min(available, max(2, round(self.samples * available)))
        return np.sort(np.random.default_rng(_SUBSET_SEED).permutation(available)[:count])

    def steps(self, used: int) -> int:
        """Steps of the whole training when `used` samples make an epoch; at least one."""
        return max(1, round(self.epochs * used / self.batch_size))

    def learning_rates(self, steps: int) -> NDArray[np.float32]:
        """The learning rate of every step, float32 (steps,): up to `learning_rate` over the warm-up, then down towards zero."""
        step = np.arange(steps)
        rising = self.warmup * steps
        left = np.clip((steps - step) / max(1.0, steps - rising), 0.0, 1.0)
        falling = left if self.schedule == "linear" else 0.5 - 0.5 * np.cos(np.pi * left)
        rise = np.minimum(1.0, (step + 1) / rising) if rising > 0 else np.ones(steps)
        return (self.learning_rate * rise * falling).astype(np.float32)

    def order(self, subset: NDArray[np.int64], steps: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """The samples of every step, int64 (steps, batch): permutations of the subset one after the other, cut into batches."""
        wanted = steps * self.batch_size
        passes = [generator.permutation(subset) for _ in range(-(-wanted // len(subset)))]
        return np.concatenate(passes)[:wanted].reshape(steps, self.batch_size)
