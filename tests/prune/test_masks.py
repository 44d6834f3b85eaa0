from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from microzoo.prune.groups import ChannelGroup, channel_groups
from microzoo.prune.masks import ChannelMasks, apply_mask
from microzoo.train.module import GraphModule

GROUPS = (ChannelGroup("a", 6, ("a", "d")), ChannelGroup("b", 3, ("b",)), ChannelGroup("c", 8, ("c",)))


def random_tensors(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a": (6, 2, 3, 3), "d": (6, 1, 3, 3), "b": (3, 5), "c": (8, 6, 1, 1)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def expected_keep(weights: dict[str, torch.Tensor], sparsity: float, how: str) -> dict[str, list[int]]:
    """Cut the least salient channel again and again; a group's last channel is never cut."""
    saliency = {
        (group.name, channel): float(np.sqrt(sum((weights[name][channel].numpy() ** 2).sum() for name in group.writers)))
        for group in GROUPS
        for channel in range(group.channels)
    }
    if how == "relative":
        mean = {group.name: np.mean([saliency[group.name, channel] for channel in range(group.channels)]) for group in GROUPS}
        saliency = {(name, channel): norm / float(mean[name]) for (name, channel), norm in saliency.items()}
    alive = set(saliency)
    for _ in range(round(sparsity * len(saliency))):
        cuttable = [key for key in alive if sum(other[0] == key[0] for other in alive) > 1]
        if cuttable:
            alive.remove(min(cuttable, key=saliency.__getitem__))
    return {group.name: sorted(channel for name, channel in alive if name == group.name) for group in GROUPS}


@pytest.mark.parametrize("how", ["l2", "relative"])
@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.35, 0.5, 0.8, 0.99])
def test_masks_equal_cutting_one_channel_after_the_other(sparsity, how):
    for seed in range(20):
        weights = random_tensors(seed)
        masks = ChannelMasks(GROUPS)
        masks.renew(weights, sparsity, how)
        kept = {name: indices.tolist() for name, indices in masks.keep().items()}
        assert kept == expected_keep(weights, sparsity, how), f"seed {seed}"
        assert sum(map(len, kept.values())) == 17 - min(round(sparsity * 17), 14)


def test_relative_saliency_ignores_the_scale_of_a_group_and_l2_does_not():
    weights = random_tensors(1)
    masks = ChannelMasks(GROUPS)
    masks.renew(weights, 7 / 17, "relative")
    before = masks.keep()["c"].tolist()
    weights["c"] *= 1e-3
    masks.renew(weights, 7 / 17, "relative")
    assert masks.keep()["c"].tolist() == before
    masks.renew(weights, 7 / 17, "l2")
    assert len(masks.keep()["c"]) == 1 < len(before)


def test_writers_of_a_group_share_a_mask_that_is_renewed_in_place():
    masks = ChannelMasks(GROUPS)
    seen_by_a_captured_graph = masks.by_operator["d"]
    masks.renew(random_tensors(0), 0.7)
    assert torch.equal(seen_by_a_captured_graph, masks.by_operator["a"])
    assert seen_by_a_captured_graph.sum() == len(masks.keep()["a"]) < 6


def test_a_masked_channel_comes_back_when_its_weights_grow():
    weights = random_tensors(0)
    weights["c"][5] *= 1e-3
    masks = ChannelMasks(GROUPS)
    masks.renew(weights, 0.4)
    assert 5 not in masks.keep()["c"]
    weights["c"][5] *= 1e5
    masks.renew(weights, 0.4)
    assert 5 in masks.keep()["c"]


def test_gradients_pass_straight_through_the_mask():
    activation = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask = torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    out = apply_mask(activation, mask)
    assert torch.equal(out[:, 1], torch.zeros(2, 4, 4))
    assert torch.equal(out[:, [0, 2]], activation[:, [0, 2]])
    (out * 3.0).sum().backward()
    assert activation.grad is not None
    assert torch.equal(activation.grad, torch.full_like(activation, 3.0))


def test_masked_channels_go_on_learning(random_network):
    graph, _ = random_network(3)
    group = channel_groups(graph)[0]
    masks = ChannelMasks([group])
    module = GraphModule(graph, np.random.default_rng(0), masks.by_operator).train()
    masks.renew(module.channel_weights(), 0.5)
    masked = masks.by_operator[group.name] == 0
    assert 0 < int(masked.sum()) < group.channels
    x = torch.randn(8, *graph.input_shape, generator=torch.Generator().manual_seed(0))
    functional.cross_entropy(module(x), torch.arange(8) % 5).backward()
    gradient = module.layers[group.name].weight.grad
    assert gradient is not None
    assert torch.all(gradient[masked].flatten(1).abs().sum(dim=1) > 0)


def test_nothing_prunable_is_no_error():
    masks = ChannelMasks(())
    masks.renew({}, 0.5)
    assert masks.keep() == {}
