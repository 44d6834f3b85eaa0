"""The gradient of a masked layer against the definition: taken at the pruned weights, applied to the dense ones."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from microzoo.prune.feedback import masked_conv2d, masked_linear


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize(("groups", "stride", "bias"), [(1, 1, True), (1, 2, False), (4, 1, False), (4, 2, True)])
def test_convolution_gives_the_gradients_of_the_pruned_network(groups: int, stride: int, bias: bool) -> None:
    """No ReLU between, so the definition can be written with zeroed weights and torch's own gradients."""
    mask = torch.tensor([1.0, 0.0, 1.0, 0.0])
    x, weight, offset, after = tensors((2, 4, 6, 5), (4, 4 // groups, 3, 3), (4,), (3, 4, 1, 1))
    own = masked_conv2d(x, weight, offset if bias else None, mask, (stride, stride), (1, 1), groups)
    # What masks.apply_mask does: zero going forward, the whole gradient going back.
    output = own + (own * mask[:, None, None] - own).detach()
    found = torch.autograd.grad(functional.conv2d(output, after).square().sum(), [x, weight, after])

    pruned = (weight * mask[:, None, None, None]).detach().requires_grad_()
    pruned_offset = (offset * mask).detach() if bias else None
    output = functional.conv2d(x, pruned, pruned_offset, stride, 1, groups=groups)
    expected = torch.autograd.grad(functional.conv2d(output, after).square().sum(), [x, pruned, after])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert found[1][1].abs().sum() > 0, "a cut channel keeps learning"


def test_linear_gives_the_gradients_of_the_pruned_network() -> None:
    mask = torch.tensor([0.0, 1.0, 1.0])
    x, weight, offset, after = tensors((5, 4), (3, 4), (3,), (2, 3))
    own = masked_linear(x, weight, offset, mask)
    output = own + (own * mask - own).detach()
    found = torch.autograd.grad((output @ after.T).square().sum(), [x, weight, offset, after])

    pruned, pruned_offset = (weight * mask[:, None]).detach().requires_grad_(), (offset * mask).detach().requires_grad_()
    output = functional.linear(x, pruned, pruned_offset)
    expected = torch.autograd.grad((output @ after.T).square().sum(), [x, pruned, pruned_offset, after])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_without_cut_channels_it_is_torchs_own_convolution() -> None:
    x, weight, offset = tensors((2, 3, 5, 5), (4, 3, 3, 3), (4,))
    ours = masked_conv2d(x, weight, offset, torch.ones(4), (1, 1), (0, 0), 1)
    plain = functional.conv2d(x, weight, offset)
    assert torch.equal(ours, plain)
    for a, b in zip(
        torch.autograd.grad(ours.square().sum(), [x, weight, offset]),
        torch.autograd.grad(plain.square().sum(), [x, weight, offset]),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
