"""Masks over channels while a network trains: saliency, one global threshold, and gradients straight through.

Source: Lin, Stich, Barba, Dmitriev, Jaggi 2020, "Dynamic Model Pruning with Feedback" (ICLR 2020), structured variant. The
forward pass is that of the pruned network; its gradients update the dense weights, so a channel cut by mistake can come back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from microzoo.prune.groups import ChannelGroup
from microzoo.prune.schedule import Saliency

Indices = NDArray[np.int64]


class _StraightThrough(torch.autograd.Function):
    """activation * mask going forward, the identity for the gradient going back."""

    @staticmethod
    def forward(_: Any, activation: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return activation * mask

    @staticmethod
    def backward(_: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0], None


def apply_mask(activation: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Zero the masked channels of `activation`, float32 (N, C, H, W) or (N, F); `mask` is (C, 1, 1) or (F,) of zeros and ones.

    To be applied to what an operator hands on, after BatchNorm and ReLU. There a masked channel is exactly zero, whatever
    BatchNorm's beta is, and the gradient that the pruned network has at that point still reaches the dense weights; masking
    gamma and beta themselves would cut that feedback off.
    """
    return cast(torch.Tensor, _StraightThrough.apply(activation, mask))


class ChannelMasks:
    """One mask a group, all in one static tensor that is renewed in place, so that a captured CUDA graph sees the change."""

    def __init__(self, groups: Sequence[ChannelGroup], device: str | torch.device = "cpu") -> None:
        self.groups = tuple(groups)
        self.flat = torch.ones(sum(group.channels for group in self.groups), device=device)
        self._ends = np.cumsum([group.channels for group in self.groups], dtype=np.int64)
        self._starts = self._ends - np.array([group.channels for group in self.groups], np.int64)
        self.by_operator: dict[str, torch.Tensor] = {
            name: self.flat[start:end]
            for group, start, end in zip(self.groups, self._starts, self._ends, strict=True)
            for name in group.writers
        }
        """Operator name -> its mask, float32 (channels,): a view that follows every renewal."""

    def renew(self, weights: Mapping[str, torch.Tensor], sparsity: float, saliency: Saliency = "l2") -> None:
        """Mask the least salient channels of all groups together, at least one a group kept.

        weights: operator name -> its dense weights with the group's channels on axis 0. sparsity: share of all prunable channels
        to mask; rounded to whole channels. Saliency of a channel: L2 norm of its weights over all writers of its group; where
        `saliency` is "relative", divided by the mean over the group. Ties are cut in the order of the groups. Never waits for the
        device.
        """
        if not self.groups:
            return
        norms = [_norms([weights[name] for name in group.writers]) for group in self.groups]
        if saliency == "relative":
            norms = [norm / norm.mean().clamp(min=1e-12) for norm in norms]
        for norm in norms:
            norm.index_fill_(0, norm.argmax(dim=0, keepdim=True), float("inf"))
        total = self.flat.numel()
        count = min(round(sparsity * total), total - len(self.groups))
        masked = torch.argsort(torch.cat(norms), stable=True)[:count]
        self.flat.fill_(1.0).index_fill_(0, masked, 0.0)

    def keep(self) -> dict[str, Indices]:
        """Group name -> indices of the channels that are not masked, ascending, int64."""
        flat = self.flat.cpu().numpy()
        spans = zip(self.groups, self._starts, self._ends, strict=True)
        return {group.name: np.flatnonzero(flat[start:end]).astype(np.int64) for group, start, end in spans}


def _norms(weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """L2 norm of each channel (axis 0) over all `weights`: float32 (channels,)."""
    squares = [weight.detach().flatten(1).square().sum(dim=1) for weight in weights]
    return torch.stack(squares).sum(dim=0).sqrt()
