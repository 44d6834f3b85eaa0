"""Convolution and linear layer whose cut channels learn, but send no gradient into the layers before them.

In Lin et al. 2020 ("Dynamic Model Pruning with Feedback", equation 2) the gradient is taken at the pruned weights and applied to
the dense ones. Pruned weights are zero there, so what flows back through a cut channel into the layer's input is zero as well,
while the gradient of the cut weights themselves is not. Here the cut channels keep their weights and their output is masked
later, so that zero has to be made: the gradient of the input uses the masked gradient of the output, that of the weights the
whole one.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional


class _Conv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor, stride: list[int], padding: list[int], groups: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mask)
        ctx.has_bias, ctx.settings = bias is not None, (stride, padding, groups)
        return functional.conv2d(x, weight, bias, stride, padding, groups=groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mask = ctx.saved_tensors
        stride, padding, groups = ctx.settings
        whole = gradients[0].contiguous()
        sizes = [weight.shape[0]] if ctx.has_bias else None

        def parts(gradient: Tensor, wanted: list[bool]) -> Any:
            fixed = (stride, padding, [1, 1], False, [0, 0], groups)
            return torch.ops.aten.convolution_backward(gradient, x, weight, sizes, *fixed, wanted)

        into_x = parts(whole * mask[:, None, None], [True, False, False])[0] if ctx.needs_input_grad[0] else None
        _, into_weight, into_bias = parts(whole, [False, True, ctx.has_bias])
        return into_x, into_weight, into_bias, None, None, None, None


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, mask)
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mask = ctx.saved_tensors
        whole = gradients[0]
        into_x = (whole * mask) @ weight if ctx.needs_input_grad[0] else None
        return into_x, whole.T @ x, whole.sum(dim=0), None


def masked_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor, stride: tuple[int, int], padding: tuple[int, int], groups: int
) -> Tensor:
    """conv2d going forward, unmasked; going back, channels where `mask` is 0 send nothing into x. mask: float32 (K,)."""
    return cast(Tensor, _Conv2d.apply(x, weight, bias, mask, list(stride), list(padding), groups))


def masked_linear(x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    """Linear layer going forward, unmasked; going back, units where `mask` is 0 send nothing into x. mask: float32 (units,)."""
    return cast(Tensor, _Linear.apply(x, weight, bias, mask))
