"""How much is pruned when: a cubic ramp from 0 to the wanted sparsity between two points of the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Saliency = Literal["l2", "relative"]
"""How channels of different groups compare: by the L2 norm of their weights, or by that norm over their group's mean norm."""


@dataclass(frozen=True)
class PruningPlan:
    """Structured pruning during one training.

    sparsity: share of the prunable channels that end up removed, in [0, 1). start, end: shares of the training between which the
    sparsity rises; the masks are frozen after `end`, so that the rest of the training fine-tunes what is left. every: steps
    between two renewals of the masks (16 in Lin et al. 2020, "Dynamic Model Pruning with Feedback"). saliency:
    "l2" is the paper's; "relative" keeps a group whose weights are small altogether from being cut down to one channel.
    """

    sparsity: float
    start: float = 0.1
    end: float = 0.6
    every: int = 16
    saliency: Saliency = "l2"

    def __post_init__(self) -> None:
        assert 0.0 <= self.sparsity < 1.0, self
        assert 0.0 <= self.start < self.end <= 1.0, self
        assert self.every >= 1, self

    def sparsity_at(self, progress: float) -> float:
        """Sparsity at `progress`, the share of the training that is done, in [0, 1].

        s(t) = s_f * (1 - (1 - (t - t_0) / (t_1 - t_0))**3): Zhu and Gupta 2017, "To prune, or not to prune", equation 1, with
        s_i = 0.
        """
        share = min(1.0, max(0.0, (progress - self.start) / (self.end - self.start)))
        return float(self.sparsity * (1.0 - (1.0 - share) ** 3))
